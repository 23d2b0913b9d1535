import type { SourceBatch, TableSpec } from '../model/change.ts';
import type { Position } from '../model/position.ts';
import type { Cell, Micros, Value } from '../model/value.ts';
import type { Digest, DigestRequest } from './digest.ts';

/**
 * Reads one system's change log. A source holds one log connection at a time, never reconnects by
 * itself and never retries: it throws a `CarrickError` whose disposition says what the caller
 * should do, and the caller opens it again at the last position that the ledger holds.
 */
export interface Source extends AsyncDisposable {
  /**
   * The position at which a new installation begins: everything committed from now on comes after
   * it. PostgreSQL: the slot's confirmed position; MySQL and MariaDB: the executed GTID set.
   */
  start(): Promise<Position>;
  /**
   * Streams what was committed after `from`, in commit order, only for the tables in the
   * specification plus the mark. At most one stream at a time; ending the iteration closes it.
   *
   * - A batch is bounded (about 1,000 changes or 1 MiB); a transaction of any size flows through.
   * - A slow consumer stops the reading from the socket: nothing queues without bound.
   * - Idle sources yield an empty batch at least every 10 s, on evidence from the server only (a
   *   keepalive, a heartbeat event), with a position that has moved past what does not concern us.
   * - Redelivery: after a restart from any yielded position exactly the changes after it come,
   *   in the same order and with the same transaction ids.
   *
   * Errors: `source.lost` (halt: the position or slot is gone, or this is another server; the fix
   * names `carrick rejoin`), `source.unreachable` (retry), `source.busy` (retry: slot still
   * active), `source.corrupt` (retry: checksum), `source.unsupported` (halt: e.g. STATEMENT
   * format).
   */
  tail(from: Position): AsyncIterable<SourceBatch>;
  /**
   * The ledger holds everything up to `position` on disk: the system may forget it (invariant 1).
   * Cheap to call often; the source decides how often to tell the server.
   */
  settle(position: Position): void;
  status(): SourceStatus;
  /**
   * One keyset chunk, read in one statement and outside the log; see {@link ChunkRequest}.
   * `source.unordered` (halt): the key does not put every row in one place.
   */
  read(request: ChunkRequest): Promise<Chunk>;
  /** About how many rows a table has, from the server's statistics; null: it cannot say. */
  estimate(table: TableSpec): Promise<number | null>;
  /**
   * Computes digests inside the database. Null: it cannot spell one of the fields canonically, or
   * the table does not fit. Absent: the system has no digests.
   */
  digest?(request: DigestRequest): Promise<Digest | null>;
}

export interface SourceStatus {
  /** When the last byte came from the server, heartbeats included, µs; null before the first. */
  readonly lastByteAt: Micros | null;
  /** Bytes of log between what was read and the log's end; null where the server cannot say. */
  readonly lagBytes: number | null;
  /** Bytes of log that the server keeps for us, and the bytes at which it will stop doing so. */
  readonly retainedBytes: number | null;
  readonly retentionLimitBytes: number | null;
  /** Age at which the server throws its log away, read or not; null where age is no reason. */
  readonly retentionLimitSeconds: number | null;
}

/**
 * Rows of `table` in key order, after the key `after` (null: from the start), at most `limit`; or
 * exactly the rows named in `keys`. Committed data only, as of one moment during the call.
 */
export interface ChunkRequest {
  readonly table: TableSpec;
  readonly after: readonly Value[] | null;
  readonly limit: number;
  /** Stops behind the row with which the cells' text has so many characters: memory is bounded. */
  readonly bytes?: number;
  readonly keys?: readonly (readonly Value[])[];
}

export interface Chunk {
  /** Cells in the order of `table.columns`, spelled exactly as the stream spells them. */
  readonly rows: readonly (readonly Cell[])[];
  /** Key of the last row, null when the table ended here. */
  readonly next: readonly Value[] | null;
  /** `bytes` was reached: rows that were asked for may be there and are not among these. */
  readonly cut?: boolean;
  /**
   * Transactions (`Transaction.visibility`) that the reading could not see yet. Where a commit gets
   * into the log before others can see it (PostgreSQL, longest with synchronous replicas), a chunk
   * that missed a transaction that the stream has already shown is not exact and is read again.
   */
  readonly unseen?: readonly string[];
}
