import type { SystemView } from '../model/record.ts';
import type { Stamp } from '../model/stamp.ts';
import type { Micros, Value } from '../model/value.ts';
import type { Digest } from './digest.ts';
import type { JournalEntry, Parked, Pause } from './ledger.ts';

/**
 * What a person can see and do. The running daemon answers through its HTTP listener
 * (`/api/<method>`, JSON both ways); without one, the command line opens the ledger and answers
 * itself. Unknown ids and keys throw `operator.unknown`.
 *
 * Personal values and row keys come masked (`MASK`, in `observe/mask.ts`), unless `personal` is
 * true; that they were asked for is logged by the daemon.
 */
export interface Operator {
  status(): Promise<Status>;
  conflicts(filter: ListFilter): Promise<JournalEntry[]>;
  /** Settles an open conflict, or restores the loser of a settled one: one action for both. */
  resolve(id: number, choice: Choice, personal?: boolean): Promise<JournalEntry>;
  parked(filter: ListFilter): Promise<Parked[]>;
  /**
   * Tries parked items again: rows are read anew, deliveries sent, held deletes released. One may
   * settle another, as two deliveries of one record are tried together.
   */
  retry(ids: readonly number[]): Promise<{ id: number; outcome: string }[]>;
  /** Gives parked items up. What they held is gone; the records stay as they are. */
  discard(ids: readonly number[]): Promise<void>;
  /**
   * Erases a record, or a parked row that never became one, and all that was kept of it; `#17`
   * names also one that is gone and left its journal. Not to be undone. See `decide/forget.ts`.
   */
  forget(entity: string, key: string): Promise<Forgotten>;
  explain(entity: string, key: string, personal?: boolean): Promise<Explanation[]>;
  /**
   * Has the running daemon read the tables of an entity again, in one system or (null) in all that
   * map it. `where`: only records for which this condition, CEL over the entity's fields, holds in
   * the system or was known to hold; `operator.where` if it is none. Without a daemon:
   * `operator.unreachable`.
   */
  resync(entity: string, system: string | null, where?: string | null): Promise<Resync[]>;
  /** Compares a page of what a system holds of an entity with the records. */
  verify(entity: string, system: string, part: VerifyPart, personal?: boolean): Promise<Verified>;
  /** Has a system's database compute digests of a page of rows. */
  digest(entity: string, system: string, part: DigestPart): Promise<DigestPage>;
  /**
   * True when everything of `entity` that was committed in any system before this call has been
   * read from its log and decided, or copied where the entity is fed; false when that takes longer
   * than some seconds: ask again. Without a daemon nothing is on its way.
   */
  caughtUp(entity: string): Promise<boolean>;
  /**
   * Has the running daemon settle rows that differ (see `Repair`), or only says what it would do.
   * Without a daemon: `operator.unreachable`.
   */
  repair(request: RepairRequest): Promise<Repaired>;
}

export interface Forgotten {
  readonly entity: string;
  /** Null: a parked row that never became a record. */
  readonly record: number | null;
  /** The systems whose row is passed over from now on. */
  readonly rows: readonly string[];
  /** How many journal entries and parked items were erased. */
  readonly journal: number;
  readonly parked: number;
}

/**
 * `rows`: what the table holds, in key order; `records`: what it should hold; each behind the row
 * key `after` (null: from the start). `keys`: these rows, there or not. Masked keys that came from
 * here stand for themselves.
 */
export type VerifyPart =
  | { readonly kind: 'rows' | 'records'; readonly after: string | null }
  | { readonly kind: 'keys'; readonly keys: readonly string[] };

/** See `DigestRequest`; row keys as texts. */
export interface DigestPart {
  readonly after: string | null;
  readonly limit: number;
  readonly bits: number;
  readonly among: readonly number[] | null;
}

export interface DigestPage {
  /** Why there can be no digests; null: here they are. */
  readonly never: string | null;
  readonly rows: number;
  readonly next: string | null;
  readonly sums: Digest['sums'];
  readonly found: readonly { readonly key: string; readonly digest: string }[];
}

/** Rows by their keys in `system`, at most 200. */
export interface RepairRequest {
  readonly entity: string;
  readonly system: string;
  readonly keys: readonly string[];
  readonly from: string | null;
  readonly dryRun: boolean;
}

/** What a repair comes to, as of the rows as they were when it was asked for. */
export interface Repaired {
  readonly writes: readonly {
    readonly system: string;
    readonly op: 'insert' | 'update' | 'delete';
    /** The row's key in `system`; null for an insert. */
    readonly key: string | null;
    /** Row keys of the same record, by system. */
    readonly of: Readonly<Record<string, string>>;
    readonly fields: readonly string[];
  }[];
  /** Values that lose, kept in the journal. */
  readonly journalled: number;
  /** Conflicts that no policy decides: they wait for a person. */
  readonly open: number;
  /** Rows that are parked, by reason. */
  readonly parked: Readonly<Record<string, number>>;
}

