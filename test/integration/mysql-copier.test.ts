import type { Connection } from 'mysql2/promise';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type MysqlOptions, parseOptions } from '../../connectors/mysql/config.ts';
import { openCopier } from '../../connectors/mysql/copier.ts';
import { openSession } from '../../connectors/mysql/session.ts';
import { setup } from '../../connectors/mysql/setup.ts';
import type { CopyWrite, Trouble } from '../../src/contract/copier.ts';
import type { Position } from '../../src/model/position.ts';
import {
  ensureServers,
  erpProduct,
  mysqlClient,
  startMariadb,
  type TestServer,
} from '../support/index.ts';

let server: TestServer;
let user: Connection;
let options: MysqlOptions;

beforeAll(async () => {
  await ensureServers();
  server = await startMariadb();
  user = await mysqlClient(server.url);
  const parsed = parseOptions({ url: server.url });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  options = parsed.options as MysqlOptions;
  await using session = await openSession(options);
  const copies = [{ name: 'note', key: ['code'], columns: ['code', 'body'], removes: true }];
  await setup(session, { tables: [], copies });
});
afterAll(async () => {
  await user?.end();
  await server?.[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await user.query(`
    DROP TABLE IF EXISTS note, account, line, typed;
    CREATE TABLE note (
      code VARCHAR(10) COLLATE utf8mb4_general_ci PRIMARY KEY,
      body VARCHAR(200)
    ) CHARACTER SET utf8mb4;
    CREATE TABLE account (
      id INT PRIMARY KEY,
      email VARCHAR(40) COLLATE utf8mb4_general_ci UNIQUE,
      number INT UNIQUE,
      name VARCHAR(20)
    ) CHARACTER SET utf8mb4;
    CREATE TABLE line (
      doc VARCHAR(5) COLLATE utf8mb4_general_ci, pos INT, qty INT, PRIMARY KEY (doc, pos)
    ) CHARACTER SET utf8mb4;
    DELETE FROM carrick.carrick_feed;
  `);
});

let feeds = 0;

/** Writes in one committed transaction; what each gave. */
async function copy(...writes: readonly CopyWrite[]): Promise<(readonly Trouble[])[]> {
  await using copier = openCopier(options, 'main', `feed ${++feeds}`);
  await copier.place();
  await using transaction = await copier.begin();
  const troubles: (readonly Trouble[])[] = [];
  for (const write of writes) troubles.push(await transaction.write(write));
  await transaction.commit({ position: 'mysql:1' as Position, progress: '{}' });
  return troubles;
}

type Rows = readonly (readonly (string | null)[])[];

const put = (table: string, key: string, columns: string, rows: Rows): CopyWrite => ({
  ...{ op: 'put', table, key: key.split(' '), columns: columns.split(' ') },
  ...{ keys: [], rows, fresh: false },
});
const patch = (table: string, key: string, columns: string, keys: Rows, rows: Rows): CopyWrite => ({
  ...put(table, key, columns, rows),
  op: 'patch',
  keys,
});
const remove = (table: string, key: string, keys: Rows): CopyWrite => ({
  ...{ op: 'remove', table, key: key.split(' '), columns: [], keys, rows: [], fresh: false },
});

async function all(sql: string): Promise<unknown[]> {
  const [rows] = await user.query({ sql, rowsAsArray: true, typeCast: (f) => f.string() });
  return rows as unknown[];
}

const told = (troubles: readonly Trouble[]): string[] =>
  troubles.map((one) => `${one.row} ${one.kind === 'refused' ? one.code : 'absent'}`);

describe('keys that a collation calls equal', () => {
  test('never overwrite one another', async () => {
    await user.query(`INSERT INTO note VALUES ('a', 'as it was'), ('é', 'accented')`);
    const [troubles] = await copy(
      put('note', 'code', 'code body', [
        ['A', 'by case'],
        ['a ', 'by a space'],
        ['e', 'by accent'],
        ['b', 'another'],
        ['B', 'in one write'],
        ['a', 'itself'],
      ]),
    );
    expect(told(troubles!)).toEqual(['0 23000', '1 23000', '2 23000', '4 23000']);
    expect(await all('SELECT * FROM note ORDER BY body')).toEqual([
      ['é', 'accented'],
      ['b', 'another'],
      ['a', 'itself'],
    ]);
  });

  test('neither patch nor remove another row', async () => {
    await user.query(`INSERT INTO note VALUES ('a', '1'), ('b', '2'), ('c', '3')`);
    const [patched, removed] = await copy(
      patch('note', 'code', 'body', [['A'], ['b'], ['b ']], [['x'], ['y'], ['z']]),
      remove('note', 'code', [['C'], ['c '], ['A']]),
    );
    expect(told(patched!)).toEqual(['0 absent', '2 absent']);
    expect(removed).toEqual([]);
    expect(await all('SELECT * FROM note')).toEqual([
      ['a', '1'],
      ['b', 'y'],
      ['c', '3'],
    ]);
  });

  test('not in a key of several columns either', async () => {
    await user.query(`INSERT INTO line VALUES ('a', 1, 1), ('a', 2, 2), ('b', 1, 3)`);
    const [puts, patched, removed] = await copy(
      put('line', 'doc pos', 'doc pos qty', [
        ['A', '1', '9'],
        ['A', '3', '9'],
      ]),
      patch(
        'line',
        'doc pos',
        'qty',
        [
          ['a', '1'],
          ['A', '2'],
          ['B', '1'],
        ],
        [['5'], ['6'], ['7']],
      ),
      remove('line', 'doc pos', [
        ['B', '1'],
        ['a', '2'],
        ['a', '3'],
      ]),
    );
    expect(told(puts!)).toEqual(['0 23000']);
    expect(told(patched!)).toEqual(['1 absent', '2 absent']);
    expect(removed).toEqual([]);
    expect(await all('SELECT * FROM line ORDER BY doc, pos')).toEqual([
      ['a', '1', '5'],
      ['A', '3', '9'],
      ['b', '1', '3'],
    ]);
  });

  test('a rename of case alone passes, and so does a chain of them', async () => {
    await user.query(`INSERT INTO note VALUES ('a', '1'), ('b', '2')`);
    const [renamed] = await copy(
      patch(
        'note',
        'code',
        'code body',
        [['a'], ['b'], ['A']],
        [
          ['A', '3'],
          ['c', '4'],
          ['b', '5'],
        ],
      ),
    );
    expect(renamed).toEqual([]);
    expect(await all('SELECT * FROM note ORDER BY code')).toEqual([
      ['b', '5'],
      ['c', '4'],
    ]);
  });
});

describe('another unique index', () => {
  test('a row that it finds is not changed: the new one is refused', async () => {
    await user.query(`INSERT INTO account VALUES (1, 'x@y', 10, 'Ann'), (2, 'z@y', 20, 'Bob')`);
    const [troubles] = await copy(
      put('account', 'id', 'id email number name', [
        ['3', 'X@Y', '30', 'new'],
        ['4', 'q@y', '20', 'new'],
        ['1', 'z@y', '10', 'takes from another'],
        ['2', 'z@y', '20', 'Bert'],
        ['5', null, null, 'free'],
      ]),
    );
    expect(told(troubles!)).toEqual(['0 23000', '1 23000', '2 23000']);
    for (const one of troubles!) {
      expect(one).toMatchObject({ reason: expect.not.stringMatching(/X@Y|20|Ann|carrick/) });
    }
    expect(await all('SELECT * FROM account ORDER BY id')).toEqual([
      ['1', 'x@y', '10', 'Ann'],
      ['2', 'z@y', '20', 'Bert'],
      ['5', null, null, 'free'],
    ]);
  });

  test('nor one without the key by which the feed writes', async () => {
    await user.query(`ALTER TABLE account MODIFY id INT AUTO_INCREMENT;
      INSERT INTO account VALUES (1, 'x@y', NULL, 'Ann')`);
    const [troubles] = await copy(
      put('account', 'number', 'number email name', [['7', 'x@y', 'other']]),
    );
    expect(told(troubles!)).toEqual(['0 23000']);
    expect(await all('SELECT * FROM account')).toEqual([['1', 'x@y', null, 'Ann']]);
  });

  test('without one on exactly the key nothing is written', async () => {
    await expect(copy(put('account', 'name', 'name', [['x']]))).rejects.toMatchObject({
      code: 'target.refused',
      fix: expect.stringContaining('CREATE UNIQUE INDEX carrick_key ON account (name)'),
    });
  });
});

test('a key that the column would cut, round or fold is refused', async () => {
  await user.query(`CREATE TABLE typed (
    c CHAR(4) UNIQUE, v VARCHAR(3) UNIQUE, d DECIMAL(6,2) UNIQUE, t DATETIME(3) UNIQUE,
    b BINARY(2) UNIQUE, e ENUM('a', 'it''s') COLLATE utf8mb4_general_ci UNIQUE, f FLOAT UNIQUE,
    i BIGINT UNSIGNED UNIQUE) CHARACTER SET utf8mb4`);
  const cases: Readonly<Record<string, [fits: string[], not: string[]]>> = {
    c: [['a'], ['a ']],
    v: [['ab '], ['abc ']],
    d: [['1.500', '-2'], ['1.505']],
    t: [['2026-01-02T03:04:05.67'], ['2026-01-02T03:04:05.6789']],
    b: [['0100'], ['01']],
    e: [["it's"], ['A']],
    f: [['1.1'], ['1.10000001']],
    i: [['18446744073709551615'], ['01']],
  };
  for (const [column, [fits, not]] of Object.entries(cases)) {
    const rows = [...fits, ...not].map((value) => [value]);
    const [troubles] = await copy(put('typed', column, column, rows));
    expect([column, told(troubles!)]).toEqual([
      column,
      not.map((_, i) => `${fits.length + i} 22000`),
    ]);
    const keys = fits.map((value) => [value]);
    const [found, gone] = await copy(
      patch('typed', column, column, keys, keys),
      remove('typed', column, keys),
    );
    expect([column, found, gone]).toEqual([column, [], []]);
    expect([column, await all(`SELECT ${column} FROM typed`)]).toEqual([column, []]);
  }
});

test('statements are cut by their size, and what no packet holds is refused', async () => {
  await user.query('ALTER TABLE note MODIFY body LONGTEXT');
  await using session = await openSession(options);
  const huge = "'".repeat(session.maxPacket / 4);
  const rows = Array.from({ length: 3000 }, (_, i) => [`${i}`, `${i}\\'`.padEnd(1000, 'é')]);
  rows.splice(1500, 0, ['huge', huge]);
  const [troubles] = await copy(put('note', 'code', 'code body', rows));
  expect(troubles).toMatchObject([{ kind: 'refused', row: 1500, code: '08S01' }]);
  expect(
    await all(`SELECT COUNT(*), SUM(HEX(body) = HEX(RPAD(CONCAT(code, '\\\\\\''), 1000, 'é')))
    FROM note`),
  ).toEqual([['3000', '3000']]);
});

describe('many rows at once', () => {
  /** By column: its type, and values that are written as they are listed. */
  const TYPES: Readonly<Record<string, readonly [type: string, ...values: (string | null)[]]>> = {
    n: ['BIGINT UNSIGNED', '0', '18446744073709551615', null],
    b: ['BIT(64)', '0', '18446744073709551615', '5'],
    y: ['YEAR', '2026', '0', '1999'],
    d: ['DECIMAL(30,10)', '-12345678901234567890.0123456789', '0.1', null],
    f: ['FLOAT', '1.1', '-3.4028235e+38', '0'],
    g: ['DOUBLE', '1.7976931348623157e+308', '0.1', '5e-324'],
    a: ['DATE', '2026-01-02', '0000-00-00', null],
    t: ['DATETIME(6)', '2026-01-02T03:04:05.123456', '1000-01-01T00:00:00', null],
    u: ['TIMESTAMP(6) NULL', '2026-01-02T03:04:05.123456Z', '2037-01-01T00:00:00Z', null],
    h: ['TIME(3)', '-838:59:59', '00:00:00.125', null],
    c: ['CHAR(3)', 'a', '', 'äöü'],
    v: ['VARCHAR(300)', `it's "\\"\0\n`, 'é'.repeat(300), '𝄞 🙂'],
    x: ['LONGTEXT', 'x'.repeat(70_000), 'ü'.repeat(90), ' a '],
    e: [`ENUM('a','it''s')`, 'a', "it's", null],
    s: [`SET('a','b')`, '["a","b"]', '[]', '["b"]'],
    j: ['JSON', '{"a":[1.0,null]}', '"text"', 'null'],
    k: ['BINARY(4)', '00010203', 'ffffffff', null],
    l: ['LONGBLOB', '', 'ab'.repeat(40_000), null],
  };
  const columns = Object.keys(TYPES);
  const ROWS = 150;
  const cellOf = (id: number, column: string): string | null =>
    TYPES[column]![1 + (id % 3)] ?? null;
  const rows = Array.from({ length: ROWS }, (_, id) => [
    `${id}`,
    ...columns.map((column) => cellOf(id, column)),
  ]);
  const names = `id ${columns.join(' ')}`;

  beforeEach(() =>
    user.query(
      ['many', 'few']
        .map((name) => {
          const typed = columns.map((column) => `${column} ${TYPES[column]![0]}`);
          return `DROP TABLE IF EXISTS ${name};
            CREATE TABLE ${name} (id INT PRIMARY KEY, ${typed.join(', ')}) CHARACTER SET utf8mb4`;
        })
        .join('; '),
    ),
  );
  const content = (table: string, where = ''): Promise<unknown[]> =>
    all(`SELECT id, ${columns.map((column) => `HEX(${column})`).join(', ')} FROM ${table} ${where}
      ORDER BY id`);

  test('are what they are by few rows at a time, new or not', async () => {
    const few = [rows.slice(0, 50), rows.slice(50, 100), rows.slice(100)];
    expect(await copy(put('many', 'id', names, rows))).toEqual([[]]);
    expect(await copy(...few.map((some) => put('few', 'id', names, some)))).toEqual([[], [], []]);
    expect((await content('many')).length).toBe(ROWS);
    expect(await content('many')).toEqual(await content('few'));
    const moved = rows.map((row, i) => [row[0]!, ...rows[(i + 1) % ROWS]!.slice(1)]);
    expect(await copy(put('many', 'id', names, moved))).toEqual([[]]);
    expect(await content('many')).not.toEqual(await content('few'));
    expect(await copy(put('many', 'id', names, rows))).toEqual([[]]);
    expect(await content('many')).toEqual(await content('few'));
  });

  test('cost one another nothing where some are refused', async () => {
    const at = (column: string): number => 1 + columns.indexOf(column);
    const bad: Readonly<Record<number, readonly [column: string, value: string]>> = {
      7: ['l', 'no hex'],
      8: ['b', 'x'],
      70: ['d', '1e40'],
      71: ['e', 'c'],
      149: ['t', '2026-02-30T00:00:00'],
    };
    const spoilt = rows.map((row, id) => {
      const [column, value] = bad[id] ?? [];
      return column === undefined ? row : row.with(at(column), value!);
    });
    const [troubles] = await copy(put('many', 'id', names, spoilt));
    expect(troubles!.map(({ kind, row }) => [kind, row])).toEqual(
      Object.keys(bad).map((row) => ['refused', Number(row)]),
    );
    await copy(...[0, 50, 100].map((from) => put('few', 'id', names, rows.slice(from, from + 50))));
    const sound = `WHERE id NOT IN (${Object.keys(bad).join(', ')})`;
    expect(await content('many')).toEqual(await content('few', sound));
  });

  test('are undone as a whole where one is refused, with what triggers did', async () => {
    await user.query(`DROP TABLE IF EXISTS audit; CREATE TABLE audit (code VARCHAR(10));
      CREATE TRIGGER note_audit AFTER INSERT ON note FOR EACH ROW
        INSERT INTO audit VALUES (NEW.code)`);
    const short = rows.map(([id]) => [id!, id === '120' ? 'x'.repeat(201) : 'new']);
    const [troubles] = await copy(put('note', 'code', 'code body', short));
    expect(told(troubles!)).toEqual(['120 22001']);
    expect(await all('SELECT COUNT(*), COUNT(DISTINCT code) FROM audit')).toEqual([
      [`${ROWS - 1}`, `${ROWS - 1}`],
    ]);
  });

  test('wait for a lock, and are unreachable when their connection ends', async () => {
    await user.query(`INSERT INTO note VALUES ('149', 'held'); BEGIN;
      UPDATE note SET body = 'kept' WHERE code = '149'`);
    const short = rows.map(([id]) => [id!, 'new']);
    const writing = copy(put('note', 'code', 'code body', short));
    const outcome = writing.then(
      () => 'written',
      ({ code }) => code,
    );
    const waiting = `SELECT id FROM information_schema.processlist
      WHERE info LIKE 'INSERT INTO %note%' AND id <> CONNECTION_ID()`;
    let found = await all(waiting);
    while (found.length === 0) found = await all(waiting);
    await user.query(`KILL ${(found as string[][])[0]![0]}`);
    expect(await outcome).toBe('target.unreachable');
    await user.query('COMMIT');
    expect(await all('SELECT * FROM note')).toEqual([['149', 'kept']]);
  });

  test('go in one execution where the server has the bulk protocol', async () => {
    const statements = async (): Promise<number[]> => {
      const found = await all(`SHOW GLOBAL STATUS WHERE variable_name IN
        ('Com_insert', 'Com_stmt_execute', 'Com_stmt_prepare')`);
      return (found as string[][]).map(([, count]) => Number(count));
    };
    const before = await statements();
    const short = rows.map(([id]) => [id!, `row ${id}`]);
    expect(await copy(put('note', 'code', 'code body', short))).toEqual([[]]);
    const after = await statements();
    const bulk = (await erpProduct()) === 'MariaDB' ? 1 : 0;
    expect(after.map((count, i) => count - before[i]!)).toEqual([2, bulk, bulk]);
  });
});
