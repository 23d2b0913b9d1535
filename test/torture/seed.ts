/** What both systems hold before Carrick meets them: partly the same, and not always agreeing. */
import { openSession, type Session } from './session.ts';
import { SHAPES, SYSTEMS, type SystemName, spelled } from './shapes.ts';
import { customerNo, orderNo, sku } from './work.ts';
import type { World } from './world.ts';

/** Numbers below `crm` are in the CRM, from `erp` on in the ERP. */
const RANGES = {
  customer: { erp: 4, crm: 14, end: 18 },
  product: { erp: 0, crm: 8, end: 12 },
  order: { erp: 0, crm: 8, end: 8 },
} as const;

export async function seedRows(world: World): Promise<void> {
  for (const system of SYSTEMS) {
    await using session = await openSession(world.servers[system].url);
    await session.begin(`seed.${system}`);
    for (const i of numbers(system, 'customer')) await customer(system, session, i);
    for (const i of numbers(system, 'product')) await product(system, session, i);
    for (const i of numbers(system, 'order')) await order(system, session, i);
    await session.run('COMMIT');
  }
}

function numbers(system: SystemName, entity: keyof typeof RANGES): number[] {
  const { erp, crm, end } = RANGES[entity];
  const [from, to] = system === 'crm' ? [0, crm] : [erp, end];
  return Array.from({ length: to - from }, (_, i) => from + i);
}

/** Every third differs between the systems. */
const text = (field: string, system: SystemName, i: number): string =>
  i % 3 === 0 ? `${field} ${system} ${i}` : `${field} ${i}`;

async function customer(system: SystemName, { run }: Session, i: number): Promise<void> {
  const { table, no, columns } = SHAPES[system].customer;
  const names = [no, columns.name, columns.phone, columns.note, columns.street, columns.city];
  const values = ['name', 'phone', 'note', 'street', 'city'].map((field) =>
    spelled(system, field, text(field, system, i)),
  );
  await run(
    `INSERT INTO ${table} (${names.join(', ')}) VALUES (?, ?, ?, ?, ?, ?)`,
    ...[customerNo(i), ...values],
  );
}

async function product(system: SystemName, { run }: Session, i: number): Promise<void> {
  const { table, no, columns } = SHAPES[system].product;
  await run(
    `INSERT INTO ${table} (${no}, ${columns.title}, ${columns.price}) VALUES (?, ?, ?)`,
    ...[sku(i), text('title', system, i), `${100 + i}.4`],
  );
}

async function order(system: SystemName, { run }: Session, i: number): Promise<void> {
  const { table, key, columns } = SHAPES[system].order;
  const { customer: c, product: p, line } = SHAPES[system];
  const keyOf = async (from: { table: string; key: string; no: string }, no: string) =>
    (await run(`SELECT ${from.key} AS k FROM ${from.table} WHERE ${from.no} = ?`, no)).rows[0]?.k ??
    null;
  const buyer = await keyOf(c, customerNo(4 + i));
  await run(
    `INSERT INTO ${table} (order_no, ${columns.customer}, ${columns.remark}) VALUES (?, ?, ?)`,
    ...[orderNo(i), buyer, `remark ${i}`],
  );
  const at = await keyOf({ table, key, no: 'order_no' }, orderNo(i));
  const goods = await keyOf(p, sku(i % 6));
  const names = [line.columns.order, line.no, line.columns.product];
  await run(
    `INSERT INTO ${line.table} (${names.join(', ')}, ${line.columns.quantity}, price)
     VALUES (?, 1, ?, 2.50, ?)`,
    ...[at, goods, `${10 + i}.36`],
  );
}
