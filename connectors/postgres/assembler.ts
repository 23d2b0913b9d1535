import type { Change, Mark, SourceBatch, Transaction } from '../../src/model/change.ts';
import type { Position } from '../../src/model/position.ts';
import type { Micros } from '../../src/model/value.ts';
import { lost } from './errors.ts';
import { compareLsn, formatLsn } from './lsn.ts';
import { formatPosition, type LogPosition, type OpenTransaction } from './position.ts';

export interface BatchLimits {
  readonly changes: number;
  /** Of log messages. */
  readonly bytes: number;
}

export const BATCH_LIMITS: BatchLimits = { changes: 1000, bytes: 1 << 20 };

interface OpenPart {
  readonly commit: bigint;
  readonly committedAt: Micros;
  readonly xid: number;
  /** It ends before the start position. */
  readonly passed: boolean;
  /** Row messages before the start position. */
  readonly skip: number;
  mark: Mark | null;
  /** Some part was handed over, perhaps before a restart. */
  started: boolean;
  rows: number;
  /** `rows` when the last part was closed. */
  closedAt: number;
  changes: Change[];
  bytes: number;
}

/**
 * Makes bounded batches of the log's messages and knows the position after each. Transactions
 * that the start position has behind it are left out, and the first rows of one that it lies in.
 */
export class Assembler {
  readonly #cluster: string;
  #timeline: number;
  readonly #limits: BatchLimits;
  #finished: bigint;
  /** The transaction that the start position lies in, until the log comes to it. */
  #resuming: OpenTransaction | null;
  #open: OpenPart | null = null;
  readonly #full: SourceBatch[] = [];
  #transactions: Transaction[] = [];
  #changes = 0;
  #bytes = 0;

  constructor(from: LogPosition, limits: BatchLimits) {
    this.#cluster = from.cluster;
    this.#timeline = from.timeline;
    this.#finished = from.finished;
    this.#resuming = from.open;
    this.#limits = limits;
  }

  /** The server goes on with the same history under another number. */
  continueOn(timeline: number): void {
    this.#timeline = timeline;
  }

  begin(commit: bigint, committedAt: Micros, xid: number): void {
    const resuming = this.#resuming;
    if (resuming !== null && commit > resuming.commit) {
      throw lost(`the transaction at ${formatLsn(resuming.commit)} is no longer in the log`);
    }
    const resumed = resuming?.commit === commit ? resuming : null;
    if (resumed !== null) this.#resuming = null;
    this.#open = {
      commit,
      committedAt,
      xid,
      passed: resumed === null && (resuming !== null || compareLsn(commit, this.#finished) < 0),
      skip: resumed?.rows ?? 0,
      mark: null,
      started: resumed !== null,
      rows: 0,
      closedAt: resumed?.rows ?? 0,
      changes: [],
      bytes: 0,
    };
  }

  commit(end: bigint): void {
    const part = this.#part();
    if (!part.passed) {
      if (part.started || part.mark !== null || part.changes.length > 0) this.#close(part, true);
      this.#finished = end;
    }
    this.#open = null;
    if (this.#isFull(this.#changes, this.#bytes)) this.#seal();
  }

  /** Counts a row message; false when it lies before the start position. */
  row(): boolean {
    const part = this.#part();
    // Only between messages: one truncate message makes several changes, and a position inside of
    // it would lose some.
    if (this.#isFull(part.changes.length, part.bytes)) {
      this.#close(part, false);
      this.#seal();
    }
    part.rows++;
    return !part.passed && part.rows > part.skip;
  }

  /** The row message that was counted last is the first of a transaction that is handed over. */
  atFirstRow(): boolean {
    const part = this.#part();
    return part.rows === 1 && !part.passed;
  }

  mark(mark: Mark): void {
    this.#part().mark = mark;
  }

  add(change: Change, bytes: number): void {
    const part = this.#part();
    if (part.passed) return;
    part.changes.push(change);
    part.bytes += bytes;
  }

  /** Everything that commits before `lsn` has been read. */
  reached(lsn: bigint): void {
    if (this.#open !== null || this.#resuming !== null) return;
    if (compareLsn(lsn, this.#finished) > 0) this.#finished = lsn;
  }

  /** The next batch with something in it; null when there is none now. */
  take(): SourceBatch | null {
    if (this.#full.length === 0) this.#seal();
    return this.#full.shift() ?? null;
  }

  /** Batches that are full and wait. */
  get waiting(): number {
    return this.#full.length;
  }

  /** After everything that was taken, once nothing waits. */
  get position(): Position {
    const part = this.#open;
    const open = part?.started ? { commit: part.commit, rows: part.closedAt } : this.#resuming;
    const history = { cluster: this.#cluster, timeline: this.#timeline };
    return formatPosition({ finished: this.#finished, open, ...history });
  }

  #part(): OpenPart {
    if (this.#open === null) throw new Error('a message outside of a transaction');
    return this.#open;
  }

  #isFull(changes: number, bytes: number): boolean {
    return changes >= this.#limits.changes || bytes >= this.#limits.bytes;
  }

  /** Hands the changes of the open transaction over as one part of it. */
  #close(part: OpenPart, complete: boolean): void {
    const { committedAt, mark, changes, bytes } = part;
    const crowded =
      this.#changes + changes.length > this.#limits.changes ||
      this.#bytes + bytes > this.#limits.bytes;
    if (crowded) this.#seal();
    const id = formatLsn(part.commit);
    const visibility = String(part.xid);
    this.#transactions.push({ id, committedAt, visibility, mark, changes, complete });
    // A transaction of nothing but its mark takes its place too.
    this.#changes += Math.max(changes.length, 1);
    this.#bytes += bytes;
    part.started = true;
    part.closedAt = part.rows;
    part.changes = [];
    part.bytes = 0;
  }

  #seal(): void {
    if (this.#transactions.length === 0) return;
    this.#full.push({ transactions: this.#transactions, position: this.position });
    this.#transactions = [];
    this.#changes = 0;
    this.#bytes = 0;
  }
}
