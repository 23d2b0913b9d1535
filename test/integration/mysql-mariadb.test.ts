/** What MariaDB has and MySQL has not. */
import { randomInt } from 'node:crypto';
import type { Connection } from 'mysql2/promise';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { TableSpec } from '../../src/model/change.ts';
import { erpProduct, mysqlClient, startMariadb, type TestServer } from '../support/index.ts';
import {
  changesOf,
  endTable,
  lineOf,
  makeEnd,
  readToEnd,
  sourceOn,
  table,
  whole,
} from './mysql-source-log.ts';

const isMariadb = (await erpProduct()) === 'MariaDB';

describe.skipIf(!isMariadb)(isMariadb ? 'MariaDB' : 'MariaDB (this is MySQL)', () => {
  let server: TestServer;
  let client: Connection;

  beforeAll(async () => {
    server = await startMariadb();
    client = await mysqlClient(server.url);
    await makeEnd(client);
  });
  afterAll(async () => {
    await client.end();
    await server[Symbol.asyncDispose]();
  });
  beforeEach(() => client.query('DROP TABLE IF EXISTS goods'));

  /** What the log has of `spec` because of `statements`, one line a change. */
  const read = async (spec: TableSpec, statements: string): Promise<string[]> => {
    await using source = await sourceOn(server, [spec, endTable]);
    const from = await source.start();
    await client.query(statements);
    return changesOf(await readToEnd(source, client, from)).map(lineOf);
  };

  const goods = table('goods', ['id'], ['id', 'name']);

  const PLAIN = 'id INT PRIMARY KEY, name VARCHAR(20)';
  const periodOf = (type: string) => `s ${type} GENERATED ALWAYS AS ROW START,
    e ${type} GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (s, e)`;
  const make = (columns: string) =>
    client.query(`CREATE TABLE goods (${columns}) WITH SYSTEM VERSIONING`);

  test.each([
    ['hidden columns', PLAIN],
    ['columns of its own', `${PLAIN}, ${periodOf('TIMESTAMP(6)')}`],
  ])('a table with a history in %s is read as users see it', async (_, columns) => {
    await make(columns);
    const lines = await read(
      goods,
      `INSERT INTO goods (id, name) VALUES (1, 'a'), (2, 'b');
      UPDATE goods SET name = 'c' WHERE id = 1; UPDATE goods SET id = 3 WHERE id = 2;
      DELETE FROM goods WHERE id = 3; DELETE HISTORY FROM goods;
      INSERT INTO goods (id, name) VALUES (3, 'd')`,
    );
    expect(lines).toEqual([
      'insert goods 1|a',
      'insert goods 2|b',
      'update goods 1|c',
      'update goods 3|b < 2|undefined',
      'delete goods  < 3|undefined',
      'insert goods 3|d',
    ]);
  });

  test('nor is a history seen in a log without names and with the least images', async () => {
    await make(PLAIN);
    await client.query('SET GLOBAL binlog_row_metadata = NO_LOG, binlog_row_image = MINIMAL');
    await using own = await mysqlClient(server.url);
    await using source = await sourceOn(server, [goods, endTable]);
    const from = await source.start();
    await own.query(`INSERT INTO goods VALUES (1, 'a'); UPDATE goods SET name = 'c';
      DELETE FROM goods; DELETE HISTORY FROM goods`);
    const lines = changesOf(await readToEnd(source, client, from)).map(lineOf);
    await client.query('SET GLOBAL binlog_row_metadata = FULL, binlog_row_image = FULL');
    expect(lines).toEqual(['insert goods 1|a', 'update goods 1|c', 'delete goods  < 1|undefined']);
  });

  test('a history by transaction numbers is logged as statements, which halts', async () => {
    await make(`${PLAIN}, ${periodOf('BIGINT UNSIGNED')}`);
    const work = read(goods, `INSERT INTO goods (id, name) VALUES (1, 'a')`);
    await expect(work).rejects.toMatchObject({ code: 'source.unsupported' });
  });

  test('a table that gets a history while it is read goes on', async () => {
    await client.query(`CREATE TABLE goods (${PLAIN})`);
    const lines = await read(
      goods,
      `INSERT INTO goods VALUES (1, 'a'); ALTER TABLE goods ADD SYSTEM VERSIONING;
      UPDATE goods SET name = 'b'; DELETE FROM goods; INSERT INTO goods VALUES (2, 'c')`,
    );
    expect(lines).toEqual([
      'insert goods 1|a',
      'update goods 1|b',
      'delete goods  < 1|undefined',
      'insert goods 2|c',
    ]);
  });

  test('transactions of several domains have each its place in the position', async () => {
    await client.query('CREATE TABLE goods (id INT PRIMARY KEY, name VARCHAR(20))');
    await using source = await sourceOn(server, [goods, endTable]);
    const from = await source.start();
    const other = randomInt(1, 2 ** 31);
    const insert = (id: number) => `INSERT INTO goods VALUES (${id}, 'x');`;
    await client.query(`SET gtid_domain_id = 7; ${insert(1)} SET gtid_domain_id = 9; ${insert(2)}
      SET server_id = ${other}; ${insert(3)} SET gtid_domain_id = 0; ${insert(4)}`);
    const batches = await readToEnd(source, client, from);
    expect(whole(batches).map(({ id }) => id.replace(/-\d+$/, '').split('-'))).toEqual([
      ['7', expect.not.stringMatching(`^${other}$`)],
      ['9', expect.not.stringMatching(`^${other}$`)],
      ['9', `${other}`],
      ['0', `${other}`],
    ]);
    const to = await source.start();
    expect(to).toMatch(new RegExp(`^mariadb:0-${other}-\\d+,7-\\d+-1,9-${other}-2$`));
    await client.query(`SET gtid_domain_id = 7; ${insert(5)} SET gtid_domain_id = 0; ${insert(6)}`);
    const lines = changesOf(await readToEnd(source, client, to)).map(lineOf);
    expect(lines).toEqual(['insert goods 5|x', 'insert goods 6|x']);
  });
});