export interface Verified {
  readonly checked: number;
  /** Null: the end. */
  readonly next: string | null;
  /** Parked, held, or on its way: known to differ. */
  readonly leftOut: number;
  /** The table does not fit its mapping: nothing can be compared. */
  readonly held: boolean;
  readonly differences: readonly Difference[];
  /** Of a part of named keys: where the same records have rows in other systems. */
  readonly elsewhere: readonly { readonly system: string; readonly key: string }[];
}

/**
 * - extra: a row of the system that belongs to no record.
 * - missing: a row that its record is linked to, and that is not there.
 * - absent: a record, known by the row `key` of the system `of`, that has no row in `system`.
 * - differs: fields of a row that are not what the record says.
 *
 * Where an entity is fed its source's row stands for the record, `system` is the target, and
 * `fields` are spelled as the target's columns would.
 */
export interface Difference {
  readonly kind: 'extra' | 'missing' | 'absent' | 'differs';
  readonly system: string;
  readonly key: string;
  readonly of?: string;
  readonly record: number | null;
  /** The same text for as long as row and record stay what they are. */
  readonly as: string;
  readonly fields: readonly {
    readonly name: string;
    readonly pii: boolean;
    readonly row: Value;
    readonly record: Value;
  }[];
}

export interface Resync {
  readonly system: string;
  readonly table: string;
  /**
   * `first load`: it is being read for the first time. `held`: it does not fit its mapping, and is
   * read again as soon as it does. Neither needs anything more.
   */
  readonly state: 'begun' | 'first load' | 'held';
}

export interface ListFilter {
  readonly entity?: string;
  /** Conflicts: `open` `settled` `resolved`; parked: a reason code. */
  readonly state?: string;
  /** One entry by number. */
  readonly id?: number;
  /** Entries older than this id. */
  readonly before?: number;
  readonly limit: number;
  readonly personal?: boolean;
}

/** Take what a system holds (or held: the journal's side), or given values by field name. */
export type Choice =
  | { readonly take: string }
  | { readonly values: Readonly<Record<string, Value>> };

export interface Status {
  readonly instance: string;
  /** Null when answered from the ledger alone: no daemon is running. */
  readonly uptimeSeconds: number | null;
  /** Null without a daemon. */
  readonly reload: ReloadStatus | null;
  readonly paused: readonly Pause[];
  /** The last full pass of background verification; absent: there was none. */
  readonly verified?: VerifyStatus;
  readonly systems: readonly SystemStatus[];
  readonly records: Readonly<Record<string, number>>;
  readonly openConflicts: number;
  readonly parked: Readonly<Record<string, number>>;
}

export interface VerifyStatus {
  readonly endedAt: Micros;
  readonly seconds: number;
  readonly rows: number;
  readonly differences: number;
  /** Entities in systems that could not be compared. */
  readonly unchecked: number;
}

/** Since when the configuration runs that runs, µs, and why the files' last change does not. */
export interface ReloadStatus {
  readonly at: Micros;
  readonly refused: Trouble | null;
}

export interface Trouble {
  readonly code: string;
  readonly message: string;
  readonly fix: string;
}

export interface SystemStatus {
  readonly system: string;
  readonly connector: string;
  /** `following` `snapshot` `retrying` `halted` `stopped`. */
  readonly source: string;
  /** `idle` `delivering` `waiting` `retrying` `halted` `stopped`; see `TargetNews`. */
  readonly target: string;
  readonly position: string | null;
  readonly lagSeconds: number | null;
  readonly lagBytes: number | null;
  readonly lastByteAgeSeconds: number | null;
  readonly outboxDepth: number;
  readonly outboxOldestSeconds: number | null;
  /** What went wrong last and what to do, while retrying or halted. */
  readonly trouble: Trouble | null;
  readonly snapshots: readonly SnapshotStatus[];
}

export interface SnapshotStatus {
  readonly table: string;
  /** Read so far by the first load or the resync that is going on; or by the last one. */
  readonly rows: number;
  readonly done: boolean;
  /** About how many there are; null: unknown, or nothing is being read. */
  readonly estimatedRows: number | null;
  readonly rowsPerSecond: number | null;
  readonly secondsLeft: number | null;
}

/** All that is known of one record. Values of `pii` fields are masked unless asked for. */
export interface Explanation {
  readonly entity: string;
  /** Null: a row of a fed entity, as the systems hold it now. */
  readonly record: number | null;
  readonly deleted: boolean;
  readonly fields: readonly {
    readonly name: string;
    readonly pii: boolean;
    readonly value: Value;
    readonly stamp: Stamp | null;
    /** Number of the open conflict that holds the field. */
    readonly held: number | null;
  }[];
  readonly views: Readonly<Record<string, SystemView>>;
  /** What is on its way: by system. */
  readonly outbox: readonly {
    readonly system: string;
    readonly since: Micros;
    readonly batch: number | null;
    readonly attempts: number;
  }[];
  readonly history: readonly JournalEntry[];
  readonly parked: readonly Parked[];
}
