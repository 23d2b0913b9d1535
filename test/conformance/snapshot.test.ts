/** Chunks that are read while users write are exact where the snapshot puts them in the log. */
import { expect } from 'vitest';
import { isLoaded, parseProgress } from '../../src/capture/progress.ts';
import { openSnapshot, type SnapshotChunk } from '../../src/capture/snapshot.ts';
import type { Applier } from '../../src/contract/applier.ts';
import type { Source } from '../../src/contract/source.ts';
import type { Change, TableSpec, Transaction } from '../../src/model/change.ts';
import type { Position } from '../../src/model/position.ts';
import { type Cell, rowKey, type Value } from '../../src/model/value.ts';
import { conformance, type Subject } from './conformance.ts';
import type { User } from './driver.ts';
import { type Installation, install, plain, plainDdl } from './installation.ts';

/** Rows by key, as somebody knows them who has only seen the log and the chunks. */
type Known = Map<string, readonly Cell[]>;

const keyOf = ({ key, columns }: TableSpec, row: readonly Cell[]): string =>
  rowKey(key.map((name) => row[columns.indexOf(name)] ?? null));

function follow(known: Known, { table, op, row, old }: Change): void {
  if (op === 'insert') known.set(keyOf(table, row), row);
  else if (op === 'delete') known.delete(keyOf(table, old!));
  else if (op === 'update') {
    const was = keyOf(table, old ?? row);
    const before = known.get(was);
    known.delete(was);
    known.set(
      keyOf(table, row),
      row.map((cell, i) => (cell === undefined ? before?.[i] : cell)),
    );
  }
}

function take(known: Known, { table, rows, missing }: SnapshotChunk): void {
  for (const key of missing) known.delete(rowKey(key));
  for (const row of rows) known.set(keyOf(table, row), row);
}

interface Loading {
  readonly it: Installation;
  readonly source: Source;
  readonly applier: Applier;
  readonly start: Position;
  /** Called after each transaction, before the next chunk is begun. */
  seen(transaction: Transaction, loaded: boolean): void | Promise<void>;
  /** Chunks are read from here on. */
  readonly ready: () => boolean;
  readonly until: (transaction: Transaction) => boolean;
}

/** Loads the table and follows the log; what is known in the end. */
async function load({ it, source, applier, ...parts }: Loading): Promise<Known> {
  const [table] = it.needs.tables;
  const known: Known = new Map();
  let progress: Readonly<Record<string, string>> = {};
  const loaded = (): boolean => isLoaded(parseProgress(progress[table!.name]));
  const snapshot = openSnapshot({
    tables: [table!],
    progress: () => progress,
    held: () => false,
    contents: () => [],
    known: async () => ({ keys: [], besides: [], next: null }),
    instance: it.instance,
    source,
    applier: async () => applier,
    firstFence: 1,
    wanted: () => null,
    parents: () => [],
    loadShare: 1,
    clock: { now: () => performance.now() / 1000, sleep: async () => {} },
  });
  for await (const batch of source.tail(parts.start)) {
    for (const transaction of batch.transactions) {
      for (const change of transaction.changes) follow(known, change);
      const chunk = snapshot.after(transaction);
      if (chunk !== null) {
        take(known, chunk);
        progress = snapshot.progressWith([chunk], []);
        snapshot.committed([chunk]);
      }
      await parts.seen(transaction, loaded());
      if (parts.until(transaction)) return known;
    }
    source.settle(batch.position);
    if (parts.ready()) snapshot.pump();
  }
  throw new Error('the stream ended');
}

/** What the table holds, as the connector reads it when nobody writes. */
async function content(it: Installation, source: Source): Promise<Known> {
  const [table] = it.needs.tables;
  const known: Known = new Map();
  for (let after: readonly Value[] | null = null; ; ) {
    const chunk = await source.read({ table: table!, after, limit: 1999 });
    for (const row of chunk.rows) known.set(keyOf(table!, row), row);
    if (chunk.next === null) return known;
    after = chunk.next;
  }
}

const sorted = (known: Known) => [...known].sort(([a], [b]) => Number(a) - Number(b));

/** Mulberry32 (Tommy Ettinger, 2017). */
function seeded(seed: number): (n: number) => number {
  let state = seed;
  return (n) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4294967296) * n);
  };
}

const ROWS = 6500;

