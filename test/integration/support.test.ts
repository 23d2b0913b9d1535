import { expect, test } from 'vitest';
import {
  mysqlClient,
  needsControl,
  pgClient,
  startMariadb,
  startPostgres,
} from '../support/index.ts';

test('PostgreSQL keeps a committed row through kill -9, and drops an open one', async (context) => {
  await using server = await startPostgres();
  needsControl(context, server);
  {
    await using client = await pgClient(server.url);
    await client.query('create table kept (id bigint primary key, at timestamptz)');
    await client.query("insert into kept values (9007199254740993, '2026-01-02 03:04:05.678901Z')");
    await client.query("select pg_create_logical_replication_slot('probe', 'pgoutput')");
    await client.query('begin');
    await client.query('insert into kept values (2, now())');
    await server.kill();
  }
  await server.start();
  await using client = await pgClient(server.url);
  const { rows } = await client.query('select id, at from kept');
  expect(rows).toEqual([{ id: '9007199254740993', at: '2026-01-02 03:04:05.678901+00' }]);
  const slots = await client.query('select slot_name from pg_replication_slots');
  expect(slots.rows).toEqual([{ slot_name: 'probe' }]);
});

test('MariaDB keeps a committed row through kill -9, and drops an open one', async (context) => {
  await using server = await startMariadb();
  needsControl(context, server);
  {
    await using client = await mysqlClient(server.url);
    await client.query('CREATE TABLE kept (id BIGINT PRIMARY KEY, at DATETIME(6))');
    await client.query("INSERT INTO kept VALUES (9007199254740993, '2026-01-02 03:04:05.678901')");
    await client.query('BEGIN');
    await client.query('INSERT INTO kept VALUES (2, NOW())');
    await server.kill();
  }
  await server.start();
  await using client = await mysqlClient(server.url);
  const [rows] = await client.query('SELECT id, at FROM kept');
  expect(rows).toEqual([{ id: '9007199254740993', at: '2026-01-02 03:04:05.678901' }]);
});

test('both restart on their ports after a clean stop', async (context) => {
  await using postgres = await startPostgres();
  await using mariadb = await startMariadb();
  needsControl(context, postgres);
  needsControl(context, mariadb);
  await Promise.all([postgres.stop(), mariadb.stop()]);
  await expect(pgClient(postgres.url)).rejects.toThrow('ECONNREFUSED');
  await expect(mysqlClient(mariadb.url)).rejects.toThrow('ECONNREFUSED');
  await Promise.all([postgres.start(), mariadb.start()]);
  await using crm = await pgClient(postgres.url);
  expect((await crm.query('show wal_level')).rows).toEqual([{ wal_level: 'logical' }]);
  await using erp = await mysqlClient(mariadb.url);
  const [rows] = await erp.query('SELECT @@binlog_format f, @@binlog_row_metadata m');
  expect(rows).toEqual([{ f: 'ROW', m: 'FULL' }]);
});
