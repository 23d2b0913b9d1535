import type { Position } from '../model/position.ts';
import type { Value } from '../model/value.ts';

/**
 * The target's side of a feed: writes what one system says into another, and the place in the
 * source's log that it comes from in the same transaction. So a transaction of the source has its
 * effect exactly once, whatever crashes (invariant 4): what was committed tells where to go on.
 *
 * The place is a row of `carrick_feed`, named by the instance and the feed. One copier per feed;
 * one transaction at a time.
 */
export interface Copier extends AsyncDisposable {
  /**
   * Where the feed stands; null where it has never committed. Waits for a predecessor's open
   * transaction to end first, by locking the row. Errors: as of `begin`.
   */
  place(): Promise<FeedPlace | null>;
  /**
   * Opens a transaction and locks the row. Throws `target.fenced` (halt) when the place is not what
   * this copier last read or committed: another Carrick feeds here. `target.unreachable` (retry).
   */
  begin(): Promise<CopyTransaction>;
}

export interface FeedPlace {
  /** Everything up to here is in the target. */
  readonly position: Position;
  /** How far the tables were loaded: JSON by table name; see `capture/progress.ts`. */
  readonly progress: string;
}

/** Disposing an open transaction rolls it back. */
export interface CopyTransaction extends AsyncDisposable {
  /**
   * Writes the rows of one group; tells only of those that gave trouble, in their order. A row that
   * the system refuses (constraint, trigger, type) costs only itself: the others are written. Any
   * other failure throws and the transaction is over: `target.conflicted` (retry: deadlock,
   * serialization, lock timeout), `target.unreachable` (retry).
   */
  write(write: CopyWrite): Promise<readonly Trouble[]>;
  /** Moves the place and commits. After an error the outcome is unknown: ask `Copier.place`. */
  commit(place: FeedPlace): Promise<void>;
}

/**
 * Rows of one table that take the same statement, written whatever the table holds: only the feed
 * writes there. No two rows of one write have the same key.
 * - put: after it a row with the key holds `columns` (the key is among them); other columns keep
 *   what they have, or get their defaults. `fresh`: hardly any of the rows is there yet.
 * - patch: the row whose key is `keys[i]` gets `columns`; a key column among them renames it.
 * - remove: the row whose key is `keys[i]` goes; none is needed. `columns` is empty.
 */
export interface CopyWrite {
  readonly op: 'put' | 'patch' | 'remove';
  readonly table: string;
  /** What tells rows apart: a unique index of the target has exactly these columns. */
  readonly key: readonly string[];
  readonly columns: readonly string[];
  /** patch and remove: in the order of `key`; none of them null. put: empty. */
  readonly keys: readonly (readonly Value[])[];
  /** put and patch: in the order of `columns`, canonical (see `model/value.ts`). remove: empty. */
  readonly rows: readonly (readonly Value[])[];
  readonly fresh: boolean;
}

/**
 * Of the row with this index in the write:
 * - absent: a patch found no row with the key.
 * - refused: the system said no; `code` is its SQLSTATE, `reason` its message without row values.
 */
export type Trouble =
  | { readonly kind: 'absent'; readonly row: number }
  | {
      readonly kind: 'refused';
      readonly row: number;
      readonly code: string;
      readonly reason: string;
    };

/** A table that feeds write, for setup and preflight. */
export interface CopyTable {
  readonly name: string;
  readonly key: readonly string[];
  readonly columns: readonly string[];
  /** Rows are removed, not only put. */
  readonly removes: boolean;
}
