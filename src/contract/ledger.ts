import type { Position } from '../model/position.ts';
import type { RecordId, RecordState } from '../model/record.ts';
import type { Stamp } from '../model/stamp.ts';
import type { Cell, Micros, Value } from '../model/value.ts';

/**
 * The durable memory. Everything that the daemon knows is here; a commit is atomic when its promise
 * resolves, and on disk after the next `synced` (invariant 1). One process owns a ledger for
 * writing at a time: opening one that is owned throws `ledger.owned` (halt).
 */
export interface Ledger extends AsyncDisposable {
  /** What a start needs: see {@link LedgerHead}. A commit counts from its call until it fails. */
  head(): LedgerHead;
  /**
   * Gives every field name of an entity its ordinal, the same for ever: names that were seen
   * before keep theirs, new ones follow. The result lists all names ever seen, in ordinal order.
   */
  ordinals(entity: string, names: readonly string[]): Promise<string[]>;
  find(query: LedgerQuery): Promise<LedgerFound>;
  /** Calls take effect in their order: a `find` after a `commit` sees it, resolved or not. */
  commit(changes: LedgerCommit): Promise<void>;
  /**
   * Resolves when all that was committed before the call is on disk; to be awaited before anything
   * outside may build on it. `ledger.unsynced` (halt): nobody knows what is. `later`: nothing waits
   * for it, so that it may share a sync that somebody waits for.
   */
  synced(later?: 'later'): Promise<void>;
  /**
   * Outbox entries of `system` that may be sent now (not sent, not waiting, of complete source
   * transactions, of no entity in `except`), in seq order after `afterSeq`, at most `limit`.
   */
  ready(
    system: string,
    afterSeq: number,
    limit: number,
    except?: readonly string[],
  ): Promise<OutboxEntry[]>;
  /**
   * Entries of `system` that were sent in `batch` (null: in any), in seq order after `afterSeq`, at
   * most `limit`.
   */
  sent(
    system: string,
    batch: number | null,
    afterSeq: number,
    limit: number,
  ): Promise<OutboxEntry[]>;
  /** What people look at; never on the daemon's hot path. */
  readonly desk: LedgerDesk;
}

export interface LedgerHead {
  readonly positions: Readonly<Record<string, SourceState>>;
  /** Highest delivery batch number handed out, by system. */
  readonly batches: Readonly<Record<string, number>>;
  /** The next free numbers. */
  readonly nextRecord: RecordId;
  readonly nextSeq: number;
  readonly nextCase: number;
  readonly paused: readonly Pause[];
}

/** What nothing is delivered to, or of, for now; see `Controls.pause`. */
export interface Pause {
  readonly kind: 'system' | 'entity';
  readonly name: string;
  readonly since: Micros;
}

export interface SourceState {
  readonly position: Position;
  /** The source transaction that is open at `position`, null when none is. */
  readonly openTransaction: string | null;
  /** Snapshot progress by table name: JSON that `capture/progress.ts` makes and reads. */
  readonly snapshots: Readonly<Record<string, string>>;
}

/** A row key in one system, for one entity. */
export interface LinkKey {
  readonly system: string;
  readonly entity: string;
  readonly key: string;
}

/** A normalized match tuple: `value` is the JSON array of the values of `alternative`. */
export interface IdentityKey {
  readonly entity: string;
  readonly alternative: number;
  readonly value: string;
}

export interface LedgerQuery {
  readonly links?: readonly LinkKey[];
  readonly identities?: readonly IdentityKey[];
  readonly records?: readonly RecordId[];
  /** Parked rows by the row they hold; see {@link ParkedRow}. */
  readonly parkedRows?: readonly LinkKey[];
}

/** Arrays answer the query's arrays index by index. */
export interface LedgerFound {
  /** Each linked record itself, null when there is no such link. */
  readonly links: readonly (RecordState | null)[];
  readonly identities: readonly (readonly RecordState[])[];
  readonly records: readonly (RecordState | null)[];
  readonly parkedRows: readonly (ParkedRow | null)[];
}

