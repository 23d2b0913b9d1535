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

/**
 * Column by column, parameters of type `text[]` in the binary format, which needs no quoting
 * (array_recv in PostgreSQL's src/backend/utils/adt/arrayfuncs.c).
 */
export function textArrays(columns: readonly PostgresColumn[], rows: Rows): Buffer[] {
  return columns.map(({ kind, codec }, i) => {
    const spelling = encoderOf(kind);
    const cells = rows.map((row) => {
      const value = row[i] ?? null;
      return value === null || spelling === null ? value : spelling(value);
    });
    return textArray(cells, codec.ascii);
  });
}

function textArray(cells: readonly Value[], ascii: boolean): Buffer {
  let size = ARRAY_HEADER + 4 * cells.length;
  for (const text of cells) {
    if (text !== null) size += ascii ? text.length : Buffer.byteLength(text);
  }
  const array = Buffer.allocUnsafe(size);
  const header = [1, 1, TEXT_OID, cells.length, 1];
  for (const [i, word] of header.entries()) array.writeInt32BE(word, 4 * i);
  let at = ARRAY_HEADER;
  for (const text of cells) {
    const length = text === null ? -1 : array.write(text, at + 4, ascii ? 'latin1' : 'utf8');
    array.writeInt32BE(length, at);
    at += 4 + Math.max(length, 0);
  }
  return array;
}
