/** What people do all day, written once for both systems and both dialects. */
import { randomUUID } from 'node:crypto';
import type { Random } from '../simulation/random.ts';
import type { Param, Product, Result, Session } from './session.ts';
import { type EntityName, SHAPES, type Shape, type SystemName, spelled } from './shapes.ts';

/** One transaction of one person. */
export interface Turn {
  /** Makes every text of it new. */
  readonly name: string;
  /** Makes every amount of it new: no two turns of a run have the same. */
  readonly number: number;
  readonly system: SystemName;
  readonly product: Product;
  readonly random: Random;
  readonly sql: Session['run'];
  /** Begins the transaction: called once, by whoever reads first before that. */
  begin(): Promise<void>;
}

export interface Kind {
  readonly what: string;
  /** How often, against the others. */
  readonly weight: number;
  /** Reads before its transaction begins, and writes only what is still as it was read. */
  readonly readsFirst?: boolean;
  readonly only?: SystemName;
  perform(turn: Turn): Promise<unknown>;
}

/** Few things that many write, so that both sides meet. */
const HOT_CUSTOMERS = 12;
const HOT_PRODUCTS = 6;
const HOT_ORDERS = 8;

export const customerNo = (i: number): string => `C-${i}`;
export const sku = (i: number): string => `P-${i}`;
export const orderNo = (i: number): string => `A-${i}`;

const shapeOf = ({ system }: Turn, entity: EntityName): Shape => SHAPES[system][entity];

function hotThing({ random }: Turn): { entity: EntityName; no: string } {
  const entity = random.pick(['customer', 'customer', 'customer', 'product', 'order'] as const);
  if (entity === 'product') return { entity, no: sku(random.int(HOT_PRODUCTS)) };
  if (entity === 'order') return { entity, no: orderNo(random.int(HOT_ORDERS)) };
  return { entity, no: customerNo(random.int(HOT_CUSTOMERS)) };
}

const FIELDS: Readonly<Record<EntityName, readonly (readonly string[])[]>> = {
  customer: [['name'], ['phone'], ['credit'], ['note'], ['street', 'city'], ['city'], ['tier']],
  product: [['title'], ['price'], ['title', 'price']],
  order: [['remark'], ['status'], ['remark', 'status']],
  line: [['quantity'], ['each']],
};

function newValue({ random, name, number }: Turn, field: string): string {
  switch (field) {
    case 'tier':
      return random.pick(['standard', 'gold', 'platinum']);
    case 'status':
      return random.pick(['draft', 'confirmed', 'shipped']);
    // One decimal more than one of the two keeps.
    case 'credit':
    case 'price':
      return `${number}.37`;
    // Half of it is whole cents.
    case 'each':
      return `${number}.36`;
    case 'quantity':
      return `${1 + random.int(9)}.50`;
    default:
      return random.chance(0.2) ? `${field} ${name}  ` : `${field} ${name}`;
  }
}

interface Assignments {
  readonly text: string;
  readonly params: readonly Param[];
}

function assignments(turn: Turn, entity: EntityName, fields: readonly string[]): Assignments {
  const { columns } = shapeOf(turn, entity);
  return {
    text: fields.map((field) => `${columns[field]} = ?`).join(', '),
    params: fields.map((field) => spelled(turn.system, field, newValue(turn, field))),
  };
}

const inside = (shape: Shape): string => `NOT ${shape.outside}`;

async function edit(turn: Turn, entity: EntityName, no: string): Promise<Result> {
  const shape = shapeOf(turn, entity);
  const { text, params } = assignments(turn, entity, turn.random.pick(FIELDS[entity]));
  const where = `WHERE ${shape.no} = ? AND ${inside(shape)}`;
  return turn.sql(`UPDATE ${shape.table} SET ${text} ${where}`, ...params, no);
}

async function editHot(turn: Turn): Promise<unknown> {
  const { entity, no } = hotThing(turn);
  return edit(turn, entity, no);
}

/** Looks, thinks, and writes only if nobody was faster. */
async function lookThenEdit(turn: Turn): Promise<unknown> {
  const { entity, no } = hotThing(turn);
  const shape = shapeOf(turn, entity);
  const field = turn.random.pick(FIELDS[entity])[0] ?? '';
  const column = shape.columns[field] ?? '';
  const { rows } = await turn.sql(
    `SELECT ${column} AS held FROM ${shape.table} WHERE ${shape.no} = ?`,
    no,
  );
  await new Promise((resolve) => setTimeout(resolve, turn.random.int(150)));
  await turn.begin();
  const held = rows[0]?.held ?? null;
  if (held === null) return rows;
  const { text, params } = assignments(turn, entity, [field]);
  return turn.sql(
    `UPDATE ${shape.table} SET ${text} WHERE ${shape.no} = ? AND ${column} = ?`,
    ...params,
    ...[no, held],
  );
}

