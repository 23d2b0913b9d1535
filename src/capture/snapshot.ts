import type { Applier } from '../contract/applier.ts';
import type { Chunk, Source } from '../contract/source.ts';
import type { Mark, TableSpec, Transaction } from '../model/change.ts';
import { type Cell, rowKey, type Value } from '../model/value.ts';
import { isFirstLoad, isLoaded, type Progress, parseProgress, type Sweep } from './progress.ts';

/** Rows of a table that are exact at the point of the log where they are handed out. */
export interface SnapshotChunk {
  readonly table: TableSpec;
  readonly rows: readonly (readonly Cell[])[];
  /** Keys that were asked for by name and have no row. */
  readonly missing: readonly (readonly Value[])[];
  /** What the table's progress becomes with these rows in the ledger. */
  readonly onto: (now: Progress) => Progress;
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
   * log told too little of them.
   */
  progressWith(chunk: SnapshotChunk | null, rows: readonly RowName[]): ProgressByTable;
  /** It was committed: go on behind it. */
  committed(chunk: SnapshotChunk | null): void;
  /** No table waits for its first load, those that are held set aside. */
  readonly loaded: boolean;
}

/** Linked rows behind a sweep, and the sweep behind them; null: there are no more. */
export interface KnownRows {
  readonly keys: readonly (readonly Value[])[];
  /** Rows that are to be read with those of `keys` that are missing, met or not. */
  readonly besides: readonly (readonly Value[])[];
  readonly next: Sweep | null;
}

export interface SnapshotParts {
  readonly tables: readonly TableSpec[];
  /** The ledger's: a resync may begin while a chunk is being read. */
  readonly progress: () => ProgressByTable;
  /** Tables that do not fit their mapping now are left alone. */
  readonly held: (table: TableSpec) => boolean;
  /** See `Progress.contents`. */
  readonly contents: (table: TableSpec) => readonly string[];
  readonly known: (table: TableSpec, from: Sweep, limit: number) => Promise<KnownRows>;
  readonly instance: string;
  readonly source: Pick<Source, 'read'>;
  readonly applier: () => Promise<Pick<Applier, 'fence'>>;
  readonly firstFence: number;
}

/** What a chunk is made of: rows in order, rows to be read again, or rows that were not met. */
type Step =
  | { readonly kind: 'order'; readonly after: readonly Value[] | null }
  | { readonly kind: 'again' | 'sweep'; readonly keys: readonly (readonly Value[])[] };

interface Reading {
  readonly table: TableSpec;
  readonly low: number;
  /** The table's progress when the reading began. */
  readonly before: Progress;
  readonly touched: Set<string>;
  /** Transactions that the log showed behind the low mark: what they did is among the touched. */
  readonly since: Set<string>;
  /** The low mark was seen. */
  open: boolean;
  /** Set before the high mark is written. */
  read: { readonly step: Step; readonly chunk: Chunk; readonly sweep: Sweep | null } | null;
}

/** The rows that one pass over a table has shown. */
interface Met {
  readonly table: string;
  readonly pass: number | undefined;
  readonly keys: Recent;
}

const CHUNK_ROWS = 2000;
/** How many of the latest transactions are remembered for `Chunk.unseen`. */
const REMEMBERED = 100_000;
/** How many keys of a resync are remembered as met; others are asked for once more. */
const MET_KEYS = 200_000;

/**
 * Loads tables while the log is tailed, after "DBLog: A Watermark Based Change-Data-Capture
 * Framework" (Andreakis and Papapanagiotou, 2020): a number in the `watermark` lane of the mark
 * before the chunk is read and another one after it. A row that nobody touched between the two
 * marks in the log is exact where the second mark stands; rows that were touched are read again by
 * key with the next chunk. No locks, no long transaction; the same on every engine.
 *
 * A resync goes the same way once more. Behind it, rows that the ledger knows and that were not
 * met are asked for by key: those that are missing and untouched are gone.
 */
