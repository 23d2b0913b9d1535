import type { Connection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openApplier } from '../../connectors/mysql/applier.ts';
import { type MysqlOptions, parseOptions } from '../../connectors/mysql/config.ts';
import { connector } from '../../connectors/mysql/connector.ts';
import { describeTables, type MysqlTable } from '../../connectors/mysql/describe.ts';
import { tableReader } from '../../connectors/mysql/read.ts';
import { openSession } from '../../connectors/mysql/session.ts';
import { setup, setupScript } from '../../connectors/mysql/setup.ts';
import type { TableSpec } from '../../src/model/change.ts';
import type { Cell, Value } from '../../src/model/value.ts';
import {
  ensureServers,
  erpProduct,
  mysqlClient,
  startMariadb,
  type TestServer,
} from '../support/index.ts';

const mariadb = (await erpProduct()) === 'MariaDB';

let server: TestServer;
let user: Connection;
let options: MysqlOptions;

beforeAll(async () => {
  await ensureServers();
  server = await startMariadb();
  user = await mysqlClient(server.url);
  const parsed = parseOptions({ url: server.url });
  options = (parsed as { options: MysqlOptions }).options;
  await using session = await openSession(options);
  await setup(session, { tables: [] });
});
afterAll(async () => {
  await user?.end();
  await server?.[Symbol.asyncDispose]();
});

/** Column type, and canonical values that it holds exactly. */
type ColumnCase = readonly [type: string, kind: string, ...values: string[]];

const MARIADB_ONLY: readonly ColumnCase[] = [
  ['UUID', 'uuid', '123e4567-e89b-12d3-a456-426614174000'],
  ['INET6', 'other', '::1', '2001:db8::ff00:42:8329'],
  ['INET4', 'other', '10.0.0.1'],
];
const MYSQL_ONLY: readonly ColumnCase[] = [['VECTOR(2)', 'bytes', '0000803f00000040']];

/** MariaDB keeps the text; MySQL's numbers are doubles, integers of 64 bits, and no `-0`. */
const JSON_NUMBERS = mariadb ? '1e400,-0' : '1e300,18446744073709551615';
const JSON_DOCUMENT = `{"B":[1.0,${JSON_NUMBERS}],"a":"\\u0001é","b":{"x":null}}`;

const COLUMNS: readonly ColumnCase[] = [
  ['TINYINT(1)', 'integer', '1', '0', '-128'],
  ['SMALLINT UNSIGNED', 'integer', '65535', '0'],
  ['MEDIUMINT', 'integer', '-8388608'],
  ['INT(6) ZEROFILL', 'integer', '42', '0'],
  ['BIGINT', 'integer', '-9223372036854775808', '9223372036854775807'],
  ['BIGINT UNSIGNED', 'integer', '18446744073709551615'],
  [
    'DECIMAL(65,30)',
    'decimal',
    '-12345678901234567890123456789012345.000000000000000000000000000001',
  ],
  ['DECIMAL(5,2)', 'decimal', '0.00', '-0.10', '999.99'],
  ['DECIMAL(8,2) ZEROFILL', 'decimal', '3.50'],
  ['DECIMAL(65,0)', 'decimal', '9'.repeat(65), '1'],
  ['FLOAT', 'float', '0.1', '16777216', '3.4028235e+38', '1e-45', '-1.5e-7'],
  ['FLOAT(7,3)', 'float', '1.1', '1234.567'],
  ['DOUBLE', 'float', '0.1', '5e-324', '1.7976931348623157e+308', '123456789.12345679', '1e+21'],
  ['BIT(1)', 'integer', '1', '0'],
  ['BIT(12)', 'integer', '4095'],
  ['BIT(64)', 'integer', '18446744073709551615', '5'],
  ['YEAR', 'integer', '0', '1901', '2155'],
  ['DATE', 'date', '2024-02-29', '0000-00-00', '2024-00-00', '9999-12-31'],
  ['TIME', 'time', '-838:59:59', '00:00:00', '100:00:01'],
  ['TIME(6)', 'time', '-00:00:00.5', '12:34:56.000001', '12:00:00'],
  ['DATETIME', 'datetime', '1000-01-01T00:00:00', '0000-00-00T00:00:00'],
  ['DATETIME(6)', 'datetime', '2024-03-31T02:30:00.123456', '2024-03-31T02:30:00.1'],
  ['TIMESTAMP NULL', 'timestamp', '1970-01-01T00:00:01Z', '0000-00-00T00:00:00Z'],
  ['TIMESTAMP(3) NULL', 'timestamp', '2038-01-19T03:14:07.999Z', '2024-03-31T01:30:00Z'],
  ['CHAR(8)', 'string', 'a b', '', 'ß😀'],
  ['VARCHAR(20)', 'string', 'trailing  ', 'O\'Re\\illy"\n\t\0?', '😀 é ?'],
  ['VARCHAR(20) CHARACTER SET latin1', 'string', 'é €'],
  ['LONGTEXT', 'string', '{"b": 1,  "a": 2}', 'x'.repeat(70_000)],
  ['BINARY(4)', 'bytes', '01020000', 'ffffffff'],
  ['VARBINARY(8)', 'bytes', '', '00ff5c27', '20'],
  ['BLOB', 'bytes', 'deadbeef00'],
  ["ENUM('small','L arge','ß')", 'string', 'small', 'L arge', 'ß'],
  ["SET('b','a','C')", 'set', '[]', '["C","a","b"]', '["a"]'],
  ['JSON', 'json', JSON_DOCUMENT, '"text"', '[]', 'null'],
  ['GEOMETRY', 'bytes', '000000000101000000000000000000f03f0000000000000040'],
  ...(mariadb ? MARIADB_ONLY : MYSQL_ONLY),
];

