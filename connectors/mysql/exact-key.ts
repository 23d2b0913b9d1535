import { escape as quoted } from 'mysql2';
import { rowKey, type Value } from '../../src/model/value.ts';
import { keyEquals } from './keyset.ts';
import { keyIn } from './read.ts';
import { comparable, literal, type MysqlColumn, quoteName, written } from './types.ts';

/** Texts that are not the same may be equal to this column. */
const collates = ({ kind }: MysqlColumn): boolean => kind === 'string';

const bytesOf = ({ name }: MysqlColumn): string =>
  `CAST(CONVERT(${quoteName(name)} USING utf8mb4) AS BINARY)`;
const bytesLiteral = (value: Value): string => `_binary${quoted(value)}`;

/** Rows whose key is one of `tuples`. What the collation finds by an index is looked at again. */
export function exactlyIn(
  columns: readonly MysqlColumn[],
  tuples: readonly (readonly Value[])[],
): string {
  const [only] = columns;
  if (columns.length > 1 || only === undefined) {
    return tuples.map((tuple) => `(${exactly(columns, tuple)})`).join(' OR ');
  }
  const found = keyIn(columns, tuples);
  if (!collates(only)) return found;
  return `${found} AND ${bytesOf(only)} IN (${tuples.map(([v]) => bytesLiteral(v!)).join(', ')})`;
}

function exactly(columns: readonly MysqlColumn[], tuple: readonly Value[]): string {
  const texts = columns.flatMap((column, i) =>
    collates(column) ? `${bytesOf(column)} = ${bytesLiteral(tuple[i]!)}` : [],
  );
  return [keyEquals(columns, tuple), ...texts].join(' AND ');
}

/** One name for all spellings of a key that {@link exactlyIn} takes for the same. */
export function namer(columns: readonly MysqlColumn[]): (key: readonly Value[]) => string {
  const spell = columns.map((column) =>
    collates(column) ? (text: string) => text : comparable(column),
  );
  return (key) => rowKey(key.map((value, i) => spell[i]!(value ?? '')));
}

/** One UPDATE that gives each of the rows named by `keys` its own values. */
export function updateEach(
  target: string,
  key: readonly MysqlColumn[],
  columns: readonly MysqlColumn[],
  keys: readonly (readonly Value[])[],
  values: readonly (readonly Value[])[],
): string {
  const [only] = key;
  const simple = key.length === 1 && (only!.kind === 'integer' || collates(only!));
  const subject = !simple ? '' : collates(only!) ? bytesOf(only!) : quoteName(only!.name);
  const tests = keys.map((tuple) => {
    if (!simple) return exactly(key, tuple);
    return collates(only!) ? bytesLiteral(tuple[0]!) : literal(only!, tuple[0]!);
  });
  const settings = columns.map((column, i) => {
    const given = values.map((row) => written(column, row[i]!));
    const cases = tests.map((test, j) => `WHEN ${test} THEN ${given[j]}`);
    const value = given.length === 1 ? given[0] : `CASE ${subject} ${cases.join(' ')} END`;
    return `${quoteName(column.name)} = ${value}`;
  });
  return `UPDATE ${target} SET ${settings.join(', ')} WHERE ${exactlyIn(key, keys)}`;
}
