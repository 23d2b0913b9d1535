/** What both systems hold now, read by plain SQL: neither Carrick nor a mapping has part in it. */
import type { Session } from './session.ts';
import { type EntityName, plain, SHAPES, type SystemName, whoOf } from './shapes.ts';

export type Entry = Readonly<Record<string, string | null>>;

/** By entity and thing; more than one row of a thing is what must never be. */
export type Book = ReadonlyMap<EntityName, ReadonlyMap<string, readonly Entry[]>>;

/** Columns behind those of the row, and where from: references by the numbers that people know. */
const READS: Readonly<Record<SystemName, Readonly<Record<EntityName, readonly [string, string]>>>> =
  {
    crm: {
      customer: ["account_no as no, CONCAT(first_name, ' ', last_name) as last_name", 'accounts t'],
      product: ['sku as no', 'catalogue t'],
      order: [
        'order_no as no, a.account_no as account_id',
        'orders t join accounts a on a.id = t.account_id',
      ],
      line: [
        "CONCAT(o.order_no, '/', line_no) as no, o.order_no as order_id, c.sku as product_id",
        `order_items t join orders o on o.id = t.order_id
         join catalogue c on c.id = t.product_id`,
      ],
    },
    erp: {
      customer: ['cust_code AS no', 'customers t'],
      product: ['item_no AS no', 'items t'],
      order: [
        'order_no AS no, c.cust_code AS cust_id',
        'sales_orders t JOIN customers c ON c.cust_id = t.cust_id',
      ],
      line: [
        "CONCAT(o.order_no, '/', pos) AS no, o.order_no AS order_id, i.item_no AS item_id",
        `sales_order_lines t JOIN sales_orders o ON o.order_id = t.order_id
         JOIN items i ON i.item_id = t.item_id`,
      ],
    },
  };

export async function readBook(system: SystemName, { run }: Session): Promise<Book> {
  const book = new Map<EntityName, Map<string, Entry[]>>();
  for (const [name, { columns, outside }] of Object.entries(SHAPES[system])) {
    const entity = name as EntityName;
    const things = new Map<string, Entry[]>();
    const [besides, from] = READS[system][entity];
    const dead = `CASE WHEN ${outside} THEN 1 ELSE 0 END AS outside`;
    const { rows } = await run(`SELECT t.*, ${besides}, ${dead} FROM ${from}`);
    for (const row of rows) {
      const entry: Record<string, string | null> = { no: row.no ?? null };
      for (const [field, column] of Object.entries(columns)) {
        entry[field] = plain(system, field, row[column]);
      }
      if (row.outside === '1') entry.outside = 'yes';
      const who = whoOf(row.no ?? '');
      things.set(who, [...(things.get(who) ?? []), entry]);
    }
    book.set(entity, things);
  }
  return book;
}

export const isInside = (entry: Entry): boolean => entry.outside === undefined;
