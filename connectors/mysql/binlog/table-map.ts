import { bytes, type Cursor, cursorOver, lenenc, take, u8, u16, u48, utf8 } from './cursor.ts';

/** Column types (MySQL source, `enum_field_types`); 140 and 141 are MariaDB's, 242 MySQL 9's. */
export const TYPE = {
  DECIMAL: 0,
  TINY: 1,
  SHORT: 2,
  LONG: 3,
  FLOAT: 4,
  DOUBLE: 5,
  TIMESTAMP: 7,
  LONGLONG: 8,
  INT24: 9,
  DATE: 10,
  TIME: 11,
  DATETIME: 12,
  YEAR: 13,
  VARCHAR: 15,
  BIT: 16,
  TIMESTAMP2: 17,
  DATETIME2: 18,
  TIME2: 19,
  BLOB_COMPRESSED: 140,
  VARCHAR_COMPRESSED: 141,
  VECTOR: 242,
  JSON: 245,
  NEWDECIMAL: 246,
  ENUM: 247,
  SET: 248,
  TINY_BLOB: 249,
  MEDIUM_BLOB: 250,
  LONG_BLOB: 251,
  BLOB: 252,
  VAR_STRING: 253,
  STRING: 254,
  GEOMETRY: 255,
} as const;

/** One column as a TABLE_MAP describes it; what the event leaves out is undefined. */
export interface LogColumn {
  readonly type: number;
  /**
   * What the type needs besides: precision × 256 + scale of NEWDECIMAL, digits of a fraction, the
   * size in bytes of CHAR and VARCHAR, of a BLOB's length, of an ENUM or SET; the bits of BIT.
   */
  readonly meta: number;
  name?: string;
  unsigned?: boolean;
  /** Id of the collation; 63 is binary. */
  collation?: number;
  labels?: readonly Buffer[];
}

export interface TableMap {
  readonly schema: string;
  readonly table: string;
  readonly columns: readonly LogColumn[];
}

export const BINARY_COLLATION = 63;

/** The number by which row events name the table; the event's first six bytes. */
export const tableIdOf = (c: Cursor): number => c.buf.readUIntLE(c.pos, 6);

/**
 * TABLE_MAP (MySQL source documentation, `Table_map_event`): id 6, flags 2, schema and table name,
 * column types, what the types need, nullability, then optional fields by type and length.
 */
export function readTableMap(c: Cursor, mariadb: boolean): TableMap {
  u48(c);
  u16(c);
  const schema = utf8(c, u8(c));
  take(c, 1);
  const table = utf8(c, u8(c));
  take(c, 1);
  const count = lenenc(c);
  const types = bytes(c, count);
  const metaLength = lenenc(c);
  const meta = cursorOver(c.buf, c.pos, take(c, metaLength) + metaLength);
  const columns: LogColumn[] = [];
  for (const type of types) columns.push(readType(type, meta));
  take(c, (count + 7) >> 3);
  while (c.pos < c.end) {
    const field = u8(c);
    const length = lenenc(c);
    const start = take(c, length);
    readOptional(field, cursorOver(c.buf, start, start + length), columns, mariadb);
  }
  return { schema, table, columns };
}

function readType(type: number, c: Cursor): LogColumn {
  switch (type) {
    case TYPE.FLOAT:
    case TYPE.DOUBLE:
    case TYPE.BLOB:
    case TYPE.TINY_BLOB:
    case TYPE.MEDIUM_BLOB:
    case TYPE.LONG_BLOB:
    case TYPE.BLOB_COMPRESSED:
    case TYPE.GEOMETRY:
    case TYPE.JSON:
    case TYPE.VECTOR:
    case TYPE.TIME2:
    case TYPE.DATETIME2:
    case TYPE.TIMESTAMP2:
      return { type, meta: u8(c) };
    case TYPE.VARCHAR:
    case TYPE.VARCHAR_COMPRESSED:
      return { type, meta: u16(c) };
    case TYPE.BIT: {
      const bits = u8(c);
      return { type, meta: u8(c) * 8 + bits };
    }
    case TYPE.NEWDECIMAL: {
      const precision = u8(c);
      return { type, meta: precision * 256 + u8(c) };
    }
    case TYPE.STRING:
    case TYPE.VAR_STRING:
    case TYPE.ENUM:
    case TYPE.SET:
      return readStringType(u8(c), u8(c));
    default:
      return { type, meta: 0 };
  }
}

