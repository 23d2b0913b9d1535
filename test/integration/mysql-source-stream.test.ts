import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openApplier } from '../../connectors/mysql/applier.ts';
import type { SourceBatch } from '../../src/model/change.ts';
import type { Position } from '../../src/model/position.ts';
import {
  erpProduct,
  mysqlClient,
  needsControl,
  startMariadb,
  type TestServer,
} from '../support/index.ts';
import {
  type Client,
  changesOf,
  endTable,
  lineOf,
  makeEnd,
  optionsOf,
  readToEnd,
  sourceOn,
  table,
  whole,
} from './mysql-source-log.ts';

const mariadb = (await erpProduct()) === 'MariaDB';

let server: TestServer;
let client: Client;

beforeAll(async () => {
  server = await startMariadb({ settings: { 'binlog-row-event-max-size': '8192' } });
  client = await mysqlClient(server.url);
  await makeEnd(client);
  await client.query(`CREATE DATABASE IF NOT EXISTS carrick;
    CREATE TABLE IF NOT EXISTS carrick.carrick_mark (
      instance VARCHAR(40), lane VARCHAR(20), batch BIGINT, PRIMARY KEY (instance, lane))`);
});
afterAll(async () => {
  await client.end();
  await server[Symbol.asyncDispose]();
});

const mark = (lane: string, batch: number): string =>
  `INSERT INTO carrick.carrick_mark VALUES ('main', '${lane}', ${batch})
   ON DUPLICATE KEY UPDATE batch = ${batch}`;

/** As many rows as asked, in one statement. */
const manyRows = (from: number, count: number): string =>
  Array.from({ length: count }, (_, i) => `(${from + i}, 'row ${from + i}')`).join(', ');

/** Changes and marks as they come, until the change `last` has come. */
async function linesUpTo(batches: AsyncIterator<SourceBatch>, last: string): Promise<string[]> {
  const lines: string[] = [];
  while (!lines.includes(last)) {
    const { value } = await batches.next();
    for (const { mark: set, changes } of (value as SourceBatch).transactions) {
      if (set !== null) lines.push(`${set.instance} ${set.lane} ${set.batch}`);
      lines.push(...changes.map(lineOf));
    }
  }
  return lines;
}

test('two sources of one daemon read at the same time, and tell their marks apart', async () => {
  await client.query(`CREATE TABLE settled (id INT PRIMARY KEY);
    CREATE TABLE fed (id INT PRIMARY KEY)`);
  const [settled, fed] = [table('settled', ['id'], ['id']), table('fed', ['id'], ['id'])];
  await using one = await sourceOn(server, [settled, endTable]);
  await using other = await sourceOn(server, [fed, endTable]);
  const from = await one.start();
  const [first, second] = [one, other].map((source) => source.tail(from)[Symbol.asyncIterator]());
  const options = optionsOf(server);
  await using applier = openApplier(options, 'main');
  await using feeding = openApplier(options, 'main_crm');
  // More than once: a server that takes both for one replica ends the older connection.
  for (let n = 1; n <= 3; n++) {
    await client.query(`INSERT INTO settled VALUES (${n}); INSERT INTO fed VALUES (${n})`);
    await applier.fence(n);
    await feeding.fence(10 * n);
    await client.query(`INSERT INTO end_of_test VALUES (${1000 + n})`);
    const last = `insert end_of_test ${1000 + n}`;
    const marks = [`main watermark ${n}`, `main_crm watermark ${10 * n}`];
    expect(await linesUpTo(first!, last)).toEqual([`insert settled ${n}`, ...marks, last]);
    expect(await linesUpTo(second!, last)).toEqual([`insert fed ${n}`, ...marks, last]);
  }
  await first!.return!();
  await second!.return!();
});

