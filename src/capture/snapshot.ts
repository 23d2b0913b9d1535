import type { Applier } from '../contract/applier.ts';
import type { Chunk, Source } from '../contract/source.ts';
import type { Mark, TableSpec, Transaction } from '../model/change.ts';
import { type Cell, rowKey, type Value } from '../model/value.ts';

/** Rows of a table that are exact at the point of the log where they are handed out. */
export interface SnapshotChunk {
  readonly table: TableSpec;
  readonly rows: readonly (readonly Cell[])[];
  /** Keys that were asked for by name and have no row. */
  readonly missing: readonly (readonly Value[])[];
  /** The snapshot's progress once these rows are in the ledger, for `SourceState.snapshots`. */
  readonly progress: ProgressByTable;
  readonly done: boolean;
  readonly rowsSoFar: number;
}

/** JSON of a {@link Progress} by table name. */
export type ProgressByTable = Readonly<Record<string, string>>;

export interface RowName {
  readonly table: TableSpec;
  readonly key: readonly Value[];
}

export interface Snapshot {
  /**
   * Starts reading the next chunk when none is under way. What failed meanwhile comes out of the
   * next call, of this or of `after`: an idle log has no transactions to tell of.
   */
  pump(): void;
  /** Told of every transaction part, in order: returns the chunk that belongs right behind it. */
  after(transaction: Transaction): SnapshotChunk | null;
  /**
   * The progress once `chunk` (null: none) is in the ledger and `rows` wait to be read, because the
   * log told too little of them. It takes effect with `committed`.
   */
  progressWith(chunk: SnapshotChunk | null, rows: readonly RowName[]): ProgressByTable;
  /** It was committed: go on behind it. */
  committed(chunk: SnapshotChunk | null, progress: ProgressByTable): void;
  readonly done: boolean;
}

/** Progress of one table, as JSON in the ledger. */
export interface Progress {
  /** Key of the last row that was read in order; null: none yet. */
  readonly after: readonly Value[] | null;
  /** The table was read to its end. */
  readonly ended: boolean;
  /** Keys of rows that were touched while they were read, to be read again. */
  readonly again: readonly (readonly Value[])[];
  readonly rows: number;
}

interface Reading {
  readonly table: TableSpec;
  readonly low: number;
  /** The keys that were asked for; null: in order, after `Progress.after`. */
  readonly keys: readonly (readonly Value[])[] | null;
  readonly touched: Set<string>;
  /** The low mark was seen. */
  open: boolean;
  /** Set before the high mark is written. */
  chunk: Chunk | null;
}

const CHUNK_ROWS = 2000;
/** How many of the latest transactions are remembered for `Chunk.unseen`. */
const REMEMBERED = 100_000;

const UNREAD: Progress = { after: null, ended: false, again: [], rows: 0 };

export const parseProgress = (text: string | undefined): Progress =>
  text === undefined ? UNREAD : (JSON.parse(text) as Progress);

export const isLoaded = (progress: Progress): boolean =>
  progress.ended && progress.again.length === 0;

/**
 * Loads tables while the log is tailed, after "DBLog: A Watermark Based Change-Data-Capture
 * Framework" (Andreakis and Papapanagiotou, 2020): a number in the `watermark` lane of the mark
 * before the chunk is read and another one after it. A row that nobody touched between the two
 * marks in the log is exact where the second mark stands; rows that were touched are read again by
 * key with the next chunk. No locks, no long transaction; the same on every engine.
 */
