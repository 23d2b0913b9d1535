import type { Value } from '../model/value.ts';

/**
 * Writes decided deliveries into one system. One applier per target; one transaction at a time.
 */
export interface Applier extends AsyncDisposable {
  /**
   * The number of the last batch that committed for this instance (0: none). Takes the lock of the
   * mark row first, so that a predecessor's transaction has ended when this returns (invariant 4).
   */
  committed(): Promise<number>;
  /**
   * Opens a transaction and moves the mark from `batch - 1` or less to `batch` as its first write.
   * Throws `target.fenced` (halt) when the mark is already at or past `batch`: another Carrick with
   * the same instance is delivering. `target.unreachable` (retry): the system cannot be reached.
   */
  begin(batch: number): Promise<ApplyTransaction>;
  /**
   * A whole transaction in one round trip: as `begin`, one `write` and `commit`, for updates whose
   * outcomes nobody has to know before the log tells them. `diverged` includes `already`. Null: the
   * system refused a row, and nothing was done. Absent where it takes as many round trips as those.
   */
  update?(batch: number, write: TableWrite): Promise<Outcome[] | null>;
  /** Commits a transaction with nothing but a new, larger number in a lane of the mark. */
  fence(batch: number, lane?: 'watermark' | 'look'): Promise<void>;
  /**
   * Asks the system for a sign of life; changes no row. What was committed before is on disk when
   * it returns. Throws as `begin` does.
   */
  ping(): Promise<void>;
}

/** Disposing an open transaction rolls it back. */
export interface ApplyTransaction extends AsyncDisposable {
  /**
   * Compare-and-set of the rows of one group; outcomes in the order of `write.rows`. A row that the
   * system refuses (constraint, trigger, type) costs only itself: the others are applied. Any
   * other failure throws and the transaction is over: `target.conflicted` (retry: deadlock,
   * serialization, lock timeout), `target.unreachable` (retry).
   */
  write(write: TableWrite): Promise<Outcome[]>;
  /**
   * Why an insert diverged: for each of its rows the rows that its key or a guard hits, with their
   * `columns`, locked until the end of the transaction. Fails as `write` does.
   */
  inTheWay(insert: TableWrite, columns: readonly string[]): Promise<(readonly Value[])[][]>;
  /**
   * Returns when others see it, which may be before it is on disk: the log shows it only behind
   * that, and a server that dies first makes `committed` tell of an earlier batch. After an error
   * the outcome is unknown.
   */
  commit(): Promise<void>;
}

/**
 * Rows of one table that take the same statement.
 * - insert: `columns` are written; the key columns are among them unless the system generates the
 *   key. No row may exist that equals the new one in all columns of any of `guards`, nor one with
 *   the same key; otherwise the outcome is `diverged`.
 * - update: the row with `key` gets `columns`, but only where it still holds `expect` in `compare`.
 * - delete: the row with `key` goes, but only where it still holds `expect` in `compare`.
 */
export interface TableWrite {
  readonly op: 'insert' | 'update' | 'delete';
  readonly table: string;
  readonly key: readonly string[];
  readonly columns: readonly string[];
  readonly compare: readonly string[];
  readonly guards: readonly (readonly string[])[];
  readonly rows: readonly RowWrite[];
}

export interface RowWrite {
  /** In the order of `TableWrite.key`; null for an insert whose key the system generates. */
  readonly key: readonly Value[] | null;
  /** In the order of `TableWrite.columns`. */
  readonly values: readonly Value[];
  /** In the order of `TableWrite.compare`; exact comparison, NULL equals NULL. */
  readonly expect: readonly Value[];
}

/**
 * - applied: written; `key` is the row's key (generated or given).
 * - already: an update's row holds the wanted values, in the system's own rounding, and nobody can
 *   change it before the commit; a delete's row is gone. Nothing was written, nothing is logged.
 * - diverged: the row holds what nobody has read yet, or is missing, or an insert's guard hit.
 * - refused: the system said no to this row; `code` is its SQLSTATE, `reason` its message without
 *   row values.
 */
export type Outcome =
  | { readonly kind: 'applied'; readonly key: readonly Value[] }
  | { readonly kind: 'already' }
  | { readonly kind: 'diverged' }
  | { readonly kind: 'refused'; readonly code: string; readonly reason: string };
