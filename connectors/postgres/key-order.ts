import type { Pool } from 'pg';
import type { TableSpec } from '../../src/model/change.ts';
import type { PostgresColumn } from './describe.ts';
import { queryRows, quotedTable } from './session.ts';

/** Columns of the indexes that let no two rows of `$1` be alike, each as a JSON array of names. */
const UNIQUE_SQL = `
  select array_to_json(array(select a.attname from pg_attribute a
    where a.attrelid = i.indrelid
      and a.attnum = any((i.indkey::int2[])[0:i.indnkeyatts - 1]))) as names
  from pg_index i
  where i.indrelid = $1::regclass and i.indisunique and i.indisvalid
    and i.indpred is null and i.indexprs is null`;

/**
 * Why a table cannot be read in the order of its key without leaving rows out, or null. Chunks
 * begin behind the last key of the chunk before: rows with the same key would be passed over, and
 * NULL is behind nothing.
 */
export async function orderFault(
  pool: Pool,
  { name, key }: Pick<TableSpec, 'name' | 'key'>,
  columns: readonly PostgresColumn[],
): Promise<string | null> {
  const nullable = columns.find((column) => key.includes(column.name) && column.nullable);
  if (nullable !== undefined) return `key column ${nullable.name} of ${name} may be NULL`;
  const rows = await queryRows<{ names: string }>(pool, UNIQUE_SQL, [quotedTable(name)]);
  const identifies = rows.some(({ names }) =>
    (JSON.parse(names) as string[]).every((column) => key.includes(column)),
  );
  return identifies ? null : `no unique index of ${name} lies within its key (${key.join(', ')})`;
}

export const ORDER_FIX =
  'Name the primary key in the mapping, or declare the key NOT NULL and add a unique index on it.';
