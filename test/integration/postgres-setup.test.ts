import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Finding, Needs } from '../../src/contract/connector.ts';
import { pgClient, startPostgres, type TestServer } from '../support/index.ts';
import { changesOf, collect, install, scalar, systemAt } from './postgres-fixture.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server[Symbol.asyncDispose]());

const problems = (findings: readonly Finding[]): string[] =>
  findings.filter(({ outcome }) => outcome !== 'note').map(({ check }) => check);

function urlOf(role: string): string {
  const url = new URL(server.url);
  url.username = role;
  url.password = 'secret';
  return url.href;
}

test('the printed script is enough for a role that may do nothing else', async () => {
  const needs: Needs = {
    tables: [
      { name: 'Sales.Orders', key: ['id'], columns: ['id', 'n'], written: true },
      { name: 'prices', key: ['id'], columns: ['id'], written: false },
    ],
  };
  await using admin = await pgClient(server.url);
  await admin.query(`create schema "Sales";
    create table "Sales"."Orders" (id serial primary key, n int);
    create table prices (id int primary key)`);
  await using system = systemAt(urlOf('least'), 'least');
  const script = system.setupScript(needs);
  for (let twice = 0; twice < 2; twice++) for (const sql of script) await admin.query(sql);
  await admin.query(`alter role least password 'secret'`);

  expect(problems(await system.preflight(needs))).toEqual([]);
  expect(await system.setup(needs)).toEqual([]);
  expect(script.join()).not.toContain('secret');
  const source = await system.source(needs.tables);
  const start = await source.start();
  {
    await using applier = await system.applier();
    expect(await applier.committed()).toBe(0);
    await using transaction = await applier.begin(1);
    const outcomes = await transaction.write({
      op: 'insert',
      table: 'Sales.Orders',
      key: ['id'],
      columns: ['n'],
      compare: [],
      guards: [],
      rows: [{ key: null, values: ['5'], expect: [] }],
    });
    expect(outcomes).toEqual([{ kind: 'applied', key: ['1'] }]);
    await transaction.commit();
  }
  const batches = await collect(source, start, (changes) => changes.length === 1);
  expect(changesOf(batches)[0]?.row).toEqual(['1', '5']);
  const least = `select has_table_privilege('least', 'prices', 'insert')`;
  expect(await scalar(admin, least)).toBe('f');
  await admin.query(`select pg_terminate_backend(active_pid, 5000) from pg_replication_slots
    where slot_name = 'carrick_least'`);
  await admin.query(`select pg_drop_replication_slot('carrick_least')`);
});

test('setup adds what is missing to what is there, and says so', async () => {
  const one = { name: 'one', key: ['id'], columns: ['id'] };
  await using it = await install(server, 'create table one (id int primary key)', [one]);
  await it.db.query('create table two (id int primary key)');
  await it.db.query(`alter publication ${it.name} set (publish_via_partition_root = false)`);
  const two = { ...one, name: 'two' };
  const needs = { tables: [one, two].map((table) => ({ ...table, written: false })) };
  expect(problems(await it.system.preflight(needs))).toEqual(['postgres.publication']);
  expect(await it.system.setup(needs)).toEqual([
    `made publication ${it.name} publish partitions as their tables`,
    `added two to publication ${it.name}`,
  ]);
  expect(await it.system.setup(needs)).toEqual([]);
  expect(problems(await it.system.preflight(needs))).toEqual([]);
});

test('preflight names everything that is wrong at once', async () => {
  await using admin = await pgClient(server.url);
  await admin.query(`create table keyless (id int, g int generated always as (1) stored);
    create role powerless login password 'secret'`);
  await using system = systemAt(urlOf('powerless'), 'wrong');
  const needs: Needs = {
    tables: [
      { name: 'keyless', key: ['id'], columns: ['id', 'g', 'gone'], written: true },
      { name: 'absent', key: ['id'], columns: ['id'], written: false },
    ],
  };
  const findings = await system.preflight(needs);
  expect([...new Set(problems(findings))].sort()).toEqual([
    'postgres.columns',
    'postgres.grants',
    'postgres.key',
    'postgres.publication',
    'postgres.replica_identity',
    'postgres.role',
    'postgres.slot',
    'postgres.table',
  ]);
  expect(findings.map(({ check }) => check)).toContain('postgres.generated');
  expect(findings.every(({ fix }) => fix !== '')).toBe(true);
  await expect(system.setup(needs)).rejects.toMatchObject({ code: 'source.refused' });
});

