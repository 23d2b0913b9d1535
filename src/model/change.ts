import type { Position } from './position.ts';
import type { Cell, ColumnKind, Micros } from './value.ts';

/** The columns of one table that a mapping uses, in the order in which rows carry them. */
export interface TableSpec {
  /** As the mapping writes it: `table`, or `schema.table`. */
  readonly name: string;
  /** Key columns, each also in `columns`. */
  readonly key: readonly string[];
  readonly columns: readonly string[];
}

/** One column as the system declares it. */
export interface Column {
  readonly name: string;
  readonly kind: ColumnKind;
  /** The system's own spelling of the type, for messages: `numeric(12,2)`, `varchar(40)`. */
  readonly nativeType: string;
  readonly nullable: boolean;
  /** The system fills it when an insert leaves it out: default, identity, auto-increment. */
  readonly hasDefault: boolean;
  /** Never written by us: generated columns, GENERATED ALWAYS identities. */
  readonly readOnly: boolean;
}

export interface TableSchema {
  readonly name: string;
  readonly columns: readonly Column[];
  /** Column names of the primary key; empty when there is none. */
  readonly primaryKey: readonly string[];
}

/**
 * One row change, cells in the order of `table.columns`.
 * - insert: `row` is complete but for columns the log cannot carry; `old` is null.
 * - update: `row` is the after-image. Key columns are always present; a column that the log left
 *   out (unchanged TOAST, minimal row image) is `undefined`. `old` carries the old key columns
 *   when the key changed (other cells may be there or `undefined`), otherwise it may be null.
 * - delete: `row` is empty; `old` carries at least the key columns.
 * - truncate: no rows; every row of the table is gone.
 * - drift: the table no longer fits its spec from here on (a used column was dropped, renamed or
 *   changed its kind); `detail` says what, without values. Rows of the table follow it only after
 *   the table fits again, announced by a drift change whose `detail` is empty.
 */
export interface Change {
  readonly table: TableSpec;
  readonly op: 'insert' | 'update' | 'delete' | 'truncate' | 'drift';
  readonly row: readonly Cell[];
  readonly old: readonly Cell[] | null;
  readonly detail?: string;
}

/**
 * The row of `carrick_mark` that a transaction wrote first: it was made by a Carrick.
 * `lane` is `deliver` for apply transactions, `watermark` for the fences of a snapshot, and `look`
 * for a look at how far the log was read.
 */
export interface Mark {
  readonly instance: string;
  readonly lane: 'deliver' | 'watermark' | 'look';
  readonly batch: number;
}

/** A committed transaction, or a bounded part of one; parts come in order and are not mixed. */
export interface Transaction {
  /** The same text whenever the same transaction is read again: a commit LSN, a GTID. */
  readonly id: string;
  readonly committedAt: Micros;
  /** Known from the first part on, because the mark is the first row that is written. */
  readonly mark: Mark | null;
  readonly changes: readonly Change[];
  /** False while more parts of the same transaction follow in later batches. */
  readonly complete: boolean;
  /** PostgreSQL's xid; see `Chunk.unseen`. */
  readonly visibility?: string;
}

/** What a source hands over at once: bounded in rows and bytes, empty as a heartbeat. */
export interface SourceBatch {
  readonly transactions: readonly Transaction[];
  /** Resuming here continues after the last change of this batch. */
  readonly position: Position;
}