/** One atomic commit. Every list may be empty; what is not named stays as it is. */
export interface LedgerCommit {
  /** The source whose batch this commit covers. */
  readonly source?: { readonly system: string; readonly state: SourceState };
  /** New and changed records, whole; a record with no view, no outbox and `deleted` is erased. */
  readonly records?: readonly RecordState[];
  readonly erased?: readonly RecordId[];
  /**
   * Records whose journal and outbox entries go, whether or not they are still there. When the
   * promise resolves no byte of anything that this commit removed is left in the ledger's files.
   */
  readonly forgotten?: readonly { readonly entity: string; readonly record: RecordId }[];
  readonly links?: { readonly add: readonly Link[]; readonly remove: readonly LinkKey[] };
  readonly identities?: {
    readonly add: readonly Identity[];
    readonly remove: readonly Identity[];
  };
  readonly outbox?: {
    readonly add: readonly OutboxEntry[];
    /**
     * Entries frozen into a batch, with what will be sent; else they are as they were added. The
     * batch number becomes durable.
     */
    readonly send: readonly OutboxEntry[];
    readonly remove: readonly number[];
    /** Entries that waited for a record's link in a system and need not wait any longer. */
    readonly release: readonly { readonly system: string; readonly record: RecordId }[];
    /**
     * Entries that cannot be sent before `waits` is linked in the entry's system; null: they need
     * not wait any longer. For a record that is gone none waits: it may be sent at once, and with
     * the record's erasing.
     */
    readonly wait: readonly { readonly seq: number; readonly waits: RecordId | null }[];
  };
  readonly batches?: readonly { readonly system: string; readonly batch: number }[];
  /** New entries, and whole replacements of entries with the same id. */
  readonly journal?: readonly JournalEntry[];
  /** Journal entries that go; those that are open stay. */
  readonly expired?: readonly number[];
  /** Open journal entries that are resolved from now on. */
  readonly closed?: readonly number[];
  readonly parked?: { readonly put: readonly Parked[]; readonly remove: readonly number[] };
  readonly paused?: { readonly add: readonly Pause[]; readonly remove: readonly Pause[] };
}

export interface Link extends LinkKey {
  readonly record: RecordId;
}

export interface Identity extends IdentityKey {
  readonly record: RecordId;
}

/** A record that one target has to be brought up to. What is sent is computed when it is sent. */
export interface OutboxEntry {
  readonly seq: number;
  readonly system: string;
  readonly record: RecordId;
  readonly entity: string;
  /** Commit time of the oldest change that it carries, µs. */
  readonly since: Micros;
  /** Source system and transaction that it came from; entries of one are sent together. */
  readonly origin: string;
  readonly transaction: string;
  /** Null until it is frozen into a delivery batch. */
  readonly batch: number | null;
  readonly sent: Sent | null;
  /** How often it came back without effect. */
  readonly attempts: number;
}

/** What was put on its way: kept until the echo, to tell a trigger's work from our own. */
export interface Sent {
  readonly op: 'insert' | 'update' | 'delete';
  /** Canonical values by field ordinal; `undefined` where the field was not written. */
  readonly values: readonly Cell[];
  /**
   * Of an update: what the view held of the fields that the write was compared with, by ordinal.
   * Where it holds something else when the echo comes, the row did too, and the write was not
   * done. Absent in older ledgers.
   */
  readonly over?: Readonly<Record<number, Value>>;
}

