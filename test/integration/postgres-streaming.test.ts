/** Transactions that the server sends before they are committed; without, they are the oracle. */
import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { SourceBatch, Transaction } from '../../src/model/change.ts';
import type { Position } from '../../src/model/position.ts';
import { pgClient, scratchFolder, startPostgres, type TestServer } from '../support/index.ts';
import {
  changesOf,
  collect,
  follow,
  type Installation,
  install,
  scalar,
  until,
} from './postgres-fixture.ts';

const spec = { name: 'goods', key: ['id'], columns: ['id', 'name'] };
const FILLER = `repeat('.', 400)`;

let server: TestServer;
let it: Installation;
let folder: string;

beforeAll(async () => {
  // So little that anything of some hundred rows is streamed.
  server = await startPostgres({ settings: { logical_decoding_work_mem: '64kB' } });
  folder = await scratchFolder('streams');
});
afterAll(() => server[Symbol.asyncDispose]());
beforeEach(async () => {
  const ddl = 'drop table if exists goods; create table goods (id int primary key, name text)';
  it = await install(server, ddl, [spec]);
});
afterEach(() => it[Symbol.asyncDispose]());

const rows = (from: number, to: number): string =>
  `insert into goods select i, 'row ' || i || ${FILLER} from generate_series(${from}, ${to}) i;`;
const END = 1_000_000;
const ended = (changes: readonly { row: readonly unknown[] }[]): boolean =>
  changes.at(-1)?.row[0] === String(END);

/** The parts of each transaction put together. */
function whole(batches: readonly SourceBatch[]): unknown[] {
  const found: { id: string; at: number; rows: unknown[]; complete: boolean }[] = [];
  for (const { id, committedAt, changes, complete } of batches.flatMap(transactionsOf)) {
    const lines = changes.map(({ op, row, old }) => [op, row, old]);
    const last = found.at(-1);
    if (last !== undefined && !last.complete && last.id === id) {
      last.rows.push(...lines);
      last.complete = complete;
    } else found.push({ id, at: committedAt, rows: lines, complete });
  }
  return found;
}
const transactionsOf = ({ transactions }: SourceBatch): readonly Transaction[] => transactions;

/** Batches up to the end. Nothing is settled, so that the server keeps it all. */
async function readFrom(
  position: Position,
  place: string | null,
  changes: number,
): Promise<SourceBatch[]> {
  const source = it.source({ changes }, { folder: place });
  const found: SourceBatch[] = [];
  for await (const batch of follow(source, position)) {
    found.push(batch);
    if (ended(changesOf(found))) break;
  }
  return found;
}

const streamed = async (): Promise<number> => {
  await using admin = await pgClient(server.url);
  const count = 'select stream_txns from pg_stat_replication_slots where slot_name = $1';
  return Number(await scalar(admin, count, [it.name]));
};

test('what is rolled back never was, whatever part of what: as without streaming', async () => {
  const from = await it.source().start();
  await using other = await pgClient(server.url);
  await it.db.query(`begin; ${rows(1, 500)} savepoint a; ${rows(501, 1000)}`);
  // Others come and go meanwhile, and one of them changes its mind at the end.
  await other.query(`insert into goods values (5000, 'small'); update goods set name = 'known'`);
  await it.db.query(`savepoint b; ${rows(1001, 1500)} release b; rollback to a;
    ${rows(501, 600)}`);
  await other.query(`begin; ${rows(10_001, 10_800)} rollback`);
  await it.db.query(`savepoint c; savepoint d; ${rows(2001, 2600)} rollback to d;
    ${rows(2001, 2300)} release c; savepoint e; delete from goods where id <= 300; rollback to e;
    update goods set id = id + 20000 where id = 400; ${rows(3001, 3400)} commit`);
  await other.query(`insert into goods values (${END}, 'end')`);
  const plain = await readFrom(from, null, 2000);
  const before = await streamed();
  const batches = await readFrom(from, folder, 150);
  expect(whole(batches)).toEqual(whole(plain));
  expect(changesOf(batches)).toHaveLength(2 + 500 + 100 + 300 + 1 + 400 + 1);
  // The server counts a moment later.
  await until(async () => (await streamed()) > before);
  expect(readdirSync(folder)).toEqual([]);
});

test('any position goes on exactly, streamed or not', async () => {
  const from = await it.source().start();
  await it.db.query(`begin; ${rows(1, 700)} savepoint a; ${rows(701, 900)} rollback to a;
    ${rows(701, 1200)} commit; insert into goods values (${END}, 'end')`);
  const shown = (batches: readonly SourceBatch[]) =>
    changesOf(batches).map(({ op, row }) => [op, ...row]);
  const all = await readFrom(from, folder, 170);
  const seen = shown(all);
  expect(seen).toHaveLength(1201);
  for (const [at, { position }] of all.slice(0, -1).entries()) {
    const before = changesOf(all.slice(0, at + 1)).length;
    for (const place of [folder, null]) {
      const rest = await readFrom(position, place, 2000);
      expect(shown(rest)).toEqual(seen.slice(before));
    }
  }
});

test('without room for them the server keeps them', async () => {
  const from = await it.source().start();
  const nowhere = { folder: `${folder}/absent` };
  const source = it.source({}, nowhere);
  await it.db.query(`${rows(1, 900)} insert into goods values (${END}, 'end')`);
  await expect(collect(source, from, ended)).rejects.toMatchObject({ disposition: 'retry' });
  expect(nowhere.folder).toBeNull();
  const batches = await collect(source, from, ended);
  expect(changesOf(batches)).toHaveLength(901);
});

/** Bytes; the rows alone are 40 MB. */
const MOST_HELD = 24_000_000;

test('a huge one is handed over as slowly as it is taken, in a bounded heap', async () => {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  const from = await it.source().start();
  await it.db.query(`insert into goods select i, ${FILLER} from generate_series(1, 100000) i`);
  await it.db.query(`insert into goods values (${END}, 'end')`);
  const inUse = (): number => {
    gc();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  const before = inUse();
  let most = 0;
  let count = 0;
  for await (const batch of it.source({}, { folder }).tail(from)) {
    await sleep(2);
    // Buffers that nobody holds are swept beside the collection; what is held is still there then.
    let used = inUse();
    for (let look = 0; used - before > MOST_HELD && look < 100; look++) {
      await sleep(20);
      used = inUse();
    }
    most = Math.max(most, used - before);
    const changes = changesOf([batch]);
    count += changes.length;
    if (ended(changes)) break;
  }
  expect(count).toBe(100_001);
  await until(async () => (await streamed()) > 0);
  expect(most).toBeLessThan(MOST_HELD);
}, 180_000);
