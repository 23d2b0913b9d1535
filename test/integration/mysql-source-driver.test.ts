/** What the source takes from mysql2 beyond its documented interface, and its decoder's oracle. */
import { createRequire } from 'node:module';
import ZongJi from '@vlasky/zongji';
import mysql from 'mysql2';
import { expect, test } from 'vitest';
import { dumpFile, type RawConnection, startDump } from '../../connectors/mysql/binlog/dump.ts';
import { mysqlClient, needsControl, startMariadb } from '../support/index.ts';
import {
  changesOf,
  endTable,
  makeEnd,
  optionsOf,
  readToEnd,
  sourceOn,
  table,
} from './mysql-source-log.ts';

test('mysql2 is the version whose internals were read', () => {
  const { version } = createRequire(import.meta.url)('mysql2/package.json') as { version: string };
  expect(version).toBe('3.24.6');
});

test('a command gets every packet in order, pauses, and lets go of none', async (context) => {
  await using server = await startMariadb({ settings: { 'binlog-checksum': 'NONE' } });
  needsControl(context, server);
  await using client = await mysqlClient(server.url);
  await client.query('CREATE TABLE packets (id INT PRIMARY KEY, body LONGTEXT)');
  for (let id = 0; id < 200; id += 20) {
    const rows = Array.from({ length: 20 }, (_, i) => `(${id + i}, REPEAT('${i % 10}', 5000))`);
    await client.query(`INSERT INTO packets VALUES ${rows.join(', ')}`);
  }
  // Larger than a packet can be: it comes in two.
  await client.query('SET GLOBAL max_allowed_packet = 64 * 1024 * 1024');
  await using large = await mysqlClient(server.url);
  await large.query("INSERT INTO packets VALUES (999, REPEAT('x', 17000000))");

  const connection = mysql.createConnection(optionsOf(server));
  await connection.promise().query('SET @mariadb_slave_capability = 4');
  const raw = connection as unknown as RawConnection;
  const kept: { event: Buffer; copy: string }[] = [];
  let held = false;
  let whileHeld = 0;
  await new Promise<void>((resolve, reject) => {
    startDump(raw, dumpFile(4711, 'binlog.000001', 4), {
      event: (buf, start, end) => {
        if (held) whileHeld++;
        const event = buf.subarray(start, end);
        expect(event.readUInt32LE(9)).toBe(event.length);
        kept.push({ event, copy: event.toString('latin1') });
        if (kept.length % 50 === 0) {
          held = true;
          raw.pause();
          setTimeout(() => {
            held = false;
            raw.resume();
          }, 5);
        }
        if (event.length > 17_000_000) resolve();
      },
      refused: (_, message) => reject(new Error(message)),
      ended: () => reject(new Error('ended')),
      failed: reject,
    });
  });
  raw.stream.destroy();
  expect(whileHeld).toBe(0);
  // Slices that are kept stay what they were.
  for (const { event, copy } of kept) expect(event.toString('latin1') === copy).toBe(true);
});

test('a refused dump and a broken connection are told apart', async (context) => {
  await using server = await startMariadb({ settings: { 'binlog-checksum': 'NONE' } });
  needsControl(context, server);
  const outcome = (request: Buffer, kill: boolean) =>
    new Promise<string>((resolve) => {
      const connection = mysql.createConnection(optionsOf(server));
      connection.on('error', () => {});
      const raw = connection as unknown as RawConnection;
      startDump(raw, request, {
        event: () => {
          if (kill) raw.stream.destroy();
        },
        refused: (errno) => resolve(`refused ${errno}`),
        ended: () => resolve('ended'),
        failed: (error) => resolve(error.message),
      });
    });
  expect(await outcome(dumpFile(1, 'no-such-file', 4), false)).toBe('refused 1236');
  expect(await outcome(dumpFile(1, 'binlog.000001', 4), true)).toMatch(/connection/i);
});

test('zongji decodes the same rows', async () => {
  await using server = await startMariadb();
  await using client = await mysqlClient(server.url);
  await makeEnd(client);
  await client.query(`CREATE TABLE oracle (id BIGINT UNSIGNED PRIMARY KEY, n INT,
    u SMALLINT UNSIGNED, d DECIMAL(20,6), f DOUBLE, s VARCHAR(50), t MEDIUMTEXT,
    l VARCHAR(20) CHARACTER SET latin1, day DATE, at DATETIME(6), e ENUM('x','y'),
    b VARBINARY(20)) CHARACTER SET utf8mb4`);
  const columns = ['id', 'n', 'u', 'd', 'f', 's', 't', 'l', 'day', 'at', 'e', 'b'];
  const oracle = table('oracle', ['id'], columns);
  await using source = await sourceOn(server, [oracle, endTable]);
  const from = await source.start();
  await client.query(`INSERT INTO oracle
    WITH RECURSIVE numbers AS (SELECT 0 AS seq UNION ALL SELECT seq + 1 FROM numbers
      WHERE seq < 299)
    SELECT CAST(seq AS DECIMAL(20)) * 61489146912000001, CAST(seq AS SIGNED) - 150, seq * 219,
      seq / 7 - 20, seq / 3e7, CONCAT('é', seq, '😀'), REPEAT(CONCAT('t', seq), seq),
      CONCAT('€', seq), '2026-01-01' + INTERVAL seq DAY,
      '2026-01-01 00:00:00.000001' + INTERVAL seq * 997 SECOND, IF(seq % 2, 'x', NULL),
      UNHEX(HEX(seq)) FROM numbers`);
  await client.query('UPDATE oracle SET s = CONCAT(s, n), at = NULL WHERE n % 3 = 0');
  await client.query('DELETE FROM oracle WHERE n % 5 = 0');
  const ours = changesOf(await readToEnd(source, client, from)).map(({ row, op, old }) =>
    op === 'delete' ? old : row,
  );

  const theirs: unknown[][] = [];
  const settings = { dateStrings: true, supportBigNumbers: true, bigNumberStrings: true };
  const zongji = new ZongJi({ ...optionsOf(server), ...settings });
  const spelled = (row: Record<string, unknown>): unknown[] =>
    columns.map((name) => {
      const value = row[name];
      if (value === null || value === undefined) return null;
      if (Buffer.isBuffer(value)) return value.toString('hex');
      if (name === 'at')
        return String(value)
          .replace(' ', 'T')
          .replace(/\.?0+$/, '');
      return String(value);
    });
  await new Promise<void>((resolve, reject) => {
    zongji.on('error', reject);
    zongji.on('binlog', (event) => {
      for (const row of 'rows' in event ? (event.rows as object[]) : []) {
        const image = 'after' in row ? row.after : row;
        theirs.push(spelled(image as Record<string, unknown>));
      }
      if (theirs.length === ours.length) resolve();
    });
    zongji.start({
      gtidSet: from.replace(/^(mariadb|mysql):/, ''),
      serverId: 4712,
      includeEvents: ['tablemap', 'writerows', 'updaterows', 'deleterows'],
      includeSchema: { app: ['oracle'] },
    });
  });
  zongji.stop();
  expect(ours).toEqual(theirs);
});
