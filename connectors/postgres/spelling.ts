/** Rows as the server reads them fastest: the text format of COPY, and binary arrays of text. */
import type { Value } from '../../src/model/value.ts';
import type { PostgresColumn } from './describe.ts';
import { encoderOf } from './types.ts';

type Rows = readonly (readonly Value[])[];

/** Characters that a piece of a COPY has at least, but for the last. */
const PIECE = 1 << 16;

const SPECIAL = /[\\\n\r\t]/;
const ESCAPES: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
};

/** PostgreSQL manual, "COPY, Text Format". */
export function* copyText(columns: readonly PostgresColumn[], rows: Rows): Generator<Buffer, void> {
  const spellings = columns.map(({ kind }) => encoderOf(kind));
  let text = '';
  for (const row of rows) {
    for (let i = 0; i < columns.length; i++) {
      if (i > 0) text += '\t';
      text += cellOf(row[i] ?? null, spellings[i]!);
    }
    text += '\n';
    if (text.length < PIECE) continue;
    yield Buffer.from(text);
    text = '';
  }
  if (text !== '') yield Buffer.from(text);
}

function cellOf(value: Value, spelling: ((text: string) => string) | null): string {
  if (value === null) return '\\N';
  const text = spelling === null ? value : spelling(value);
  return SPECIAL.test(text) ? text.replaceAll(/[\\\n\r\t]/g, (special) => ESCAPES[special]!) : text;
}

const TEXT_OID = 25;
/** Dimensions, whether there are NULLs, element type, elements, lower bound: 32 bits each. */
const ARRAY_HEADER = 20;
/** Of UTF-8 for one unit of a string. */
const MOST_BYTES = 3;
/** Bytes that a cell is expected to take. */
const CELL = 32;

/** Column by column. */
export const textArrays = (columns: readonly PostgresColumn[], rows: Rows): Buffer[] =>
  columns.map((column, i) => textArray(column, rows.length, (row) => rows[row]![i] ?? null));

/**
 * A parameter of type `text[]` in the binary format, which needs no quoting (array_recv in
 * PostgreSQL's src/backend/utils/adt/arrayfuncs.c), with `count` elements.
 */
export function textArray(
  { kind, codec }: PostgresColumn,
  count: number,
  valueAt: (row: number) => Value,
): Buffer {
  const encoder = encoderOf(kind);
  const encoding = codec.ascii ? 'latin1' : 'utf8';
  let array = Buffer.allocUnsafe(ARRAY_HEADER + CELL * count);
  const header = [1, 1, TEXT_OID, count, 1];
  for (const [i, word] of header.entries()) array.writeInt32BE(word, 4 * i);
  let at = ARRAY_HEADER;
  for (let row = 0; row < count; row++) {
    const value = valueAt(row);
    const text = value === null || encoder === null ? value : encoder(value);
    const room = at + 4 + MOST_BYTES * (text?.length ?? 0);
    if (room > array.length) {
      const larger = Buffer.allocUnsafe(Math.max(room, 2 * array.length));
      array.copy(larger, 0, 0, at);
      array = larger;
    }
    const length = text === null ? -1 : array.write(text, at + 4, encoding);
    // As four bytes: Buffer's own method checks each of them first.
    array[at] = length >> 24;
    array[at + 1] = length >> 16;
    array[at + 2] = length >> 8;
    array[at + 3] = length;
    at += 4 + Math.max(length, 0);
  }
  return array.subarray(0, at);
}

/**
 * Such arrays side by side, under the names given. In the select list they are walked in step; as
 * functions in FROM each would first be stored.
 */
export function unnested(names: readonly string[]): string {
  const list = names.map((name, i) => `unnest($${i + 1}::text[]) as ${name}`);
  return `(select ${list.join(', ')}) as w`;
}

/** The same with `n`, the row's number from 1. */
export const numbered = (names: readonly string[]): string =>
  `(select *, row_number() over () as n from ${unnested(names)}) as w`;