export function openSnapshot(parts: SnapshotParts): Snapshot {
  const { tables, instance } = parts;
  let fence = parts.firstFence;
  let reading: Reading | null = null;
  let underWay = false;
  let failure: unknown = null;
  const shown = openShown();
  const reader = openReader(parts);

  const first = (waits: (progress: Progress) => boolean) => {
    const now = parts.progress();
    return tables
      .values()
      .filter((table) => !parts.held(table))
      .map((table) => ({ table, before: parseProgress(now[table.name]) }))
      .find(({ before }) => waits(before));
  };

  return {
    get loaded() {
      return first(isFirstLoad) === undefined;
    },
    pump() {
      if (failure !== null) throw failure;
      if (reading !== null || underWay) return;
      const next = first((progress) => !isLoaded(progress));
      if (next === undefined) return;
      const fresh = readingOf(next.table, next.before, fence);
      fence += 2;
      reading = fresh;
      underWay = true;
      reader
        .read(fresh)
        .catch((error) => {
          if (reading === fresh) failure = error;
        })
        .finally(() => {
          underWay = false;
        });
    },
    after(transaction) {
      if (failure !== null) throw failure;
      shown.note(transaction, reading);
      if (reading === null) return null;
      // The log does not tell of each row: the chunk may show what is no longer so.
      if (isUnsettled(transaction, reading.table)) {
        reading = null;
        return null;
      }
      const number = watermark(transaction.mark, instance);
      if (number === reading.low) reading.open = true;
      if (!reading.open) return null;
      noteTouched(reading, transaction);
      if (number !== reading.low + 1 || reading.read === null) return null;
      if (shown.isMissing(reading, reading.read.chunk)) {
        reading = null;
        return null;
      }
      const chunk = finish(reading, reading.read, parts.contents(reading.table));
      reader.met(reading, chunk.rows);
      return chunk;
    },
    progressWith(chunk, rows) {
      const next: Record<string, string> = { ...parts.progress() };
      if (chunk !== null) {
        const { name } = chunk.table;
        next[name] = JSON.stringify(chunk.onto(parseProgress(next[name])));
      }
      noteAgain(next, rows);
      return next;
    },
    committed(chunk) {
      if (chunk !== null) reading = null;
    },
  };
}

/** What the log has shown; a chunk that could not see a transaction of it yet is not exact. */
function openShown() {
  const seen = recent(REMEMBERED);
  // What a chunk could not see may have been shown by the log before this start: nobody remembers.
  let early: ReadonlySet<string> | null = null;
  return {
    note({ visibility }: Transaction, reading: Reading | null): void {
      if (visibility === undefined) return;
      if (reading?.open && !seen.has(visibility)) reading.since.add(visibility);
      seen.add(visibility);
    },
    isMissing({ since }: Reading, { unseen = [] }: Chunk): boolean {
      early ??= new Set(unseen);
      return unseen.some((xid) => (seen.has(xid) && !since.has(xid)) || early?.has(xid));
    },
  };
}

const readingOf = (table: TableSpec, before: Progress, low: number): Reading => ({
  table,
  low,
  before,
  touched: new Set(),
  since: new Set(),
  open: false,
  read: null,
});

/** Reads between two fences. Knows which rows a resync has met: those need not be asked for. */
function openReader(parts: SnapshotParts) {
  let met: Met = { table: '', pass: undefined, keys: recent(MET_KEYS) };
  return {
    async read(into: Reading): Promise<void> {
      const { table, low, before } = into;
      if (met.table !== table.name || met.pass !== before.pass) {
        met = { table: table.name, pass: before.pass, keys: recent(MET_KEYS) };
      }
      const { step, sweep } = await stepOf(parts, table, before, (key) => !met.keys.has(key));
      const applier = await parts.applier();
      await applier.fence(low);
      const after = step.kind === 'order' ? step.after : null;
      const keys = step.kind === 'order' ? {} : { keys: step.keys };
      const chunk = await parts.source.read({ table, after, limit: CHUNK_ROWS, ...keys });
      into.read = { step, chunk, sweep };
      await applier.fence(low + 1);
    },
    met({ table, before }: Reading, rows: SnapshotChunk['rows']): void {
      if (before.sweep == null) return;
      for (const row of rows) met.keys.add(rowKey(keyIn(table, row)));
    },
  };
}

