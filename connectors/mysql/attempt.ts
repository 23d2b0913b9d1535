import type { Outcome, TableWrite } from '../../src/contract/applier.ts';
import type { MysqlTable } from './describe.ts';
import { refusalOf } from './errors.ts';
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
 * `execute` may set outcomes; rows without one are applied.
 */
export async function sparingly(
  context: WriteContext,
  rows: readonly number[],
  execute: (rows: readonly number[]) => Promise<void>,
  refused?: (at: number, outcome: Outcome, errno: number) => Promise<Outcome>,
): Promise<void> {
  if (rows.length === 0) return;
  const { outcomes, write } = context;
  try {
    await execute(rows);
    for (const at of rows) outcomes[at] ??= { kind: 'applied', key: write.rows[at]!.key ?? [] };
  } catch (error) {
    const refusal = refusalOf(error);
    if (refusal === null) throw error;
    const [only] = rows;
    if (rows.length === 1 && only !== undefined) {
      const { errno, code, reason } = refusal;
      const outcome: Outcome = { kind: 'refused', code, reason };
      outcomes[only] = (await refused?.(only, outcome, errno)) ?? outcome;
      return;
    }
    const middle = rows.length >> 1;
    await sparingly(context, rows.slice(0, middle), execute, refused);
    await sparingly(context, rows.slice(middle), execute, refused);
  }
}