/** A conflict, a first contact that differed, or anything else that a policy settled. */
export interface JournalEntry {
  /** From `nextCase`. */
  readonly id: number;
  readonly at: Micros;
  readonly entity: string;
  readonly record: RecordId;
  /** Field or group name; `(record)` for deletes. */
  readonly unit: string;
  readonly kind: 'conflict' | 'first_contact' | 'delete' | 'repair' | 'resolution';
  /** `open`: parked, waits for a person. */
  readonly state: 'settled' | 'open' | 'resolved';
  /** Policy as written: `last_writer`, `prefer: erp`, a rule's text, `park`; see `repairedBy`. */
  readonly policy: string;
  /** The system whose value stands; null while open or for a computed value. */
  readonly winner: string | null;
  readonly incoming: JournalSide;
  readonly standing: JournalSide;
  /** The values after the decision, one per field of the unit; null for a deleted record. */
  readonly outcome: readonly Value[] | null;
}

export interface JournalSide {
  readonly system: string;
  /** One per field of the unit; null for a deleted record. */
  readonly values: readonly Value[] | null;
  readonly stamp: Stamp | null;
}

/** Something that waits for a person, or (row, `waiting`) for another row. */
export type Parked = ParkedRow | ParkedDelivery | ParkedHold;

interface ParkedBase {
  /** From `nextCase`. */
  readonly id: number;
  readonly system: string;
  readonly entity: string;
  readonly since: Micros;
  /** Stable code: see `PARK_REASONS` in `src/observe/park-reasons.ts`. */
  readonly reason: string;
  /** Without row values. */
  readonly detail: string;
}

/** A row that could not become a patch; later images of the same row are merged into it. */
export interface ParkedRow extends ParkedBase {
  readonly kind: 'row';
  readonly key: string;
  /** Latest known cells by column name, a feed's none; null when the latest news was a delete. */
  readonly cells: Readonly<Record<string, Value>> | null;
  /**
   * Reason `waiting`: the row of the same system that it refers to, and its entity. Reason
   * `duplicate`, of a row that we inserted: the row that became its record meanwhile.
   */
  readonly waits: { readonly entity: string; readonly key: string } | null;
}

/** A write that the target refused or that keeps diverging. */
export interface ParkedDelivery extends ParkedBase {
  readonly kind: 'delivery';
  readonly record: RecordId;
}

/** Deletes that were held as a flood, or a record that flips: `records` wait for a release. */
export interface ParkedHold extends ParkedBase {
  readonly kind: 'hold';
  /** Record ids; the deletes are carried out when a person releases them. */
  readonly records: readonly RecordId[];
}

/** What people look at and what the gauges count. Lists are newest first and paged by id. */
export interface LedgerDesk {
  conflicts(filter: {
    state?: string;
    entity?: string;
    before?: number;
    limit: number;
  }): Promise<JournalEntry[]>;
  conflict(id: number): Promise<JournalEntry | null>;
  history(entity: string, record: RecordId, limit: number): Promise<JournalEntry[]>;
  parked(filter: {
    reason?: string;
    entity?: string;
    before?: number;
    limit: number;
  }): Promise<Parked[]>;
  parkedOne(id: number): Promise<Parked | null>;
  /** Rows that wait for the row `key` of `entity` in `system`. */
  waitingFor(link: LinkKey): Promise<ParkedRow[]>;
  /** The outbox entries with these numbers that are still there. */
  outbox(seqs: readonly number[]): Promise<OutboxEntry[]>;
  /** Records linked to rows of `entity` in `system`, in key order after `afterKey` (null: all). */
  linked(
    system: string,
    entity: string,
    afterKey: string | null,
    limit: number,
  ): Promise<RecordState[]>;
  /** Journal entries that wait for nobody, the oldest first. */
  oldestClosed(limit: number): Promise<JournalEntry[]>;
  /** What the content takes; what was removed and is used again is left out. */
  usedBytes(): Promise<number>;
  counts(): Promise<LedgerCounts>;
}

export interface LedgerCounts {
  readonly records: Readonly<Record<string, number>>;
  /** By system: how many entries wait or are on their way, and `since` of the oldest. */
  readonly outbox: Readonly<Record<string, { depth: number; oldest: Micros | null }>>;
  readonly openConflicts: Readonly<Record<string, number>>;
  /** By system and reason. */
  readonly parked: Readonly<Record<string, Readonly<Record<string, number>>>>;
}