describe('a server that', () => {
  test('cannot be used says why: wrong password, no server, wal_level', async (context) => {
    const wrong = new URL(server.url);
    wrong.password = 'wrong';
    await using refused = systemAt(wrong.href, 'x');
    const needs = { tables: [] };
    expect(problems(await refused.preflight(needs))).toEqual(['postgres.connection']);
    const refusal = { code: 'source.refused', disposition: 'halt' };
    const noSource = await refused.source([]);
    await expect(noSource.start()).rejects.toMatchObject(refusal);
    const noApplier = await refused.applier();
    await expect(noApplier.committed()).rejects.toMatchObject({
      ...refusal,
      code: 'target.refused',
    });

    await using nobody = systemAt('postgres://a:b@127.0.0.1:1/x', 'x');
    const unreached = await nobody.source([]);
    await expect(unreached.start()).rejects.toMatchObject({
      code: 'source.unreachable',
      disposition: 'retry',
    });
    context.skip(server.replacedBy !== undefined, 'starts a server');
    await using replica = await startPostgres({ settings: { wal_level: 'replica' } });
    await using system = systemAt(replica.url, 'x');
    expect(problems(await system.preflight(needs))).toContain('postgres.wal_level');
  });

  test('gave the slot up is lost, and preflight says so', async (context) => {
    context.skip(server.replacedBy !== undefined, 'starts a server');
    const settings = { max_slot_wal_keep_size: '1MB', max_wal_size: '32MB', min_wal_size: '32MB' };
    await using small = await startPostgres({ settings });
    const spec = { name: 'filler', key: ['id'], columns: ['id'] };
    await using it = await install(small, 'create table filler (id int primary key)', [spec]);
    const source = it.source();
    const start = await source.start();
    for (let round = 0; round < 4; round++) {
      await it.db.query('insert into filler select generate_series($1::int, $2::int)', [
        round * 10_000,
        round * 10_000 + 9_999,
      ]);
      await it.db.query('select pg_switch_wal()');
      await it.db.query('checkpoint');
    }
    await expect(source.tail(start)[Symbol.asyncIterator]().next()).rejects.toMatchObject({
      code: 'source.lost',
      disposition: 'halt',
    });
    expect(problems(await it.system.preflight(it.needs))).toContain('postgres.slot');
  });
});

test('describe tells keys, defaults and what may not be written', async () => {
  await using admin = await pgClient(server.url);
  await admin.query(`create domain code as varchar(8) default 'x' not null;
    create table described (b text, a int, always int generated always as identity,
      maybe int generated by default as identity, sum int generated always as (1) stored,
      d numeric(12,2) default 0, c code, primary key (a, b))`);
  await using system = systemAt(server.url, 'x');
  const [table, ...rest] = await system.describe(['described', 'absent']);
  expect(rest).toEqual([]);
  expect(table?.primaryKey).toEqual(['a', 'b']);
  const flags = table?.columns.map((column) => [
    column.name,
    column.nativeType,
    column.kind,
    column.nullable ? 'null' : 'not null',
    column.hasDefault ? 'default' : '',
    column.readOnly ? 'read-only' : '',
  ]);
  expect(flags).toEqual([
    ['b', 'text', 'string', 'not null', '', ''],
    ['a', 'integer', 'integer', 'not null', '', ''],
    ['always', 'integer', 'integer', 'not null', 'default', 'read-only'],
    ['maybe', 'integer', 'integer', 'not null', 'default', ''],
    ['sum', 'integer', 'integer', 'null', 'default', 'read-only'],
    ['d', 'numeric(12,2)', 'decimal', 'null', 'default', ''],
    ['c', 'public.code', 'string', 'not null', 'default', ''],
  ]);
  expect(Math.abs(await system.clockOffset())).toBeLessThan(5_000_000);
});
