/** Puts row changes together to transactions, and transactions to bounded batches. */
import { halt } from '../../../src/errors.ts';
import type { Change, Mark, SourceBatch, Transaction } from '../../../src/model/change.ts';
import type { LogPosition } from '../position.ts';
import type { GtidEvent } from './gtid-event.ts';
import type { Tracker } from './tracker.ts';

const MOST_CHANGES = 1000;
const MOST_BYTES = 1024 * 1024;

/** A transaction whose end has not been read. */
export interface Open {
  readonly name: string;
  readonly event: GtidEvent;
  mark: Mark | null;
  changes: Change[];
  bytes: number;
  /** Row changes of any table so far. */
  rows: number;
  /** Row changes to leave out: they came before the position. */
  readonly skip: number;
  /** Some of it was handed over, now or before a restart. */
  begun: boolean;
  /** A COMMIT or the like ends it, not its first statement. */
  bracketed: boolean;
}

export interface Assembler {
  readonly open: Open | null;
  begin(event: GtidEvent, bracketed: boolean): void;
  add(change: Change, size: number): void;
  /** The open transaction is committed. */
  commit(): void;
  /** The open transaction is rolled back: nothing of it happened. */
  rollback(): void;
  /** Hands over what is complete, if anything is. */
  flush(): void;
  /** The server lives: hands over everything, and be it but the position. */
  beat(): void;
}

export function assembler(
  from: LogPosition,
  tracker: Tracker,
  emit: (batch: SourceBatch) => void,
): Assembler {
  let resume = from.open;
  let open: Open | null = null;
  let done: Transaction[] = [];
  let count = 0;
  let bytes = 0;

  const hand = (position: LogPosition['open']): void => {
    emit({ transactions: done, position: tracker.position(position ?? resume) });
    done = [];
    count = 0;
    bytes = 0;
  };
  const flush = (): void => {
    // Inside a transaction the position of its beginning is the one that covers what is complete.
    if (done.length > 0) hand(open?.begun ? place(open) : null);
  };
  const part = (transaction: Open, complete: boolean): void => {
    count += Math.max(1, transaction.changes.length);
    bytes += transaction.bytes;
    done.push(takeChanges(transaction, complete));
  };
  const cut = (transaction: Open): void => {
    if (!transaction.begun) flush();
    part(transaction, false);
    hand(place(transaction));
  };
  return {
    get open() {
      return open;
    },
    begin: (event, bracketed) => {
      const name = tracker.nameOf(event.gtid);
      const skip = resume?.transaction === name ? resume.rows : 0;
      const begun = skip > 0;
      if (begun) resume = null;
      const nothing = { mark: null, changes: [], bytes: 0, rows: 0 };
      open = { name, event, ...nothing, skip, begun, bracketed };
    },
    add: (change, size) => {
      const transaction = open!;
      transaction.changes.push(change);
      transaction.bytes += size;
      if (transaction.changes.length >= MOST_CHANGES || transaction.bytes >= MOST_BYTES) {
        cut(transaction);
      }
    },
    commit: () => {
      const transaction = open;
      if (transaction === null) return;
      const size = transaction.changes.length;
      const full = count + size > MOST_CHANGES || bytes + transaction.bytes > MOST_BYTES;
      if (full && !transaction.begun) flush();
      if (size > 0 || transaction.mark !== null || transaction.begun) part(transaction, true);
      open = null;
      tracker.executed(transaction.name);
      if (count >= MOST_CHANGES || bytes >= MOST_BYTES) flush();
    },
    rollback: () => {
      const transaction = open;
      if (transaction === null) return;
      if (transaction.begun) throw rolledBack();
      open = null;
      tracker.executed(transaction.name);
    },
    flush,
    beat: () => {
      if (open !== null && open.changes.length > 0) cut(open);
      else hand(open === null || open.rows === 0 ? null : place(open));
    },
  };
}

function takeChanges(open: Open, complete: boolean): Transaction {
  const { name: id, mark, changes } = open;
  open.changes = [];
  open.bytes = 0;
  open.begun = true;
  return { id, committedAt: open.event.committedAt, mark, changes, complete };
}

/** Behind the rows read so far; on the way to the resumed place, that place. */
const place = ({ name, rows, skip }: Open): LogPosition['open'] => ({
  transaction: name,
  rows: Math.max(rows, skip),
});

const rolledBack = () =>
  halt(
    'source.unsupported',
    'The log ends a large transaction with ROLLBACK, after its rows were handed over',
    'Keep mapped tables in InnoDB, do not mix engines in one transaction, and resync.',
  );
