import { escape as quoted } from 'mysql2';
import type { Column } from '../../src/model/change.ts';
import type { ColumnKind, Value } from '../../src/model/value.ts';
import { canonicalJson } from './json.ts';

/** A column with what reading and writing its values needs beyond its kind. */
export interface MysqlColumn extends Column {
  /** `information_schema.columns.data_type`: lower case, without length and attributes. */
  readonly dataType: string;
  /** Bytes of a BINARY(n) column, characters of a CHAR(n); null where the type has no length. */
  readonly length: number | null;
}

const KINDS: Readonly<Record<string, ColumnKind>> = {
  tinyint: 'integer',
  smallint: 'integer',
  mediumint: 'integer',
  int: 'integer',
  bigint: 'integer',
  year: 'integer',
  bit: 'integer',
  decimal: 'decimal',
  float: 'float',
  double: 'float',
  date: 'date',
  time: 'time',
  datetime: 'datetime',
  timestamp: 'timestamp',
  char: 'string',
  varchar: 'string',
  tinytext: 'string',
  text: 'string',
  mediumtext: 'string',
  longtext: 'string',
  enum: 'string',
  set: 'set',
  json: 'json',
  uuid: 'uuid',
  binary: 'bytes',
  varbinary: 'bytes',
  tinyblob: 'bytes',
  blob: 'bytes',
  mediumblob: 'bytes',
  longblob: 'bytes',
  vector: 'bytes',
  geometry: 'bytes',
  point: 'bytes',
  linestring: 'bytes',
  polygon: 'bytes',
  multipoint: 'bytes',
  multilinestring: 'bytes',
  multipolygon: 'bytes',
  geometrycollection: 'bytes',
  geomcollection: 'bytes',
};

/** `checkedJson`: MariaDB's JSON, which is LONGTEXT with a `json_valid` check. */
export function kindOf(dataType: string, checkedJson: boolean): ColumnKind {
  if (checkedJson && dataType === 'longtext') return 'json';
  return KINDS[dataType] ?? 'other';
}

export const quoteName = (name: string): string => `\`${name.replaceAll('`', '``')}\``;

/** The select-list expression whose text {@link canonical} understands. */
export function selected(column: MysqlColumn): string {
  const name = quoteName(column.name);
  if (column.kind === 'bytes') return `HEX(${name})`;
  if (column.dataType === 'bit') return `CAST(${name} AS UNSIGNED)`;
  // FLOAT prints six digits; as DOUBLE it prints all that the four bytes hold.
  if (column.dataType === 'float') return `${name} + 0e0`;
  return name;
}

/** From the server's text of {@link selected} to the spelling of src/model/value.ts. */
export function canonical(column: MysqlColumn): (text: string) => string {
  switch (column.kind) {
    case 'integer':
    case 'decimal':
      return plainNumber;
    case 'float':
      return column.dataType === 'float' ? (text) => shortestFloat32(Number(text)) : plainDouble;
    case 'time':
      return shortFraction;
    case 'datetime':
      return (text) => shortFraction(text.replace(' ', 'T'));
    case 'timestamp':
      return (text) => `${shortFraction(text.replace(' ', 'T'))}Z`;
    case 'bytes':
    case 'uuid':
      return (text) => text.toLowerCase();
    case 'set':
      return (text) => setOf(text === '' ? [] : text.split(','));
    case 'json':
      return canonicalJson;
    default:
      return (text) => text;
  }
}

/**
 * One spelling for all canonical values that the column stores alike: what a mapping computes may
 * carry another scale (`1.5` for `1.50`) than what the column shows. Two values are the same to
 * the column when this gives the same text.
 */
