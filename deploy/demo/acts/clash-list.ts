/** Two people write the same thing in two systems, neither having seen the other: by policy. */
import type { Entry } from '../books.ts';
import { berlin, customerNo, orderId, orderNo, sku } from '../seed.ts';
import { inCrm, inErp, type Move } from '../stage.ts';

export interface Clash {
  /** Who writes what: `first` a few seconds before `second`. */
  readonly first: Move;
  readonly second: Move;
  readonly entity: string;
  /** Business key. */
  readonly key: string;
  /** As the journal must tell it. */
  readonly unit: string;
  readonly policy: string;
  /** Set where the mapping leaves it to a person: what that person then takes. */
  readonly take?: string;
  /** What both systems hold in the end; null: neither has the record. */
  readonly want: Entry | null;
}

const RECORD = '(record)';

const CUSTOMERS: readonly Clash[] = [
  {
    first: inCrm("update accounts set phone = '+49 40 1111' where account_no = ?", customerNo(110)),
    second: inErp(
      "UPDATE customers SET telephone = '+43 1 22' WHERE cust_code = ?",
      customerNo(110),
    ),
    ...{ entity: 'customer', key: customerNo(110), unit: 'phone', policy: 'last_writer' },
    want: { phone: '+43 1 22' },
  },
  {
    first: inErp('UPDATE customers SET credit_limit = 7000 WHERE cust_code = ?', customerNo(111)),
    second: inCrm('update accounts set credit_limit = 9000 where account_no = ?', customerNo(111)),
    ...{ entity: 'customer', key: customerNo(111), unit: 'credit_limit', policy: 'prefer: erp' },
    want: { credit_limit: '7000.00' },
  },
  {
    first: inErp('UPDATE customers SET tier = 3 WHERE cust_code = ?', customerNo(114)),
    second: inCrm("update accounts set stage = 'G' where account_no = ?", customerNo(114)),
    ...{ entity: 'customer', key: customerNo(114), unit: 'tier', policy: "erp.tier == 'platinum'" },
    want: { tier: 'platinum' },
  },
  {
    first: inCrm(
      "update accounts set street = 'Neuer Weg 1' where account_no = ?",
      customerNo(115),
    ),
    second: inErp("UPDATE customers SET addr_city = 'Kiel' WHERE cust_code = ?", customerNo(115)),
    ...{ entity: 'customer', key: customerNo(115), unit: 'address', policy: 'park', take: 'crm' },
    want: { street: 'Neuer Weg 1', city: 'Zürich' },
  },
  {
    first: inCrm(
      'update accounts set tags = ? where account_no = ?',
      ...[['press', 'vip', 'export'], customerNo(117)],
    ),
    second: inErp(
      'UPDATE customers SET labels = ? WHERE cust_code = ?',
      ...[['press', 'vip', 'wholesale'], customerNo(117)],
    ),
    ...{ entity: 'customer', key: customerNo(117), unit: 'tags', policy: 'union' },
    want: { tags: '["export","press","vip","wholesale"]' },
  },
  {
    first: inErp(
      'UPDATE customers SET last_contact = ? WHERE cust_code = ?',
      ...[berlin('2026-11-02T09:00:00Z'), customerNo(118)],
    ),
    second: inCrm(
      'update accounts set last_contact_at = ? where account_no = ?',
      ...[new Date('2026-11-01T10:00:00Z'), customerNo(118)],
    ),
    ...{ entity: 'customer', key: customerNo(118), unit: 'last_contact', policy: 'max' },
    want: { last_contact: '2026-11-02T09:00:00Z' },
  },
  {
    first: inCrm('delete from accounts where account_no = ?', customerNo(116)),
    second: inErp(
      "UPDATE customers SET telephone = '+41 44 3' WHERE cust_code = ?",
      customerNo(116),
    ),
    ...{ entity: 'customer', key: customerNo(116), unit: RECORD, policy: 'update_wins' },
    want: { phone: '+41 44 3' },
  },
];

const PRODUCTS: readonly Clash[] = [
  {
    first: inCrm('update catalogue set stock = stock - 5 where sku = ?', sku(40)),
    second: inErp('UPDATE items SET on_hand = on_hand + 20 WHERE item_no = ?', sku(40)),
    ...{ entity: 'product', key: sku(40), unit: 'stock', policy: 'sum_of_deltas' },
    want: { stock: '155' },
  },
  {
    first: inErp('DELETE FROM items WHERE item_no = ?', sku(87)),
    second: inCrm("update catalogue set title = 'Rope, tarred' where sku = ?", sku(87)),
    ...{ entity: 'product', key: sku(87), unit: RECORD, policy: 'last_writer' },
    want: { title: 'Rope, tarred' },
  },
];

const ORDERS: readonly Clash[] = [
  {
    first: inErp("UPDATE sales_orders SET due_on = '2026-09-02' WHERE order_no = ?", orderNo(50)),
    second: inCrm("update orders set due_on = '2026-09-09' where order_no = ?", orderNo(50)),
    ...{ entity: 'order', key: orderNo(50), unit: 'due_on', policy: 'min' },
    want: { due_on: '2026-09-02' },
  },
  {
    first: inCrm("update orders set sales_rep = 'mira' where order_no = ?", orderNo(51)),
    second: inErp("UPDATE sales_orders SET clerk = 'nils' WHERE order_no = ?", orderNo(51)),
    ...{ entity: 'order', key: orderNo(51), unit: 'sales_rep', policy: 'first_writer' },
    want: { sales_rep: 'mira' },
  },
  {
    first: inErp("UPDATE sales_orders SET remark = 'gate code 7' WHERE order_no = ?", orderNo(53)),
    second: inCrm("update orders set note = 'call before' where order_no = ?", orderNo(53)),
    ...{ entity: 'order', key: orderNo(53), unit: 'note', policy: "crm.note != ''" },
    want: { note: 'call before / gate code 7' },
  },
  {
    first: inCrm('delete from orders where order_no = ?', orderNo(70)),
    second: inErp("UPDATE sales_orders SET remark = 'in picking' WHERE order_no = ?", orderNo(70)),
    ...{ entity: 'order', key: orderNo(70), unit: RECORD, policy: 'park', take: 'erp' },
    want: { note: 'in picking' },
  },
];

const LINES: readonly Clash[] = [
  {
    first: inErp('DELETE FROM sales_order_lines WHERE order_id = ? AND pos = 1', orderId(62)),
    second: inCrm(
      `update order_items set quantity = 9 where line_no = 1
       and order_id = (select id from orders where order_no = ?)`,
      orderNo(62),
    ),
    ...{ entity: 'order_line', key: `${orderNo(62)}/1`, unit: RECORD, policy: 'delete_wins' },
    want: null,
  },
];

export const CLASHES: readonly Clash[] = [...CUSTOMERS, ...PRODUCTS, ...ORDERS, ...LINES];
