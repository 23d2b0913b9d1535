/** What is PostgreSQL's own about copying; the rest is in test/conformance/copier.test.ts. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Needs, System } from '../../src/contract/connector.ts';
import type { CopyTable, CopyWrite, FeedPlace, Trouble } from '../../src/contract/copier.ts';
import type { Position } from '../../src/model/position.ts';
import type { Value } from '../../src/model/value.ts';
import { type PgClient, pgClient, startPostgres, type TestServer } from '../support/index.ts';
import { scalar, systemAt } from './postgres-fixture.ts';

let server: TestServer;
let db: PgClient;
beforeAll(async () => {
  server = await startPostgres();
  db = await pgClient(server.url);
  await db.query('create extension if not exists citext');
});
afterAll(async () => {
  await db[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

const copied = (name: string, columns: readonly string[], removes = true): CopyTable => ({
  ...{ name, key: columns.slice(0, 1), columns, removes },
});

const needsOf = (...copies: readonly CopyTable[]): Needs => ({ tables: [], copies });

const put = (table: CopyTable, fresh: boolean, ...rows: readonly (readonly Value[])[]) =>
  ({ ...table, op: 'put', table: table.name, keys: [], rows, fresh }) satisfies CopyWrite;

const PLACE: FeedPlace = { position: 'here' as Position, progress: '{}' };

/** One committed transaction of a copier of its own. */
async function copy(system: System, ...writes: readonly CopyWrite[]): Promise<Trouble[][]> {
  await using copier = await system.copier!('own');
  await copier.place();
  await using transaction = await copier.begin();
  const troubles: Trouble[][] = [];
  for (const write of writes) troubles.push([...(await transaction.write(write))]);
  await transaction.commit(PLACE);
  return troubles;
}

async function ready(ddl: string, ...copies: readonly CopyTable[]): Promise<System> {
  await db.query(ddl);
  const system = systemAt(server.url, 'copies');
  await system.setup(needsOf(...copies));
  return system;
}

const content = async (sql: string): Promise<Value[][]> =>
  (await db.query<Value[]>({ text: sql, rowMode: 'array' })).rows;

test('a role that may only copy: no slot, no publication, the least rights', async () => {
  await db.query(`create schema "Copies";
    create table "Copies"."Own" (id int primary key, n serial, name text);
    create table kept (id int primary key, name text);
    create table guarded (id int primary key, name text);
    alter table guarded enable row level security;
    create policy all_rows on guarded using (true) with check (true)`);
  const own = copied('Copies.Own', ['id', 'name']);
  const kept = copied('kept', ['id', 'name'], false);
  const guarded = copied('guarded', ['id', 'name']);
  const needs = needsOf(own, kept, guarded);
  const url = new URL(server.url);
  url.username = 'copyist';
  url.password = 'secret';
  await using system = systemAt(url.href, 'copyist');
  const script = system.setupScript(needs);
  for (let twice = 0; twice < 2; twice++) for (const sql of script) await db.query(sql);
  await db.query(`alter role copyist password 'secret'`);
  expect(await system.setup(needs)).toEqual([]);
  const findings = await system.preflight(needs);
  expect(findings.filter(({ outcome }) => outcome !== 'note')).toEqual([]);
  const made = `select (select count(*) from pg_replication_slots where slot_name ~ 'copyist')
    + (select count(*) from pg_publication where pubname ~ 'copyist')
    + (select count(*) from pg_roles where rolname = 'copyist' and rolreplication)`;
  expect(await scalar(db, made)).toBe('0');

  for (const fresh of [true, false]) {
    const writes = [own, kept, guarded].map((table) => put(table, fresh, ['1', `${fresh}`]));
    expect(await copy(system, ...writes)).toEqual([[], [], []]);
    for (const table of ['"Copies"."Own"', 'kept', 'guarded'])
      expect(await content(`select id, name from ${table}`)).toEqual([['1', `${fresh}`]]);
  }
  const remove = ({ name, key }: CopyTable): CopyWrite => ({
    ...{ op: 'remove', table: name, key, columns: [], keys: [['1']], rows: [], fresh: false },
  });
  expect(await copy(system, remove(own))).toEqual([[]]);
  await expect(copy(system, remove(kept))).rejects.toMatchObject({
    code: 'target.refused',
    disposition: 'halt',
  });
  const more = await system.preflight(needsOf({ ...kept, removes: true }));
  expect(more.filter(({ outcome }) => outcome !== 'note')).toMatchObject([
    { check: 'postgres.grants', message: 'no right to delete on kept' },
  ]);
});

