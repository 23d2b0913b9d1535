import type { Connection } from 'mysql2/promise';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type MysqlOptions, parseOptions } from '../../connectors/mysql/config.ts';
import { openCopier } from '../../connectors/mysql/copier.ts';
import { openSession } from '../../connectors/mysql/session.ts';
import { setup } from '../../connectors/mysql/setup.ts';
import type { CopyWrite, Trouble } from '../../src/contract/copier.ts';
import type { Position } from '../../src/model/position.ts';
import { ensureServers, mysqlClient, startMariadb, type TestServer } from '../support/index.ts';

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
