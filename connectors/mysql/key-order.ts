import type { TableSpec } from '../../src/model/change.ts';
import type { MysqlTable } from './describe.ts';

/**
 * Why a table cannot be read in the order of its key without leaving rows out. Chunks begin behind
 * the last key of the chunk before: rows with the same key would be passed over, and NULL is behind
 * nothing.
 */
export function orderFaults(
  { name, key }: Pick<TableSpec, 'name' | 'key'>,
  { unique, columns }: Pick<MysqlTable, 'unique' | 'columns'>,
): string[] {
  const identifies = unique.some((index) => index.every((column) => key.includes(column)));
  return [
    ...(identifies ? [] : [`no unique index of ${name} lies within the key (${key.join(', ')})`]),
    ...columns
      .filter((column) => column.nullable && key.includes(column.name))
      .map((column) => `key column ${column.name} of ${name} may be NULL`),
  ];
}

export const ORDER_FIX =
  'Name the primary key in the mapping, or declare the key NOT NULL and add a unique index on it.';
