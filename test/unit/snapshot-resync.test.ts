/** A resync between the marks of a log, step by step: what is asked for, and what is found gone. */
import { describe, expect, test } from 'vitest';
import { isFirstLoad, isLoaded, parseProgress, resyncOf } from '../../src/capture/progress.ts';
import type { KnownRows } from '../../src/capture/reader.ts';
import { openSnapshot, type Snapshot, type SnapshotChunk } from '../../src/capture/snapshot.ts';
import type { ChunkRequest } from '../../src/contract/source.ts';
import type { Change, Transaction } from '../../src/model/change.ts';
import type { Value } from '../../src/model/value.ts';

const table = { name: 't', key: ['id'], columns: ['id', 'n'] };

/** A table, a ledger's progress and links, and the log that the fences make. */
function world(keys: readonly string[], links: readonly string[]) {
  const rows = new Set(keys);
  const asked: ChunkRequest[] = [];
  const log: Transaction[] = [];
  let progress: Record<string, string> = {};
  let held = false;
  const transaction = (changes: readonly Change[], batch: number | null = null): Transaction => ({
    id: `${log.length}`,
    committedAt: 0,
    mark: batch === null ? null : { instance: 'main', lane: 'watermark', batch },
    changes,
    complete: true,
  });
  const row = (key: string): Value[] => [key, '1'];
  const open = (): Snapshot =>
    openSnapshot({
      tables: [table],
      progress: () => progress,
      held: () => held,
      contents: () => ['id', 'n'],
      known: async (_, from): Promise<KnownRows> => {
        if (from.entity > 'e') return { keys: [], besides: [], next: null };
        const page = links.filter((key) => from.after === null || key > from.after).slice(0, 2);
        const next = page.length === 2 ? { entity: 'e', after: page[1] ?? '' } : null;
        return { keys: page.map((key) => [key]), besides: [], next };
      },
      instance: 'main',
      source: {
        estimate: async () => null,
        async read(request) {
          asked.push(request);
          const found = [...rows].sort();
          const named = request.keys?.map(([key]) => key);
          const wanted = found.filter((key) =>
            named === undefined
              ? request.after === null || key > (request.after[0] ?? '')
              : named.includes(key),
          );
          const some = named === undefined ? wanted.slice(0, 2) : wanted;
          const next = named === undefined && wanted.length > 2 ? [some[1] ?? ''] : null;
          return { rows: some.map(row), next };
        },
      },
      applier: async () => ({ fence: async (batch) => void log.push(transaction([], batch)) }),
      firstFence: 1,
      wanted: () => null,
      parents: () => [],
      loadShare: 1,
      clock: { now: () => 0, sleep: async () => {} },
    });
  return {
    asked,
    rows,
    open,
    progress: () => parseProgress(progress.t),
    set(text: string) {
      progress = { t: text };
    },
    hold(now: boolean) {
      held = now;
    },
    change: (op: Change['op'], key: string) =>
      void log.push(transaction([{ table, op, row: row(key), old: null }])),
    /** Reads one chunk; what happens `between` its marks is in the log between them. */
    async step(snapshot: Snapshot, between: () => void = () => {}): Promise<SnapshotChunk | null> {
      log.length = 0;
      snapshot.pump();
      while (log.length < 2) {
        await new Promise(setImmediate);
        if (asked.length === 0 && log.length === 0) return null;
      }
      const [low, high] = log.splice(0, 2);
      between();
      let chunk: SnapshotChunk | null = null;
      for (const one of [low, ...log, high]) chunk = snapshot.after(one as Transaction) ?? chunk;
      if (chunk !== null) progress = snapshot.progressWith([chunk], []) as Record<string, string>;
      snapshot.committed(chunk === null ? [] : [chunk]);
      return chunk;
    },
  };
}

const loadedText = JSON.stringify({ after: ['9'], ended: true, again: [], rows: 9 });
const resync = (mends = false) =>
  JSON.stringify(resyncOf(parseProgress(loadedText), { mends, contents: ['id', 'n'] }));

const namesOf = (requests: readonly ChunkRequest[]) =>
  requests.flatMap(({ keys }) => (keys === undefined ? [] : [keys.map(([key]) => key)]));

