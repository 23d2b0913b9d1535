import type { Chunk } from '../contract/source.ts';
import type { TableSpec, Transaction } from '../model/change.ts';
import { type Cell, rowKey, type Value } from '../model/value.ts';
import { fenceOf, type Lane, openLanes, passes, type Step } from './lane.ts';
import {
  type Absent,
  isFirstLoad,
  isLoaded,
  type Progress,
  type ProgressByTable,
  parseProgress,
  progressOf,
} from './progress.ts';
import { keyIn, openReader, type ReaderParts } from './reader.ts';
import { openShown } from './shown.ts';

/** Rows of a table that are exact at the point of the log where they are handed out. */
export interface SnapshotChunk {
  readonly table: TableSpec;
  readonly rows: readonly (readonly Cell[])[];
  /** Keys that were asked for by name and have no row. */
  readonly missing: readonly (readonly Value[])[];
  /** What becomes of those; see `Progress.absent`. */
  readonly absent: Absent | undefined;
  /** What the table's progress becomes with these rows in the ledger. */
  readonly onto: (now: Progress) => Progress;
  readonly done: boolean;
  /** Of the table's first load, in its order: none of the rows was asked for by name. */
  readonly first: boolean;
  readonly rowsSoFar: number;
  /** About how many rows the table has; null: the server cannot say. */
  readonly estimate: number | null;
}

export interface RowName {
  readonly table: TableSpec;
  readonly key: readonly Value[];
}

export interface Snapshot {
  /**
   * Starts reading the next chunks where lanes are free. What failed meanwhile comes out of the
   * next call, of this or of `after`: an idle log has no transactions to tell of.
   */
  pump(): void;
  /** Told of every transaction part, in order: returns the chunk that belongs right behind it. */
  after(transaction: Transaction): SnapshotChunk | null;
  /**
   * The progress once `chunks` are in the ledger and `rows` wait to be read, because the log told
   * too little of them.
   */
  progressWith(chunks: readonly SnapshotChunk[], rows: readonly RowName[]): ProgressByTable;
  /** They were committed: go on behind them. */
  committed(chunks: readonly SnapshotChunk[]): void;
  /** No further chunk is begun, and no connection is opened. */
  end(): void;
  /** No table waits for its first load, those that are held set aside. */
  readonly loaded: boolean;
}

export interface SnapshotParts extends ReaderParts {
  readonly tables: readonly TableSpec[];
  /** Tables whose rows the rows of this one refer to, as far as they come before it in `tables`. */
  readonly parents: (table: TableSpec) => readonly TableSpec[];
  /** The ledger's: a resync may begin while a chunk is being read. */
  readonly progress: () => ProgressByTable;
  /** Tables that do not fit their mapping now are left alone. */
  readonly held: (table: TableSpec) => boolean;
  /** See `Progress.contents`. */
  readonly contents: (table: TableSpec) => readonly string[];
  /** Which rows a pass over the table is for; null: all. See `Progress.where`. */
  readonly wanted: (
    table: TableSpec,
    progress: Progress,
  ) => ((row: readonly Cell[]) => boolean) | null;
  readonly instance: string;
}

/**
 * Loads tables while the log is tailed, after "DBLog: A Watermark Based Change-Data-Capture
 * Framework" (Andreakis and Papapanagiotou, 2020): a number in the `watermark` lane of the mark
 * before the chunk is read and another one after it. A row that nobody touched between the two
 * marks in the log is exact where the second mark stands; rows that were touched are read again by
 * key with the next chunk. No locks, no long transaction; the same on every engine.
 *
 * Several tables are read at once, each between fences of its own: what is exact for one does not
 * depend on the others. A table waits for the first load of those that its rows refer to.
 *
 * A resync goes the same way once more. Behind it, rows that the ledger knows and that were not
 * met are asked for by key: those that are missing and untouched are gone.
 */
