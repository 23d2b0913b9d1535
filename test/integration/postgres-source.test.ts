import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Change, SourceBatch, TableSpec, Transaction } from '../../src/model/change.ts';
import type { Position } from '../../src/model/position.ts';
import { startPostgres, type TestServer } from '../support/index.ts';
import { changesOf, collect, follow, install, scalar, until } from './postgres-fixture.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server[Symbol.asyncDispose]());

function table(name: string, columns = ['id', 'name']): { spec: TableSpec; ddl: string } {
  return {
    spec: { name, key: ['id'], columns },
    ddl: `create table ${name} (id int primary key, name text)`,
  };
}

/** Parts put together again, so that streams cut in different places can be compared. */
function whole(batches: readonly SourceBatch[]): Transaction[] {
  const transactions: Transaction[] = [];
  for (const part of batches.flatMap((batch) => batch.transactions)) {
    const last = transactions.at(-1);
    if (last === undefined || last.complete) transactions.push(part);
    else {
      expect(part.id).toBe(last.id);
      const changes = [...last.changes, ...part.changes];
      transactions[transactions.length - 1] = { ...part, changes };
    }
  }
  return transactions;
}

const brief = ({ op, row, old }: Change): unknown[] => [op, row, old];

const MARK_SQL = `insert into carrick.carrick_mark values ('other', 'deliver', $1)
  on conflict (instance, lane) do update set batch = excluded.batch`;

describe('resuming', () => {
  test('continues exactly after any position, inside of transactions too', async () => {
    const { spec, ddl } = table('resumed');
    const too = table('resumed_too');
    const tables = `${ddl}; ${too.ddl}; create table unmapped (id int)`;
    await using it = await install(server, tables, [spec, too.spec]);
    await it.db.query(`alter publication ${it.name} add table unmapped`);
    const source = it.source({ changes: 3 });
    const start = await source.start();
    for (let round = 0; round < 3; round++) {
      const id = round * 100;
      await it.db.query(`insert into resumed values (${id}, 'single')`);
      await it.db.query('begin');
      await it.db.query(MARK_SQL, [round + 1]);
      await it.db.query(
        `insert into resumed select ${id} + i, 'many' from generate_series(1, 7) i`,
      );
      await it.db.query('insert into unmapped select generate_series(1, 5)');
      await it.db.query(`update resumed set name = 'x' where id > ${id + 4}`);
      await it.db.query(`delete from resumed where id = ${id + 1}`);
      await it.db.query('truncate resumed, resumed_too');
      await it.db.query('commit');
      await it.db.query('insert into unmapped values (0)');
    }
    // Nothing is settled, so the slot stays where every position can be resumed from.
    const all: SourceBatch[] = [];
    for await (const batch of follow(source, start)) {
      all.push(batch);
      if (changesOf(all).length === 42 && whole(all).at(-1)?.complete) break;
    }
    const reference = whole(all);
    expect(reference.map(({ mark }) => mark?.batch ?? null)).toEqual([null, 1, null, 2, null, 3]);
    expect(all.filter(({ position }) => position.includes('#')).length).toBeGreaterThan(5);

    for (const [index, { position }] of all.entries()) {
      if (index === all.length - 1) continue;
      const rest = all.slice(index + 1);
      const wanted = changesOf(rest).length;
      const again: SourceBatch[] = [];
      for await (const batch of follow(source, position)) {
        again.push(batch);
        if (changesOf(again).length === wanted && (whole(again).at(-1)?.complete ?? false)) break;
      }
      // Whole but for what lies before the position: the ids, the marks, and every change.
      expect(whole(again)).toEqual(whole(rest));
    }
  });

  test('settling inside of a transaction confirms only what is before it', async () => {
    const { spec, ddl } = table('settled');
    await using it = await install(server, ddl, [spec]);
    const source = it.source({ changes: 2 });
    const start = await source.start();
    await it.db.query(`insert into settled select i, 'x' from generate_series(1, 5) i`);
    for await (const batch of follow(source, start)) {
      if (batch.transactions.length === 0) continue;
      expect(batch.position).toContain('#2@');
      source.settle(batch.position);
      await sleep(300);
      break;
    }
    const confirmed = await scalar(
      it.db,
      'select confirmed_flush_lsn from pg_replication_slots where slot_name = $1',
      [it.name],
    );
    expect(start.startsWith(`${confirmed}@`)).toBe(true);
  });
});