describe('a resync', () => {
  test('asks only for the linked rows that it has not met, and finds them gone', async () => {
    const w = world(['a', 'b', 'c'], ['a', 'b', 'c', 'd', 'e']);
    w.set(resync());
    const snapshot = w.open();
    const gone: unknown[] = [];
    for (let i = 0; i < 9 && !isLoaded(w.progress()); i++) {
      gone.push(...((await w.step(snapshot))?.missing ?? []));
    }
    expect(gone).toEqual([['d'], ['e']]);
    expect(namesOf(w.asked).flat()).toEqual(['d', 'e']);
    expect(isLoaded(w.progress())).toBe(true);
  });

  test('keeps what the table had before until it is done, and not beyond', async () => {
    const w = world(['a', 'b', 'c'], ['a', 'b', 'c', 'd', 'e']);
    w.set(resync());
    const seen: unknown[] = [];
    for (let i = 0; i < 9 && !isLoaded(w.progress()); i++) {
      seen.push(w.progress().population);
      await w.step(w.open());
    }
    expect(seen.length).toBeGreaterThan(1);
    for (const one of seen) expect(one).toBe(9);
    expect(isLoaded(w.progress())).toBe(true);
    expect(w.progress().population).toBeUndefined();
  });

  test('carries what a person decided of missing rows until it is done', async () => {
    const w = world(['a', 'b', 'c'], ['a', 'b', 'c', 'd', 'e']);
    const absent = { restore: true, at: 7 };
    w.set(JSON.stringify(resyncOf(w.progress(), { mends: true, absent })));
    const decided: unknown[] = [];
    for (let i = 0; i < 9 && !isLoaded(w.progress()); i++) {
      const chunk = await w.step(w.open());
      if (chunk?.missing.length) decided.push(chunk.absent);
    }
    expect(decided.length).toBeGreaterThan(0);
    for (const one of decided) expect(one).toEqual(absent);
    expect(w.progress().absent).toBeUndefined();
  });

  test('goes on where it was after a restart, and asks for what it has forgotten', async () => {
    const w = world(['a', 'b', 'c', 'd'], ['a', 'b', 'x']);
    w.set(resync());
    await w.step(w.open());
    expect(w.progress()).toMatchObject({ after: ['b'], ended: false });
    const again = w.open();
    await w.step(again);
    expect(w.asked.map(({ after }) => after)).toEqual([null, ['b']]);
    const sweep = await w.step(w.open());
    expect(namesOf(w.asked)).toEqual([['a', 'b']]);
    expect(sweep?.missing).toEqual([]);
    expect((await w.step(w.open()))?.missing).toEqual([['x']]);
    expect(isLoaded(w.progress())).toBe(true);
  });

  test('a row that is touched while it is asked for is left to the log', async () => {
    const w = world(['a'], ['a', 'b']);
    w.set(resync());
    const snapshot = w.open();
    await w.step(snapshot);
    const chunk = await w.step(snapshot, () => w.change('insert', 'b'));
    expect(chunk?.missing).toEqual([]);
  });

  test('begun anew while a chunk is read, it starts anew, and meets every row again', async () => {
    const w = world(['a', 'b', 'c'], ['a', 'b', 'c']);
    w.set(resync());
    const snapshot = w.open();
    await w.step(snapshot);
    const chunk = await w.step(snapshot, () => {
      w.set(JSON.stringify(resyncOf(w.progress(), { mends: false })));
    });
    expect(chunk?.rows).toHaveLength(1);
    expect(w.progress()).toMatchObject({ after: null, ended: false, pass: 2 });
    w.rows.delete('a');
    const gone: unknown[] = [];
    for (let i = 0; i < 9 && !isLoaded(w.progress()); i++) {
      gone.push(...((await w.step(snapshot))?.missing ?? []));
    }
    expect(gone).toEqual([['a']]);
  });

  test.each(['drift', 'truncate'] as const)('a %s makes the chunk void', async (op) => {
    const w = world(['a', 'b'], ['a', 'b']);
    w.set(resync());
    const snapshot = w.open();
    expect(await w.step(snapshot, () => w.change(op, 'a'))).toBeNull();
    expect(w.progress()).toMatchObject({ after: null, ended: false });
    expect(await w.step(snapshot)).not.toBeNull();
  });

  test('a table that is held is not read', async () => {
    const w = world(['a'], []);
    w.set(resync());
    w.hold(true);
    expect(await w.step(w.open())).toBeNull();
    expect(w.asked).toEqual([]);
  });

  test('deliveries may go out again when it is through', async () => {
    const w = world(['a'], ['a']);
    w.set(resync(true));
    const snapshot = w.open();
    await w.step(snapshot);
    expect(w.progress().mends).toBe(true);
    await w.step(snapshot);
    expect(w.progress()).toMatchObject({ sweep: null });
    expect(w.progress().mends).toBeUndefined();
  });
});

describe('a resync of some rows', () => {
  const done = parseProgress(loadedText);
  const where = (text: string) => ({ entity: 'e', text });

  test('takes the place of one that is through', () => {
    const first = { ...resyncOf(done, { mends: false, where: where('a') }), ended: true };
    const next = resyncOf({ ...first, sweep: null }, { mends: false, where: where('b') });
    expect(next.where).toEqual(where('b'));
  });

  test('adds to one that is not, and never makes it smaller', () => {
    const some = resyncOf(done, { mends: false, where: where('a') });
    expect(resyncOf(some, { mends: false, where: where('b') }).where?.text).toBe('(a) || (b)');
    expect(resyncOf(some, { mends: false, where: where('a') }).where?.text).toBe('a');
    expect(resyncOf(some, { mends: false }).where).toBeUndefined();
    const other = { entity: 'f', text: 'a' };
    expect(resyncOf(some, { mends: false, where: other }).where).toBeUndefined();
    const all = resyncOf(done, { mends: false });
    expect(resyncOf(all, { mends: false, where: where('a') }).where).toBeUndefined();
  });

  test('is of all rows where changes were missed', () => {
    expect(resyncOf(done, { mends: true, where: where('a') }).where).toBeUndefined();
    const mending = resyncOf(done, { mends: true });
    expect(resyncOf(mending, { mends: false, where: where('a') }).where).toBeUndefined();
  });
});

describe('the progress of an older ledger', () => {
  test('is read as what it was', () => {
    expect(isLoaded(parseProgress(loadedText))).toBe(true);
    const half = JSON.stringify({ after: ['5'], ended: false, again: [], rows: 5 });
    expect(isFirstLoad(parseProgress(half))).toBe(true);
    expect(parseProgress(half)).toMatchObject({ after: ['5'] });
  });

  test('a first load sweeps nothing', async () => {
    const w = world(['a'], ['a', 'b']);
    const snapshot = w.open();
    expect(snapshot.loaded).toBe(false);
    await w.step(snapshot);
    expect(isLoaded(w.progress())).toBe(true);
    expect(snapshot.loaded).toBe(true);
    expect(namesOf(w.asked)).toEqual([]);
  });
});