/** The next step of a table, and where its sweep stands behind that. */
async function stepOf(
  { known }: SnapshotParts,
  table: TableSpec,
  { after, ended, again, sweep = null }: Progress,
  unmet: (key: string) => boolean,
): Promise<{ step: Step; sweep: Sweep | null }> {
  if (again.length > 0) {
    return { step: { kind: 'again', keys: again.slice(0, CHUNK_ROWS) }, sweep };
  }
  if (!ended) return { step: { kind: 'order', after }, sweep };
  const keys: (readonly Value[])[] = [];
  let from = sweep;
  while (from !== null && keys.length === 0) {
    const page = await known(table, from, CHUNK_ROWS);
    keys.push(...page.keys.filter((key) => unmet(rowKey(key))));
    if (keys.length > 0) keys.push(...page.besides);
    from = page.next;
  }
  return { step: { kind: 'sweep', keys }, sweep: from };
}

const keyIn = (table: TableSpec, row: readonly Cell[]): Value[] =>
  table.key.map((name) => row[table.columns.indexOf(name)] ?? null);

function finish(
  { table, touched, before }: Reading,
  { step, chunk, sweep }: NonNullable<Reading['read']>,
  contents: readonly string[],
): SnapshotChunk {
  const keyed = chunk.rows.map((row) => ({ row, key: keyIn(table, row) }));
  const exact = keyed.filter(({ key }) => !touched.has(rowKey(key)));
  const disturbed = keyed.filter(({ key }) => touched.has(rowKey(key))).map(({ key }) => key);
  const found = new Set(keyed.map(({ key }) => rowKey(key)));
  const asked = step.kind === 'order' ? [] : step.keys;
  const missing = asked.filter((key) => !found.has(rowKey(key)) && !touched.has(rowKey(key)));
  const onto = (now: Progress): Progress => {
    // Begun anew while this was read: the rows count, the way there does not.
    if (now.pass !== before.pass) return now;
    const kept = step.kind === 'again' ? now.again.slice(asked.length) : now.again;
    const { mends, ...rest } = now;
    const next: Progress = {
      contents,
      ...rest,
      after: step.kind === 'order' ? (chunk.next ?? now.after) : now.after,
      ended: now.ended || (step.kind === 'order' && chunk.next === null),
      again: [...kept, ...disturbed],
      rows: now.rows + exact.length,
      ...(now.sweep === undefined ? {} : { sweep }),
    };
    return mends === undefined || isLoaded(next) ? next : { ...next, mends };
  };
  const made = onto(before);
  const rows = exact.map(({ row }) => row);
  return { table, rows, missing, onto, done: isLoaded(made), rowsSoFar: made.rows };
}

/** Rows of which the log told too little are read by key. */
function noteAgain(progress: Record<string, string>, rows: readonly RowName[]): void {
  for (const { table, key } of rows) {
    const before = parseProgress(progress[table.name]);
    if (before.again.some((known) => rowKey(known) === rowKey(key))) continue;
    progress[table.name] = JSON.stringify({ ...before, again: [...before.again, key] });
  }
}

/** Its rows are gone or withheld without a word about each. */
const isUnsettled = ({ changes }: Transaction, { name }: TableSpec): boolean =>
  changes.some(({ op, table }) => table.name === name && (op === 'drift' || op === 'truncate'));

interface Recent {
  add(text: string): void;
  has(text: string): boolean;
}

/** The latest `size` texts, forgetting the oldest. */
function recent(size: number): Recent {
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
