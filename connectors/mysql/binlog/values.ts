/**
 * Readers of one column's value in a row image, compiled once for every table. The spellings are
 * those of `src/model/value.ts` and agree with what SELECT gives (TYPES.md).
 */
import { halt } from '../../../src/errors.ts';
import type { ColumnKind } from '../../../src/model/value.ts';
import { canonicalJson } from '../json.ts';
import type { Charsets, TextDecode } from './charset.ts';
import { inflateValue } from './compressed.ts';
import { type Cursor, take, u8, u16 } from './cursor.ts';
import { decimalLength, decimalReader } from './decimal.ts';
import { uuidText } from './gtid-event.ts';
import { jsonText, readBinaryJson } from './json.ts';
import { type LogColumn, TYPE } from './table-map.ts';
import * as temporal from './temporal.ts';

/** Reads a value that is not NULL and moves behind it. */
export type Read = (c: Cursor) => string;
/** Moves behind a value that is not NULL. */
export type Skip = (c: Cursor) => void;

const fixed =
  (length: number): Skip =>
  (c) => {
    take(c, length);
  };

/** A value behind its length, itself of `width` bytes. */
const prefixed =
  (width: number): Skip =>
  (c) => {
    takePrefixed(c, width);
  };

let prefixedLength = 0;

/** Moves behind a length and what it counts; returns where that starts. */
function takePrefixed(c: Cursor, width: number): number {
  prefixedLength =
    width === 1 ? u8(c) : width === 2 ? u16(c) : c.buf.readUIntLE(take(c, width), width);
  return take(c, prefixedLength);
}

/** How to pass over a column without reading it; needs nothing but the type. */
export function skipper({ type, meta }: LogColumn): Skip {
  switch (type) {
    case TYPE.TINY:
    case TYPE.YEAR:
      return fixed(1);
    case TYPE.SHORT:
      return fixed(2);
    case TYPE.INT24:
    case TYPE.DATE:
    case TYPE.TIME:
      return fixed(3);
    case TYPE.LONG:
    case TYPE.FLOAT:
    case TYPE.TIMESTAMP:
      return fixed(4);
    case TYPE.LONGLONG:
    case TYPE.DOUBLE:
    case TYPE.DATETIME:
      return fixed(8);
    case TYPE.NEWDECIMAL:
      return fixed(decimalLength(meta >> 8, meta & 0xff));
    case TYPE.TIME2:
      return fixed(3 + temporal.fractionBytes(meta));
    case TYPE.TIMESTAMP2:
      return fixed(4 + temporal.fractionBytes(meta));
    case TYPE.DATETIME2:
      return fixed(5 + temporal.fractionBytes(meta));
    case TYPE.BIT:
      return fixed((meta + 7) >> 3);
    case TYPE.ENUM:
    case TYPE.SET:
      return fixed(meta);
    default:
      return prefixed(prefixWidth({ type, meta }));
  }
}

/** Size of the length in front of a value of varying size. */
function prefixWidth({ type, meta }: LogColumn): number {
  switch (type) {
    case TYPE.VARCHAR:
    case TYPE.VARCHAR_COMPRESSED:
    case TYPE.VAR_STRING:
    case TYPE.STRING:
      return meta > 255 ? 2 : 1;
    case TYPE.BLOB:
    case TYPE.TINY_BLOB:
    case TYPE.MEDIUM_BLOB:
    case TYPE.LONG_BLOB:
    case TYPE.BLOB_COMPRESSED:
    case TYPE.GEOMETRY:
    case TYPE.JSON:
    case TYPE.VECTOR:
      return meta;
    default:
      throw halt(
        'source.unsupported',
        `A table has a column of a type that is not known (${type})`,
        'Use a server version that Carrick supports, or move the column to another table.',
      );
  }
}

/**
 * The reader of a column that its table declares as `kind`. `column` must be complete: labels and
 * collation present where its type needs them.
 */
