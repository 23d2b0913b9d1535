import type { CopyWrite } from '../../src/contract/copier.ts';
import { keeps } from './exact-value.ts';
import type { Session } from './session.ts';
import type { MysqlColumn } from './types.ts';

/** How the rows of one write are told to the server. */
export interface Telling {
  /** Some rows of the write, in one statement. */
  tell(rows: readonly number[]): Promise<void>;
  /** All of them, in slices. */
  slices(): Iterable<Slice>;
}

/** Rows one behind the other; what they take is spelled when the slice is asked for. */
export interface Slice {
  readonly rows: readonly number[];
  tell(): Promise<void>;
}

/** What the steps of one write share. */
export interface Copying {
  readonly session: Session;
  readonly write: CopyWrite;
  /** Quoted, with its database. */
  readonly target: string;
  readonly columns: readonly MysqlColumn[];
  readonly key: readonly MysqlColumn[];
  /** The server takes no longer statement, or it would be of no use. */
  readonly limit: number;
  refuse(row: number, code: string, reason: string): void;
  absent(row: number): void;
}

/**
 * Whether a new key is stored as it is: what a column would cut or round might then be the key of
 * another row. Refuses the row otherwise.
 */
export function keyFits({ write, columns, refuse }: Copying): (row: number) => boolean {
  const checks = columns.flatMap((column, place) => {
    const holds = keeps(column);
    return write.key.includes(column.name) ? [{ place, holds, name: column.name }] : [];
  });
  return (row) => {
    for (const { place, holds, name } of checks) {
      const value = write.rows[row]![place]!;
      if (value !== null && holds(value)) continue;
      refuse(row, '22000', `key column ${name} does not hold the value as it is`);
      return false;
    }
    return true;
  };
}