/**
 * The first byte is the real type (CHAR, ENUM or SET), the second the size; two bits of sizes over
 * 255 are inverted and hidden in the type.
 */
function readStringType(first: number, second: number): LogColumn {
  if ((first & 0x30) === 0x30) return { type: first, meta: second };
  return { type: first | 0x30, meta: second | (((first & 0x30) ^ 0x30) << 4) };
}

const NUMERIC = new Set<number>([
  TYPE.TINY,
  TYPE.SHORT,
  TYPE.LONG,
  TYPE.FLOAT,
  TYPE.DOUBLE,
  TYPE.LONGLONG,
  TYPE.INT24,
  TYPE.YEAR,
  TYPE.DECIMAL,
  TYPE.NEWDECIMAL,
]);
/** A VECTOR counts as the blob that it is stored as (found on MySQL 9.7). */
const CHARACTER = new Set<number>([
  TYPE.VECTOR,
  TYPE.VARCHAR,
  TYPE.VARCHAR_COMPRESSED,
  TYPE.VAR_STRING,
  TYPE.STRING,
  TYPE.TINY_BLOB,
  TYPE.MEDIUM_BLOB,
  TYPE.LONG_BLOB,
  TYPE.BLOB,
  TYPE.BLOB_COMPRESSED,
]);
/** MariaDB's geometries are blobs here too (found on 10.11). */
const CHARACTER_MARIADB = new Set<number>([...CHARACTER, TYPE.GEOMETRY]);
const LABELLED = new Set<number>([TYPE.ENUM, TYPE.SET]);

const OPTIONAL = {
  SIGNEDNESS: 1,
  DEFAULT_CHARSET: 2,
  COLUMN_CHARSET: 3,
  COLUMN_NAME: 4,
  SET_STR_VALUE: 5,
  ENUM_STR_VALUE: 6,
  ENUM_AND_SET_DEFAULT_CHARSET: 10,
  ENUM_AND_SET_COLUMN_CHARSET: 11,
} as const;

function readOptional(
  field: number,
  c: Cursor,
  columns: readonly LogColumn[],
  mariadb: boolean,
): void {
  const character = mariadb ? CHARACTER_MARIADB : CHARACTER;
  const those = (types: ReadonlySet<number>) => columns.filter(({ type }) => types.has(type));
  switch (field) {
    case OPTIONAL.SIGNEDNESS:
      for (const [i, column] of those(NUMERIC).entries()) {
        column.unsigned = (c.buf[c.pos + (i >> 3)]! & (0x80 >> (i & 7))) !== 0;
      }
      break;
    case OPTIONAL.DEFAULT_CHARSET:
      readDefaultCollation(c, those(character));
      break;
    case OPTIONAL.COLUMN_CHARSET:
      readCollations(c, those(character));
      break;
    case OPTIONAL.ENUM_AND_SET_DEFAULT_CHARSET:
      readDefaultCollation(c, those(LABELLED));
      break;
    case OPTIONAL.ENUM_AND_SET_COLUMN_CHARSET:
      readCollations(c, those(LABELLED));
      break;
    case OPTIONAL.COLUMN_NAME:
      for (const column of columns) column.name = utf8(c, lenenc(c));
      break;
    case OPTIONAL.SET_STR_VALUE:
      readLabels(c, those(new Set([TYPE.SET])));
      break;
    case OPTIONAL.ENUM_STR_VALUE:
      readLabels(c, those(new Set([TYPE.ENUM])));
  }
}

/** A collation for all, then pairs of a column's place and its own collation. */
function readDefaultCollation(c: Cursor, columns: readonly LogColumn[]): void {
  const common = lenenc(c);
  for (const column of columns) column.collation = common;
  while (c.pos < c.end) {
    const column = columns[lenenc(c)];
    const collation = lenenc(c);
    if (column !== undefined) column.collation = collation;
  }
}

function readCollations(c: Cursor, columns: readonly LogColumn[]): void {
  for (const column of columns) column.collation = lenenc(c);
}

function readLabels(c: Cursor, columns: readonly LogColumn[]): void {
  for (const column of columns) {
    column.labels = Array.from({ length: lenenc(c) }, () => bytes(c, lenenc(c)));
  }
}