describe('transactions', () => {
  const orders = table('orders', ['id'], ['id', 'note']);

  beforeAll(() => client.query('CREATE TABLE orders (id INT PRIMARY KEY, note VARCHAR(40))'));

  test('come whole, in commit order, with their marks, and without what is not ours', async () => {
    await client.query('CREATE TABLE elsewhere (id INT PRIMARY KEY)');
    await using source = await sourceOn(server, [orders, endTable]);
    const from = await source.start();
    const before = Date.now() * 1000;
    await client.query(`INSERT INTO orders VALUES (1, 'a'), (2, 'b');
      INSERT INTO elsewhere VALUES (1), (2);
      BEGIN; ${mark('deliver', 7)}; UPDATE orders SET note = 'c' WHERE id = 1; COMMIT;
      BEGIN; ${mark('deliver', 8)}; UPDATE orders SET note = 'c' WHERE id = 1; COMMIT;
      BEGIN; UPDATE orders SET note = 'd' WHERE id = 2; ${mark('deliver', 9)}; COMMIT;
      ${mark('watermark', 1)};
      BEGIN; INSERT INTO orders VALUES (3, 'gone'); ROLLBACK;
      BEGIN; SAVEPOINT s; DELETE FROM orders WHERE id = 2; ROLLBACK TO s;
        DELETE FROM orders WHERE id = 1; COMMIT`);
    const read = whole(await readToEnd(source, client, from));
    expect(
      read.map((transaction) => [transaction.mark?.batch, ...transaction.changes.map(lineOf)]),
    ).toEqual([
      [undefined, 'insert orders 1|a', 'insert orders 2|b'],
      [7, 'update orders 1|c'],
      [8],
      [undefined, 'update orders 2|d'],
      [1],
      [undefined, 'delete orders  < 1|c'],
    ]);
    expect(read[4]?.mark).toEqual({ instance: 'main', lane: 'watermark', batch: 1 });
    expect(read.every(({ complete }) => complete)).toBe(true);
    expect(new Set(read.map(({ id }) => id)).size).toBe(read.length);
    for (const { committedAt } of read) expect(committedAt).toBeGreaterThan(before - 2_000_000);
  });

  test('continue from every position, also inside a transaction', async () => {
    await using source = await sourceOn(server, [orders, endTable]);
    const from = await source.start();
    // Rows of another table count too: they stand between ours in one transaction.
    await client.query(`CREATE TABLE between_us (id INT PRIMARY KEY, note VARCHAR(40));
      INSERT INTO orders VALUES (10, 'before');
      BEGIN; ${mark('deliver', 20)};
      INSERT INTO orders VALUES ${manyRows(100_000, 3000)};
      INSERT INTO between_us VALUES ${manyRows(0, 3000)};
      UPDATE orders SET note = 'changed' WHERE id >= 100000;
      DELETE FROM orders WHERE id >= 101500;
      COMMIT;
      INSERT INTO orders VALUES (11, 'after')`);
    const all = await readToEnd(source, client, from);
    expect(all.length).toBeGreaterThan(4);
    const inside = all.filter(({ position }) => position.includes('+'));
    expect(inside.length).toBeGreaterThan(2);
    for (const { transactions } of all) {
      const rows = transactions.flatMap(({ changes }) => changes).length;
      expect(rows).toBeLessThanOrEqual(4000);
    }
    const describeAll = (batches: readonly SourceBatch[]) =>
      batches.flatMap(({ transactions }) =>
        transactions.flatMap(({ id, mark: made, changes }) =>
          changes.map((change) => `${id} ${made?.batch} ${lineOf(change)}`),
        ),
      );
    for (const [i, { position }] of all.slice(0, -1).entries()) {
      const rest = await readToEnd(source, client, position);
      expect(describeAll(rest)).toEqual(describeAll(all.slice(i + 1)));
      expect(whole(rest).at(-1)?.complete).toBe(true);
    }
  });

  test('of 200,000 rows reach a slow consumer in a bounded heap', async () => {
    await client.query('CREATE TABLE wide (id INT PRIMARY KEY, note VARCHAR(400))');
    const wide = table('wide', ['id'], ['id', 'note']);
    await using source = await sourceOn(server, [wide, endTable]);
    const from = await source.start();
    await client.query('BEGIN');
    for (let at = 0; at < 200_000; at += 5000) {
      const rows = Array.from({ length: 5000 }, (_, i) => `(${at + i}, REPEAT('x', 300))`);
      await client.query(`INSERT INTO wide VALUES ${rows.join(', ')}`);
    }
    await client.query('COMMIT; INSERT INTO end_of_test VALUES ()');
    const start = liveBytes();
    let most = 0;
    let rows = 0;
    for await (const { transactions } of source.tail(from)) {
      const changes = transactions.flatMap((transaction) => transaction.changes);
      rows += changes.length;
      if (rows % 20_000 < 2000) {
        await new Promise((resolve) => setTimeout(resolve, 50));
        most = Math.max(most, liveBytes() - start);
      }
      if (changes.some((change) => change.table.name === endTable.name)) break;
    }
    expect(rows).toBe(200_001);
    // The log holds 62 MB; three batches and what the socket gave may be in memory.
    expect(most).toBeLessThan(16 * 1024 * 1024);
  });

  test('are read over rotations, without a thread left behind', async () => {
    await using source = await sourceOn(server, [orders, endTable]);
    const from = await source.start();
    for (let id = 50; id < 55; id++) {
      await client.query(`INSERT INTO orders VALUES (${id}, 'x'); FLUSH BINARY LOGS`);
    }
    const ids = changesOf(await readToEnd(source, client, from)).map(({ row }) => row[0]);
    expect(ids).toEqual(['50', '51', '52', '53', '54']);
    expect(await dumpThreads()).toEqual([]);
  });
});