export function reader(column: LogColumn, kind: ColumnKind, charsets: Charsets): Read {
  const { type, meta } = column;
  const unsigned = column.unsigned === true;
  switch (type) {
    case TYPE.TINY:
      return unsigned ? (c) => digits(u8(c)) : (c) => digits(c.buf.readInt8(take(c, 1)));
    case TYPE.SHORT:
      return unsigned ? (c) => digits(u16(c)) : (c) => digits(c.buf.readInt16LE(take(c, 2)));
    case TYPE.INT24:
      return unsigned
        ? (c) => String(c.buf.readUIntLE(take(c, 3), 3))
        : (c) => String(c.buf.readIntLE(take(c, 3), 3));
    case TYPE.LONG:
      return unsigned
        ? (c) => String(c.buf.readUInt32LE(take(c, 4)))
        : (c) => String(c.buf.readInt32LE(take(c, 4)));
    case TYPE.LONGLONG:
      return unsigned ? readUnsigned64 : readSigned64;
    case TYPE.YEAR:
      return (c) => {
        const year = u8(c);
        return year === 0 ? '0' : digits(year + 1900);
      };
    case TYPE.FLOAT:
      return (c) => floatText(c.buf.readFloatLE(take(c, 4)));
    case TYPE.DOUBLE:
      return (c) => String(c.buf.readDoubleLE(take(c, 8)));
    case TYPE.NEWDECIMAL:
      return decimalReader(meta >> 8, meta & 0xff);
    case TYPE.BIT:
      return bitReader((meta + 7) >> 3);
    case TYPE.ENUM:
    case TYPE.SET:
      return labelReader(column, charsets);
    case TYPE.JSON:
      return (c) => {
        const start = takePrefixed(c, meta);
        return jsonText(readBinaryJson(c.buf, start, start + prefixedLength));
      };
    default:
      return temporalReader(column) ?? stringReader(column, kind, charsets);
  }
}

function temporalReader({ type, meta }: LogColumn): Read | null {
  switch (type) {
    case TYPE.DATE:
      return temporal.readDate;
    case TYPE.TIME2:
      return temporal.time2Reader(meta);
    case TYPE.DATETIME2:
      return temporal.datetime2Reader(meta);
    case TYPE.TIMESTAMP2:
      return temporal.timestamp2Reader(meta);
    case TYPE.TIME:
      return temporal.readOldTime;
    case TYPE.DATETIME:
      return temporal.readOldDatetime;
    case TYPE.TIMESTAMP:
      return temporal.readOldTimestamp;
    default:
      return null;
  }
}

const SMALL = Array.from({ length: 2200 }, (_, n) => String(n));

/** The text of a small integer, without making it anew. */
const digits = (n: number): string => SMALL[n] ?? String(n);

function readSigned64(c: Cursor): string {
  const at = take(c, 8);
  const high = c.buf.readInt32LE(at + 4);
  // Within 2^53 a double is exact, and much faster than a bigint.
  if (high >= -0x200000 && high < 0x200000) {
    return String(high * 0x1_0000_0000 + c.buf.readUInt32LE(at));
  }
  return String(c.buf.readBigInt64LE(at));
}

function readUnsigned64(c: Cursor): string {
  const at = take(c, 8);
  const high = c.buf.readUInt32LE(at + 4);
  if (high < 0x200000) return String(high * 0x1_0000_0000 + c.buf.readUInt32LE(at));
  return String(c.buf.readBigUInt64LE(at));
}

/** The fewest digits that read back as the same 4-byte float; six are enough for most. */
export function floatText(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e7) return String(value);
  // Subnormals may need fewer than six; elsewhere a shorter spelling shows as trailing zeros.
  for (let precision = Math.abs(value) < 1.2e-38 ? 1 : 6; precision < 9; precision++) {
    const near = Number(value.toPrecision(precision));
    if (Math.fround(near) === value) return String(near);
  }
  return String(Number(value.toPrecision(9)));
}

function bitReader(length: number): Read {
  return (c) => {
    const at = take(c, length);
    if (length <= 6) return String(c.buf.readUIntBE(at, length));
    let value = 0n;
    for (let i = 0; i < length; i++) value = (value << 8n) | BigInt(c.buf[at + i]!);
    return String(value);
  };
}

