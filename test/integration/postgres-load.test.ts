/** Big, slow and idle, and what readers of the log that are to be had get wrong. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SourceBatch, TableSpec } from '../../src/model/change.ts';
import type { Position } from '../../src/model/position.ts';
import { startPostgres, type TestServer } from '../support/index.ts';
import {
  changesOf,
  collect,
  follow,
  type Installation,
  install,
  scalar,
  until,
} from './postgres-fixture.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startPostgres({ settings: { wal_sender_timeout: '6s' } });
});
afterAll(() => server[Symbol.asyncDispose]());

const spec = (name: string): TableSpec => ({ name, key: ['id'], columns: ['id', 'name'] });
const ddl = (name: string): string => `create table ${name} (id int primary key, name text)`;

const confirmed = (it: Installation): Promise<string> =>
  scalar(it.db, 'select confirmed_flush_lsn from pg_replication_slots where slot_name = $1', [
    it.name,
  ]);

/** The server has heard from us `times` more often. */
async function replies(it: Installation, times: number): Promise<void> {
  const sql = `select reply_time from pg_stat_replication r join pg_replication_slots s
    on s.active_pid = r.pid where s.slot_name = '${it.name}'`;
  for (let i = 0; i < times; i++) {
    const last = await scalar(it.db, sql);
    await until(async () => (await scalar(it.db, sql)) !== last);
  }
}

describe('confirming', () => {
  test('the next of two adjacent commits survives a restart at the first', async () => {
    await using it = await install(server, ddl('adjacent'), [spec('adjacent')]);
    let position = await it.source().start();
    for (let round = 0; round < 5; round++) {
      const source = it.source({ changes: 1 });
      const insert = (id: number) => `begin; insert into adjacent values (${id}, 'x'); commit;`;
      await it.db.query(insert(2 * round) + insert(2 * round + 1));
      const first = await collect(source, position, (changes) => changes.length === 1);
      position = first.at(-1)!.position;
      const reader = follow(source, position);
      await reader.next();
      source.settle(position);
      await until(async () => position.startsWith(`${await confirmed(it)}@`));
      await reader.return();
      const rest = await collect(it.source(), position, (changes) => changes.length === 1);
      expect(changesOf(rest).map(({ row }) => row[0])).toEqual([String(2 * round + 1)]);
      position = rest.at(-1)!.position;
    }
  });

  test('what was received is never confirmed, only what was settled', async () => {
    await using it = await install(server, ddl('unsettled'), [spec('unsettled')]);
    const source = it.source();
    const start = await source.start();
    await it.db.query(`insert into unsettled values (1, 'x')`);
    for await (const batch of follow(source, start)) {
      if (batch.transactions.length === 0) continue;
      await replies(it, 2);
      expect(start.startsWith(`${await confirmed(it)}@`)).toBe(true);
      break;
    }
  });

  test('an idle source beats and its slot follows the log', async () => {
    const both = `${ddl('idle')}; create table unrelated (id int)`;
    await using it = await install(server, both, [spec('idle')]);
    const source = it.source();
    const start = await source.start();
    await it.db.query('insert into unrelated select generate_series(1, 1000)');
    const written = await scalar(it.db, 'select pg_current_wal_lsn()');
    const passed = async () =>
      (await scalar(it.db, `select $1::pg_lsn >= $2::pg_lsn`, [await confirmed(it), written])) ===
      't';
    const batches: SourceBatch[] = [];
    for await (const batch of follow(source, start)) {
      batches.push(batch);
      source.settle(batch.position);
      if (await passed()) break;
      await sleep(150);
      if (await passed()) break;
    }
    expect(changesOf(batches)).toEqual([]);
    const { lastByteAt, lagBytes, retainedBytes } = source.status();
    const day = 86_400_000_000;
    expect(Math.abs(lastByteAt! - Date.now() * 1000)).toBeLessThan(day);
    expect(lagBytes).toBeGreaterThanOrEqual(0);
    expect(retainedBytes).toBeGreaterThan(0);
  });

  test('the server can shut down while a settled reader is attached', async (context) => {
    context.skip(server.replacedBy !== undefined, 'stops the server');
    await using own = await startPostgres();
    const it = await install(own, ddl('stopping'), [spec('stopping')]);
    const source = it.source();
    const start = await source.start();
    const reading = (async () => {
      for await (const batch of follow(source, start)) {
        source.settle(batch.position);
        if (batch.transactions.length > 0) void own.stop('clean');
      }
    })();
    await it.db.query(`insert into stopping values (1, 'x')`);
    await expect(reading).rejects.toMatchObject({ disposition: 'retry' });
    await own.stop('clean');
  });
});

describe('a transaction of 200,000 rows', () => {
  test('a stalled reader stops the socket, every row is intact', async () => {
    await using it = await install(server, ddl('huge'), [spec('huge')]);
    const source = it.source();
    const start = await source.start();
    const rows = 200_000;
    await it.db.query(
      `insert into huge select i, i || repeat('ä', 500) from generate_series(1, ${rows}) i`,
    );
    const tail = 'ä'.repeat(500);
    const before = process.memoryUsage();
    let read = 0;
    let parts = 0;
    const positions = new Set<Position>();
    for await (const batch of follow(source, start)) {
      for (const { op, row } of changesOf([batch])) {
        read++;
        if (op !== 'insert' || row[0] !== String(read) || row[1] !== row[0] + tail) {
          throw new Error(`row ${read} is not what was written`);
        }
      }
      if (batch.transactions.length === 0) continue;
      expect(positions.has(batch.position)).toBe(false);
      positions.add(batch.position);
      parts++;
      if (parts === 2) {
        // Longer than wal_sender_timeout: the stalled reader must still be heard of.
        await sleep(8000);
        const now = process.memoryUsage();
        const grown = now.heapUsed + now.external - before.heapUsed - before.external;
        // All of it would be 200 MB of text alone.
        expect(grown).toBeLessThan(64 << 20);
      }
      if (batch.transactions.at(-1)?.complete) break;
    }
    expect(read).toBe(rows);
    expect(parts).toBeGreaterThan(100);
  }, 120_000);
});
