import type { Outcome, RowWrite, TableWrite } from '../../src/contract/applier.ts';
import type { Value } from '../../src/model/value.ts';
import type { PostgresColumn, PostgresTable } from './describe.ts';
import { isRowRefusal, refusalReason } from './errors.ts';
import { bisect, halves, type RowWork, type Savepoint } from './savepoint.ts';
import type { Run } from './session.ts';
import { compileStatements, parametersOf, type Statements, type TypedWrite } from './statements.ts';
import { columnOf, type Target } from './target.ts';

type Rows = readonly RowWrite[];

/** What one call of the writer works with. */
interface Job {
  readonly run: Run;
  readonly point: Savepoint;
  readonly typed: TypedWrite;
  readonly statements: Statements;
}

/** Works inside the open transaction; see `ApplyTransaction`. */
export interface Writer {
  write(point: Savepoint, write: TableWrite): Promise<Outcome[]>;
  inTheWay(insert: TableWrite, columns: readonly string[]): Promise<Value[][][]>;
}

/**
 * An update as a transaction of one statement, behind `move`: an insert that returns one row, or
 * none where nothing may be written. `stopped`: that was so; null: a row was refused.
 */
export async function updateBehind(
  { run, table: tableOf }: Target,
  write: TableWrite,
  move: (parameter: string) => string,
  moved: number,
): Promise<Outcome[] | 'stopped' | null> {
  const typed = typeWrite(await tableOf(write.table), write);
  const parameters = parametersOf(typed, write.rows);
  const text = `with moved as (${move(`$${parameters.length + 1}`)}),
    written as (${compileStatements(typed).behind})
    select 0 as n from moved union all select n from written`;
  try {
    const rows = numbers(await run(text, [...parameters, moved]));
    if (!rows.has(MOVED)) return 'stopped';
    return write.rows.map((row, i) =>
      rows.has(i) ? { kind: 'applied', key: keyAfter(typed, row) } : { kind: 'diverged' },
    );
  } catch (error) {
    if (isRowRefusal(error)) return null;
    throw error;
  }
}

/** The row 0 among row indexes: rows count from 1. */
const MOVED = -1;

export function createWriter({ run, table: tableOf }: Target): Writer {
  return {
    async write(point, write) {
      if (write.rows.length === 0) return [];
      const typed = typeWrite(await tableOf(write.table), write);
      const job: Job = { run, point, typed, statements: compileStatements(typed) };
      const outcomes = new Map<RowWrite, Outcome>();
      for (const rows of write.op === 'insert' ? apart(write) : [write.rows]) {
        const settled = await bisect(point, workOf(job), rows);
        for (const [i, row] of rows.entries()) outcomes.set(row, settled[i]!);
      }
      return write.rows.map((row) => outcomes.get(row)!);
    },
    async inTheWay(insert, columns) {
      const table = await tableOf(insert.table);
      const typed = typeWrite(table, insert);
      const shown = columns.map((name) => columnOf(table, name));
      const { inTheWay } = compileStatements(typed, shown);
      const found: Value[][][] = insert.rows.map(() => []);
      for (const [n, ...cells] of await run(inTheWay, parametersOf(typed, insert.rows))) {
        found[Number(n) - 1]?.push(decoded(shown, cells));
      }
      return found;
    },
  };
}

/**
 * Rows to insert, in lists that name no guard's values twice: a statement does not see its own
 * rows, so the second of two that want one place comes with the next.
 */
function apart({ columns, guards, rows }: TableWrite): Rows[] {
  const places = guards.map((guard) => guard.map((name) => columns.indexOf(name)));
  const lists: { readonly rows: RowWrite[]; readonly wanted: Set<string> }[] = [];
  for (const row of rows) {
    const wanted = places.flatMap((guard, i) => {
      const values = guard.map((place) => row.values[place] ?? null);
      return values.includes(null) ? [] : [JSON.stringify([i, ...values])];
    });
    // Behind the last that wants the same, so that the first of them has its turn first.
    const clash = lists.findLastIndex((list) => wanted.some((place) => list.wanted.has(place)));
    const list = lists[clash + 1] ?? { rows: [], wanted: new Set() };
    if (clash + 1 === lists.length) lists.push(list);
    list.rows.push(row);
    for (const place of wanted) list.wanted.add(place);
  }
  return lists.map((list) => list.rows);
}

function typeWrite(table: PostgresTable, write: TableWrite): TypedWrite {
  const column = (name: string): PostgresColumn => columnOf(table, name);
  return {
    write,
    key: write.key.map(column),
    columns: write.columns.map(column),
    compare: write.compare.map(column),
    guards: write.guards.map((guard) => guard.map(column)),
    keyed: write.rows[0]?.key !== null,
  };
}

