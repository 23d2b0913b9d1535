import type { Outcome } from '../../src/contract/applier.ts';
import { halt } from '../../src/errors.ts';
import type { Value } from '../../src/model/value.ts';
import { sparingly, type WriteContext } from './attempt.ts';
import { DUPLICATE_ENTRY } from './errors.ts';
import { columnsOf, decoder, keyIn } from './read.ts';
import { comparable, type MysqlColumn, quoteName, selected, written } from './types.ts';

/** Columns that may hold no row equal to a new one, and what the new rows have there. */
interface Guard {
  readonly columns: readonly MysqlColumn[];
  valuesOf(at: number): readonly Value[] | null;
}

/**
 * Inserts rows whose key and guards are free. They are looked for first, exactly; what a unique
 * index alone finds (a row committed in between, one that the collation calls equal) is looked for
 * again after the refusal, and is `diverged` when key or guard is why.
 */
export async function insertRows(context: WriteContext, slice: readonly number[]): Promise<void> {
  const guards = guardsOf(context);
  const free = await withoutTaken(context, guards, slice);
  await sparingly(
    context,
    free,
    (rows) => insertAll(context, rows),
    async (at, outcome, errno): Promise<Outcome> => {
      if (errno !== DUPLICATE_ENTRY) return outcome;
      for (const guard of guards) {
        const values = guard.valuesOf(at);
        if (values === null) continue;
        const rows = await lockEqual(context, guard, [values]);
        if (rows.length > 0) return { kind: 'diverged' };
      }
      return outcome;
    },
  );
}

/** See `ApplyTransaction.inTheWay`. */
export async function rowsInTheWay(
  context: WriteContext,
  columns: readonly string[],
): Promise<Value[][][]> {
  const shown = columnsOf(context.table, columns);
  const found: Value[][][] = [];
  for (const at of context.write.rows.keys()) {
    const rows = new Map<string, Value[]>();
    for (const guard of guardsOf(context)) {
      const values = guard.valuesOf(at);
      if (values === null) continue;
      const wanted = guard.columns.map(comparable);
      const width = guard.columns.length;
      const all = [...guard.columns, ...shown];
      for (const row of await lockEqual(context, guard, [values], all)) {
        const same = values.every((value, i) => {
          const held = row[i] ?? null;
          return value !== null && held !== null && wanted[i]!(value) === wanted[i]!(held);
        });
        if (same) rows.set(JSON.stringify(row.slice(width)), row.slice(width));
      }
    }
    found.push([...rows.values()]);
  }
  return found;
}

/** The key counts as one more guard where it is given. */
function guardsOf({ table, write, key }: WriteContext): Guard[] {
  const guards = write.guards.map((names): Guard => {
    const places = names.map((name) => write.columns.indexOf(name));
    return {
      columns: columnsOf(table, names),
      // As in SQL, NULL equals nothing: such a guard cannot be hit.
      valuesOf: (at) => withoutNull(places.map((place) => write.rows[at]!.values[place] ?? null)),
    };
  });
  return [...guards, { columns: key, valuesOf: (at) => withoutNull(write.rows[at]!.key) }];
}

const withoutNull = (values: readonly Value[] | null): readonly Value[] | null =>
  values?.includes(null) ? null : values;

async function withoutTaken(
  context: WriteContext,
  guards: readonly Guard[],
  slice: readonly number[],
): Promise<number[]> {
  const checks: { readonly taken: Set<string>; placeOf(at: number): string | null }[] = [];
  for (const guard of guards) {
    const spell = guard.columns.map(comparable);
    const spelled = (values: readonly Value[]): string =>
      JSON.stringify(values.map((value, i) => (value === null ? null : spell[i]!(value))));
    const tuples = slice.map((at) => guard.valuesOf(at)).filter((values) => values !== null);
    if (tuples.length === 0) continue;
    const held = await lockEqual(context, guard, tuples);
    const placeOf = (at: number): string | null => {
      const values = guard.valuesOf(at);
      return values === null ? null : spelled(values);
    };
    checks.push({ taken: new Set(held.map(spelled)), placeOf });
  }
  return slice.filter((at) => {
    const places = checks.map(({ placeOf }) => placeOf(at));
    if (places.some((place, i) => place !== null && checks[i]!.taken.has(place))) {
      context.outcomes[at] = { kind: 'diverged' };
      return false;
    }
    // Two rows of one write may want the same place: the first gets it.
    for (const [i, place] of places.entries()) if (place !== null) checks[i]!.taken.add(place);
    return true;
  });
}

/** What rows that equal one of `tuples` by collation hold in the guard's columns, locked. */
async function lockEqual(
  { session, target }: WriteContext,
  { columns }: Guard,
  tuples: readonly (readonly Value[])[],
  shown: readonly MysqlColumn[] = columns,
): Promise<Value[][]> {
  const rows = await session.rows(
    `SELECT ${shown.map(selected).join(', ')} FROM ${target}
     WHERE ${keyIn(columns, tuples)} FOR UPDATE`,
  );
  return rows.map(decoder(shown));
}

async function insertAll(context: WriteContext, rows: readonly number[]): Promise<void> {
  const { session, table, write, target, outcomes } = context;
  const columns = columnsOf(table, write.columns);
  const tuples = rows.map((at) => {
    const { values } = write.rows[at]!;
    return `(${columns.map((column, i) => written(column, values[i]!)).join(', ')})`;
  });
  const names = columns.map(({ name }) => quoteName(name)).join(', ');
  const insert = `INSERT INTO ${target} (${names}) VALUES ${tuples.join(', ')}`;
  const generates = rows.some((at) => write.rows[at]!.key === null);
  if (!generates) {
    await session.run(insert);
    return;
  }
  const keys = await (session.mariadb ? returnedKeys : countedKeys)(context, rows, insert);
  for (const [i, at] of rows.entries()) outcomes[at] = { kind: 'applied', key: keys[i]! };
}

/** MariaDB returns the rows in the order in which it was given them. */
async function returnedKeys(
  { session, key }: WriteContext,
  _rows: readonly number[],
  insert: string,
): Promise<Value[][]> {
  const rows = await session.rows(`${insert} RETURNING ${key.map(selected).join(', ')}`);
  return rows.map(decoder(key));
}

/**
 * MySQL tells the first generated value; those of one INSERT … VALUES that generates all of them
 * follow at a constant distance whatever the lock mode ("AUTO_INCREMENT Handling in InnoDB":
 * simple inserts).
 */
async function countedKeys(
  { session, write }: WriteContext,
  rows: readonly number[],
  insert: string,
): Promise<Value[][]> {
  const { insertId } = await session.run(insert);
  const generated = write.key.filter((name) => !write.columns.includes(name));
  if (generated.length !== 1 || Number(insertId) === 0) {
    throw halt(
      'target.refused',
      `MySQL does not tell which key it generated in ${write.table}`,
      'Make the key AUTO_INCREMENT, or map all key columns.',
    );
  }
  return rows.map((at, i) =>
    write.key.map((name) => {
      const place = write.columns.indexOf(name);
      if (place >= 0) return write.rows[at]!.values[place]!;
      // The driver takes the number for a signed one.
      return String(BigInt.asUintN(64, BigInt(insertId)) + BigInt(i * session.keyStep));
    }),
  );
}
