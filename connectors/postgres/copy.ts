import type { CopyWrite, Trouble } from '../../src/contract/copier.ts';
import type { PostgresColumn, PostgresTable } from './describe.ts';
import { isRowRefusal, refusalReason, sqlState } from './errors.ts';
import { bisect, type RowWork, type Savepoint } from './savepoint.ts';
import { quote, quotedTable } from './session.ts';
import { copyText, numbered, textArrays, unnested } from './spelling.ts';
import { columnOf, type Target } from './target.ts';

/** A write with what its table says of the columns, in the order of the write's own lists. */
interface TypedCopy {
  readonly write: CopyWrite;
  readonly key: readonly PostgresColumn[];
  readonly columns: readonly PostgresColumn[];
}

/** Writes the rows whatever the table holds, inside of the open transaction; see `CopyWrite`. */
export async function copy(target: Target, point: Savepoint, write: CopyWrite): Promise<Trouble[]> {
  const count = write.op === 'remove' ? write.keys.length : write.rows.length;
  if (count === 0) return [];
  const typed = typeCopy(await target.table(write.table), write);
  if (write.fresh && (await isLoaded(target, point, typed))) return [];
  const rows = Array.from({ length: count }, (_, row) => row);
  const troubles = await bisect(point, workOf(target, typed), rows);
  return troubles.flat();
}

function typeCopy(table: PostgresTable, write: CopyWrite): TypedCopy {
  const column = (name: string): PostgresColumn => columnOf(table, name);
  return { write, key: write.key.map(column), columns: write.columns.map(column) };
}

/** With security policies on the table, and where a partition is elsewhere. */
const NO_COPY = '0A000';

/** Straight into the table, which is fastest, unless one of the rows is there or is refused. */
async function isLoaded(target: Target, point: Savepoint, typed: TypedCopy): Promise<boolean> {
  const { write, columns } = typed;
  try {
    await point.set();
    await target.copy(
      `copy ${quotedTable(write.table)} (${namesOf(columns)}) from stdin`,
      copyText(columns, write.rows),
    );
    return true;
  } catch (error) {
    if (!isRowRefusal(error) && sqlState(error) !== NO_COPY) throw error;
    await point.rollBack();
    return false;
  }
}

/** Rows are numbers: contiguous ones at any time. */
function workOf({ run }: Target, typed: TypedCopy): RowWork<number, Trouble[]> {
  const { write, key, columns } = typed;
  const statement = statementOf(typed);
  return {
    async attempt(rows) {
      const [from, to] = [rows[0]!, rows.at(-1)! + 1];
      const absent = await run(statement, [
        ...(write.op === 'put' ? [] : textArrays(key, write.keys.slice(from, to))),
        ...textArrays(columns, write.rows.slice(from, to)),
      ]);
      return [absent.map(([n]) => ({ kind: 'absent', row: from + Number(n) - 1 }))];
    },
    async refused(row, error) {
      const reason = refusalReason(error);
      return [{ kind: 'refused', row, code: error.code ?? '', reason }];
    },
  };
}

/** One statement for many rows; its rows are the numbers, from 1, of those that are absent. */
function statementOf({ write, key, columns }: TypedCopy): string {
  const table = quotedTable(write.table);
  const found = key.map((column, i) => `t.${quote(column.name)} = ${cast(column, `k${i}`)}`);
  const values = columns.map((column, i) => cast(column, `v${i}`));
  const keys = write.op === 'put' ? [] : key.map((_, i) => `k${i}`);
  const names = [...keys, ...columns.map((_, i) => `v${i}`)];
  switch (write.op) {
    case 'put':
      return `insert into ${table} as t (${namesOf(columns)})
        select ${values.join(', ')} from ${unnested(names)}
        on conflict (${namesOf(key)}) ${overwrite(write, columns)}`;
    case 'patch': {
      const sets = columns.map(({ name }, i) => `${quote(name)} = ${values[i]}`).join(', ');
      return `with patched as (update ${table} as t set ${sets} from ${numbered(names)}
          where ${found.join(' and ')} returning w.n)
        select n from generate_subscripts($1::text[], 1) as n
        where n not in (select n from patched)`;
    }
    case 'remove':
      return `delete from ${table} as t using ${unnested(names)} where ${found.join(' and ')}`;
  }
}

const namesOf = (columns: readonly PostgresColumn[]): string =>
  columns.map(({ name }) => quote(name)).join(', ');

const cast = ({ castType }: PostgresColumn, name: string): string => `w.${name}::${castType}`;

/** Kinds, and text types, of which only the same values are equal. */
const EXACT_KINDS: ReadonlySet<string> = new Set([
  ...['boolean', 'integer', 'date', 'time', 'datetime', 'timestamp', 'uuid', 'bytes'],
]);
const EXACT_TEXTS: ReadonlySet<string> = new Set(['text', 'character varying']);

/** Keys that are equal are left alone, unless the equal may differ: a key that is set is locked. */
function overwrite({ key }: CopyWrite, columns: readonly PostgresColumn[]): string {
  const sets = columns
    .filter(({ name, kind, castType }) => {
      const exact = kind === 'string' ? EXACT_TEXTS.has(castType) : EXACT_KINDS.has(kind);
      return !(exact && key.includes(name));
    })
    .map(({ name }) => `${quote(name)} = excluded.${quote(name)}`);
  return sets.length === 0 ? 'do nothing' : `do update set ${sets.join(', ')}`;
}
