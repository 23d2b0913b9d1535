import { escape as quoted } from 'mysql2';
import type { Digest, DigestRequest } from '../../src/contract/digest.ts';
import type { DigestField } from '../../src/contract/entity.ts';
import type { Value } from '../../src/model/value.ts';
import { type MysqlTable, quoteTable } from './describe.ts';
import { keyRange, ordering } from './keyset.ts';
import type { Session, TextRow } from './session.ts';
import { canonical, type MysqlColumn, quoteName, selected } from './types.ts';

/** Reduces a page of a table to digests inside the server; see `Source.digest`. */
export async function readDigest(
  session: Session,
  database: string,
  table: MysqlTable,
  request: DigestRequest,
): Promise<Digest | null> {
  const find = (name: string) => table.columns.find((column) => column.name === name);
  const key = request.table.key.flatMap((name) => find(name) ?? []);
  const texts = request.fields.map((field) => {
    const column = find(field.column);
    return column === undefined ? null : framed(column, field, request.marker);
  });
  if (key.length < request.table.key.length || texts.includes(null)) return null;
  if (!(await hasMd5(session))) return null;
  const name = quoteTable(table.name, database);
  const list = key.map(selected).join(', ');
  const spellings = key.map(canonical);
  const decode = (row: TextRow): Value[] =>
    spellings.map((spell, i) => (row[i] == null ? null : spell(row[i])));
  const order = key.map(ordering).join(', ');
  const [last] = await session.rows(
    `SELECT ${list} FROM ${name} ${keyRange(key, request.after, null)}
     ORDER BY ${order} LIMIT 1 OFFSET ${request.limit - 1}`,
  );
  const next: readonly Value[] | null = last === undefined ? null : decode(last);
  const where = keyRange(key, request.after, next);
  // A text that is larger than the server takes has no digest: it looks different, and is read.
  const digest = `COALESCE(MD5(CONCAT(${texts.join(', ')})), MD5(UUID()))`;
  const keys = key.map((column, i) => `${selected(column)} AS k${i}`).join(', ');
  const bits = 24 - request.bits;
  const bucket = `(CAST(CONV(SUBSTR(digest, 17, 6), 16, 10) AS UNSIGNED) >> ${bits})`;
  if (request.among !== null) {
    const found = await session.rows(
      `SELECT * FROM (SELECT ${keys}, ${digest} AS digest FROM ${name} ${where}) AS t
       WHERE ${bucket} IN (${request.among.join(', ')})`,
    );
    const rows = found.map((row) => ({ key: decode(row.slice(0, -1)), digest: row.at(-1) ?? '' }));
    return { rows: 0, next, sums: [], found: rows };
  }
  const sums = await session.rows(
    `SELECT ${bucket}, COUNT(*), SUM(CAST(CONV(SUBSTR(digest, 1, 15), 16, 10) AS UNSIGNED))
     FROM (SELECT ${digest} AS digest FROM ${name} ${where}) AS t GROUP BY 1`,
  );
  const counted = sums.map(([at, count, sum]) => ({
    bucket: Number(at),
    rows: Number(count),
    sum: sum ?? '0',
  }));
  const all = counted.reduce((total, one) => total + one.rows, 0);
  return { rows: all, next, sums: counted, found: [] };
}

/** The server looks for an unknown function in the database, and has none here. */
const NO_SUCH_FUNCTION = [1305, 1046];

/** MySQL has no MD5() of its own from 9.6 on. */
async function hasMd5(session: Session): Promise<boolean> {
  try {
    await session.rows(`SELECT MD5('')`);
    return true;
  } catch (error) {
    if (NO_SUCH_FUNCTION.includes((error as { errno?: number }).errno ?? 0)) return false;
    throw error;
  }
}

function framed(column: MysqlColumn, field: DigestField, marker: string): string | null {
  const text = spelled(column, field, marker);
  return text === null ? null : `COALESCE(CONCAT(CHAR_LENGTH(${text}), ':', ${text}), '~')`;
}

/** The column's value in the field's canonical spelling; null: there is no sound expression. */
function spelled(column: MysqlColumn, field: DigestField, marker: string): string | null {
  const name = quoteName(column.name);
  const text = `CONVERT(${name} USING utf8mb4)`;
  const marked = `CONCAT(${quoted(`?${marker}:`)}, ${text})`;
  if (field.codes !== null) {
    if (!['string', 'integer'].includes(column.kind)) return null;
    // Compared as bytes: a collation would take one code for another.
    const cases = [...field.codes].map(
      ([code, value]) => `WHEN CAST(${quoted(code)} AS BINARY) THEN ${quoted(value)}`,
    );
    const labelled = `CASE CAST(${text} AS BINARY) ${cases.join(' ')} ELSE ${marked} END`;
    // Without the case a NULL would be marked as the unknown code that it is not.
    return `IF(${name} IS NULL, NULL, ${labelled})`;
  }
  if (field.kind === 'decimal') return decimal(column, name, field.scale);
  const kind = field.kind === 'enum' ? 'string' : field.kind;
  if (kind !== column.kind) return null;
  switch (kind) {
    case 'string':
      return field.clean.length === 0 ? text : cleaned(text, field.clean, marked);
    case 'integer':
      return column.dataType === 'bit' ? null : utf8(`CAST(${name} AS DECIMAL(65, 0))`);
    case 'date':
    case 'uuid':
      return utf8(`LOWER(CAST(${name} AS CHAR))`);
    case 'datetime':
    case 'timestamp':
      return utf8(
        `TRIM(TRAILING '.' FROM TRIM(TRAILING '0' FROM
         DATE_FORMAT(${name}, '%Y-%m-%d %H:%i:%s.%f')))`,
      );
    default:
      return null;
  }
}

const utf8 = (expression: string): string => `CONVERT(${expression} USING utf8mb4)`;

/** Rounding to a larger scale changes nothing. */
function decimal(column: MysqlColumn, name: string, scale: number): string | null {
  const declared = /^decimal\(\d+,(\d+)\)/.exec(column.nativeType);
  const fits = declared !== null && Number(declared[1]) <= scale;
  return fits || column.kind === 'integer' ? utf8(`CAST(${name} AS DECIMAL(65, ${scale}))`) : null;
}

/** What the steps leave as it is, as far as ASCII can tell. */
function cleaned(text: string, clean: DigestField['clean'], marked: string): string {
  const first = clean.includes('lower') ? '!-@\\[-~' : clean.includes('upper') ? '!-`{-~' : '!-~';
  const inner = first === '!-~' ? '.' : `[ ${first}]`;
  // `$` would let a line end behind the text pass.
  const pattern = `^([${first}](${inner}*[${first}])?)?\\z`;
  return `IF(${text} COLLATE utf8mb4_bin REGEXP ${quoted(pattern)}, ${text}, ${marked})`;
}
