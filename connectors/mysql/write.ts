import type { Outcome, TableWrite } from '../../src/contract/applier.ts';
import { rowKey, type Value } from '../../src/model/value.ts';
import type { WriteContext } from './attempt.ts';
import { changeRows } from './change.ts';
import { type MysqlTable, quoteTable } from './describe.ts';
import { insertRows } from './insert.ts';
import { columnsOf } from './read.ts';
import type { Session } from './session.ts';

/** Rows that are locked and compared at once. */
const SLICE_ROWS = 500;

export const writeContext = (
  session: Session,
  database: string,
  table: MysqlTable,
  write: TableWrite,
): WriteContext => ({
  session,
  table,
  write,
  target: quoteTable(write.table, database),
  key: columnsOf(table, write.key),
  outcomes: [],
});

/** See `ApplyTransaction.write`; throws what the driver throws where the transaction is over. */
export async function writeRows(context: WriteContext): Promise<Outcome[]> {
  for (const slice of slices(context)) {
    if (context.write.op === 'insert') await insertRows(context, slice);
    else await changeRows(context, slice);
  }
  return context.outcomes;
}

/**
 * Positions of rows, cut so that a statement stays far below the server's packet limit and names
 * no key twice. A row that no packet can hold is refused here: sent, it would cost the connection.
 */
function slices({ session, write, outcomes }: WriteContext): number[][] {
  const cut: number[][] = [];
  let slice: number[] = [];
  let bytes = 0;
  let keys = new Set<string>();
  for (const [at, row] of write.rows.entries()) {
    const size = sizeOf(row.key ?? [], row.values);
    if (size > session.maxPacket / 4) {
      const [code, reason] = TOO_LARGE;
      outcomes[at] = { kind: 'refused', code, reason };
      continue;
    }
    const key = row.key === null ? null : rowKey(row.key);
    const full = slice.length === SLICE_ROWS || bytes + size > session.maxPacket / 4;
    if (slice.length > 0 && (full || (key !== null && keys.has(key)))) {
      cut.push(slice);
      slice = [];
      bytes = 0;
      keys = new Set();
    }
    slice.push(at);
    bytes += size;
    if (key !== null) keys.add(key);
  }
  if (slice.length > 0) cut.push(slice);
  return cut;
}

/** SQLSTATE and reason of a row that no packet can hold. */
export const TOO_LARGE = [
  '08S01',
  'the row is larger than a quarter of max_allowed_packet',
] as const;

/** Characters, doubled for the key that a CASE repeats for every column. */
export function sizeOf(key: readonly Value[], values: readonly Value[]): number {
  let size = 0;
  for (const value of values) size += (value?.length ?? 0) + 8;
  for (const value of key) size += ((value?.length ?? 0) + 16) * (values.length + 1);
  return size;
}
