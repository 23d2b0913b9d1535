import type { DatabaseError } from 'pg';
import { isRowRefusal } from './errors.ts';
import type { Run } from './session.ts';

/** The savepoint `row` of the open transaction, which begins with it. */
export interface Savepoint {
  /** What is written from here on can be undone. */
  set(): Promise<void>;
  /** Undoes what was written since. */
  rollBack(): Promise<void>;
}

export function openSavepoint(run: Run): Savepoint {
  // Nothing was written since it was set.
  let isFresh = true;
  return {
    async set() {
      // Set when it is needed, not when it may be: most transactions write once.
      if (!isFresh) await run('release row; savepoint row');
      isFresh = false;
    },
    async rollBack() {
      await run('rollback to row');
      isFresh = true;
    },
  };
}

export interface RowWork<Row, Result> {
  /** Writes the rows; a failure leaves none of them. */
  attempt(rows: readonly Row[]): Promise<Result[]>;
  /** What to say of a row that was refused by itself. */
  refused(row: Row, error: DatabaseError): Promise<Result>;
}

/** All rows at once; when one is refused, each half for itself. Results in the rows' order. */
export async function bisect<Row, Result>(
  point: Savepoint,
  work: RowWork<Row, Result>,
  rows: readonly Row[],
): Promise<Result[]> {
  try {
    await point.set();
    return await work.attempt(rows);
  } catch (error) {
    if (!isRowRefusal(error)) throw error;
    await point.rollBack();
    return rows.length > 1 ? halves(point, work, rows) : [await work.refused(rows[0]!, error)];
  }
}

export async function halves<Row, Result>(
  point: Savepoint,
  work: RowWork<Row, Result>,
  rows: readonly Row[],
): Promise<Result[]> {
  const middle = rows.length >> 1;
  const first = await bisect(point, work, rows.slice(0, middle));
  return [...first, ...(await bisect(point, work, rows.slice(middle)))];
}