describe('what rows look like', () => {
  test('a moved key, unchanged TOAST, and both under full replica identity', async () => {
    const spec = { name: 'shapes', key: ['id'], columns: ['big', 'id', 'n'] };
    const ddl = `create table shapes (id int primary key, n int, unused text, big text);
      alter table shapes alter big set storage external`;
    await using it = await install(server, ddl, [spec]);
    const source = it.source();
    const start = await source.start();
    const big = 'y'.repeat(10_000);
    await it.db.query(`insert into shapes values (1, 1, 'u', repeat('y', 10000))`);
    await it.db.query('update shapes set n = 2');
    await it.db.query('update shapes set id = 3');
    await it.db.query('delete from shapes');
    await it.db.query('alter table shapes replica identity full');
    await it.db.query(`insert into shapes values (4, null, 'u', repeat('y', 10000))`);
    await it.db.query('update shapes set n = 5');
    await it.db.query('delete from shapes');
    const batches = await collect(source, start, (changes) => changes.length === 7);
    expect(changesOf(batches).map(brief)).toEqual([
      ['insert', [big, '1', '1'], null],
      ['update', [undefined, '1', '2'], null],
      ['update', [undefined, '3', '2'], [undefined, '1', undefined]],
      ['delete', [], [undefined, '3', undefined]],
      ['insert', [big, '4', null], null],
      ['update', [big, '4', '5'], [big, '4', null]],
      ['delete', [], [big, '4', '5']],
    ]);
  });

  test('quoted names, partitions as their table, truncates, foreign tables left out', async () => {
    const specs = [
      { name: 'Odd.Name.x', key: ['Id'], columns: ['Id'] },
      { name: 'parted', key: ['id'], columns: ['id'] },
    ];
    const ddl = `create schema "Odd"; create table "Odd"."Name.x" ("Id" int primary key);
      create table parted (id int primary key) partition by range (id);
      create table parted_1 partition of parted for values from (0) to (10);
      create table parted_2 partition of parted for values from (10) to (20);
      create table foreign_to_us (id int primary key)`;
    await using it = await install(server, ddl, specs);
    const source = it.source();
    const start = await source.start();
    await it.db.query(`insert into "Odd"."Name.x" values (1)`);
    await it.db.query('insert into foreign_to_us values (1)');
    await it.db.query('insert into parted values (1), (11)');
    await it.db.query('update parted set id = 12 where id = 1');
    await it.db.query('truncate parted, "Odd"."Name.x", carrick.carrick_mark');
    const batches = await collect(source, start, (changes) => changes.length === 7);
    const seen = changesOf(batches).map(({ table: { name }, op, row }) => [name, op, ...row]);
    expect(seen.slice(0, 5)).toEqual([
      ['Odd.Name.x', 'insert', '1'],
      ['parted', 'insert', '1'],
      ['parted', 'insert', '11'],
      ['parted', 'delete'],
      ['parted', 'insert', '12'],
    ]);
    expect(seen.slice(5).sort()).toEqual([
      ['Odd.Name.x', 'truncate'],
      ['parted', 'truncate'],
    ]);
  });

  test('a table that no longer fits is announced once, and when it fits again', async () => {
    const { spec, ddl } = table('drifting');
    await using it = await install(server, ddl, [spec]);
    const source = it.source();
    const start = await source.start();
    const statements = [
      `insert into drifting values (1, 'a')`,
      'alter table drifting add extra int',
      `insert into drifting values (2, 'b', 1)`,
      'alter table drifting rename name to title',
      `insert into drifting values (3, 'c'), (4, 'd')`,
      'alter table drifting add more int',
      `insert into drifting values (5, 'e')`,
      'alter table drifting rename title to name',
      `insert into drifting values (6, 'f')`,
      'alter table drifting alter name type int using 7',
      'insert into drifting values (7, 7)',
    ];
    const batches = await collect(source, start, (changes, seen) => {
      // What the source finds when it opens is what the mapping was made for.
      if (seen.length === 1) void it.db.query(statements.join(';'));
      return changes.length === 6;
    });
    expect(changesOf(batches).map(({ op, row, detail }) => [op, detail ?? row])).toEqual([
      ['insert', ['1', 'a']],
      ['insert', ['2', 'b']],
      ['drift', 'column name is missing'],
      ['drift', ''],
      ['insert', ['6', 'f']],
      ['drift', 'column name is integer, was string'],
    ]);
  });

  test('an enum made while the log is read is looked up before its rows are decoded', async () => {
    const { spec, ddl } = table('enumerated');
    await using it = await install(server, ddl, [spec]);
    const source = it.source({ changes: 1 });
    const start = await source.start();
    const batches = await collect(source, start, (changes, seen) => {
      if (seen.length === 1) {
        void it.db.query(`create type color as enum ('red');
          alter table enumerated alter name type color using 'red'`);
        void it.db.query(`insert into enumerated select i, 'red' from generate_series(1, 50) i`);
      }
      return changes.length === 50;
    });
    expect(changesOf(batches).map(({ row }) => row)).toEqual(
      Array.from({ length: 50 }, (_, i) => [String(i + 1), 'red']),
    );
  });
});