export function openSnapshot(parts: {
  readonly tables: readonly TableSpec[];
  readonly progress: ProgressByTable;
  readonly instance: string;
  readonly source: Pick<Source, 'read'>;
  readonly applier: () => Promise<Pick<Applier, 'fence'>>;
  readonly firstFence: number;
}): Snapshot {
  const { tables, instance, source } = parts;
  let progress = parts.progress;
  let fence = parts.firstFence;
  let reading: Reading | null = null;
  let failure: unknown = null;
  const seen = recent(REMEMBERED);
  // What a chunk could not see may have been shown by the log before this start: nobody remembers.
  let early: ReadonlySet<string> | null = null;

  const current = (): TableSpec | undefined =>
    tables.find((table) => !isLoaded(parseProgress(progress[table.name])));

  async function read(into: Reading): Promise<void> {
    const applier = await parts.applier();
    await applier.fence(into.low);
    const { table, keys } = into;
    const { after } = parseProgress(progress[table.name]);
    into.chunk = await source.read({
      table,
      after,
      limit: CHUNK_ROWS,
      ...(keys === null ? {} : { keys }),
    });
    await applier.fence(into.low + 1);
  }

  return {
    get done() {
      return current() === undefined;
    },
    pump() {
      if (failure !== null) throw failure;
      const table = current();
      if (reading !== null || table === undefined) return;
      const { again } = parseProgress(progress[table.name]);
      const keys = again.length === 0 ? null : again.slice(0, CHUNK_ROWS);
      const fresh: Reading = {
        table,
        low: fence,
        keys,
        touched: new Set(),
        open: false,
        chunk: null,
      };
      fence += 2;
      reading = fresh;
      read(fresh).catch((error) => {
        failure = error;
      });
    },
    after(transaction) {
      if (failure !== null) throw failure;
      if (transaction.visibility !== undefined) seen.add(transaction.visibility);
      if (reading === null) return null;
      const number = watermark(transaction.mark, instance);
      if (number === reading.low) reading.open = true;
      if (!reading.open) return null;
      noteTouched(reading, transaction);
      if (number !== reading.low + 1 || reading.chunk === null) return null;
      const unseen = reading.chunk.unseen ?? [];
      early ??= new Set(unseen);
      if (unseen.some((xid) => seen.has(xid) || early?.has(xid))) {
        reading = null;
        return null;
      }
      return finish(reading, reading.chunk, progress);
    },
    progressWith: (chunk, rows) => withAgain(chunk?.progress ?? progress, rows),
    committed(chunk, next) {
      progress = next;
      if (chunk !== null) reading = null;
    },
  };
}

function finish(
  { table, keys, touched }: Reading,
  chunk: Chunk,
  progress: ProgressByTable,
): SnapshotChunk {
  const at = table.key.map((name) => table.columns.indexOf(name));
  const keyIn = (row: readonly Cell[]): Value[] => at.map((i) => row[i] ?? null);
  const exact = chunk.rows.filter((row) => !touched.has(rowKey(keyIn(row))));
  const disturbed = chunk.rows.filter((row) => touched.has(rowKey(keyIn(row)))).map(keyIn);
  const found = new Set(chunk.rows.map((row) => rowKey(keyIn(row))));
  const missing = (keys ?? []).filter(
    (key) => !found.has(rowKey(key)) && !touched.has(rowKey(key)),
  );
  const before = parseProgress(progress[table.name]);
  const next: Progress = {
    after: keys === null ? (chunk.next ?? before.after) : before.after,
    ended: before.ended || (keys === null && chunk.next === null),
    again: [...before.again.slice(keys?.length ?? 0), ...disturbed],
    rows: before.rows + exact.length,
  };
  return {
    table,
    rows: exact,
    missing,
    progress: { ...progress, [table.name]: JSON.stringify(next) },
    done: isLoaded(next),
    rowsSoFar: next.rows,
  };
}

function withAgain(progress: ProgressByTable, rows: readonly RowName[]): ProgressByTable {
  const next: Record<string, string> = { ...progress };
  for (const { table, key } of rows) {
    const before = parseProgress(next[table.name]);
    if (before.again.some((known) => rowKey(known) === rowKey(key))) continue;
    next[table.name] = JSON.stringify({ ...before, again: [...before.again, key] });
  }
  return next;
}

/** The latest `size` texts, forgetting the oldest. */
function recent(size: number): { add(text: string): void; has(text: string): boolean } {
  const texts = new Set<string>();
  return {
    has: (text) => texts.has(text),
    add(text) {
      texts.add(text);
      if (texts.size <= size) return;
      const [oldest] = texts;
      if (oldest !== undefined) texts.delete(oldest);
    },
  };
}

const watermark = (mark: Mark | null, instance: string): number | null =>
  mark !== null && mark.lane === 'watermark' && mark.instance === instance ? mark.batch : null;

function noteTouched(reading: Reading, transaction: Transaction): void {
  const { table, touched } = reading;
  const at = table.key.map((name) => table.columns.indexOf(name));
  for (const change of transaction.changes) {
    if (change.table.name !== table.name) continue;
    for (const image of [change.row, change.old]) {
      if (image === null || image.length === 0) continue;
      touched.add(rowKey(at.map((i) => image[i] ?? null)));
    }
  }
}