export function openSnapshot(parts: SnapshotParts): Snapshot {
  const { tables, instance } = parts;
  const shown = openShown();
  let ended = false;
  // Who is still about to write a fence then must not connect anew: nobody would disconnect.
  const applier: ReaderParts['applier'] = async () => {
    if (ended) throw new Error('this reading of the tables was given up');
    return parts.applier();
  };
  const reader = openReader({ ...parts, applier }, shown);

  const waiting = (waits: (progress: Progress) => boolean) => {
    const now = parts.progress();
    return tables
      .filter((table) => !parts.held(table))
      .map((table) => ({ table, before: progressOf(now, table.name) }))
      .filter(({ before }) => waits(before));
  };

  const start = (): void => {
    if (ended) return;
    const unread = new Set(waiting(isFirstLoad).map(({ table }) => table));
    for (const { table, before } of waiting((progress) => !isLoaded(progress))) {
      const isEarly = parts.parents(table).some((parent) => unread.has(parent));
      if (!isEarly) lanes.start(table, before);
    }
  };
  const lanes = openLanes(reader.read, start);

  return {
    get loaded() {
      return waiting(isFirstLoad).length === 0;
    },
    pump() {
      lanes.check();
      start();
    },
    after(transaction) {
      lanes.check();
      const reading = lanes.reading();
      shown.note(transaction, reading);
      const fence = fenceOf(transaction.mark, instance);
      let found: SnapshotChunk | null = null;
      for (const lane of reading) {
        const passage = passes(lane, transaction, fence);
        if (passage === 'on') continue;
        if (passage === 'void' || lane.read === null || shown.isMissing(lane, lane.read.chunk)) {
          lanes.drop(lane);
          continue;
        }
        const { table } = lane;
        found = finish(lane, lane.read, {
          contents: parts.contents(table),
          estimate: reader.estimateOf(table),
          wanted: parts.wanted(table, lane.before),
        });
        lane.state = 'handed';
        reader.met(lane, found.rows);
      }
      return found;
    },
    progressWith(chunks, rows) {
      const now = parts.progress();
      // The same object tells the ledger that nothing is to be written.
      if (chunks.length === 0 && rows.length === 0) return now;
      const next: Record<string, string> = { ...now };
      for (const { table, onto } of chunks) {
        next[table.name] = JSON.stringify(onto(parseProgress(next[table.name])));
      }
      noteAgain(next, rows);
      return next;
    },
    committed(chunks) {
      for (const chunk of chunks) lanes.drop(chunk);
    },
    end() {
      ended = true;
    },
  };
}

interface Terms extends Pick<SnapshotChunk, 'estimate'> {
  readonly contents: readonly string[];
  readonly wanted: ReturnType<SnapshotParts['wanted']>;
}

function finish(
  { table, touched, before }: Lane,
  { step, chunk, sweep }: NonNullable<Lane['read']>,
  { contents, estimate, wanted }: Terms,
): SnapshotChunk {
  const keyed = chunk.rows.map((row) => ({ row, key: keyIn(table, row) }));
  const exact = keyed.filter(({ key }) => !touched.has(rowKey(key)));
  const disturbed = keyed.filter(({ key }) => touched.has(rowKey(key))).map(({ key }) => key);
  const { missing, unread } = answers(step, chunk, keyed, touched);
  const onto = (now: Progress): Progress => {
    // Begun anew while this was read: the rows count, the way there does not.
    if (now.pass !== before.pass) return now;
    const kept = step.kind === 'again' ? now.again.slice(step.keys.length) : now.again;
    const { mends, absent, population, ...rest } = now;
    const next: Progress = {
      contents,
      ...rest,
      after: step.kind === 'order' ? (chunk.next ?? now.after) : now.after,
      ended: now.ended || (step.kind === 'order' && chunk.next === null),
      again: [...kept, ...disturbed, ...unread],
      rows: now.rows + exact.length,
      ...(now.sweep === undefined ? {} : { sweep }),
    };
    if (isLoaded(next)) return next;
    return {
      ...next,
      ...(population === undefined ? {} : { population }),
      ...(mends === undefined ? {} : { mends }),
      ...(absent === undefined ? {} : { absent }),
    };
  };
  const made = onto(before);
  const all = exact.map(({ row }) => row);
  // Rows that were asked for by key are wanted: for what they were known as, or what they were.
  const rows = step.kind === 'order' && wanted !== null ? all.filter(wanted) : all;
  const { absent } = before;
  const done = isLoaded(made);
  const first = isFirstLoad(before) && step.kind === 'order';
  return { table, rows, missing, absent, onto, done, first, rowsSoFar: made.rows, estimate };
}

/** Of the keys that were asked for by name: those without a row, and those not come to. */
function answers(
  step: Step,
  { cut = false }: Chunk,
  keyed: readonly { readonly key: readonly Value[] }[],
  touched: ReadonlySet<string>,
): Record<'missing' | 'unread', readonly (readonly Value[])[]> {
  if (step.kind === 'order') return { missing: [], unread: [] };
  const found = new Set(keyed.map(({ key }) => rowKey(key)));
  const left = step.keys.filter((key) => !found.has(rowKey(key)));
  if (cut) return { missing: [], unread: left };
  const missing = left.filter((key) => !touched.has(rowKey(key)));
  if (step.kind === 'sweep') return { missing, unread: [] };
  // The log may have told too little of a row that came: that it waits here was enough then.
  return { missing, unread: left.filter((key) => touched.has(rowKey(key))) };
}

/** Rows of which the log told too little are read by key. */
export function noteAgain(progress: Record<string, string>, rows: readonly RowName[]): void {
  for (const [{ name }, told] of Map.groupBy(rows, ({ table }) => table)) {
    const before = parseProgress(progress[name]);
    const known = new Set(before.again.map(rowKey));
    // What is there stays as it is: a chunk that is being read stands for its first keys.
    const fresh = new Map(told.map(({ key }) => [rowKey(key), key]));
    for (const key of known) fresh.delete(key);
    if (fresh.size === 0) continue;
    progress[name] = JSON.stringify({ ...before, again: [...before.again, ...fresh.values()] });
  }
}