/** Stock moves and bonus points: what is written depends on what is there. */
async function add(turn: Turn): Promise<unknown> {
  const { random } = turn;
  const [entity, field, no] = random.chance(0.5)
    ? (['customer', 'points', customerNo(random.int(HOT_CUSTOMERS))] as const)
    : (['product', 'stock', sku(random.int(HOT_PRODUCTS))] as const);
  const { table, columns, no: number } = shapeOf(turn, entity);
  const column = columns[field];
  const by = random.int(11) - 4;
  return turn.sql(`UPDATE ${table} SET ${column} = ${column} + ? WHERE ${number} = ?`, by, no);
}

async function several(turn: Turn): Promise<unknown> {
  const steps = 2 + turn.random.int(5);
  for (let i = 0; i < steps; i++) await (turn.random.chance(0.3) ? add(turn) : editHot(turn));
  return steps;
}

async function insert(
  turn: Turn,
  entity: EntityName,
  no: string,
  fields: readonly string[],
): Promise<Result> {
  const { table, columns, no: number } = shapeOf(turn, entity);
  const names = [number, ...fields.map((field) => columns[field])];
  const values = fields.map((field) => spelled(turn.system, field, newValue(turn, field)));
  const marks = names.map(() => '?').join(', ');
  return turn.sql(`INSERT INTO ${table} (${names.join(', ')}) VALUES (${marks})`, no, ...values);
}

const newCustomer = (turn: Turn): Promise<unknown> =>
  insert(turn, 'customer', `C-${turn.name}`, ['name', 'phone', 'street', 'city']);

/** Somebody in the other system may enter the same customer at the same moment. */
const knownCustomer = (turn: Turn): Promise<unknown> =>
  insert(turn, 'customer', `N-${Math.floor(turn.number / 40)}`, ['name', 'phone', 'note']);

const newProduct = (turn: Turn): Promise<unknown> =>
  insert(turn, 'product', `P-${turn.name}`, ['title', 'price']);

/** The surrogate key of a thing, its row locked. */
async function keyOf(turn: Turn, entity: EntityName, no: string): Promise<string | null> {
  const shape = shapeOf(turn, entity);
  const where = `WHERE ${shape.no} = ? AND ${inside(shape)} FOR UPDATE`;
  const { rows } = await turn.sql(`SELECT ${shape.key} AS k FROM ${shape.table} ${where}`, no);
  return rows[0]?.k ?? null;
}

async function newOrder(turn: Turn, no = `A-${turn.name}`): Promise<unknown> {
  const { random } = turn;
  const customer = await keyOf(turn, 'customer', customerNo(random.int(HOT_CUSTOMERS)));
  if (customer === null) return null;
  const { table, columns } = shapeOf(turn, 'order');
  await turn.sql(
    `INSERT INTO ${table} (order_no, ${columns.customer}, ${columns.remark}) VALUES (?, ?, ?)`,
    ...[no, customer, `remark ${turn.name}`],
  );
  if (no.startsWith('D-')) return null;
  const order = await keyOf(turn, 'order', no);
  for (let line = 1; line <= 1 + random.int(3); line++) await addLine(turn, order, line);
  return order;
}

async function addLine(turn: Turn, order: string | null, no: number): Promise<unknown> {
  const product = await keyOf(turn, 'product', sku(turn.random.int(HOT_PRODUCTS)));
  if (order === null || product === null) return null;
  const { table, columns, no: number } = shapeOf(turn, 'line');
  const names = [columns.order, number, columns.product, columns.quantity, columns.each];
  return turn.sql(
    `INSERT INTO ${table} (${names.join(', ')}) VALUES (?, ?, ?, ?, ?)`,
    ...[order, no, product, newValue(turn, 'quantity'), newValue(turn, 'each')],
  );
}

/** The lines of an order that many look at: one more, another quantity, or one fewer. */
async function lines(turn: Turn): Promise<unknown> {
  const { random } = turn;
  const order = await keyOf(turn, 'order', orderNo(random.int(HOT_ORDERS)));
  if (order === null) return null;
  const { table, columns, no } = shapeOf(turn, 'line');
  const { rows } = await turn.sql(
    `SELECT ${no} AS n FROM ${table} WHERE ${columns.order} = ? ORDER BY ${no}`,
    order,
  );
  const last = Number(rows.at(-1)?.n ?? 0);
  const where = `WHERE ${columns.order} = ? AND ${no} = ?`;
  const roll = random.next();
  if (rows.length === 0 || (roll < 0.25 && last < 200)) return addLine(turn, order, last + 1);
  const one = Number(random.pick(rows).n);
  if (roll < 0.45 && rows.length > 2) {
    return turn.sql(`DELETE FROM ${table} ${where}`, order, one);
  }
  const { text, params } = assignments(turn, 'line', random.pick(FIELDS.line));
  return turn.sql(`UPDATE ${table} SET ${text} ${where}`, ...params, order, one);
}

/** A thing that nothing refers to, chosen among those of a kind that are there. */
async function loose(turn: Turn, entity: EntityName, like: string): Promise<string | null> {
  const shape = shapeOf(turn, entity);
  const where = `WHERE ${shape.no} LIKE ? AND ${inside(shape)}`;
  const list = `SELECT ${shape.no} AS n FROM ${shape.table} ${where} ORDER BY ${shape.no}`;
  const { rows } = await turn.sql(`${list} LIMIT 40`, like);
  return rows.length === 0 ? null : (turn.random.pick(rows).n ?? null);
}

