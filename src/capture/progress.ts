import type { Micros, Value } from '../model/value.ts';

/**
 * How far one table was read, as JSON in `SourceState.snapshots`. Optional fields came later: a
 * text without them is an older ledger's.
 */
export interface Progress {
  /** Key of the last row that was read in order; null: none yet. */
  readonly after: readonly Value[] | null;
  /** The table was read to its end. */
  readonly ended: boolean;
  /** Keys of rows that were touched while they were read, to be read again. */
  readonly again: readonly (readonly Value[])[];
  readonly rows: number;
  /** Rows that the table had before it was read anew; gone when it has been. */
  readonly population?: number;
  /**
   * A resync: up to where the rows that the ledger knows were looked for; null: all of them.
   * Absent: a first load, before which no rows were known.
   */
  readonly sweep?: Sweep | null;
  /** Which resync it is: another one began the table anew. */
  readonly pass?: number;
  /** Changes were missed: nothing is delivered to the table before it was read again. */
  readonly mends?: boolean;
  /** What a person decided of rows that are not there any more; absent: they count as deleted. */
  readonly absent?: Absent;
  /** What some rows of `again` are read for: a person's repair (see `decide/repairs.ts`). */
  readonly repairs?: readonly {
    readonly entity: string;
    readonly key: readonly Value[];
    readonly from: string | null;
  }[];
  /** The columns and fields that were read: what a mapping adds later is read too. */
  readonly contents?: readonly string[];
  /** A resync of some rows only. */
  readonly where?: Where;
}

/** The records of `entity` for which a condition holds, in CEL over its fields. */
export interface Where {
  readonly entity: string;
  readonly text: string;
}

/**
 * Rows that went with a TRUNCATE `at` that time (µs): each is a delete, which no flood guard holds
 * again, or (`restore`) it is written again.
 */
export interface Absent {
  readonly restore: boolean;
  readonly at: Micros;
}

/**
 * Behind the row `after` (null: before the first) of the first entity whose name is not less than
 * `entity`: several may map one table. Behind its linked rows come those that are parked.
 */
export interface Sweep {
  readonly entity: string;
  readonly after: string | null;
  /** The number of the parked row that was looked for last, the newest first; null: none yet. */
  readonly parked?: number | null;
}

const UNREAD: Progress = { after: null, ended: false, again: [], rows: 0 };

/** JSON of a {@link Progress} by table name. */
export type ProgressByTable = Readonly<Record<string, string>>;

export const parseProgress = (text: string | undefined): Progress =>
  text === undefined ? UNREAD : (JSON.parse(text) as Progress);

const parsed = new WeakMap<ProgressByTable, Map<string, Progress>>();

/** The progress of one table; parsed once, because every batch asks of every table. */
export function progressOf(tables: ProgressByTable, name: string): Progress {
  const known = parsed.get(tables) ?? new Map<string, Progress>();
  parsed.set(tables, known);
  const progress = known.get(name) ?? parseProgress(tables[name]);
  known.set(name, progress);
  return progress;
}

export const isLoaded = ({ ended, again, sweep }: Progress): boolean =>
  ended && again.length === 0 && (sweep === undefined || sweep === null);

/** The first load is not complete: what the table holds is not yet known at all. */
export const isFirstLoad = (progress: Progress): boolean =>
  progress.sweep === undefined && !isLoaded(progress);

/** What both conditions name; undefined: all rows. */
function eitherOf(before: Progress, where: Where | undefined): Where | undefined {
  if (where === undefined || before.sweep == null) return where;
  // A pass that is not through yet is not given up for a smaller one.
  if (before.where === undefined || before.where.entity !== where.entity) return undefined;
  if (before.where.text === where.text) return where;
  return { ...where, text: `(${before.where.text}) || (${where.text})` };
}

/** What a table is read anew for; see {@link Progress}. */
export interface Resyncing {
  readonly mends: boolean;
  readonly contents?: readonly string[];
  readonly absent?: Absent | undefined;
  readonly where?: Where | undefined;
}

/** Rows of the table, also while it is read anew and has not told all of them. */
export const populationOf = ({ rows, population = 0 }: Progress): number =>
  Math.max(rows, population);

/** A table to be read again from its start, and then the known rows that were not met. */
export function resyncOf(before: Progress, how: Resyncing): Progress {
  const contents = how.contents ?? before.contents;
  const absent = how.absent ?? before.absent;
  const mends = how.mends || before.mends === true;
  const population = populationOf(before);
  const where = mends || absent !== undefined ? undefined : eitherOf(before, how.where);
  return {
    ...UNREAD,
    sweep: { entity: '', after: null },
    pass: (before.pass ?? 0) + 1,
    ...(population === 0 ? {} : { population }),
    ...(contents === undefined ? {} : { contents }),
    ...(absent === undefined ? {} : { absent }),
    ...(where === undefined ? {} : { where }),
    ...(mends ? { mends } : {}),
  };
}
