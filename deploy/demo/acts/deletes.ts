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
import { UNUSED } from './births.ts';

interface Removal {
  readonly what: string;
  readonly move: Move;
  readonly entity: string;
  readonly key: string;
  /** A statement on the other side that counts what must be left there, and the count. */
  readonly left?: readonly [sql: string, count: number];
}

const REMOVALS: readonly Removal[] = [
  {
    what: 'deleted in the CRM, marked inactive in the ERP',
    move: inCrm('delete from accounts where account_no = ?', UNUSED.customers[0]),
    entity: 'customer',
    key: UNUSED.customers[0],
    left: ['SELECT COUNT(*) AS n FROM customers WHERE cust_code = ? AND NOT active', 1],
  },
  {
    what: 'marked inactive in the ERP, deleted in the CRM',
    move: inErp('UPDATE customers SET active = FALSE WHERE cust_code = ?', UNUSED.customers[1]),
    entity: 'customer',
    key: UNUSED.customers[1],
    left: ['select count(*) as n from accounts where account_no = ?', 0],
  },
  {
    what: 'deleted in the ERP, archived in the CRM',
    move: inErp('DELETE FROM items WHERE item_no = ?', UNUSED.products[0]),
    entity: 'product',
    key: UNUSED.products[0],
    left: ['select count(*) as n from catalogue where sku = ? and archived', 1],
  },
  {
    what: 'archived in the CRM, deleted in the ERP',
    move: inCrm('update catalogue set archived = true where sku = ?', UNUSED.products[1]),
    entity: 'product',
    key: UNUSED.products[1],
    left: ['SELECT COUNT(*) AS n FROM items WHERE item_no = ?', 0],
  },
  {
    what: 'a draft order thrown away',
    move: inCrm('delete from orders where order_no = ?', UNUSED.orders[0]),
    entity: 'order',
    key: UNUSED.orders[0],
  },
];

/** A delete means in each system what its mapping says. */
export async function deletes(stage: Stage): Promise<void> {
  stage.say.act('Deletes: hard in one system, soft in the other');
  for (const { what, move, entity, key, left } of REMOVALS) {
    const target = otherThan(move.system);
    const began = Date.now();
    await make(stage, move);
    await arrives(stage, target, entity, key, null);
    if (left !== undefined) {
      const [row] = await stage.desks[target].sql(left[0], [key]);
      if (Number(row?.n) !== left[1]) {
        throw new Error(`${entity} ${key} left ${row?.n} rows in the ${target}`);
      }
    }
    stage.say.done(`${move.system} → ${target}  ${entity} ${key}: ${what} (${seconds(began)})`);
  }
  await agreement(stage);
}