/** One user of random taste, in transactions of which some are rolled back. */
async function scribble(user: User, table: string, who: number, seed: number, on: () => boolean) {
  const pick = seeded(seed * 10 + who);
  let fresh = 10_000 * (who + 1);
  const statement = (): string => {
    const id = 1 + pick(ROWS);
    const name = `'u${who} ${pick(1000)}'`;
    switch (pick(6)) {
      case 0:
        return `insert into ${table} (id, name) values (${fresh++}, ${name})`;
      case 1:
        return `delete from ${table} where id = ${id}`;
      case 2:
        return `update ${table} set id = ${fresh++} where id = ${id}`;
      case 3:
        return `update ${table} set amount = ${id} where id >= ${id} and id < ${id + 40}`;
      default:
        return `update ${table} set name = ${name} where id = ${id}`;
    }
  };
  while (on()) {
    try {
      await user.run('begin');
      for (let n = pick(4); n >= 0; n--) await user.run(statement());
      await user.run(pick(5) === 0 ? 'rollback' : 'commit');
    } catch {
      // A deadlock between the writers; whoever lost takes another turn.
      await user.run('rollback');
    }
  }
}

async function scribbled(subject: Subject, seed: number): Promise<void> {
  const name = `scribbled_${seed}`;
  const ddl = [plainDdl(name), subject.dialect.fill(name, 1, ROWS)];
  await using it = await install(subject, [plain(name)], ddl);
  const source = await it.source();
  const applier = await it.applier();
  const start = await source.start();
  const LAST = 1_000_000;
  let writing = true;
  const users = await Promise.all([0, 1].map(() => subject.server().user()));
  const work = Promise.all(users.map((user, i) => scribble(user, name, i, seed, () => writing)));
  let ending: Promise<void> | null = null;
  const known = await load({
    it,
    source,
    applier,
    start,
    ready: () => true,
    seen(_, loaded) {
      if (!loaded || ending !== null) return;
      writing = false;
      ending = work.then(() => applier.fence(LAST));
    },
    until: ({ mark }) => mark?.batch === LAST,
  });
  await ending;
  for (const user of users) await user[Symbol.asyncDispose]();
  expect(known.size).toBeGreaterThan(1000);
  expect(sorted(known), `seed ${seed}`).toEqual(sorted(await content(it, source)));
}

