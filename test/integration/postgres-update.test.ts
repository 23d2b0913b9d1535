/** A batch of plain updates as one statement, and commits that are not on disk yet. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Applier, TableWrite } from '../../src/contract/applier.ts';
import type { Mark, Transaction } from '../../src/model/change.ts';
import type { Value } from '../../src/model/value.ts';
import { needsControl, pgClient, startPostgres, type TestServer } from '../support/index.ts';
import { collect, install, until } from './postgres-fixture.ts';

/** Nobody brings a commit to disk who is not asked to. */
const IDLE = { wal_writer_delay: '10s', bgwriter_delay: '10s', autovacuum: 'off' };

let server: TestServer;
beforeAll(async () => {
  server = await startPostgres({ durable: true, settings: IDLE });
});
afterAll(() => server[Symbol.asyncDispose]());

const TABLE = (name: string) => ({ name, key: ['id'], columns: ['id', 'name', 'n'] });

/** Rows of `[id, name wanted, name expected]`. */
const rename = (table: string, ...rows: readonly Value[][]): TableWrite => ({
  ...{ op: 'update', table, key: ['id'], columns: ['name'], compare: ['name'], guards: [] },
  rows: rows.map(([id = null, to = null, from = null]) => ({
    ...{ key: [id], values: [to], expect: [from] },
  })),
});

async function prepared(name: string, more = '') {
  const ddl = `create table ${name} (id int primary key, name varchar(10), n int${more});
    insert into ${name} values (1, 'a', 1), (2, 'b', 2), (3, 'c', 3)`;
  const it = await install(server, ddl, [TABLE(name)]);
  const applier = await it.system.applier();
  const { update } = applier;
  if (update === undefined) throw new Error('PostgreSQL takes a batch in one statement');
  const names = async (): Promise<string> => {
    const { rows } = await it.db.query(`select name from ${name} order by id`);
    return rows.map((row) => row.name).join(' ');
  };
  return { it, applier, update, names };
}

const marks = (transactions: readonly Transaction[]): (Mark['batch'] | undefined)[] =>
  transactions.map(({ mark }) => mark?.batch);

test('writes what is as expected, behind the mark, and says which', async () => {
  const { it, applier, update, names } = await prepared('plain');
  await using _ = it;
  const source = it.source();
  const start = await source.start();
  const write = rename('plain', ['1', 'x', 'a'], ['2', 'b', 'was'], ['3', 'x', 'was']);
  const missing = rename('plain', ['9', 'x', null]).rows;
  const outcomes = await update(4, { ...write, rows: [...write.rows, ...missing] });
  expect(outcomes).toEqual([
    { kind: 'applied', key: ['1'] },
    ...[{ kind: 'diverged' }, { kind: 'diverged' }, { kind: 'diverged' }],
  ]);
  expect(await names()).toBe('x b c');
  await applier.ping();
  const batches = await collect(source, start, (changes) => changes.length > 0);
  const [echo] = batches.flatMap(({ transactions }) => transactions);
  expect(echo?.mark).toMatchObject({ lane: 'deliver', batch: 4 });
  expect(echo?.changes.map(({ op, row }) => [op, row[0], row[1]])).toEqual([['update', '1', 'x']]);
  expect(await applier.committed()).toBe(4);
});

test('a number is used once, and nothing is written under it again', async () => {
  const { it, applier, update, names } = await prepared('once');
  await using _ = it;
  await update(2, rename('once', ['1', 'x', 'a']));
  for (const used of [1, 2]) {
    const again = update(used, rename('once', ['2', 'x', 'b']));
    await expect(again).rejects.toMatchObject({ code: 'target.fenced', disposition: 'halt' });
  }
  expect(await names()).toBe('x b c');
  expect(await applier.committed()).toBe(2);
});

test.each([
  ['at once', ', check (name <> $$bad$$)'],
  ['at the commit', ', unique (name) deferrable initially deferred'],
])('what is refused %s leaves nothing behind, the mark neither', async (_when, constraint) => {
  const table = constraint.includes('unique') ? 'deferred' : 'checked';
  const { it, applier, update, names } = await prepared(table, constraint.replaceAll('$$', "'"));
  await using _ = it;
  const bad = table === 'checked' ? 'bad' : 'c';
  expect(await update(1, rename(table, ['1', 'x', 'a'], ['2', bad, 'b']))).toBeNull();
  expect(await names()).toBe('a b c');
  expect(await applier.committed()).toBe(0);
  expect(await update(1, rename(table, ['1', 'x', 'a']))).toMatchObject([{ kind: 'applied' }]);
});

test('waits for a user who holds the row, and sees what that user did', async () => {
  const { it, update, names } = await prepared('held');
  await using _ = it;
  await using user = await pgClient(server.url);
  await user.query(`begin; update held set name = 'users' where id = 1`);
  const writing = update(1, rename('held', ['1', 'x', 'a'], ['2', 'x', 'b']));
  await until(async () => {
    const { rows } = await it.db.query(`select 1 from pg_locks where not granted`);
    return rows.length > 0;
  });
  await user.query('commit');
  expect(await writing).toMatchObject([{ kind: 'diverged' }, { kind: 'applied' }]);
  expect(await names()).toBe('users x c');
});

test('of two with one instance the later has the row, and the other is fenced', async () => {
  const { it, applier, update, names } = await prepared('rivals');
  await using _ = it;
  await using rival = await it.system.applier();
  await applier.committed();
  const open = await rival.begin(1);
  await open.write(rename('rivals', ['1', 'rival', 'a']));
  const writing = update(1, rename('rivals', ['2', 'x', 'b'])).catch((error) => error);
  await until(async () => {
    const { rows } = await it.db.query(`select 1 from pg_locks where not granted`);
    return rows.length > 0;
  });
  await open.commit();
  expect(await writing).toMatchObject({ code: 'target.fenced' });
  expect(await names()).toBe('rival b c');
});

const writeBatch = {
  'in one statement': async (applier: Applier, batch: number, write: TableWrite) => {
    await applier.update?.(batch, write);
  },
  'step by step': async (applier: Applier, batch: number, write: TableWrite) => {
    await using transaction = await applier.begin(batch);
    await transaction.write(write);
    await transaction.commit();
  },
};

test.for(Object.entries(writeBatch))(
  'written %s, others see it before the log does; what a dying server loses is told',
  async ([how, deliver], context) => {
    needsControl(context, server);
    const table = `lost_${how.replaceAll(' ', '_')}`;
    const { it, applier, names } = await prepared(table);
    await using _ = it;
    const source = it.source();
    const start = await source.start();
    await deliver(applier, 1, rename(table, ['1', 'kept', 'a']));
    await applier.ping();
    await deliver(applier, 2, rename(table, ['2', 'lost', 'b']));
    expect(await names()).toBe('kept lost c');
    const seen = await collect(source, start, (changes) => changes.length > 0);
    expect(marks(seen.flatMap(({ transactions }) => transactions))).toEqual([1]);
    await server.kill();
    await server.start();
    await using fresh = await it.system.applier();
    expect(await fresh.committed()).toBe(1);
    await using db = await pgClient(server.url);
    const { rows } = await db.query(`select name from ${table} order by id`);
    expect(rows.map(({ name }) => name)).toEqual(['kept', 'b', 'c']);
    await deliver(fresh, 2, rename(table, ['2', 'again', 'b']));
    expect(await fresh.committed()).toBe(2);
  },
);