/** Customers without orders come, change their key or number, are hidden, and go. */
async function looseCustomer(turn: Turn): Promise<unknown> {
  const { system, random, name } = turn;
  const { table, key, no: number } = shapeOf(turn, 'customer');
  const no = await loose(turn, 'customer', 'L-%');
  if (no === null || random.chance(0.35)) {
    return insert(turn, 'customer', `L-${name}`, ['name', 'note', 'credit']);
  }
  const set = (what: string, ...params: Param[]) =>
    turn.sql(`UPDATE ${table} SET ${what} WHERE ${number} = ?`, ...params, no);
  switch (random.int(5)) {
    case 0:
      return edit(turn, 'customer', no);
    case 1:
      return system === 'crm'
        ? turn.sql(`DELETE FROM ${table} WHERE ${number} = ?`, no)
        : set('active = false');
    case 2:
      return set(`${key} = ?`, newKey(turn));
    case 3:
      return set(`${number} = ?`, `${no.split('~')[0]}~${name}`);
    default:
      return system === 'crm' ? edit(turn, 'customer', no) : set('is_vendor = true');
  }
}

/** A surrogate key that nothing has: the CRM's are UUIDs in PostgreSQL. */
const newKey = ({ system, product, number }: Turn): Param =>
  system === 'crm' && product === 'postgres' ? randomUUID() : 1_000_000 + number;

/** A vendor becomes a customer again. */
async function unhide(turn: Turn): Promise<unknown> {
  const { rows } = await turn.sql(
    `SELECT cust_code AS n FROM customers
     WHERE is_vendor AND cust_code LIKE 'L-%' ORDER BY cust_code LIMIT 1 FOR UPDATE`,
  );
  const no = rows[0]?.n ?? null;
  return turn.sql('UPDATE customers SET is_vendor = false WHERE cust_code = ?', no);
}

/** Products that nobody ordered: the CRM archives them, the ERP deletes them. */
async function looseProduct(turn: Turn): Promise<unknown> {
  const { table, no: number, key } = shapeOf(turn, 'product');
  const sku = await loose(turn, 'product', 'U-%');
  if (sku === null || turn.random.chance(0.4)) {
    return insert(turn, 'product', `U-${turn.name}`, ['title', 'price']);
  }
  if (turn.random.chance(0.4)) return edit(turn, 'product', sku);
  const where = `WHERE ${number} = ?`;
  if (turn.system === 'crm') return turn.sql(`UPDATE ${table} SET archived = true ${where}`, sku);
  if (turn.random.chance(0.5)) return turn.sql(`DELETE FROM ${table} ${where}`, sku);
  return turn.sql(`UPDATE ${table} SET ${key} = ? ${where}`, newKey(turn), sku);
}

/** Orders without lines: both systems really delete them. */
async function draft(turn: Turn): Promise<unknown> {
  const { table, no: number } = shapeOf(turn, 'order');
  const no = await loose(turn, 'order', 'D-%');
  if (no === null || turn.random.chance(0.5)) return newOrder(turn, `D-${turn.name}`);
  if (turn.random.chance(0.4)) return edit(turn, 'order', no);
  return turn.sql(`DELETE FROM ${table} WHERE ${number} = ?`, no);
}

/** A nightly job: hundreds of rows in one transaction. */
async function bulk(turn: Turn): Promise<unknown> {
  const { table, no, columns } = shapeOf(turn, 'product');
  const { rows } = await turn.sql(`SELECT COUNT(*) AS n FROM ${table} WHERE ${no} LIKE 'B-%'`);
  if (Number(rows[0]?.n) < 600) {
    for (let i = 0; i < 300; i++) {
      const title = `title ${turn.name} ${i}`;
      await turn.sql(
        `INSERT INTO ${table} (${no}, ${columns.title}) VALUES (?, ?)`,
        ...[`B-${turn.name}-${i}`, title],
      );
    }
    return 300;
  }
  return turn.sql(
    `UPDATE ${table} SET ${columns.title} = CONCAT('title ${turn.name} ', ${no})
     WHERE ${no} LIKE 'B-%'`,
  );
}

export const KINDS: readonly Kind[] = [
  { what: 'edit', weight: 30, perform: editHot },
  { what: 'look, then edit', weight: 12, readsFirst: true, perform: lookThenEdit },
  { what: 'add', weight: 16, perform: add },
  { what: 'several', weight: 10, perform: several },
  { what: 'new customer', weight: 3, perform: newCustomer },
  { what: 'known customer', weight: 3, perform: knownCustomer },
  { what: 'new product', weight: 3, perform: newProduct },
  { what: 'new order', weight: 4, perform: (turn) => newOrder(turn) },
  { what: 'lines', weight: 10, perform: lines },
  { what: 'loose customer', weight: 9, perform: looseCustomer },
  { what: 'unhide', weight: 1, only: 'erp', perform: unhide },
  { what: 'loose product', weight: 6, perform: looseProduct },
  { what: 'draft', weight: 5, perform: draft },
  { what: 'bulk', weight: 0.4, perform: bulk },
];