export function comparable(column: MysqlColumn): (value: string) => string {
  switch (column.kind) {
    case 'decimal':
      return (value) => plainNumber(withoutTrailingZeros(value));
    case 'float':
      return column.dataType === 'float' ? (value) => shortestFloat32(Number(value)) : plainDouble;
    case 'time':
    case 'datetime':
      return shortFraction;
    case 'timestamp':
      return (value) => `${shortFraction(value.replace(/Z$/, ''))}Z`;
    case 'uuid':
      return (value) => value.toLowerCase();
    case 'bytes':
      return comparableBytes(column);
    case 'set':
      return (value) => setOf(labelsOf(value) ?? [value]);
    case 'json':
      return canonicalJson;
    default:
      return column.dataType === 'char' ? (value) => value.replace(/ +$/, '') : (value) => value;
  }
}

/** BINARY(n) fills with zero bytes what is shorter. */
function comparableBytes(column: MysqlColumn): (value: string) => string {
  const digits = column.dataType === 'binary' ? 2 * (column.length ?? 0) : 0;
  return (value) => value.toLowerCase().padEnd(digits, '0');
}

const INTEGER = /^-?\d+$/;
const NUMBER = /^-?\d+(\.\d+)?(e[+-]?\d+)?$/i;
const HEX = /^([0-9a-f]{2})*$/i;

/**
 * The SQL expression for a canonical value. What is no value of the column's kind becomes an
 * expression that a strict server refuses to store.
 */
export function literal(column: MysqlColumn, value: Value): string {
  if (value === null) return 'NULL';
  switch (column.kind) {
    case 'integer':
      // Text would be taken for bytes by BIT, and '0' for 2000 by YEAR.
      return INTEGER.test(value) ? value : `CAST(${quoted(value)} AS SIGNED)`;
    case 'float':
      return NUMBER.test(value) ? floatLiteral(column, value) : quoted(value);
    case 'decimal':
      return NUMBER.test(value) ? value : quoted(value);
    case 'bytes':
      return HEX.test(value) ? `X'${value}'` : `CAST(${quoted(value)} AS SIGNED)`;
    case 'datetime':
    case 'timestamp':
      return quoted(value.replace('T', ' ').replace(/Z$/, ''));
    case 'set':
      return quoted(labelsOf(value)?.join(',') ?? value);
    default:
      return quoted(value);
  }
}

/**
 * Like {@link literal}, for storing. Several values of one column stand in one CASE, whose type
 * would have to hold all their digits: a decimal goes as text, which is converted exactly.
 */
export function written(column: MysqlColumn, value: Value): string {
  return column.kind === 'decimal' && value !== null ? quoted(value) : literal(column, value);
}

/** A FLOAT column is compared as a double: the literal has all the digits of its four bytes. */
function floatLiteral(column: MysqlColumn, value: string): string {
  const single = Math.fround(Number(value));
  if (column.dataType === 'float' && Number.isFinite(single)) return single.toExponential();
  return /e/i.test(value) ? value : `${value}e0`;
}

/** Without the leading zeros of ZEROFILL and without `-0`. */
function plainNumber(text: string): string {
  if (!/^-?0/.test(text)) return text;
  const digits = text.replace(/^(-?)0+(?=\d)/, '$1');
  return /^-[0.]*$/.test(digits) ? digits.slice(1) : digits;
}

const withoutTrailingZeros = (value: string): string =>
  value.includes('.') ? value.replace(/\.?0+$/, '') : value;

const shortFraction = withoutTrailingZeros;

const plainDouble = (text: string): string => String(Number(text));

/** The shortest decimal that rounds to the same four-byte float, in ECMAScript's spelling. */
export function shortestFloat32(value: number): string {
  const single = Math.fround(value);
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(single.toPrecision(digits));
    if (Math.fround(short) === single) return String(short);
  }
  return String(Number(single.toPrecision(9)));
}

function setOf(labels: readonly string[]): string {
  return JSON.stringify([...new Set(labels)].sort(byCodeUnit));
}

/** The labels of a SET's value; null: it is none. */
export function labelsOf(value: string): string[] | null {
  try {
    const labels: unknown = JSON.parse(value);
    const texts = Array.isArray(labels) && labels.every((label) => typeof label === 'string');
    return texts ? labels : null;
  } catch {
    return null;
  }
}

function byCodeUnit(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
