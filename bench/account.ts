/**
 * The row that every benchmark moves: 12 columns of mixed types, about 200 bytes as text. The same
 * table in PostgreSQL and in MariaDB, what fills it, and the mapping between two of them.
 */

export const COLUMNS = [
  'id',
  'account_no',
  'name',
  'email',
  'phone',
  'street',
  'city',
  'credit_limit',
  'newsletter',
  'customer_since',
  'last_contact',
  'rev',
] as const;

export const DDL = {
  postgres: `create table accounts (
    id bigint primary key, account_no varchar(20) not null, name varchar(120) not null,
    email varchar(254), phone varchar(40), street varchar(120), city varchar(80),
    credit_limit numeric(12,2), newsletter boolean, customer_since date,
    last_contact timestamptz, rev integer not null)`,
  mysql: `CREATE TABLE accounts (
    id BIGINT PRIMARY KEY, account_no VARCHAR(20) NOT NULL, name VARCHAR(120) NOT NULL,
    email VARCHAR(254), phone VARCHAR(40), street VARCHAR(120), city VARCHAR(80),
    credit_limit DECIMAL(12,2), newsletter TINYINT(1), customer_since DATE,
    last_contact DATETIME(6), rev INT NOT NULL) CHARACTER SET utf8mb4`,
} as const;

/** Rows `first` to `last` in one statement, so in one transaction. */
export const INSERT = {
  postgres: (first: number, last: number) => `insert into accounts select
    i, 'C-' || lpad(i::text, 8, '0'), 'Clara Maria von der Weide ' || i,
    'clara.weide.' || i || '@customer.example.com', '+49 30 ' || (10000000 + i),
    'Unter den Linden ' || (i % 400) || ', Aufgang ' || (i % 9), 'Frankfurt am Main',
    (i % 100000) + 0.25, i % 2 = 0, date '2020-01-01' + (i % 2000)::int,
    timestamptz '2026-01-01 00:00:00.000001Z' + i * interval '1.000001 s', 0
    from generate_series(${first}::bigint, ${last}::bigint) as i`,
  mysql: (first: number, last: number) => `INSERT INTO accounts SELECT
    seq, CONCAT('C-', LPAD(seq, 8, '0')), CONCAT('Clara Maria von der Weide ', seq),
    CONCAT('clara.weide.', seq, '@customer.example.com'), CONCAT('+49 30 ', 10000000 + seq),
    CONCAT('Unter den Linden ', seq % 400, ', Aufgang ', seq % 9), 'Frankfurt am Main',
    (seq % 100000) + 0.25, seq % 2 = 0, DATE '2020-01-01' + INTERVAL (seq % 2000) DAY,
    TIMESTAMP '2026-01-01 00:00:00.000001' + INTERVAL seq * 1000001 MICROSECOND, 0
    FROM (SELECT CAST(seq AS SIGNED) + ${first - 1} AS seq
      FROM seq_1_to_${last - first + 1}) AS numbers`,
} as const;

const NAMED = COLUMNS.filter((name) => !['id', 'last_contact'].includes(name));

const fieldsOf = (connector: 'postgres' | 'mysql'): string => {
  const zone = connector === 'mysql' ? ', zone: UTC' : '';
  const same = NAMED.map((name) => `      ${name}: ${name}`);
  return ['      number: id', `      last_contact: {column: last_contact${zone}}`, ...same].join(
    '\n',
  );
};

/**
 * Settled: nothing is planned away because only one side happens to write. Fed: the mapping says
 * that only one does.
 */
export const mapping = (
  crm: 'postgres' | 'mysql',
  erp: 'postgres' | 'mysql',
  { entity = 'account', fed = false }: { entity?: string; fed?: boolean } = {},
): string => `\
entity: ${entity}
${fed ? 'feed: crm\n' : ''}match: [[number]]
fields:
  number: {type: integer, required: true}
  last_contact: timestamp
  account_no: {type: string(20), required: true}
  name: {type: string(120), required: true}
  email: {type: string(254)}
  phone: {type: string(40)}
  street: {type: string(120)}
  city: string(80)
  credit_limit: "decimal(12,2)"
  newsletter: boolean
  customer_since: date
  rev: {type: integer, required: true}
systems:
  crm:
    table: ${entity}s
    key: id
    fields:
${fieldsOf(crm)}
  erp:
    table: ${entity}s
    key: id
    fields:
${fieldsOf(erp)}
${fed ? '' : SETTLING}`;

const SETTLING = `\
conflicts:
  - {fields: [credit_limit], prefer: erp}
  - {prefer: crm}
first_contact: {prefer: crm}
`;
