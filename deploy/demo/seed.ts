/**
 * The rows that both systems hold before Carrick meets them: partly the same customers, products
 * and orders, spelled as each system spells them, and not always agreeing. The same on every run.
 */
import { randomUUID } from 'node:crypto';
import { Temporal } from 'temporal-polyfill';
import type { Desk, Param, Product } from './desk.ts';

/** Numbers below `crmEnd` are in the CRM, from `erpStart` on in the ERP: between them in both. */
export const RANGES = {
  customer: { erpStart: 80, crmEnd: 220, end: 300 },
  product: { erpStart: 30, crmEnd: 90, end: 120 },
  order: { erpStart: 40, crmEnd: 100, end: 150 },
} as const;

export const customerNo = (i: number): string => `C-${10_000 + i}`;
export const custId = (i: number): number => 501 + i;
export const sku = (i: number): string => `P-${1000 + i}`;
export const orderNo = (i: number): string => `A-${50_000 + i}`;
export const orderId = (i: number): number => 90_001 + i;

const FIRST = ['Anna', 'Bernd', 'Clara Maria', 'Deniz', 'Eva', 'Farid', 'Greta', 'Hannes', 'Ines'];
const LAST = ['Berg', 'Çelik', 'Dietrich', 'Eßer', 'von Flotow', 'Gruber', 'Huber', 'Ilić'];
const STREETS = ['Hafenstraße', 'Lindenweg', 'Am Markt', 'Ringstrasse', 'Mühlgasse'];
const PLACES = [
  { zip: '20095', city: 'Hamburg', crm: 'DE', erp: 'D' },
  { zip: '80331', city: 'München', crm: 'DE', erp: 'D' },
  { zip: '1010', city: 'Wien', crm: 'AT', erp: 'A' },
  { zip: '8001', city: 'Zürich', crm: 'CH', erp: 'CH' },
] as const;
const GOODS = [
  'Mooring line',
  'Shackle',
  'Block',
  'Winch handle',
  'Rigging hour',
  'Rope by weight',
];
const UNITS = [
  { crm: 'pc', erp: 'PCE' },
  { crm: 'h', erp: 'HUR' },
  { crm: 'kg', erp: 'KGM' },
] as const;
const STATES = [
  { crm: 'draft', erp: 10 },
  { crm: 'confirmed', erp: 20 },
  { crm: 'shipped', erp: 30 },
] as const;
const TAGS = ['export', 'press', 'vip', 'wholesale'];

const pick = <T>(list: readonly T[], i: number): T => list[i % list.length]!;
const day = (i: number): string =>
  Temporal.PlainDate.from('2024-01-15')
    .add({ days: i * 3 })
    .toString();
const instant = (i: number): Temporal.Instant =>
  Temporal.Instant.from('2026-01-05T08:12:30Z').add({ hours: i * 29 });

const moment = (i: number): Date => new Date(instant(i).epochMilliseconds);

/** How the ERP writes an instant: local time without a zone. */
export const berlin = (at: Temporal.Instant | string): string =>
  Temporal.Instant.from(at)
    .toZonedDateTimeISO('Europe/Berlin')
    .toPlainDateTime()
    .toString({ smallestUnit: 'second' })
    .replace('T', ' ');

function* range(from: number, to: number): Generator<number> {
  for (let i = from; i < to; i++) yield i;
}

/** A business table in memory: column names, then rows in their order. */
interface Table {
  readonly name: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Param[])[];
}

export async function seed(crm: Desk, erp: Desk): Promise<void> {
  await Promise.all([fill(crm, crmTables(crm.product)), fill(erp, erpTables())]);
}

const fill = (desk: Desk, tables: readonly Table[]): Promise<void> =>
  desk.transaction(async (sql) => {
    for (const { name, columns, rows } of tables) {
      const row = `(${columns.map(() => '?')})`;
      await sql(`insert into ${name} (${columns}) values ${rows.map(() => row)}`, rows.flat());
    }
  });

