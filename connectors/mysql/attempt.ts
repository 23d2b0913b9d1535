import type { Outcome, TableWrite } from '../../src/contract/applier.ts';
import type { MysqlTable } from './describe.ts';
import { type Refusal, refusalOf } from './errors.ts';
import type { Session } from './session.ts';
import type { MysqlColumn } from './types.ts';

/** What the steps of one write share. */
export interface WriteContext {
  readonly session: Session;
  readonly table: MysqlTable;
  readonly write: TableWrite;
  /** Quoted, with its database. */
  readonly target: string;
  readonly key: readonly MysqlColumn[];
  /** By position in `write.rows`. */
  readonly outcomes: Outcome[];
}

/**
 * Runs one statement for all rows; where the server refuses, in halves, so that a refused row
 * costs only itself. InnoDB undoes a failed statement by itself: no savepoint is needed.
 */
export async function inHalves(
  rows: readonly number[],
  execute: (rows: readonly number[]) => Promise<void>,
  refused: (at: number, refusal: Refusal) => Promise<void> | void,
): Promise<void> {
  if (rows.length === 0) return;
  try {
    await execute(rows);
  } catch (error) {
    const refusal = refusalOf(error);
    if (refusal === null) throw error;
    if (rows.length === 1) return refused(rows[0]!, refusal);
    const middle = rows.length >> 1;
    await inHalves(rows.slice(0, middle), execute, refused);
    await inHalves(rows.slice(middle), execute, refused);
  }
}

/** The same for rows of a write. `execute` may set outcomes; rows without one are applied. */
export async function sparingly(
  { outcomes, write }: WriteContext,
  rows: readonly number[],
  execute: (rows: readonly number[]) => Promise<void>,
  refused?: (at: number, outcome: Outcome, errno: number) => Promise<Outcome>,
): Promise<void> {
  await inHalves(
    rows,
    async (some) => {
      await execute(some);
      for (const at of some) outcomes[at] ??= { kind: 'applied', key: write.rows[at]!.key ?? [] };
    },
    async (at, { errno, code, reason }) => {
      const outcome: Outcome = { kind: 'refused', code, reason };
      outcomes[at] = (await refused?.(at, outcome, errno)) ?? outcome;
    },
  );
}