function workOf(job: Job): RowWork<RowWrite, Outcome> {
  return {
    attempt: (rows) => (job.typed.write.op === 'insert' ? insert(job, rows) : change(job, rows)),
    async refused(_row, error) {
      if (await isTaken(job, error)) return { kind: 'diverged' };
      return { kind: 'refused', code: error.code ?? '', reason: refusalReason(error) };
    },
  };
}

/** Updates and deletes. Only the rows that missed are looked at once more. */
async function change({ run, typed, statements }: Job, rows: Rows): Promise<Outcome[]> {
  const applied = numbers(await run(statements.apply, parametersOf(typed, rows)));
  const missed = rows.filter((_, i) => !applied.has(i));
  const settled =
    missed.length === 0
      ? new Set<number>()
      : numbers(await run(statements.already, parametersOf(typed, missed)));
  const already = new Set(missed.filter((_, i) => settled.has(i)));
  return rows.map((row, i): Outcome => {
    if (applied.has(i)) return { kind: 'applied', key: keyAfter(typed, row) };
    return { kind: already.has(row) ? 'already' : 'diverged' };
  });
}

/** The rows come back in their order, so they can be told apart only when all were inserted. */
async function insert(job: Job, rows: Rows): Promise<Outcome[]> {
  const { run, typed, statements } = job;
  const keys = await run(statements.apply, parametersOf(typed, rows));
  if (keys.length === rows.length) return keys.map((key) => inserted(typed, key));
  if (keys.length === 0 && rows.length === 1) return [{ kind: 'diverged' }];
  await job.point.rollBack();
  const taken = statements.taken === '' ? new Set() : await takenRows(job, rows);
  // None is in the way, yet one was left out: a trigger did it, or another writer just now.
  if (taken.size === 0) return halves(job.point, workOf(job), rows);
  const free = rows.filter((_, i) => !taken.has(i));
  const outcomes = await bisect(job.point, workOf(job), free);
  return rows.map((_, i) => (taken.has(i) ? { kind: 'diverged' } : outcomes.shift()!));
}

async function takenRows({ run, typed, statements }: Job, rows: Rows): Promise<Set<number>> {
  return numbers(await run(statements.taken, parametersOf(typed, rows)));
}

const inserted = ({ key }: TypedWrite, row: readonly Value[]): Outcome => {
  return { kind: 'applied', key: decoded(key, row) };
};

const decoded = (columns: readonly PostgresColumn[], row: readonly Value[]): Value[] =>
  row.map((text, i) => {
    const decode = columns[i]!.codec.decode;
    return text === null || decode === null ? text : decode(text);
  });

/** An update may write key columns. */
function keyAfter({ write }: TypedWrite, row: RowWrite): readonly Value[] {
  if (write.op !== 'update' || row.key === null) return row.key ?? [];
  return row.key.map((value, i) => row.values[write.columns.indexOf(write.key[i]!)] ?? value);
}

/** Row indexes from the statement's `n`, which counts from 1. */
function numbers(rows: readonly (readonly (string | null)[])[]): Set<number> {
  return new Set(rows.map(([n]) => Number(n) - 1));
}

/** Columns of a unique index, those in its expressions included. */
const INDEX_SQL = `
  select a.attname, i.indisprimary
  from pg_catalog.pg_index i
  join pg_catalog.pg_class c on c.oid = i.indexrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  join pg_catalog.pg_attribute a on a.attrelid = i.indrelid
    and (a.attnum = any(i.indkey) or exists (
    select from pg_catalog.pg_depend d where d.objid = i.indexrelid
    and d.refobjid = i.indrelid and d.refobjsubid = a.attnum))
  where n.nspname = $1 and c.relname = $2`;

/** An insert that met a row with its key or its guard's values, made since the guard looked. */
async function isTaken(
  { run, typed }: Job,
  error: { code?: string | undefined },
): Promise<boolean> {
  if (typed.write.op !== 'insert' || error.code !== '23505') return false;
  const { schema, constraint } = error as { schema?: string; constraint?: string };
  const index = await run(INDEX_SQL, [schema, constraint]);
  if (index.some(([, primary]) => primary === 't')) return true;
  const columns = index.map(([name]) => name);
  const sets = [typed.write.key, ...typed.write.guards];
  // Equal in all columns of the index, so in those of a guard that has no others.
  return sets.some((set) => set.every((name) => columns.includes(name)));
}