describe('types', () => {
  const names = COLUMNS.map((_, i) => `c${i}`);
  const spec: TableSpec = { name: 'every', key: ['id'], columns: ['id', ...names] };
  const height = Math.max(...COLUMNS.map(([, , ...values]) => values.length));
  const rows: Value[][] = Array.from({ length: height + 1 }, (_, at) =>
    COLUMNS.map(([, , ...values]) => (at === height ? null : values[at % values.length]!)),
  );

  beforeAll(async () => {
    const columns = COLUMNS.map(([type], i) => `c${i} ${type}`).join(', ');
    await user.query(`CREATE TABLE every (id INT PRIMARY KEY, ${columns}) CHARACTER SET utf8mb4`);
  });

  test('are described by their kind', async () => {
    await using session = await openSession(options);
    const [table] = await describeTables(session, options.database, ['every']);
    expect(table?.columns.slice(1).map(({ kind }) => kind)).toEqual(COLUMNS.map(([, k]) => k));
  });

  test('are read back exactly as they were inserted and as they were updated', async () => {
    await using applier = openApplier(options, 'types');
    await applier.committed();
    await using reader = tableReader(options);
    const read = async (): Promise<(readonly Cell[])[]> =>
      (await reader.read({ table: spec, after: null, limit: 100 })).rows.map((row) => row.slice(1));

    await using insert = await applier.begin(1);
    const inserted = await insert.write({
      op: 'insert',
      table: 'every',
      key: ['id'],
      columns: ['id', ...names],
      compare: [],
      guards: [],
      rows: rows.map((values, i) => ({ key: [`${i}`], values: [`${i}`, ...values], expect: [] })),
    });
    await insert.commit();
    expect(inserted).toEqual(rows.map((_, i) => ({ kind: 'applied', key: [`${i}`] })));
    expect(await read()).toEqual(rows);

    // The same rows turned by one: every value is expected, compared and written.
    const turned = rows.map((_, i) => rows[(i + 1) % rows.length]!);
    const write = {
      op: 'update',
      table: 'every',
      key: ['id'],
      columns: names,
      compare: names,
      guards: [],
      rows: rows.map((expected, i) => ({ key: [`${i}`], values: turned[i]!, expect: expected })),
    } as const;
    await using update = await applier.begin(2);
    const updated = await update.write(write);
    const again = await update.write(write);
    await update.commit();
    expect(updated).toEqual(rows.map((_, i) => ({ kind: 'applied', key: [`${i}`] })));
    expect(again).toEqual(rows.map(() => ({ kind: 'already' })));
    expect(await read()).toEqual(turned);
  });

  test('are spelled in the log as they are read', async () => {
    await using system = connector.connect(options, { system: 'erp', instance: 'log' });
    await using source = await system.source([spec]);
    const from = await source.start();
    await user.query('UPDATE every SET id = id + 1000');
    const logged: (readonly Cell[])[] = [];
    for await (const { transactions } of source.tail(from)) {
      logged.push(...transactions.flatMap(({ changes }) => changes.map(({ row }) => row)));
      if (logged.length >= rows.length) break;
    }
    const read = (await source.read({ table: spec, after: null, limit: 100 })).rows;
    await user.query('UPDATE every SET id = id - 1000');
    const byId = (a: readonly Cell[], b: readonly Cell[]): number => Number(a[0]) - Number(b[0]);
    expect([...logged].sort(byId)).toEqual(read);
  });

  test.each([
    ['c3', '1.5'],
    ['c15', 'abc'],
    ['c16', '20x'],
    ['c7', 'many'],
    ['c12', 'Infinity'],
    ['c28', 'zz'],
    ['c20', '2024-02-30T00:00:00'],
    ['c26', '😀'],
    ['c31', 'huge'],
    ['c32', '["d"]'],
    ['c33', '{'],
    ['c34', '00'],
    [mariadb ? 'c35' : 'c33', 'no uuid'],
  ])('of %s refuse what they cannot hold', async (column, value) => {
    await using applier = openApplier(options, 'refusal');
    await using transaction = await applier.begin((await applier.committed()) + 1);
    const [inserted] = await transaction.write({
      op: 'insert',
      table: 'every',
      key: ['id'],
      columns: ['id', column],
      compare: [],
      guards: [],
      rows: [{ key: ['900'], values: ['900', value], expect: [] }],
    });
    const [updated] = await transaction.write({
      op: 'update',
      table: 'every',
      key: ['id'],
      columns: [column],
      compare: [],
      guards: [],
      rows: [{ key: ['0'], values: [value], expect: [] }],
    });
    expect([inserted?.kind, updated?.kind]).toEqual(['refused', 'refused']);
    expect(JSON.stringify([inserted, updated])).not.toContain(`'${value}'`);
  });

  test.each(
    names.filter((_, i) => !/SET\(|JSON|GEOMETRY|LONGTEXT|BLOB|VECTOR/.test(COLUMNS[i]![0])),
  )('as key: chunks over %s meet each row once, in order', async (name) => {
    const at = names.indexOf(name);
    const [type, , ...values] = COLUMNS[at]!;
    await user.query(`DROP TABLE IF EXISTS keyed;
        CREATE TABLE keyed (k ${type.replace(' NULL', '')} NOT NULL, n INT NOT NULL,
        PRIMARY KEY (k, n)) CHARACTER SET utf8mb4;
        SET sql_mode = ''; INSERT INTO keyed SELECT ${name}, seq
        FROM every, (SELECT 1 AS seq UNION SELECT 2) AS twice
        WHERE ${name} IS NOT NULL GROUP BY ${name}, seq`);
    const keyed: TableSpec = { name: 'keyed', key: ['k', 'n'], columns: ['n', 'k'] };
    await using reader = tableReader(options);
    const met: string[] = [];
    for (let after: readonly Value[] | null = null, first = true; first || after !== null; ) {
      first = false;
      const chunk = await reader.read({ table: keyed, after, limit: 1 });
      met.push(...chunk.rows.map(([n, k]) => JSON.stringify([k, n])));
      after = chunk.next;
      if (met.length > 50) break;
    }
    const expected = values.flatMap((k) => [JSON.stringify([k, '1']), JSON.stringify([k, '2'])]);
    expect([...met].sort()).toEqual(expected.sort());
    const keys = values.map((k) => [k, '2']);
    const named = await reader.read({ table: keyed, after: null, limit: 9, keys });
    expect(named.rows.map(([, k]) => k).sort()).toEqual([...values].sort());
  });
});

describe('chunks', () => {
  test('go through text that the collation calls nearly equal', async () => {
    await user.query(`CREATE TABLE words (w VARCHAR(20) PRIMARY KEY)
      CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;
      INSERT INTO words VALUES ('B'),('a'),('C'),('àb'),('AC'),(''),('a b'),('z'),('É'),('f')`);
    const words: TableSpec = { name: 'words', key: ['w'], columns: ['w'] };
    await using reader = tableReader(options);
    for (const limit of [1, 3, 10, 11]) {
      const met: Cell[] = [];
      let after: readonly Value[] | null = null;
      do {
        const chunk = await reader.read({ table: words, after, limit });
        met.push(...chunk.rows.map(([w]) => w));
        after = chunk.next;
      } while (after !== null);
      const byServer = ['', 'a', 'a b', 'àb', 'AC', 'B', 'C', 'É', 'f', 'z'];
      expect(met).toEqual(byServer);
    }
    const keys = [['A'], ['B'], ['nowhere']];
    const named = await reader.read({ table: words, after: null, limit: 9, keys });
    expect(named).toEqual({ rows: [['B']], next: null, cut: false });
  });

  test('use the index of a composite key', async () => {
    const pairs = Array.from({ length: 5000 }, (_, i) => `(${Math.trunc(i / 10)}, ${i % 10})`);
    await user.query(`CREATE TABLE pairs (a INT, b INT, PRIMARY KEY (a, b));
      INSERT INTO pairs VALUES ${pairs.join(', ')}; ANALYZE TABLE pairs`);
    await using reader = tableReader(options);
    const table: TableSpec = { name: 'pairs', key: ['a', 'b'], columns: ['a', 'b'] };
    await user.query('FLUSH STATUS; SET GLOBAL slow_query_log = OFF');
    const before = await handlerReads();
    const chunk = await reader.read({ table, after: ['400', '5'], limit: 3 });
    expect(chunk.rows).toEqual([
      ['400', '6'],
      ['400', '7'],
      ['400', '8'],
    ]);
    expect(chunk.next).toEqual(['400', '8']);
    expect((await handlerReads()) - before).toBeLessThan(500);
  });

  async function handlerReads(): Promise<number> {
    const [rows] = await user.query(
      `SHOW GLOBAL STATUS
       WHERE variable_name IN ('Innodb_rows_read', 'Handler_read_next', 'Handler_read_rnd_next')`,
    );
    return (rows as { Value: string }[]).reduce((sum, { Value }) => sum + Number(Value), 0);
  }

  test('a missing table halts', async () => {
    await using reader = tableReader(options);
    const table: TableSpec = { name: 'nowhere', key: ['a'], columns: ['a'] };
    await expect(reader.read({ table, after: null, limit: 1 })).rejects.toMatchObject({
      code: 'source.refused',
      disposition: 'halt',
    });
  });
});

describe('describe', () => {
  test('tells defaults, generated columns and keys; leaves out what does not exist', async () => {
    // JSON in MariaDB is a text that is checked; in MySQL it is a type.
    const [uuid, json] = mariadb
      ? ['UUID DEFAULT UUID()', 'LONGTEXT CHECK (JSON_VALID(j))']
      : ['CHAR(36) DEFAULT (UUID())', 'JSON'];
    await user.query(`DROP DATABASE IF EXISTS elsewhere; CREATE DATABASE elsewhere;
      CREATE TABLE elsewhere.t (
        id INT AUTO_INCREMENT PRIMARY KEY, a INT INVISIBLE DEFAULT 3, b INT AS (a + 1) VIRTUAL,
        c INT NOT NULL, d VARCHAR(9) DEFAULT NULL, e ${uuid}, f INT AS (a) STORED,
        g TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, h INT UNIQUE,
        j ${json}, UNIQUE (c, d))`);
    await using session = await openSession(options);
    const described = await describeTables(session, options.database, ['no', 'elsewhere.t']);
    expect(described).toHaveLength(1);
    const [table] = described as [MysqlTable];
    expect(table).toMatchObject({ name: 'elsewhere.t', primaryKey: ['id'], engine: 'InnoDB' });
    expect(table.unique).toEqual([['id'], ['c', 'd'], ['h']]);
    const which = (test: (column: MysqlTable['columns'][number]) => boolean): string =>
      table.columns
        .filter(test)
        .map(({ name }) => name)
        .join('');
    expect(which((c) => c.hasDefault)).toBe('idaeg');
    expect(which((c) => c.readOnly)).toBe('bf');
    expect(which((c) => c.nullable)).toBe('abdefhj');
    expect(which((c) => c.kind === 'json')).toBe('j');
  });

  test('an account with SELECT alone sees the same', async () => {
    await user.query(`CREATE TABLE seen (id INT PRIMARY KEY, j JSON);
      DROP USER IF EXISTS reader@'%'; CREATE USER reader@'%' IDENTIFIED BY 'r';
      GRANT SELECT ON ${options.database}.seen TO reader@'%'`);
    await using all = await openSession(options);
    await using session = await openSession({ ...options, user: 'reader', password: 'r' });
    const seen = await describeTables(session, options.database, ['seen', 'every']);
    expect(seen).toEqual(await describeTables(all, options.database, ['seen']));
  });
});

describe('setup', () => {
  test('is idempotent and says what it did', async () => {
    await user.query('DROP DATABASE IF EXISTS carrick');
    await using session = await openSession(options);
    expect(await setup(session, { tables: [] })).toEqual([
      'created database carrick',
      'created table carrick.carrick_mark',
    ]);
    expect(await setup(session, { tables: [] })).toEqual([]);
  });

  test('the script grants what running takes, and runs twice', async () => {
    await user.query(`DROP USER IF EXISTS crew@'%'; CREATE USER crew@'%' IDENTIFIED BY 'c'`);
    const crew = { ...options, user: 'crew', password: 'c' };
    const table = { name: 'elsewhere.t', key: ['id'], columns: ['id'], written: true };
    const script = setupScript(crew, { tables: [table] });
    for (const sql of [...script, ...script]) if (!sql.startsWith('--')) await user.query(sql);
    await using applier = openApplier(crew, 'crew');
    expect(await applier.committed()).toBe(0);
    await using transaction = await applier.begin(1);
    const outcomes = await transaction.write({
      op: 'insert',
      table: 'elsewhere.t',
      key: ['id'],
      columns: ['c'],
      compare: [],
      guards: [],
      rows: [{ key: null, values: ['5'], expect: [] }],
    });
    await transaction.commit();
    expect(outcomes).toEqual([{ kind: 'applied', key: ['1'] }]);
  });
});
