/** Nobody writes: servers that go away are noticed all the same, and no log piles up for us. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  mysqlClient,
  needsControl,
  type PgClient,
  pgClient,
  startMariadb,
  startPostgres,
  type TestServer,
} from '../support/index.ts';
import { type Installation, openInstallation, until } from './installation.ts';

let opened: AsyncDisposableStack;
let crmServer: TestServer;
let erpServer: TestServer;
let crm: PgClient;
let it: Installation;

beforeAll(async () => {
  await using stack = new AsyncDisposableStack();
  [crmServer, erpServer] = await Promise.all([startPostgres(), startMariadb()]);
  stack.use(crmServer);
  stack.use(erpServer);
  crm = stack.use(await pgClient(crmServer.url));
  await crm.query('create table idle (id int primary key, name text)');
  const erp = await mysqlClient(erpServer.url);
  await erp.query('CREATE TABLE idle (id INT PRIMARY KEY, name VARCHAR(20))');
  await erp.end();
  it = stack.use(await openInstallation({ urls: { crm: crmServer.url, erp: erpServer.url } }));
  await it.map('idle', MAPPING);
  await it.setup();
  await it.start();
  opened = stack.move();
});
afterAll(() => opened?.[Symbol.asyncDispose]());

const MAPPING = `
entity: idle
match: [[id]]
fields: {id: integer, name: string(20)}
systems:
  crm: {table: idle, key: id, fields: {id: id, name: name}}
  erp: {table: idle, key: id, fields: {id: id, name: name}}
`;

test.each(['erp', 'crm'] as const)('an idle target whose server is gone: %s', async (name) => {
  const server = name === 'erp' ? erpServer : crmServer;
  const up = () => it.metric(`carrick_target_up{system="${name}"}`);
  await until(async () => (await up()) === 1, 'the start');
  await server.stop('immediate');
  await until(async () => (await up()) === 0, 'that the target is down');
  await server.start();
  await until(async () => (await up()) === 1, 'that the target is up again');
});

test('the slot of an idle database moves on while others write', async (context) => {
  needsControl(context, crmServer);
  await using client = await pgClient(crmServer.url);
  const lsn = async (what: string) =>
    String((await client.query(`select ${what} as lsn`)).rows[0]?.lsn);
  const confirmed = `(select confirmed_flush_lsn from pg_replication_slots)`;
  await client.query('create database busy');
  const busyUrl = new URL(crmServer.url);
  busyUrl.pathname = '/busy';
  await using busy = await pgClient(busyUrl.href);
  await busy.query('create table noise as select n from generate_series(1, 100000) n');
  // In our own database too: a table that nobody publishes.
  await client.query('create table noise as select n from generate_series(1, 100000) n');
  const end = await lsn('pg_current_wal_lsn()');
  await until(async () => (await lsn(`${confirmed} >= '${end}'`)) === 't', 'the slot to move');
  expect(await lsn('(select count(*) from pg_replication_slots)')).toBe('1');
});