function crmTables(product: Product): Table[] {
  let last = 0;
  // As the application would make them: see the schemas.
  const newId = (): Param => (product === 'postgres' ? randomUUID() : ++last);
  const accounts = new Map<number, Param>();
  const catalogue = new Map<number, Param>();
  const orders = new Map<number, Param>();
  const idOf = (ids: Map<number, Param>, i: number): Param => {
    const id = ids.get(i) ?? newId();
    ids.set(i, id);
    return id;
  };
  return [
    {
      name: 'accounts',
      columns: [
        ...['id', 'account_no', 'first_name', 'last_name', 'email', 'phone', 'stage'],
        ...['newsletter', 'tags', 'credit_limit', 'customer_since', 'last_contact_at'],
        ...['street', 'zip', 'city', 'country', 'owner'],
      ],
      rows: [...range(0, RANGES.customer.crmEnd)].map((i) => {
        const place = pick(PLACES, i);
        return [
          ...[idOf(accounts, i), customerNo(i), pick(FIRST, i), pick(LAST, i)],
          ...[i % 5 === 0 ? email(i) : email(i).toLowerCase(), phone(i), pick(['S', 'G', 'P'], i)],
          ...[i % 2 === 0, tags(i), 500 * (i % 20), day(i), moment(i)],
          ...[street(i), place.zip, place.city, place.crm, pick(['kim', 'lou'], i)],
        ];
      }),
    },
    {
      name: 'catalogue',
      columns: ['id', 'sku', 'title', 'unit', 'unit_price', 'stock', 'weight_kg'],
      rows: [...range(0, RANGES.product.crmEnd)].map((i) => [
        ...[idOf(catalogue, i), sku(i), title(i), pick(UNITS, i).crm, price(i)],
        ...[i % 8 === 0 ? 0 : 100 + i, weight(i)],
      ]),
    },
    {
      name: 'orders',
      columns: [
        ...['id', 'order_no', 'account_id', 'status', 'ordered_at', 'due_on', 'sales_rep'],
        ...['note', 'amount'],
      ],
      rows: [...range(0, RANGES.order.crmEnd)].map((i) => [
        ...[idOf(orders, i), orderNo(i), idOf(accounts, customerOf(i)), pick(STATES, i).crm],
        ...[moment(i), day(300 + i), pick(['kim', 'lou'], i), note(i), 0],
      ]),
    },
    {
      name: 'order_items',
      columns: ['order_id', 'line_no', 'product_id', 'quantity', 'price'],
      rows: [...range(0, RANGES.order.crmEnd)].flatMap((i) =>
        linesOf(i).map(({ product, ...line }) => [
          ...[idOf(orders, i), line.no, idOf(catalogue, product), line.quantity, price(product)],
        ]),
      ),
    },
  ];
}

function erpTables(): Table[] {
  const { customer, product, order } = RANGES;
  return [
    {
      name: 'customers',
      columns: [
        ...['cust_id', 'company_code', 'cust_code', 'display_name', 'mail', 'telephone', 'tier'],
        ...['mailing', 'labels', 'credit_limit', 'since', 'last_contact'],
        ...['addr_street', 'addr_zip', 'addr_city', 'addr_country', 'is_vendor', 'active'],
      ],
      rows: [
        ...[...range(customer.erpStart, customer.end)].map((i) => erpCustomer(i, false, true)),
        // Neither vendors nor customers that have gone are any business of the CRM.
        ...[...range(customer.end, customer.end + 8)].map((i) => erpCustomer(i, false, false)),
        ...[...range(customer.end + 8, customer.end + 20)].map((i) => erpCustomer(i, true, true)),
      ],
    },
    {
      name: 'items',
      columns: [
        ...['item_id', 'item_no', 'description', 'uom', 'list_price', 'on_hand', 'weight'],
        'gl_account',
      ],
      rows: [...range(product.erpStart, product.end)].map((i) => [
        ...[7001 + i, sku(i), title(i), pick(UNITS, i).erp, price(i), 100 + i, weight(i), '8400'],
      ]),
    },
    {
      name: 'sales_orders',
      columns: [
        ...['order_id', 'order_no', 'plant', 'cust_id', 'state', 'ordered_at', 'due_on', 'clerk'],
        'remark',
      ],
      rows: [...range(order.erpStart, order.end)].map((i) => [
        ...[orderId(i), orderNo(i), '0001', custId(customerOf(i)), pick(STATES, i).erp],
        ...[berlin(instant(i)), day(300 + i), pick(['kim', 'lou'], i), note(i)],
      ]),
    },
    {
      name: 'sales_order_lines',
      columns: ['order_id', 'pos', 'item_id', 'qty', 'price'],
      rows: [...range(order.erpStart, order.end)].flatMap((i) =>
        linesOf(i).map(({ product: p, ...line }) => [
          ...[orderId(i), line.no, 7001 + p, line.quantity, price(p)],
        ]),
      ),
    },
  ];
}