describe('marks', () => {
  test('the first row tells; mark rows are no changes', async () => {
    const { spec, ddl } = table('marked');
    await using it = await install(server, ddl, [spec]);
    const source = it.source();
    const start = await source.start();
    await it.db.query('begin');
    await it.db.query(MARK_SQL, [11]);
    await it.db.query(`insert into marked values (1, 'ours')`);
    await it.db.query('commit');
    await it.db.query('begin');
    await it.db.query(`insert into marked values (2, 'a user who writes the mark late')`);
    await it.db.query(MARK_SQL, [12]);
    await it.db.query('commit');
    await it.db.query(`insert into carrick.carrick_mark values ('other', 'watermark', 7)`);
    await it.db.query(`insert into carrick.carrick_mark values ('other', 'unheard of', 8)`);
    await it.db.query(`insert into marked values (3, 'user')`);
    const batches = await collect(source, start, (changes) => changes.length === 3);
    expect(whole(batches).map(({ mark, changes }) => [mark, changes.length])).toEqual([
      [{ instance: 'other', lane: 'deliver', batch: 11 }, 1],
      [null, 1],
      [{ instance: 'other', lane: 'watermark', batch: 7 }, 0],
      [null, 1],
    ]);
  });

  test('commit time and id are those of the commit', async () => {
    const { spec, ddl } = table('timed');
    await using it = await install(server, ddl, [spec]);
    const source = it.source();
    const start = await source.start();
    const before = Number(
      await scalar(it.db, 'select (extract(epoch from clock_timestamp()) * 1000000)::bigint'),
    );
    await it.db.query(`insert into timed values (1, 'x')`);
    const after = Number(
      await scalar(it.db, 'select (extract(epoch from clock_timestamp()) * 1000000)::bigint'),
    );
    const [transaction] = whole(await collect(source, start, (changes) => changes.length === 1));
    expect(transaction!.committedAt).toBeGreaterThanOrEqual(before);
    expect(transaction!.committedAt).toBeLessThanOrEqual(after);
    expect(transaction!.id).toMatch(/^[0-9A-F]+\/[0-9A-F]+$/);
  });
});