const database = (): string => new URL(server.url).pathname.slice(1);

/** Memory that is in use, without what waits to be collected. */
function liveBytes(): number {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

async function dumpThreads(): Promise<string[]> {
  const [rows] = await client.query(
    "SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'",
  );
  return (rows as { id: string }[]).map(({ id }) => String(id));
}

test('an idle source hands over its position, and says when it heard from the server', async () => {
  const idle = table('idle', ['id'], ['id']);
  await client.query('CREATE TABLE idle (id INT PRIMARY KEY)');
  await using source = await sourceOn(server, [idle]);
  const from = await source.start();
  await client.query('INSERT INTO end_of_test VALUES ()');
  expect(source.status().lastByteAt).toBeNull();
  for await (const batch of source.tail(from)) {
    expect(batch.transactions).toEqual([]);
    expect(source.status().lastByteAt).toBeGreaterThan(Date.now() * 1000 - 60_000_000);
    // MySQL says that it lives before it comes to what was asked for.
    if (batch.position !== from) {
      expect(batch.position).toBe(await source.start());
      break;
    }
  }
});

test('a killed dump thread is an unreachable source, and the position goes on', async () => {
  const kept = table('kept', ['id'], ['id']);
  await client.query('CREATE TABLE kept (id INT PRIMARY KEY)');
  await using source = await sourceOn(server, [kept, endTable]);
  let position: Position = await source.start();
  await client.query('INSERT INTO kept VALUES (1)');
  const reading = (async () => {
    for await (const batch of source.tail(position)) {
      position = batch.position;
      if (batch.transactions.length === 0) continue;
      const [thread] = await dumpThreads();
      await client.query(`KILL ${thread}`);
    }
  })();
  await expect(reading).rejects.toMatchObject({
    code: 'source.unreachable',
    disposition: 'retry',
  });
  await client.query('INSERT INTO kept VALUES (2)');
  expect(changesOf(await readToEnd(source, client, position)).map(lineOf)).toEqual([
    'insert kept 2',
  ]);
});

test('a purged position, and that of another server, are lost', async (context) => {
  await using own = await startMariadb();
  needsControl(context, own);
  await using there = await mysqlClient(own.url);
  await makeEnd(there);
  const lost = table('end_of_test', ['id'], ['id']);
  await using source = await sourceOn(own, [lost]);
  const purged = await source.start();
  const first = async (position: Position) => {
    for await (const batch of source.tail(position)) return batch;
    return undefined;
  };
  const elsewhere = await sourceOn(server, [lost]).then((other) => other.start());
  await expect(first(elsewhere)).rejects.toMatchObject({ code: 'source.lost' });
  await there.query('INSERT INTO end_of_test VALUES (); FLUSH BINARY LOGS');
  // The server keeps a file until its storage engines have no more need of it.
  for (let files = 2; files > 1; ) {
    await there.query('INSERT INTO end_of_test VALUES (); FLUSH BINARY LOGS');
    const [logs] = await there.query('SHOW BINARY LOGS');
    const names = (logs as { Log_name: string }[]).map(({ Log_name }) => Log_name);
    await there.query(`PURGE BINARY LOGS TO '${names.at(-1)}'`);
    files = ((await there.query('SHOW BINARY LOGS'))[0] as unknown[]).length;
  }
  await expect(first(purged)).rejects.toMatchObject({
    code: 'source.lost',
    disposition: 'halt',
    fix: expect.stringContaining('carrick rejoin'),
  });
  await there.query(mariadb ? 'RESET MASTER' : 'RESET BINARY LOGS AND GTIDS');
  await expect(first(purged)).rejects.toMatchObject({ code: 'source.lost' });
  await expect(first('postgres:0/1' as Position)).rejects.toMatchObject({ code: 'source.lost' });
});

describe('definitions', () => {
  const goods = table('goods', ['id'], ['id', 'name', 'price']);
  const read = async (statements: string) => {
    await client.query(`DROP TABLE IF EXISTS goods, _goods_old, _goods_new;
      CREATE TABLE goods (id INT PRIMARY KEY, name VARCHAR(40), price DECIMAL(8,2))`);
    await using source = await sourceOn(server, [goods, endTable]);
    const from = await source.start();
    await client.query(statements);
    return changesOf(await readToEnd(source, client, from)).map(lineOf);
  };
  const gone = 'drift goods  (column price is gone)';
  const fits = 'drift goods  ()';

  test('a column that comes or moves disturbs nothing', async () => {
    const lines = await read(`INSERT INTO goods VALUES (1, 'a', 1.5);
      ALTER TABLE goods ADD COLUMN extra BLOB FIRST, MODIFY price DECIMAL(12,4) AFTER id;
      INSERT INTO goods (id, name, price, extra) VALUES (2, 'b', 2.5, 'x')`);
    expect(lines).toEqual(['insert goods 1|a|1.50', 'insert goods 2|b|2.5000']);
  });

  test('a used column that goes, or changes its kind, is drift until it is back', async () => {
    const lines = await read(`ALTER TABLE goods DROP COLUMN price;
      INSERT INTO goods VALUES (1, 'a'); INSERT INTO goods VALUES (2, 'b');
      ALTER TABLE goods ADD COLUMN price VARCHAR(10);
      INSERT INTO goods VALUES (3, 'c', 'x');
      ALTER TABLE goods DROP COLUMN price; ALTER TABLE goods ADD COLUMN price DECIMAL(8,2);
      INSERT INTO goods VALUES (4, 'd', 4)`);
    expect(lines).toEqual([
      gone,
      'drift goods  (column price was of kind decimal and is of kind string)',
      fits,
      'insert goods 4|d|4.00',
    ]);
  });

  test('a shadow table that takes the name is read on', async () => {
    const lines = await read(`CREATE TABLE _goods_new LIKE goods;
      ALTER TABLE _goods_new ADD COLUMN extra INT FIRST;
      INSERT INTO _goods_new VALUES (9, 1, 'copied', 1);
      RENAME TABLE goods TO _goods_old, \`_goods_new\` TO goods;
      INSERT INTO goods VALUES (9, 2, 'b', 2); INSERT INTO _goods_old VALUES (3, 'c', 3)`);
    expect(lines).toEqual(['insert goods 2|b|2.00']);
  });

  test('TRUNCATE empties, however it is written', async () => {
    const lines = await read(`INSERT INTO goods VALUES (1, 'a', 1); TRUNCATE goods;
      /* note */ TRUNCATE TABLE \`${database()}\`.\`goods\`; ${
        mariadb
          ? 'CREATE OR REPLACE TABLE goods (id INT PRIMARY KEY, name TEXT, price DECIMAL(8,2))'
          : 'ALTER TABLE goods COMMENT = "TRUNCATE goods"; TRUNCATE goods'
      };
      INSERT INTO goods VALUES (2, 'b', 2)`);
    expect(lines).toEqual([
      'insert goods 1|a|1.00',
      'truncate goods ',
      'truncate goods ',
      'truncate goods ',
      'insert goods 2|b|2.00',
    ]);
  });

  test('DROP and RENAME are drift, and the table made again fits again', async () => {
    const lines = await read(`DROP TABLE goods;
      CREATE TABLE goods (id INT PRIMARY KEY, name VARCHAR(40), price DECIMAL(8,2));
      INSERT INTO goods VALUES (1, 'a', 1);
      ALTER TABLE goods RENAME TO _goods_old`);
    expect(lines).toEqual([
      'drift goods  (the table was dropped)',
      fits,
      'insert goods 1|a|1.00',
      'drift goods  (the table was renamed)',
    ]);
  });

  test('a change that is logged as its statement halts the source', async () => {
    await expect(
      read(`SET SESSION binlog_format = 'STATEMENT'; INSERT INTO goods VALUES (1, 'a', 1);
        SET SESSION binlog_format = 'ROW'`),
    ).rejects.toMatchObject({ code: 'source.unsupported', disposition: 'halt' });
  });

  test('two-phase XA on a mapped table halts the source, one phase does not', async () => {
    const lines = await read(`XA START 'one'; INSERT INTO goods VALUES (1, 'a', 1);
      XA END 'one'; XA COMMIT 'one' ONE PHASE`);
    expect(lines).toEqual(['insert goods 1|a|1.00']);
    await expect(
      read(`XA START 'two'; INSERT INTO goods VALUES (2, 'b', 2); XA END 'two';
        XA PREPARE 'two'; XA COMMIT 'two'`),
    ).rejects.toMatchObject({ code: 'source.unsupported' });
  });
});