/** The customer whose tier no mapping knows: parked until somebody in the ERP corrects it. */
export const UNKNOWN_TIER = RANGES.customer.end - 1;

function erpCustomer(i: number, vendor: boolean, active: boolean): Param[] {
  const place = pick(PLACES, i);
  // A slip of the pen long ago: only the email shows that this is the CRM's customer.
  const code = i % 28 === 0 && i < RANGES.customer.crmEnd ? `K-${10_000 + i}` : customerNo(i);
  return [
    ...[custId(i), '1000', code, `${pick(FIRST, i)} ${pick(LAST, i)}`],
    ...[
      i % 7 === 0 ? ` ${email(i)} ` : email(i).toLowerCase(),
      i % 9 === 0 ? '+49 40 0000' : phone(i),
    ],
    ...[i === UNKNOWN_TIER ? 9 : (i % 3) + 1, i % 2 === 0 ? 'Y' : 'N', tags(i)],
    ...[500 * (i % 20), day(i), berlin(instant(i)), street(i), place.zip, place.city, place.erp],
    ...[vendor, active],
  ];
}

const email = (i: number): string => `${pick(FIRST, i).split(' ')[0]}.${i}@Example.COM`;
const phone = (i: number): string => `+49 40 ${7000 + i}`;
const street = (i: number): string => `${pick(STREETS, i)} ${(i % 90) + 1}`;
const title = (i: number): string => `${pick(GOODS, i)} ${i}`;
const price = (i: number): string => (4.95 + i * 1.35).toFixed(2);
const weight = (i: number): number => 0.125 + i / 10;
const note = (i: number): string => (i % 4 === 0 ? `ring twice, ${i}` : '');
const tags = (i: number): string[] =>
  i % 3 === 0 ? [pick(TAGS, i), pick(TAGS, i + 1)].sort() : [];

/** Of an order that both systems know, they know the customer and the products too. */
const customerOf = (order: number): number => {
  const { order: o, customer: c } = RANGES;
  if (order < o.erpStart) return order % c.erpStart;
  if (order < o.crmEnd) return c.erpStart + (order % 100);
  return c.crmEnd + (order % (c.end - c.crmEnd - 10));
};

interface Line {
  readonly no: number;
  readonly product: number;
  readonly quantity: number;
}

/** Every tenth order has no lines yet; the last five products of each range were never sold. */
function linesOf(order: number): Line[] {
  const { order: o, product: p } = RANGES;
  const count = order % 10 === 0 ? 0 : 1 + (order % 3);
  const [from, to] =
    order < o.erpStart
      ? [0, p.erpStart]
      : order < o.crmEnd
        ? [p.erpStart, p.crmEnd]
        : [p.crmEnd, p.end];
  return Array.from({ length: count }, (_, k) => ({
    no: k + 1,
    product: from + ((order * 7 + k) % (to - from - 5)),
    quantity: 1 + ((order + k) % 6) * 1.5,
  }));
}
