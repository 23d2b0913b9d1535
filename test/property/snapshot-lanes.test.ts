/** Several tables are read side by side while users write: in the end all is known as it is. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isLoaded, parseProgress, resyncOf } from '../../src/capture/progress.ts';
import { openSnapshot, type SnapshotChunk } from '../../src/capture/snapshot.ts';
import type { ChunkRequest } from '../../src/contract/source.ts';
import type { Change, TableSpec, Transaction } from '../../src/model/change.ts';
import type { Value } from '../../src/model/value.ts';

const TABLES: readonly TableSpec[] = ['a', 'b', 'c', 'd', 'e'].map((name) => ({
  name,
  key: ['id'],
  columns: ['id', 'n'],
}));

interface Write {
  readonly table: number;
  readonly id: number;
  readonly kind: 'set' | 'delete' | 'move';
}

type Known = Record<string, Record<string, Value>>;

const empty = (): Known => Object.fromEntries(TABLES.map(({ name }) => [name, {}]));

/** Tables, their log, and what somebody knows who sees only the log and the chunks. */
function world(scheduler: fc.Scheduler, known: Known) {
  const stored = empty();
  const log: Transaction[] = [];
  let count = 0;
  let most = 0;
  let reading = 0;
  const commit = (changes: readonly Change[], batch: number | null = null): void => {
    const mark = batch === null ? null : ({ instance: 'm', lane: 'watermark', batch } as const);
    log.push({ id: `${log.length}`, committedAt: 0, mark, changes, complete: true });
  };
  const step = <T>(label: string, act: () => T): Promise<T> =>
    scheduler.schedule(Promise.resolve(), label).then(act);
  return {
    stored,
    log,
    most: () => most,
    write({ table: at, id, kind }: Write): void {
      const table = TABLES[at % TABLES.length] as TableSpec;
      const rows = stored[table.name] ?? {};
      const n = `${++count}`;
      if (kind === 'set') {
        const op = rows[id] === undefined ? 'insert' : 'update';
        rows[id] = n;
        commit([{ table, op, row: [`${id}`, n], old: null }]);
      } else if (rows[id] !== undefined) {
        delete rows[id];
        if (kind === 'delete') commit([{ table, op: 'delete', row: [], old: [`${id}`, null] }]);
        else {
          const to = `${100 + count}`;
          rows[to] = n;
          commit([{ table, op: 'update', row: [to, n], old: [`${id}`, null] }]);
        }
      }
    },
    fence: (batch: number) =>
      step(`fence ${batch}`, () => commit([], batch)).then(() => step('fenced', () => {})),
    async read({ table, after, keys }: ChunkRequest) {
      reading += 1;
      most = Math.max(most, reading);
      const rows = await step(`read ${table.name}`, () => {
        const all = Object.entries(stored[table.name] ?? {});
        return all.sort(([one], [other]) => (one < other ? -1 : 1)).map((row): Value[] => row);
      });
      await step('answer', () => {});
      reading -= 1;
      if (keys !== undefined) {
        return { rows: rows.filter(([id]) => keys.some(([key]) => key === id)), next: null };
      }
      const rest = rows.filter(([id]) => after === null || `${id}` > `${after[0]}`);
      return { rows: rest.slice(0, 2), next: rest.length > 2 ? [rest[1]?.[0] ?? null] : null };
    },
    see({ changes }: Transaction): void {
      for (const { table, op, row, old } of changes) {
        const rows = known[table.name] as Record<string, Value>;
        if (old !== null) delete rows[`${old[0]}`];
        if (op !== 'delete') rows[`${row[0]}`] = row[1] ?? null;
      }
    },
    take({ table, rows, missing }: SnapshotChunk): void {
      for (const [key] of missing) delete known[table.name]?.[`${key}`];
      for (const [id, n] of rows) (known[table.name] ?? {})[`${id}`] = n ?? null;
    },
  };
}

const writes = fc.array(
  fc.record({
    table: fc.nat({ max: TABLES.length - 1 }),
    id: fc.integer({ min: 10, max: 16 }),
    kind: fc.constantFrom('set' as const, 'set' as const, 'delete' as const, 'move' as const),
  }),
  { maxLength: 40, size: 'max' },
);

async function load(
  scheduler: fc.Scheduler,
  { before, during, wrong }: { before: Write[]; during: Write[]; wrong: Write[] | null },
) {
  const known = empty();
  const w = world(scheduler, known);
  for (const one of before) w.write(one);
  let progress: Readonly<Record<string, string>> = {};
  if (wrong !== null) {
    // What a resync finds: a ledger that knows rows which the tables do not hold so.
    for (const { table, id } of wrong) {
      (known[TABLES[table % TABLES.length]?.name ?? ''] ?? {})[`${id}`] = 'wrong';
    }
    const done = { after: ['99'], ended: true, again: [], rows: 0 };
    const text = JSON.stringify(resyncOf(done, { mends: false }));
    progress = Object.fromEntries(TABLES.map(({ name }) => [name, text]));
  }
  w.log.length = 0;
  const snapshot = openSnapshot({
    tables: TABLES,
    wanted: () => null,
    parents: ({ name }) => (name === 'e' ? TABLES.slice(0, 1) : []),
    progress: () => progress,
    held: () => false,
    contents: () => [],
    known: async (table, from) => {
      const keys = Object.keys(known[table.name] ?? {}).map((id): Value[] => [id]);
      return { keys: from.after === null ? keys : [], besides: [], next: null };
    },
    instance: 'm',
    source: { read: w.read, estimate: async () => null },
    applier: async () => ({ fence: w.fence }),
    firstFence: 1,
    loadShare: 1,
    clock: { now: () => 0, sleep: async () => {} },
  });
  // One after the other, so that they are spread over the whole load.
  scheduler.scheduleSequence(
    during.map((one) => ({ label: 'user', builder: async () => w.write(one) })),
  );
  const waits = () =>
    TABLES.some(({ name }) => progress[name] === undefined) ||
    Object.values(progress).some((text) => !isLoaded(parseProgress(text)));
  for (let seen = 0; waits() || seen < w.log.length || scheduler.count() > 0; ) {
    snapshot.pump();
    if (seen === w.log.length) await scheduler.waitNext(1);
    while (seen < w.log.length) {
      const transaction = w.log[seen++] as Transaction;
      w.see(transaction);
      const chunk = snapshot.after(transaction);
      if (chunk === null) continue;
      w.take(chunk);
      progress = snapshot.progressWith([chunk], []);
      snapshot.committed([chunk]);
    }
  }
  return { known, stored: w.stored, most: w.most() };
}

test('a first load', async () => {
  let most = 0;
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), writes, writes, async (scheduler, before, during) => {
      const found = await load(scheduler, { before, during, wrong: null });
      expect(found.known).toEqual(found.stored);
      most = Math.max(most, found.most);
    }),
    { numRuns: 300 },
  );
  expect(most).toBe(3);
});

test('a resync of tables that nobody told the truth of', async () => {
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), writes, writes, writes, async (scheduler, a, b, c) => {
      const { known, stored } = await load(scheduler, { before: a, during: b, wrong: c });
      expect(known).toEqual(stored);
    }),
    { numRuns: 300 },
  );
});