function labelReader(column: LogColumn, charsets: Charsets): Read {
  const decode = charsets.ofCollation(column.collation!) ?? latin1;
  const labels = column.labels!.map((label) => decode(label, 0, label.length));
  const { type, meta } = column;
  if (type === TYPE.ENUM) {
    const byIndex = ['', ...labels];
    return (c) => byIndex[c.buf.readUIntLE(take(c, meta), meta)] ?? '';
  }
  const known = new Map<string, string>();
  return (c) => {
    const at = take(c, meta);
    const bits = c.buf.hexSlice(at, at + meta);
    let text = known.get(bits);
    if (text === undefined) {
      const chosen = labels.filter((_, i) => (c.buf[at + (i >> 3)]! >> (i & 7)) & 1);
      text = JSON.stringify(chosen.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0)));
      // Sets of many labels have too many combinations to remember them all.
      if (known.size < 1000) known.set(bits, text);
    }
    return text;
  };
}

const latin1: TextDecode = (buf, start, end) => buf.latin1Slice(start, end);
const hex: TextDecode = (buf, start, end) => buf.hexSlice(start, end);

function stringReader(column: LogColumn, kind: ColumnKind, charsets: Charsets): Read {
  const { type, meta } = column;
  const width = prefixWidth(column);
  const decode = spelling(column, kind, charsets);
  if (type === TYPE.VARCHAR_COMPRESSED || type === TYPE.BLOB_COMPRESSED) {
    return (c) => {
      const start = takePrefixed(c, width);
      const data = inflateValue(c.buf, start, start + prefixedLength);
      return decode(data, 0, data.length);
    };
  }
  const padded = type === TYPE.STRING && isBinary(column, charsets);
  return (c) => {
    const start = takePrefixed(c, width);
    const end = start + prefixedLength;
    // The log leaves out the zero bytes at the end of BINARY(n); SELECT gives them.
    if (padded && prefixedLength < meta) {
      const whole = Buffer.alloc(meta);
      c.buf.copy(whole, 0, start, end);
      return decode(whole, 0, meta);
    }
    return decode(c.buf, start, end);
  };
}

function isBinary({ type, collation }: LogColumn, charsets: Charsets): boolean {
  if (type === TYPE.GEOMETRY || type === TYPE.VECTOR || collation === undefined) return true;
  return charsets.ofCollation(collation) === null;
}

/** What the bytes of a string become, by what the table declares them to be. */
function spelling(column: LogColumn, kind: ColumnKind, charsets: Charsets): TextDecode {
  if (!isBinary(column, charsets)) {
    const decode = charsets.ofCollation(column.collation!)!;
    return kind === 'json' ? (buf, start, end) => canonicalJson(decode(buf, start, end)) : decode;
  }
  // MariaDB writes UUID and INET columns as BINARY, in the order of their text.
  if (kind === 'uuid') return (buf, start, end) => uuidText(buf.subarray(start, end));
  if (kind === 'other' && column.type === TYPE.STRING) return addressText;
  return hex;
}

function addressText(buf: Buffer, start: number, end: number): string {
  const raw = buf.subarray(start, end);
  if (raw.length === 4) return raw.join('.');
  return inet6Text(raw);
}

/**
 * An IPv6 address as MariaDB's INET6 spells it: groups without leading zeros, the longest run of
 * zero groups (one is enough) as `::`, IPv4-compatible and -mapped addresses with a dotted end.
 */
export function inet6Text(raw: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, i) => raw.readUInt16BE(2 * i));
  let gap = 0;
  let length = 0;
  for (let at = 0; at < 8; at++) {
    let end = at;
    while (end < 8 && groups[end] === 0) end++;
    if (end - at > length) [gap, length] = [at, end - at];
  }
  const dotted = gap === 0 && (length === 6 || (length === 5 && groups[5] === 0xffff));
  const words = groups.map((group) => group.toString(16));
  if (dotted) words.splice(6, 2, raw.subarray(12).join('.'));
  if (length === 0) return words.join(':');
  return `${words.slice(0, gap).join(':')}::${words.slice(gap + length).join(':')}`;
}