test('keys that the index holds for equal become what the source has', async () => {
  const texts = copied('folded', ['id', 'name']);
  const numbers = copied('scaled', ['id', 'name']);
  await using system = await ready(
    `create table folded (id citext primary key, name text);
     create table scaled (id numeric primary key, name text);
     insert into folded values ('a', 'was'); insert into scaled values (1.0, 'was')`,
    texts,
    numbers,
  );
  const writes = [put(texts, false, ['A', 'is']), put(numbers, false, ['1.00', 'is'])];
  expect(await copy(system, ...writes)).toEqual([[], []]);
  expect(await content('select id, name from folded')).toEqual([['A', 'is']]);
  expect(await content('select id, name from scaled')).toEqual([['1.00', 'is']]);
  // Two rows of the source are one here: the last stands, and nothing else is lost.
  const rows = ['b', 'c', 'C', 'd', 'B'].map((id, i) => [id, `${i}`]);
  for (const fresh of [true, false]) {
    expect(await copy(system, put(texts, fresh, ...rows))).toEqual([[]]);
    expect(await content('select id, name from folded order by id')).toEqual([
      ['A', 'is'],
      ['B', '4'],
      ['C', '2'],
      ['d', '3'],
    ]);
  }
});

test('partitions are written through their table', async () => {
  const table = copied('parted', ['id', 'name']);
  await using system = await ready(
    `create table parted (id int primary key, name text) partition by range (id);
     create table parted_low partition of parted for values from (0) to (100);
     create table parted_high partition of parted for values from (100) to (200)`,
    table,
  );
  const rows = ['1', '150', '99'].map((id) => [id, 'x']);
  expect(await copy(system, put(table, true, ...rows))).toEqual([[]]);
  const [troubles] = await copy(system, put(table, false, ['1', 'y'], ['200', 'y'], ['150', 'y']));
  expect(troubles).toMatchObject([{ kind: 'refused', row: 1, code: '23514' }]);
  expect(await content('select id, name from parted order by id')).toEqual([
    ['1', 'y'],
    ['99', 'x'],
    ['150', 'y'],
  ]);
});

test('what no column takes is refused by itself, in a load too', async () => {
  const table = copied('typed', ['id', 'n', 'name']);
  await using system = await ready(
    'create table typed (id int primary key, n int, name text)',
    table,
  );
  const rows = [
    ['1', '1', 'fine'],
    ['2', '2', 'zero \0 byte'],
    ['3', 'no number', 'x'],
    ['4', '99999999999', 'x'],
    ['5', '5', 'fine'],
  ];
  for (const fresh of [true, false]) {
    const [troubles] = await copy(system, put(table, fresh, ...rows));
    expect(troubles!.map((trouble) => [trouble.row, 'code' in trouble && trouble.code])).toEqual([
      [1, '22021'],
      [2, '22P02'],
      [3, '22003'],
    ]);
    expect(JSON.stringify(troubles)).not.toMatch(/no number|9999|zero/);
    expect(await content('select id from typed order by id')).toEqual([['1'], ['5']]);
  }
});

test('a deferred constraint and a trigger refuse one row, and quote nothing of it', async () => {
  const table = copied('checked_late', ['id', 'parent', 'name']);
  await using system = await ready(
    `create table late_parents (id int primary key);
     insert into late_parents values (1);
     create table checked_late (id int primary key, name text,
       parent int references late_parents (id) deferrable initially deferred);
     create function refuse_secret() returns trigger language plpgsql as
       $$ begin if new.name = 'secret' then raise exception 'row is %', new; end if;
       return new; end $$;
     create trigger refuse_secret before insert or update on checked_late
       for each row execute function refuse_secret()`,
    table,
  );
  const rows = [
    ['1', '1', 'a'],
    ['2', '77', 'orphan'],
    ['3', '1', 'secret'],
    ['4', null, 'b'],
  ];
  for (const fresh of [true, false]) {
    const [troubles] = await copy(system, put(table, fresh, ...rows));
    expect(troubles!.map(({ row }) => row)).toEqual([1, 2]);
    expect(JSON.stringify(troubles)).not.toMatch(/orphan|secret\b(?!\(\))|77/);
    expect(await content('select id from checked_late order by id')).toEqual([['1'], ['4']]);
  }
});

test('an index that cannot tell rows apart at once is none', async () => {
  await db.query(`create table loose (id int, part int, name text);
    create unique index on loose (id) where part > 0;
    create unique index on loose ((id + 1));
    alter table loose add constraint late unique (id) deferrable;
    create unique index on loose (id, part)`);
  await using system = systemAt(server.url, 'copies');
  const table = copied('loose', ['id', 'name']);
  const problems = async () =>
    (await system.preflight(needsOf(table))).filter(({ outcome }) => outcome === 'problem');
  await system.setup(needsOf(table));
  const write = put(table, false, ['1', 'a']);
  const refused = { code: 'target.refused', disposition: 'halt' };
  expect(await problems()).toMatchObject([
    { check: 'postgres.key', message: expect.stringContaining('deferrable') },
  ]);
  await expect(copy(system, write)).rejects.toMatchObject(refused);
  await db.query('alter table loose drop constraint late');
  const [problem] = await problems();
  expect(problem).toMatchObject({ check: 'postgres.key' });
  await expect(copy(system, write)).rejects.toMatchObject(refused);
  const [sql] = /create unique index[^`]*/.exec(problem!.fix)!;
  await db.query(sql);
  expect(await problems()).toEqual([]);
  expect(await copy(system, write, put(table, false, ['1', 'b']))).toEqual([[], []]);
  expect(await content('select id, name from loose')).toEqual([['1', 'b']]);
});
