import type { Value } from '../../src/model/value.ts';
import { literal, type MysqlColumn, quoteName } from './types.ts';

export function keyEquals(columns: readonly MysqlColumn[], tuple: readonly Value[]): string {
  return columns
    .map((column, at) => `${quoteName(column.name)} = ${literal(column, tuple[at]!)}`)
    .join(' AND ');
}

/** Rows behind `after` and not behind `upTo`; null: from the start, to the end. */
export function keyRange(
  columns: readonly MysqlColumn[],
  after: readonly Value[] | null,
  upTo: readonly Value[] | null,
): string {
  const terms: string[] = [];
  if (after !== null) terms.push(`(${keyBeyond(columns, after, '>')})`);
  if (upTo !== null) {
    terms.push(`(${keyBeyond(columns, upTo, '<')} OR (${keyEquals(columns, upTo)}))`);
  }
  return terms.length === 0 ? '' : `WHERE ${terms.join(' AND ')}`;
}

/**
 * Rows after `key`, or before it, in the order of {@link ordering}. A unique key has no two values
 * that its collation calls equal, and comparing and ordering use the same collation: nothing is
 * skipped or met twice. Spelled out, because neither product uses an index for `(a, b) > (x, y)`.
 */
function keyBeyond(
  columns: readonly MysqlColumn[],
  key: readonly Value[],
  side: '>' | '<',
): string {
  return columns
    .map((column, at) => {
      const before = columns.slice(0, at);
      const beyond = `${ordering(column)} ${side} ${orderingLiteral(column, key[at]!)}`;
      const terms = [...(at === 0 ? [] : [keyEquals(before, key)]), beyond];
      return `(${terms.join(' AND ')})`;
    })
    .join(' OR ');
}

/** ENUM sorts by number but is compared with text as text: here it goes by its UTF-8 bytes. */
export function ordering({ name, dataType }: MysqlColumn): string {
  return dataType === 'enum' ? `HEX(CONVERT(${quoteName(name)} USING utf8mb4))` : quoteName(name);
}

function orderingLiteral(column: MysqlColumn, value: Value): string {
  const text = literal(column, value);
  return column.dataType === 'enum' ? `HEX(${text})` : text;
}
