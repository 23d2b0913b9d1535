import { rowKey, type Value } from '../../src/model/value.ts';
import { sparingly, type WriteContext } from './attempt.ts';
import { updateEach } from './exact-key.ts';
import { columnsOf, decoder, keyIn, pick } from './read.ts';
import { comparable, type MysqlColumn, quoteName, selected } from './types.ts';

/** Rows that one UPDATE changes: its CASE is searched row by row, so a longer one is slower. */
export const UPDATE_ROWS = 64;

/**
 * Updates and deletes: the rows are locked and read as they are now (a locking read sees the last
 * committed version), compared here, where equality has neither collation nor padding, and written
 * only where they still hold what was expected (invariant 3).
 */
export async function changeRows(context: WriteContext, slice: readonly number[]): Promise<void> {
  const { write, outcomes } = context;
  const names = [...new Set([...write.key, ...write.compare, ...write.columns])];
  const columns = columnsOf(context.table, names);
  const equal = equality(columns);
  const compare = places(names, write.compare);
  const wanted = places(names, write.columns);
  const { found, strange } = await lockRows(context, slice, names, columns);
  const matching: number[] = [];
  for (const at of slice) {
    const row = write.rows[at]!;
    const held = found.get(rowKey(row.key ?? []));
    const holds = (where: readonly number[], values: readonly Value[]): boolean =>
      where.every((place, i) => equal(place, held?.[place] ?? null, values[i]!));
    if (held === undefined) {
      // A row that only the collation takes for ours may be ours under a key nobody has read yet.
      const gone = write.op === 'delete' && !strange;
      outcomes[at] = gone ? { kind: 'already' } : { kind: 'diverged' };
    } else if (write.op === 'update' && holds(wanted, row.values)) {
      outcomes[at] = { kind: 'already' };
    } else if (!holds(compare, row.expect)) {
      outcomes[at] = { kind: 'diverged' };
    } else {
      matching.push(at);
    }
  }
  if (write.op === 'delete') {
    await sparingly(context, matching, (rows) => deleteRows(context, rows));
    return;
  }
  for (let start = 0; start < matching.length; start += UPDATE_ROWS) {
    const rows = matching.slice(start, start + UPDATE_ROWS);
    await sparingly(context, rows, async (some) => {
      const changed = await updateRows(context, some);
      if (changed === some.length) return;
      // The server stored nothing new for some rows (it rounds, or a trigger took it back), so no
      // echo will come for them: those are told apart by reading again.
      const now = await lockRows(context, some, names, columns);
      for (const at of some) {
        const key = rowKey(write.rows[at]!.key ?? []);
        const [before, after] = [found.get(key), now.found.get(key)];
        const same = wanted.every((place) => before?.[place] === after?.[place]);
        if (same) outcomes[at] = { kind: 'already' };
      }
    });
  }
}

interface Locked {
  readonly found: ReadonlyMap<string, readonly Value[]>;
  /** The statement found a row that none of the keys names exactly. */
  readonly strange: boolean;
}

async function lockRows(
  { session, write, target, key }: WriteContext,
  slice: readonly number[],
  names: readonly string[],
  columns: readonly MysqlColumn[],
): Promise<Locked> {
  const keys = slice.map((at) => write.rows[at]!.key ?? []);
  // In key order, so that two of us lock in the same order.
  const rows = await session.rows(
    `SELECT ${columns.map(selected).join(', ')} FROM ${target} WHERE ${keyIn(key, keys)}
     ORDER BY ${key.map(({ name }) => quoteName(name)).join(', ')} FOR UPDATE`,
  );
  const decode = decoder(columns);
  const keyOf = pick(names, write.key);
  const named = new Set(keys.map(rowKey));
  const found = new Map<string, Value[]>();
  let strange = false;
  for (const text of rows) {
    const row = decode(text);
    const held = rowKey(keyOf(row));
    if (named.has(held)) found.set(held, row);
    else strange = true;
  }
  return { found, strange };
}

async function updateRows(
  { session, table, write, target, key }: WriteContext,
  rows: readonly number[],
): Promise<number> {
  const keys = rows.map((at) => write.rows[at]!.key ?? []);
  const values = rows.map((at) => write.rows[at]!.values);
  const columns = columnsOf(table, write.columns);
  const { changedRows } = await session.run(updateEach(target, key, columns, keys, values));
  return changedRows;
}

async function deleteRows(
  { session, write, target, key }: WriteContext,
  rows: readonly number[],
): Promise<void> {
  const keys = rows.map((at) => write.rows[at]!.key ?? []);
  await session.run(`DELETE FROM ${target} WHERE ${keyIn(key, keys)}`);
}

const places = (all: readonly string[], wanted: readonly string[]): number[] =>
  wanted.map((name) => all.indexOf(name));

/** Whether two values are the same to the column at `place`; NULL equals NULL. */
function equality(columns: readonly MysqlColumn[]): (place: number, a: Value, b: Value) => boolean {
  const spell = columns.map(comparable);
  return (place, a, b) =>
    a === b || (a !== null && b !== null && spell[place]!(a) === spell[place]!(b));
}
