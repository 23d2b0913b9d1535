import { customerNo, orderNo, RANGES, sku } from '../seed.ts';
import { agreement, arrives, type Stage } from '../stage.ts';

const NEW_CUSTOMER = 'C-10900';
const NEW_ORDER = 'A-50900';
const NEW_PRODUCT = 'P-1900';
/** Line, quantity, price: 210.00 together. */
const LINES = [
  [1, 2, '13.50'],
  [2, 4, '16.50'],
  [3, 6, '19.50'],
] as const;

/** Rows made in one system come into being in the other, parents first, keys translated. */
export async function births(stage: Stage): Promise<void> {
  stage.say.act('New rows: each system gives its own keys, references are translated');
  await orderInTheCrm(stage);
  await arrives(stage, 'erp', 'order_line', `${NEW_ORDER}/3`, { order: NEW_ORDER });
  await arrives(stage, 'crm', 'order', NEW_ORDER, { total: '210.00' });
  const [erpOrder] = await stage.desks.erp.sql(
    `SELECT o.order_id, o.cust_id, o.net_total, COUNT(*) AS n FROM sales_orders o
     JOIN sales_order_lines l USING (order_id) WHERE o.order_no = ? GROUP BY o.order_id`,
    [NEW_ORDER],
  );
  stage.say.done(
    `crm → erp  customer, order and ${erpOrder?.n} lines of one transaction: ` +
      `order ${erpOrder?.order_id} of customer ${erpOrder?.cust_id}`,
  );
  stage.say.done(`erp → crm  the ERP's total of it, ${erpOrder?.net_total}`);

  await productInTheErp(stage);
  await arrives(stage, 'crm', 'product', NEW_PRODUCT, { unit: 'kilogram', unit_price: '3.75' });
  const [item] = await stage.desks.crm.sql('select id from catalogue where sku = ?', [NEW_PRODUCT]);
  stage.say.done(`erp → crm  product ${NEW_PRODUCT}: catalogue ${item?.id}`);
  await agreement(stage);
}

async function orderInTheCrm(stage: Stage): Promise<void> {
  await stage.desks.crm.transaction(async (sql) => {
    await sql(
      `insert into accounts (account_no, first_name, last_name, email, stage, tags, country)
       values (?, 'Juna', 'Reeder', 'Juna@Reeder.example', 'G', ?, 'DE')`,
      [NEW_CUSTOMER, ['vip']],
    );
    await sql(
      `insert into orders (order_no, account_id, status, sales_rep, due_on)
       select ?, id, 'confirmed', 'kim', '2026-12-01' from accounts where account_no = ?`,
      [NEW_ORDER, NEW_CUSTOMER],
    );
    for (const [line, quantity, price] of LINES) {
      await sql(
        `insert into order_items (order_id, line_no, product_id, quantity, price)
         select o.id, ?, c.id, ?, ? from orders o, catalogue c where o.order_no = ? and c.sku = ?`,
        [line, quantity, price, NEW_ORDER, sku(line)],
      );
    }
  });
  stage.edits.crm += 2 + LINES.length;
}

async function productInTheErp(stage: Stage): Promise<void> {
  await stage.desks.erp.sql(
    `INSERT INTO items (item_no, description, uom, list_price, on_hand, weight, gl_account)
     VALUES (?, 'Anchor chain', 'KGM', 3.75, 5000, 1, '8400')`,
    [NEW_PRODUCT],
  );
  stage.edits.erp++;
}

/** Numbers of rows that no order refers to: nothing keeps a system from deleting them. */
export const UNUSED = {
  customers: [customerNo(104), customerNo(105)],
  products: [sku(RANGES.product.end - 1), sku(RANGES.product.end - 2)],
  orders: [orderNo(60)],
} as const;