conformance('snapshot', (subject) => {
  for (const seed of [1, 2, 3 + Math.floor(Math.random() * 1e6)]) {
    // The last seed is another one each time: the names of the tests stay the same.
    const which = seed < 3 ? `${seed}` : 'of the day';
    subject.test(`loaded while users write, all is known in the end: seed ${which}`, () =>
      scribbled(subject, seed),
    );
  }

  subject.test('a chunk that missed what the log has already shown is read again', async () => {
    const ddl = [plainDdl('hidden'), subject.dialect.fill('hidden', 1, 10)];
    await using it = await install(subject, [plain('hidden')], ddl);
    const source = await it.source();
    const start = await source.start();
    await using author = await subject.server().user();
    await using hiding = new AsyncDisposableStack();
    hiding.use(await subject.server().hide(author));
    const committing = author.run(`update hidden set name = 'new' where id = 1;
      insert into hidden (id, name) values (11, 'new'); delete from hidden where id = 2`);
    const applier = await it.applier();
    let shown = false;
    let fences = 0;
    let ending: Promise<void> | null = null;
    const known = await load({
      it,
      source,
      applier,
      start,
      ready: () => shown,
      async seen({ mark, changes }, loaded) {
        shown ||= changes.length > 0;
        if (mark?.lane === 'watermark') fences++;
        // Four chunks could have been taken for exact by now.
        if (fences < 8) expect(loaded).toBe(false);
        if (fences === 8) {
          await hiding[Symbol.asyncDispose]();
          await committing;
        }
        if (loaded) ending ??= applier.fence(1_000_000);
      },
      until: ({ mark }) => mark?.batch === 1_000_000,
    });
    await ending;
    expect(sorted(known)).toEqual(sorted(await content(it, source)));
    expect(known.get('1')?.[1]).toBe('new');
    expect(known.has('2')).toBe(false);
  });

  subject.test('chunks go through a table once, and find rows by key', async () => {
    const spec = { name: 'paged', key: ['doc', 'line'], columns: ['name', 'line', 'doc'] };
    const ddl = `create table paged
      (doc int, line varchar(20) not null, name varchar(20), primary key (doc, line))`;
    await using it = await install(subject, [spec], [ddl]);
    const lines = ['b', 'a', 'é', 'ñ', 'a b', '10', '9', '', 'z'];
    const tuples = [3, -1, 20].flatMap((doc) => lines.map((line) => `(${doc}, '${line}', 'n')`));
    await it.user.run(`insert into paged values ${tuples.join(', ')}`);
    const source = await it.source();
    for (const limit of [1, 2, 13, 27, 28]) {
      const met: string[] = [];
      for (let after: readonly Value[] | null = null; ; ) {
        const chunk = await source.read({ table: spec, after, limit });
        expect(chunk.rows.length).toBeLessThanOrEqual(limit);
        met.push(...chunk.rows.map(([, line, doc]) => `${doc}/${line}`));
        if (chunk.next === null) break;
        const last = chunk.rows.at(-1)!;
        expect(chunk.next).toEqual([last[2], last[1]]);
        after = chunk.next;
      }
      expect(met.length).toBe(27);
      expect(new Set(met).size).toBe(27);
    }
    const keys = [
      ['3', 'é'],
      ['3', 'no'],
      ['-1', ''],
    ];
    const named = await source.read({ table: spec, after: null, limit: 100, keys });
    expect(named.next).toBe(null);
    expect(named.rows.map((row) => row.join('/')).sort()).toEqual(['n//-1', 'n/é/3']);
    const none = await source.read({ table: spec, after: ['99', ''], limit: 5 });
    expect(none).toMatchObject({ rows: [], next: null });
  });

  subject.test('reading stops where the rows grow too wide', async () => {
    await using it = await install(subject, [plain('widening')]);
    const rows = Array.from({ length: 60 }, (_, i) => `(${i + 1}, '${'x'.repeat(19)}', 1)`);
    await it.user.run(`insert into widening values ${rows.join(', ')}`);
    const source = await it.source();
    const table = it.needs.tables[0]!;
    const met: Cell[] = [];
    for (let after: readonly Value[] | null = null, chunks = 0; ; chunks++) {
      const chunk = await source.read({ table, after, limit: 50, bytes: 200 });
      met.push(...chunk.rows.map(([id]) => id));
      expect(chunk.rows.length).toBeLessThan(12);
      if (chunk.next === null) break;
      expect(chunks).toBeLessThan(20);
      after = chunk.next;
    }
    expect(met).toEqual(rows.map((_, i) => `${i + 1}`));
    const keys = [['1'], ['2'], ['99']];
    const named = await source.read({ table, after: null, limit: 3, bytes: 1, keys });
    expect(named).toMatchObject({ cut: true, rows: [expect.anything()] });
  });

  subject.test('a table says about how many rows it has', async () => {
    const ddl = [plainDdl('counted'), subject.dialect.fill('counted', 1, 3000)];
    await using it = await install(subject, [plain('counted')], ddl);
    const source = await it.source();
    const about = await source.estimate(it.needs.tables[0]!);
    expect(about).toBeGreaterThan(500);
    expect(about).toBeLessThan(20_000);
  });

  subject.test('a table without a usable order is refused, and it is said why', async () => {
    const specs = [
      { name: 'unordered', key: ['doc'], columns: ['doc', 'line'] },
      { name: 'nullable', key: ['doc'], columns: ['doc', 'line'] },
    ];
    const ddl = [
      'create table unordered (doc int not null, line int not null, primary key (doc, line))',
      'create table nullable (doc int unique, line int primary key)',
    ];
    await using it = await install(subject, specs, ddl);
    const source = await it.source();
    for (const [at, why] of [/unique index/, /may be NULL/].entries()) {
      const request = { table: it.needs.tables[at]!, after: null, limit: 9 };
      const error = await source.read(request).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'source.unordered', disposition: 'halt' });
      expect(error).toMatchObject({ message: expect.stringMatching(why) });
    }
  });

  subject.test('a chunk holds what is committed, and waits for nobody', async () => {
    await using it = await install(subject, [plain('unfinished')]);
    await it.user.run(`insert into unfinished values (1, 'a', 1), (2, 'a', 1)`);
    await using other = await subject.server().user();
    await other.run('begin');
    await other.run(`update unfinished set name = 'open' where id = 1`);
    await other.run(`insert into unfinished values (3, 'open', 1)`);
    await other.run('delete from unfinished where id = 2');
    const source = await it.source();
    const [table] = it.needs.tables;
    const { rows } = await source.read({ table: table!, after: null, limit: 10 });
    expect(rows).toEqual([
      ['1', 'a', '1.00'],
      ['2', 'a', '1.00'],
    ]);
    await other.run('rollback');
  });
});
