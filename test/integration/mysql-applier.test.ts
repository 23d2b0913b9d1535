import type { Connection } from 'mysql2/promise';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openApplier } from '../../connectors/mysql/applier.ts';
import { type MysqlOptions, parseOptions } from '../../connectors/mysql/config.ts';
import { openSession } from '../../connectors/mysql/session.ts';
import { setup } from '../../connectors/mysql/setup.ts';
import type { Applier, Outcome, TableWrite } from '../../src/contract/applier.ts';
import type { Value } from '../../src/model/value.ts';
import { ensureServers, mysqlClient, startMariadb, type TestServer } from '../support/index.ts';

let server: TestServer;
let user: Connection;
let options: MysqlOptions;

beforeAll(async () => {
  await ensureServers();
  server = await startMariadb();
  user = await mysqlClient(server.url);
  options = optionsOf(server.url);
  await using session = await openSession(options);
  await setup(session, { tables: [] });
});
afterAll(async () => {
  await user?.end();
  await server?.[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await user.query(`
    DROP TABLE IF EXISTS child, customer, note, line;
    CREATE TABLE customer (
      id BIGINT AUTO_INCREMENT PRIMARY KEY,
      code VARCHAR(20) COLLATE utf8mb4_general_ci UNIQUE,
      name VARCHAR(20) COLLATE utf8mb4_general_ci,
      credit DECIMAL(12,2) CHECK (credit < 1000000),
      email VARCHAR(40) COLLATE utf8mb4_general_ci
    ) CHARACTER SET utf8mb4;
    CREATE TABLE child (id INT PRIMARY KEY, parent BIGINT NOT NULL REFERENCES customer (id));
    CREATE TABLE note (code VARCHAR(10) COLLATE utf8mb4_general_ci PRIMARY KEY, body TEXT);
    CREATE TABLE line (doc INT, pos VARCHAR(5), qty INT, PRIMARY KEY (doc, pos));
    DELETE FROM carrick.carrick_mark;
  `);
});

function optionsOf(url: string): MysqlOptions {
  const parsed = parseOptions({ url });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.options as MysqlOptions;
}

const newApplier = (instance = 'main'): Applier => openApplier(options, instance);

let batch = 0;

/** One write in one committed transaction. */
async function apply(write: TableWrite): Promise<Outcome[]> {
  await using applier = newApplier(`t${++batch}`);
  await applier.committed();
  await using transaction = await applier.begin(1);
  const outcomes = await transaction.write(write);
  await transaction.commit();
  return outcomes;
}

async function all(sql: string): Promise<unknown[]> {
  const [rows] = await user.query({ sql, rowsAsArray: true, typeCast: (f) => f.string() });
  return rows as unknown[];
}

const kinds = (outcomes: readonly Outcome[]): string[] => outcomes.map(({ kind }) => kind);

const update = (
  columns: readonly string[],
  ...rows: [key: string, values: readonly Value[], expect: readonly Value[]][]
): TableWrite => ({
  op: 'update',
  table: 'customer',
  key: ['id'],
  columns,
  compare: columns,
  guards: [],
  rows: rows.map(([key, values, expected]) => ({ key: [key], values, expect: expected })),
});

describe('update', () => {
  test('changes only rows that still hold what was expected', async () => {
    await user.query(`INSERT INTO customer VALUES
      (1,'c1','Ann',1.50,NULL), (2,'c2','Bob',2,NULL),
      (3,'c3','new',3,NULL), (4,'c4',NULL,4,NULL)`);
    const outcomes = await apply(
      update(
        ['name', 'credit'],
        ['1', ['Anna', '1.75'], ['Ann', '1.50']],
        ['2', ['Bert', '2.00'], ['Robert', '2.00']],
        ['3', ['new', '3.00'], ['old', '3.00']],
        ['4', ['Dan', null], [null, '4.00']],
        ['5', ['Eve', '5.00'], ['E', '5.00']],
      ),
    );
    expect(outcomes).toEqual([
      { kind: 'applied', key: ['1'] },
      { kind: 'diverged' },
      { kind: 'already' },
      { kind: 'applied', key: ['4'] },
      { kind: 'diverged' },
    ]);
    expect(await all('SELECT id, name, credit FROM customer ORDER BY id')).toEqual([
      ['1', 'Anna', '1.75'],
      ['2', 'Bob', '2.00'],
      ['3', 'new', '3.00'],
      ['4', 'Dan', null],
    ]);
  });

  test('an empty text is not NULL, and a scale is no difference', async () => {
    await user.query(`INSERT INTO customer VALUES (1,'a','',1.50,NULL), (2,'b',NULL,1.50,NULL)`);
    const outcomes = await apply(
      update(
        ['name', 'credit'],
        ['1', ['x', '1.5'], [null, '1.5']],
        ['2', ['x', '1.5'], ['', '1.5']],
      ),
    );
    expect(kinds(outcomes)).toEqual(['diverged', 'diverged']);
    const again = await apply(update(['credit'], ['1', ['2'], ['1.5000']], ['2', ['1.5'], ['9']]));
    expect(kinds(again)).toEqual(['applied', 'already']);
  });

  test('a change of case, accents or trailing spaces alone is not run over', async () => {
    await user.query(`INSERT INTO customer VALUES
      (1,'a','ANN',0,NULL), (2,'b','ann ',0,NULL), (3,'c','ànn',0,NULL), (4,'d','ann',0,NULL)`);
    const rows = ['1', '2', '3', '4'].map((id) => [id, ['next'], ['ann']] as const);
    const outcomes = await apply(update(['name'], ...rows.map((r) => [...r] as never)));
    expect(kinds(outcomes)).toEqual(['diverged', 'diverged', 'diverged', 'applied']);
    expect(await all('SELECT name FROM customer ORDER BY id')).toEqual([
      ['ANN'],
      ['ann '],
      ['ànn'],
      ['next'],
    ]);
  });

  test('one refused row among 500 costs only itself', async () => {
    const filled = Array.from({ length: 500 }, (_, i) => `(${i + 1}, 'c${i + 1}', 'n', 1, NULL)`);
    await user.query(`INSERT INTO customer VALUES ${filled.join(', ')}`);
    const rows = Array.from({ length: 500 }, (_, i) => {
      const name = i === 250 ? 'far too long for a column of 20' : `n${i}`;
      const credit = i === 251 ? '2000000.00' : '2.00';
      return [`${i + 1}`, [name, credit], ['n', '1.00']] as [string, string[], string[]];
    });
    const outcomes = await apply(update(['name', 'credit'], ...rows));
    expect(kinds(outcomes).filter((kind) => kind === 'applied')).toHaveLength(498);
    expect(outcomes[250]).toEqual({
      kind: 'refused',
      code: '22001',
      reason: expect.stringMatching(/^Data too long for column 'name'/),
    });
    // MySQL has no SQLSTATE of its own for a check constraint.
    const code = expect.stringMatching(/^(23000|HY000)$/);
    expect(outcomes[251]).toMatchObject({ kind: 'refused', code });
    expect(await all(`SELECT COUNT(*) FROM customer WHERE credit = 2`)).toEqual([['498']]);
    expect(JSON.stringify(outcomes)).not.toMatch(/far too|2000000/);
  });

  test('what a column rounds to the value it has is already there', async () => {
    await user.query(`INSERT INTO customer VALUES (1,'a','x',1.23,NULL), (2,'b','x',1.23,NULL)`);
    const outcomes = await apply(
      update(['credit'], ['1', ['1.231'], ['1.23']], ['2', ['1.29'], ['1.23']]),
    );
    expect(kinds(outcomes)).toEqual(['already', 'applied']);
  });

  test('sees what a user committed after the transaction began', async () => {
    await user.query(`INSERT INTO customer VALUES (1,'a','x',0,NULL), (2,'b','x',0,NULL)`);
    await using applier = newApplier();
    await applier.committed();
    await using transaction = await applier.begin(1);
    await transaction.write(update(['name'], ['1', ['y'], ['x']]));
    await user.query(`UPDATE customer SET name = 'user' WHERE id = 2`);
    const outcomes = await transaction.write(update(['name'], ['2', ['y'], ['x']]));
    await transaction.commit();
    expect(kinds(outcomes)).toEqual(['diverged']);
    expect(await all('SELECT name FROM customer ORDER BY id')).toEqual([['y'], ['user']]);
  });

  test('a composite key names its row, also where columns alone repeat', async () => {
    await user.query(`INSERT INTO line VALUES (1,'a',1),(1,'b',1),(2,'a',1)`);
    const outcomes = await apply({
      op: 'update',
      table: 'line',
      key: ['doc', 'pos'],
      columns: ['qty'],
      compare: ['qty'],
      guards: [],
      rows: [
        { key: ['1', 'b'], values: ['5'], expect: ['1'] },
        { key: ['2', 'a'], values: ['6'], expect: ['1'] },
        { key: ['2', 'b'], values: ['7'], expect: ['1'] },
      ],
    });
    expect(kinds(outcomes)).toEqual(['applied', 'applied', 'diverged']);
    expect(await all('SELECT doc, pos, qty FROM line ORDER BY doc, pos')).toEqual([
      ['1', 'a', '1'],
      ['1', 'b', '5'],
      ['2', 'a', '6'],
    ]);
  });
});

describe('insert', () => {
  const insert = (
    rows: readonly (readonly Value[])[],
    guards: readonly (readonly string[])[] = [],
  ): TableWrite => ({
    op: 'insert',
    table: 'customer',
    key: ['id'],
    columns: ['code', 'name', 'credit', 'email'],
    compare: [],
    guards,
    rows: rows.map((values) => ({ key: null, values, expect: [] })),
  });

  test('returns generated keys in the order of the rows', async () => {
    const rows = Array.from({ length: 1200 }, (_, i) => [`c${i}`, `n${i}`, '1.00', null]);
    const outcomes = await apply(insert(rows));
    const codes = new Map((await all('SELECT id, code FROM customer')) as [string, string][]);
    const got = outcomes.map((o) => (o.kind === 'applied' ? codes.get(o.key[0]!) : o.kind));
    expect(got).toEqual(rows.map(([code]) => code));
  });

  test('a guard that hits, in the table or in the write itself, diverges', async () => {
    await user.query(`INSERT INTO customer VALUES (1,'c1','Ann',1,'a@x')`);
    const outcomes = await apply(
      insert(
        [
          ['c2', 'Bob', '1.00', 'a@x'],
          ['c3', 'Cid', '1.00', 'c@x'],
          ['c4', 'Dan', '1.00', 'c@x'],
          ['c5', 'Eve', '1.00', null],
        ],
        [['email']],
      ),
    );
    expect(kinds(outcomes)).toEqual(['diverged', 'applied', 'diverged', 'applied']);
  });

  test('a duplicate of guard columns by collation diverges, of others is refused', async () => {
    await user.query(`INSERT INTO customer VALUES (1,'C1','Ann',1,NULL)`);
    expect(kinds(await apply(insert([['c1', 'Bob', '1.00', null]], [['code']])))).toEqual([
      'diverged',
    ]);
    const [refused] = await apply(insert([['c1', 'Bob', '1.00', null]], [['email']]));
    expect(refused).toEqual({
      kind: 'refused',
      code: '23000',
      reason: expect.stringMatching(/^Duplicate entry for key '(customer\.)?code'$/),
    });
  });

  test('a taken key diverges, refused rows cost only themselves', async () => {
    await user.query(`INSERT INTO customer VALUES (1,'c1','Ann',1,NULL)`);
    await user.query('INSERT INTO child VALUES (1, 1)');
    const rows = Array.from({ length: 500 }, (_, i) => ({
      key: [`${i + 1}`],
      values: [`${i + 1}`, i === 77 ? '99' : '1'],
      expect: [],
    }));
    const outcomes = await apply({
      op: 'insert',
      table: 'child',
      key: ['id'],
      columns: ['id', 'parent'],
      compare: [],
      guards: [],
      rows,
    });
    expect(outcomes[0]).toEqual({ kind: 'diverged' });
    expect(outcomes[77]).toMatchObject({ kind: 'refused', code: '23000' });
    expect(kinds(outcomes).filter((kind) => kind === 'applied')).toHaveLength(498);
    expect(outcomes[499]).toEqual({ kind: 'applied', key: ['500'] });
  });

  test('a row that a user is just inserting diverges once it is committed', async () => {
    await using rival = await mysqlClient(server.url);
    await rival.query(`START TRANSACTION; INSERT INTO note VALUES ('a', 'theirs')`);
    const outcomes = apply({
      op: 'insert',
      table: 'note',
      key: ['code'],
      columns: ['code', 'body'],
      compare: [],
      guards: [],
      rows: ['A', 'b'].map((key) => ({ key: [key], values: [key, 'ours'], expect: [] })),
    });
    const early = await Promise.race([outcomes, new Promise((r) => setTimeout(r, 100, 'waits'))]);
    await rival.query('COMMIT');
    expect([early, kinds(await outcomes)]).toEqual(['waits', ['diverged', 'applied']]);
    expect(await all('SELECT * FROM note')).toEqual([
      ['a', 'theirs'],
      ['b', 'ours'],
    ]);
  });

  test('a row that no packet holds is refused, and the connection lives', async () => {
    const outcomes = await apply({
      op: 'insert',
      table: 'note',
      key: ['code'],
      columns: ['code', 'body'],
      compare: [],
      guards: [],
      rows: [
        { key: ['a'], values: ['a', 'ü'.repeat(5_000_000)], expect: [] },
        { key: ['b'], values: ['b', 'x'], expect: [] },
      ],
    });
    expect(kinds(outcomes)).toEqual(['refused', 'applied']);
  });

  test('the message of a trigger comes without its values', async () => {
    await user.query(`CREATE TRIGGER t BEFORE INSERT ON note FOR EACH ROW
      IF NEW.body = 'secret' THEN SIGNAL SQLSTATE '45000'
      SET MESSAGE_TEXT = 'body ''secret'' of 4711 is not allowed'; END IF`);
    const outcomes = await apply({
      op: 'insert',
      table: 'note',
      key: ['code'],
      columns: ['code', 'body'],
      compare: [],
      guards: [],
      rows: [
        { key: ['a'], values: ['a', 'secret'], expect: [] },
        { key: ['b'], values: ['b', 'open'], expect: [] },
      ],
    });
    expect(outcomes).toEqual([
      { kind: 'refused', code: '45000', reason: 'refused by a trigger or routine (SIGNAL)' },
      { kind: 'applied', key: ['b'] },
    ]);
  });
});

describe('delete', () => {
  const remove = (...rows: [key: string, body: Value][]): TableWrite => ({
    op: 'delete',
    table: 'note',
    key: ['code'],
    columns: [],
    compare: ['body'],
    guards: [],
    rows: rows.map(([key, body]) => ({ key: [key], values: [], expect: [body] })),
  });

  test('takes what still holds what was expected', async () => {
    await user.query(`INSERT INTO note VALUES ('a','x'),('b','y')`);
    expect(await apply(remove(['a', 'x'], ['b', 'x'], ['c', 'x']))).toEqual([
      { kind: 'applied', key: ['a'] },
      { kind: 'diverged' },
      { kind: 'already' },
    ]);
    expect(await all('SELECT code FROM note')).toEqual([['b']]);
  });

  test('spares a row whose key a user just spelled differently', async () => {
    await user.query(`INSERT INTO note VALUES ('ABC','x')`);
    expect(await apply(remove(['abc', 'x']))).toEqual([{ kind: 'diverged' }]);
    expect(await all('SELECT code FROM note')).toEqual([['ABC']]);
  });

  test('a parent with children is refused', async () => {
    await user.query(`INSERT INTO customer VALUES (1,'a','x',0,NULL),(2,'b','x',0,NULL);
      INSERT INTO child VALUES (1, 1)`);
    const outcomes = await apply({
      ...remove(),
      table: 'customer',
      key: ['id'],
      compare: ['name'],
      rows: ['1', '2'].map((id) => ({ key: [id], values: [], expect: ['x'] })),
    });
    expect(kinds(outcomes)).toEqual(['refused', 'applied']);
  });
});

describe('transactions', () => {
  test('the mark tells what was committed, and fences a twin', async () => {
    await using first = newApplier();
    await using second = newApplier();
    expect(await first.committed()).toBe(0);
    const transaction = await first.begin(7);
    await transaction.commit();
    expect(await second.committed()).toBe(7);
    await expect(second.begin(7)).rejects.toMatchObject({
      code: 'target.fenced',
      disposition: 'halt',
    });
    expect(await first.committed()).toBe(7);
    await using other = newApplier('other');
    expect(await other.committed()).toBe(0);
  });

  test('what is not committed is undone, the mark with it', async () => {
    await user.query(`INSERT INTO customer VALUES (1,'a','x',0,NULL)`);
    await using applier = newApplier();
    await applier.committed();
    {
      await using transaction = await applier.begin(1);
      await transaction.write(update(['name'], ['1', ['y'], ['x']]));
    }
    expect(await applier.committed()).toBe(0);
    expect(await all('SELECT name FROM customer')).toEqual([['x']]);
  });

  test('committed() waits for the transaction of a predecessor', async () => {
    await using first = newApplier();
    await using second = newApplier();
    await first.committed();
    const transaction = await first.begin(3);
    const answer = second.committed();
    const early = await Promise.race([answer, new Promise((r) => setTimeout(r, 100, 'waits'))]);
    await transaction.commit();
    expect([early, await answer]).toEqual(['waits', 3]);
  });

  test('a fence moves its own lane to exactly the number', async () => {
    await using applier = newApplier();
    await applier.fence(9);
    await applier.fence(4);
    expect(await all('SELECT instance, lane, batch FROM carrick.carrick_mark')).toEqual([
      ['main', 'watermark', '4'],
    ]);
    expect(await applier.committed()).toBe(0);
  });

  test('a deadlock with a user is a conflict to try again', async () => {
    await user.query(`INSERT INTO customer VALUES (1,'a','x',0,NULL),(2,'b','x',0,NULL)`);
    await using applier = newApplier();
    await applier.committed();
    await using rival = await mysqlClient(server.url);
    // The heavier transaction survives a deadlock: the user's has many rows.
    const weight = Array.from({ length: 500 }, (_, i) => `(${i}, 'x', 1)`);
    await rival.query(`START TRANSACTION; INSERT INTO line VALUES ${weight.join(', ')};
      UPDATE customer SET name = 'user' WHERE id = 2`);
    await using transaction = await applier.begin(1);
    await transaction.write(update(['name'], ['1', ['y'], ['x']]));
    const blocked = rival.query(`UPDATE customer SET name = 'user' WHERE id = 1`);
    await new Promise((r) => setTimeout(r, 100));
    await expect(transaction.write(update(['name'], ['2', ['y'], ['x']]))).rejects.toMatchObject({
      code: 'target.conflicted',
      disposition: 'retry',
    });
    await blocked;
    await rival.query('COMMIT');
    expect(await applier.committed()).toBe(0);
  });

  test('a missing table, column or right halts and names the fix', async () => {
    const write = { ...update(['name'], ['1', ['y'], ['x']]), table: 'nowhere' };
    await expect(apply(write)).rejects.toMatchObject({
      code: 'target.refused',
      disposition: 'halt',
      fix: expect.stringMatching(/mapping/),
    });
  });

  test('a server that is gone is unreachable, then reached again', async () => {
    await using applier = newApplier();
    await applier.committed();
    await using transaction = await applier.begin(1);
    const [[id]] = (await all(
      `SELECT id FROM information_schema.processlist WHERE command = 'Sleep' AND db IS NULL
       ORDER BY id DESC LIMIT 1`,
    )) as [[string]];
    await user.query(`KILL ${id}`);
    await expect(transaction.write(update(['name'], ['1', ['y'], ['x']]))).rejects.toMatchObject({
      code: 'target.unreachable',
      disposition: 'retry',
    });
    expect(await applier.committed()).toBe(0);
  });
});
