/** The people of both companies at their daily work: random edits, reproducible by their seed. */

import type { SystemName } from './desk.ts';
import { berlin, customerNo, orderNo, RANGES, sku } from './seed.ts';
import { inCrm, inErp, type Move } from './stage.ts';

/** A number in [0, 1), of a generator that a seed repeats (mulberry32). */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The same piece of work, as it is done in either system. */
export interface Work {
  readonly what: string;
  readonly crm: Move;
  readonly erp: Move;
  /** How far it moves the stock of a product, by the system it is done in. */
  readonly stock?: { readonly sku: string; readonly by: Readonly<Record<SystemName, number>> };
}

type Kind = (row: number, n: number) => Work;

/** Both systems know these: many edits fall on few records, so that the two sides meet. */
const HOT_CUSTOMERS = { from: 180, count: 24 };
const HOT_PRODUCTS = { from: 50, count: 12 };

const customer = (row: number): string =>
  customerNo(HOT_CUSTOMERS.from + (row % HOT_CUSTOMERS.count));
const product = (row: number): string => sku(HOT_PRODUCTS.from + (row % HOT_PRODUCTS.count));
const order = (row: number): string => orderNo(RANGES.order.crmEnd - 18 + (row % 18));

const KINDS: readonly Kind[] = [
  (row, n) => ({
    what: `customer ${customer(row)} phone`,
    crm: inCrm('update accounts set phone = ? where account_no = ?', `+49 30 ${n}`, customer(row)),
    erp: inErp(
      'UPDATE customers SET telephone = ? WHERE cust_code = ?',
      ...[`+43 1 ${n}`, customer(row)],
    ),
  }),
  (row, n) => ({
    what: `customer ${customer(row)} name`,
    crm: inCrm(
      'update accounts set last_name = ? where account_no = ?',
      `Lund ${n}`,
      customer(row),
    ),
    erp: inErp(
      'UPDATE customers SET display_name = ? WHERE cust_code = ?',
      ...[`Eva Werft ${n}`, customer(row)],
    ),
  }),
  (row, n) => ({
    what: `customer ${customer(row)} credit limit`,
    crm: inCrm('update accounts set credit_limit = ? where account_no = ?', n, customer(row)),
    erp: inErp('UPDATE customers SET credit_limit = ? WHERE cust_code = ?', n + 0.5, customer(row)),
  }),
  (row, n) => ({
    what: `customer ${customer(row)} last contact`,
    crm: inCrm(
      'update accounts set last_contact_at = ? where account_no = ?',
      ...[contact(n), customer(row)],
    ),
    erp: inErp(
      'UPDATE customers SET last_contact = ? WHERE cust_code = ?',
      ...[berlin(contact(n + 30).toISOString()), customer(row)],
    ),
  }),
  (row, n) => ({
    what: `product ${product(row)} stock`,
    crm: inCrm('update catalogue set stock = stock - 1 where sku = ?', product(row)),
    erp: inErp('UPDATE items SET on_hand = on_hand + ? WHERE item_no = ?', n % 5, product(row)),
    stock: { sku: product(row), by: { crm: -1, erp: n % 5 } },
  }),
  (row, n) => ({
    what: `product ${product(row)} price`,
    crm: inCrm('update catalogue set unit_price = ? where sku = ?', n / 4, product(row)),
    erp: inErp('UPDATE items SET list_price = ? WHERE item_no = ?', n / 5, product(row)),
  }),
  (row, n) => ({
    what: `order ${order(row)} note`,
    crm: inCrm('update orders set note = ? where order_no = ?', `call ${n}`, order(row)),
    erp: inErp('UPDATE sales_orders SET remark = ? WHERE order_no = ?', `ramp ${n}`, order(row)),
  }),
  (row, n) => ({
    what: `order ${order(row)} sales rep`,
    crm: inCrm('update orders set sales_rep = ? where order_no = ?', `rep ${n}`, order(row)),
    erp: inErp('UPDATE sales_orders SET clerk = ? WHERE order_no = ?', `clerk ${n}`, order(row)),
  }),
];

const contact = (n: number): Date => new Date(Date.UTC(2026, 5, 1) + n * 60_000);

/** Draws work without end. Every value is new, so that no edit looks like undoing another. */
export function clerks(seed: number): () => Work {
  const next = random(seed);
  let n = 100;
  return () => {
    const kind = KINDS[Math.floor(next() * KINDS.length)]!;
    return kind(Math.floor(next() * 1000), ++n);
  };
}
