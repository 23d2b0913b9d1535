import type { Value } from '../../../src/model/value.ts';
import { customerNo, orderNo, sku } from '../seed.ts';
import { seconds } from '../speech.ts';
import {
  agreement,
  arrives,
  inCrm,
  inErp,
  type Move,
  make,
  otherThan,
  type Stage,
} from '../stage.ts';

/** A person's edit, and what the other system must come to hold. */
interface Edit {
  readonly what: string;
  readonly move: Move;
  readonly entity: string;
  readonly key: string;
  readonly want: Readonly<Record<string, Value>>;
}

const EDITS: readonly Edit[] = [
  {
    what: 'a last name in the CRM is half of a display_name in the ERP',
    move: inCrm(
      "update accounts set last_name = 'Sommer-Lund' where account_no = ?",
      customerNo(100),
    ),
    entity: 'customer',
    key: customerNo(100),
    want: { name: 'Bernd Sommer-Lund' },
  },
  {
    what: 'an email typed in mixed case',
    move: inCrm(
      "update accounts set email = 'New.Address@Example.ORG' where account_no = ?",
      customerNo(101),
    ),
    entity: 'customer',
    key: customerNo(101),
    want: { email: 'new.address@example.org' },
  },
  {
    what: 'tier 3 in the ERP is stage P in the CRM, label and set travel along',
    move: inErp(
      "UPDATE customers SET tier = 3, labels = ?, mailing = 'Y' WHERE cust_code = ?",
      ...[['vip', 'export'], customerNo(102)],
    ),
    entity: 'customer',
    key: customerNo(102),
    want: { tier: 'platinum', tags: '["export","vip"]', newsletter: 'true' },
  },
  {
    what: 'a price with two decimals becomes one with four',
    move: inErp('UPDATE items SET list_price = 19.9 WHERE item_no = ?', sku(45)),
    entity: 'product',
    key: sku(45),
    want: { unit_price: '19.90' },
  },
  {
    what: 'local time of Berlin becomes an instant',
    move: inErp(
      "UPDATE sales_orders SET ordered_at = '2026-07-01 09:30:00', state = 30 WHERE order_no = ?",
      orderNo(64),
    ),
    entity: 'order',
    key: orderNo(64),
    want: { ordered_at: '2026-07-01T07:30:00Z', status: 'shipped' },
  },
  {
    what: 'a quantity on an order line',
    move: inCrm(
      `update order_items set quantity = 7.25 where line_no = 1
       and order_id = (select id from orders where order_no = ?)`,
      orderNo(65),
    ),
    entity: 'order_line',
    key: `${orderNo(65)}/1`,
    want: { quantity: '7.25' },
  },
];

/** What either side writes arrives on the other, under the other's keys and spellings. */
export async function edits(stage: Stage): Promise<void> {
  const { say } = stage;
  say.act('Edits: what either side writes arrives on the other, under other keys');
  for (const { what, move, entity, key, want } of EDITS) {
    const target = otherThan(move.system);
    const began = Date.now();
    await make(stage, move);
    await arrives(stage, target, entity, key, want);
    say.done(`${move.system} → ${target}  ${entity} ${key}: ${what} (${seconds(began)})`);
  }
  await agreement(stage);
  say.done("the ERP's trigger added the order up again: its total went to the CRM, and no further");
}
