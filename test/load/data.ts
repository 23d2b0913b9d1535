/**
 * What the load test loads: customers and their invoices, most of them in both systems, under other
 * keys there, some of them different, and some that only one system has.
 */

/** Rows of one system, and how far its numbers are shifted against the other's. */
export interface Extent {
  readonly customers: number;
  readonly invoices: number;
  readonly shift: { readonly customers: number; readonly invoices: number };
}

/** Four of five rows are customers; a tenth of each system's rows are only there. */
export function extentOf(rows: number): Extent {
  const customers = Math.round(rows * 0.8);
  const invoices = rows - customers;
  const tenth = (of: number): number => Math.round(of / 10);
  return { customers, invoices, shift: { customers: tenth(customers), invoices: tenth(invoices) } };
}

export const CREATE = {
  crm: [
    `create table customers (id bigint generated always as identity primary key,
      no varchar(20) not null unique, name varchar(80) not null, email varchar(120),
      city varchar(60), credit numeric(12,2))`,
    `create table invoices (doc varchar(30) primary key,
      customer_id bigint not null references customers (id), amount numeric(12,2) not null,
      state char(1) not null)`,
  ],
  erp: [
    `create table customers (cust_id int auto_increment primary key, code varchar(20) not null,
      name varchar(80) not null, mail varchar(120), town varchar(60), credit decimal(12,2),
      unique (code))`,
    `create table invoices (doc varchar(30) primary key, cust_id int not null,
      net decimal(12,2) not null, state int not null,
      foreign key (cust_id) references customers (cust_id))`,
  ],
} as const;

const STEP = 500_000;

/** Ranges of at most {@link STEP}: a server need not hold all rows as one transaction. */
function* ranges(rows: number): Generator<readonly [number, number]> {
  for (let first = 1; first <= rows; first += STEP) {
    yield [first, Math.min(rows, first + STEP - 1)];
  }
}

export function* fillCrm({ customers, invoices, shift }: Extent): Generator<string> {
  for (const [first, last] of ranges(customers)) {
    yield `insert into customers (no, name, email, city, credit)
      select 'C' || lpad(i::text, 9, '0'), 'Clara Maria von der Weide ' || i,
        'clara.weide.' || i || '@example.com', 'Frankfurt am Main ' || i % 400,
        i % 100000 + 0.25
      from generate_series(${first}, ${last}) i`;
  }
  const shared = customers - shift.customers;
  for (const [first, last] of ranges(invoices)) {
    yield `insert into invoices select 'INV-' || lpad(i::text, 9, '0'),
        ${shift.customers + 1} + i::bigint * 13 % ${shared}, i % 5000 + 0.5,
        case i % 3 when 0 then 'P' else 'O' end
      from generate_series(${first}, ${last}) i`;
  }
  yield 'analyze customers';
  yield 'analyze invoices';
}

/** Keys follow another order than the numbers, and every fiftieth city differs. */
export function* fillErp({ customers, invoices, shift }: Extent): Generator<string> {
  for (const [first, last] of ranges(customers)) {
    const [from, to] = [first + shift.customers, last + shift.customers];
    yield `insert into customers (code, name, mail, town, credit)
      select concat('C', lpad(seq, 9, '0')), concat('Clara Maria von der Weide ', seq),
        concat('clara.weide.', seq, '@example.com'),
        concat(if(seq % 50 = 0, 'Offenbach ', 'Frankfurt am Main '), seq % 400),
        seq % 100000 + 0.25
      from seq_${from}_to_${to} order by seq * 7919 % 999983`;
  }
  const shared = customers - shift.customers;
  for (const [first, last] of ranges(invoices)) {
    const [from, to] = [first + shift.invoices, last + shift.invoices];
    yield `insert into invoices select concat('INV-', lpad(seq, 9, '0')), cust_id,
        seq % 5000 + 0.5, if(seq % 3 = 0, 2, 1)
      from seq_${from}_to_${to} join customers
        on code = concat('C', lpad(${shift.customers + 1} + seq * 13 % ${shared}, 9, '0'))`;
  }
}

export const MAPPINGS = {
  customer: `\
entity: customer
match: [[no]]
fields:
  no: {type: string(20), required: true}
  name: {type: string(80), required: true, pii: true}
  email: {type: string(120), pii: true}
  city: string(60)
  credit: "decimal(12,2)"
systems:
  crm:
    table: public.customers
    key: id
    fields: {no: no, name: name, email: email, city: city, credit: credit}
  erp:
    table: customers
    key: cust_id
    fields: {no: code, name: name, email: mail, city: town, credit: credit}
conflicts:
  - {fields: [credit], prefer: erp}
  - {prefer: crm}
first_contact: {prefer: crm}
`,
  invoice: `\
entity: invoice
match: [[doc]]
fields:
  doc: {type: string(30), required: true}
  customer: {ref: customer, required: true}
  amount: "decimal(12,2)"
  state: {type: enum, values: [open, paid]}
systems:
  crm:
    table: public.invoices
    key: doc
    fields:
      doc: doc
      customer: customer_id
      amount: amount
      state: {column: state, values: {O: open, P: paid}}
  erp:
    table: invoices
    key: doc
    fields:
      doc: doc
      customer: cust_id
      amount: net
      state: {column: state, values: {"1": open, "2": paid}}
conflicts:
  - {prefer: crm}
  - {delete: update_wins}
first_contact: {prefer: crm}
`,
} as const;

/** What both systems have to hold alike, a page of it behind `after`, in the order of `no`. */
export const CONTENT = {
  customers: {
    crm: (after: string, limit: number) => `select no, name, email, city, credit::text
      from customers where no > '${after}' order by no limit ${limit}`,
    erp: (after: string, limit: number) => `select code, name, mail, town, credit
      from customers where code > '${after}' order by code limit ${limit}`,
  },
  invoices: {
    crm: (after: string, limit: number) => `select i.doc, c.no, i.amount::text,
        case i.state when 'O' then 'open' else 'paid' end
      from (select * from invoices where doc > '${after}' order by doc limit ${limit}) i
        join customers c on c.id = i.customer_id order by i.doc`,
    erp: (after: string, limit: number) => `select i.doc, c.code, i.net,
        if(i.state = 1, 'open', 'paid')
      from (select * from invoices where doc > '${after}' order by doc limit ${limit}) i
        join customers c on c.cust_id = i.cust_id order by i.doc`,
  },
} as const;