describe('chunks', () => {
  test('keyset pages of a composite key with its own collation, and rows by key', async () => {
    const spec = { name: 'paged', key: ['b', 'a'], columns: ['a', 'b', 'n'] };
    const ddl = `create collation if not exists nocase (provider = icu, locale = 'und');
      create table paged (a bytea, b text collate nocase, n int, primary key (b, a))`;
    await using it = await install(server, ddl, [spec]);
    await it.db.query(`insert into paged select decode('0' || to_hex(10 + i % 3), 'hex'),
      (array['a', 'B', 'c', 'É', 'e', 'Z', '10', '9'])[1 + i % 8], i
      from generate_series(1, 24) i`);
    const source = it.source();
    const rows: unknown[] = [];
    let after: readonly (string | null)[] | null = null;
    do {
      const chunk = await source.read({ table: spec, after, limit: 5 });
      rows.push(...chunk.rows);
      after = chunk.next;
    } while (after !== null);
    const { rows: all } = await it.db.query({
      text: `select encode(a, 'hex'), b, n from paged order by b, a`,
      rowMode: 'array',
    });
    expect(rows).toEqual(all);
    const keys = [
      ['É', '0b'],
      ['none', '0a'],
      ['9', '0a'],
    ];
    const named = await source.read({ table: spec, after: null, limit: 1, keys });
    expect(named.rows.map(([a, b]) => [b, a]).sort()).toEqual(
      all
        .map(([a, b]) => [b, a])
        .filter(([b, a]) => keys.some(([kb, ka]) => kb === b && ka === a))
        .sort(),
    );
    expect(named.next).toBeNull();
  });
});

test('disposing a source ends a stream that waits, and says nothing was wrong', async () => {
  const { spec, ddl } = table('waiting');
  await using it = await install(server, ddl, [spec]);
  const source = it.source();
  const stream = follow(source, await source.start());
  await stream.next();
  const waiting = stream.next();
  await source[Symbol.asyncDispose]();
  // A beat may have been on its way.
  const { done } = await waiting;
  expect(done || (await stream.next()).done).toBe(true);
});

describe('refusals', () => {
  test('another cluster, a slot that moved on, a slot that is gone, a slot in use', async () => {
    const { spec, ddl } = table('refused');
    await using it = await install(server, ddl, [spec]);
    const source = it.source();
    const start = await source.start();
    const first = (position: Position) => source.tail(position)[Symbol.asyncIterator]().next();
    const [lsn, cluster] = start.split('@');
    await expect(first(`${lsn}@1` as Position)).rejects.toMatchObject({
      code: 'source.lost',
      disposition: 'halt',
    });
    await expect(first(`0/1@${cluster}` as Position)).rejects.toMatchObject({
      code: 'source.lost',
    });
    await expect(first('mysql-bin.1:4' as Position)).rejects.toMatchObject({ code: 'source.lost' });

    const reader = source.tail(start)[Symbol.asyncIterator]();
    await reader.next();
    const second = it.source();
    await expect(second.tail(start)[Symbol.asyncIterator]().next()).rejects.toMatchObject({
      code: 'source.busy',
      disposition: 'retry',
    });
    await reader.return?.();
    await until(
      async () =>
        (await scalar(
          it.db,
          `select active from pg_replication_slots where slot_name = '${it.name}'`,
        )) === 'f',
    );
    await it.db.query('select pg_drop_replication_slot($1)', [it.name]);
    await expect(first(start)).rejects.toMatchObject({ code: 'source.lost' });
    await expect(source.start()).rejects.toMatchObject({ code: 'source.lost' });
  });

  test('defects 5 and 6: a killed sender is a retry, and nothing is lost over it', async () => {
    const { spec, ddl } = table('killed');
    await using it = await install(server, ddl, [spec]);
    const source = it.source();
    let position = await source.start();
    const seen: Change[] = [];
    for (let round = 0; round < 3; round++) {
      await it.db.query(`insert into killed values (${round}, 'x')`);
      const broken = (async () => {
        for await (const batch of follow(source, position)) {
          seen.push(...changesOf([batch]));
          position = batch.position;
          if (seen.length === round + 1) {
            await it.db.query(
              `select pg_terminate_backend(active_pid)
               from pg_replication_slots where slot_name = $1`,
              [it.name],
            );
          }
        }
      })();
      await expect(broken).rejects.toMatchObject({ disposition: 'retry' });
    }
    expect(seen.map(({ row }) => row[0])).toEqual(['0', '1', '2']);
  });
});
