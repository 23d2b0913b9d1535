/** What only newer servers do; each test names the version that it needs. */
import { afterAll, beforeAll, expect, type TestContext, test } from 'vitest';
import { type PgClient, pgClient, startPostgres, type TestServer } from '../support/index.ts';
import { changesOf, collect, install, scalar } from './postgres-fixture.ts';

let server: TestServer;
let admin: PgClient;
let version: number;

beforeAll(async () => {
  server = await startPostgres();
  admin = await pgClient(server.url);
  version = Number(await scalar(admin, `select current_setting('server_version_num')`)) / 10_000;
});
afterAll(async () => {
  await admin.end();
  await server[Symbol.asyncDispose]();
});

function needs(context: TestContext, least: number): void {
  context.skip(version < least, `needs PostgreSQL ${least}, this is ${Math.floor(version)}`);
}

const computed = { name: 'computed', key: ['id'], columns: ['id', 'n', 'twice', 'thrice'] };

test('stored computed columns are in the log, virtual ones are not', async (context) => {
  needs(context, 18);
  await using it = await install(
    server,
    `create table computed (id int primary key, n int,
       twice int generated always as (n * 2) stored,
       thrice int generated always as (n * 3) virtual)`,
    [computed],
  );
  const findings = (await it.system.preflight(it.needs)).filter(
    ({ check }) => check === 'postgres.generated',
  );
  expect(findings.map(({ message }) => message)).toEqual([
    'computed.thrice is computed: the log does not carry it',
  ]);
  const source = it.source();
  const from = await source.start();
  await it.db.query(`insert into computed (id, n) values (1, 5); update computed set n = 6`);
  const changes = changesOf(await collect(source, from, ({ length }) => length === 2));
  expect(changes.map(({ row }) => row)).toEqual([
    ['1', '5', '10', undefined],
    ['1', '6', '12', undefined],
  ]);
  const { rows } = await source.read({ table: computed, after: null, limit: 9 });
  expect(rows).toEqual([['1', '6', '12', '18']]);
});

test('a publication of before PostgreSQL 18 is made to publish them by setup', async (context) => {
  needs(context, 18);
  const spec = { ...computed, name: 'upgraded' };
  await using it = await install(
    server,
    `create table upgraded (id int primary key, n int, twice int generated always as (n) stored,
       thrice int)`,
    [spec],
  );
  await it.db.query(`alter publication ${it.name} set (publish_generated_columns = none)`);
  const generated = async () =>
    (await it.system.preflight(it.needs)).filter(({ check }) => check === 'postgres.generated');
  expect(await generated()).toHaveLength(1);
  expect(await it.system.setup(it.needs)).toEqual([
    `made publication ${it.name} publish stored computed columns`,
  ]);
  expect(await generated()).toEqual([]);
});

test('the slot may be taken over by a standby', async (context) => {
  needs(context, 17);
  await using it = await install(server, 'create table kept (id int primary key)', [
    { name: 'kept', key: ['id'], columns: ['id'] },
  ]);
  const failover = 'select failover from pg_replication_slots where slot_name = $1';
  expect(await scalar(admin, failover, [it.name])).toBe('t');
});
