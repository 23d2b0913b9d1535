/**
 * MySQL's binary JSON (source documentation, `json_binary.h`), spelled as the model wants JSON:
 * keys sorted, no white space, numbers as the server prints them.
 */
import { decimalReader } from './decimal.ts';
import { TYPE } from './table-map.ts';
import { packedTemporal } from './temporal.ts';

/** A document: scalars as their canonical text, so that a diff can be applied to the rest. */
export type JsonNode = string | JsonNode[] | Map<string, JsonNode>;

const KIND = {
  SMALL_OBJECT: 0,
  LARGE_OBJECT: 1,
  SMALL_ARRAY: 2,
  LARGE_ARRAY: 3,
  LITERAL: 4,
  INT16: 5,
  UINT16: 6,
  INT32: 7,
  UINT32: 8,
  INT64: 9,
  UINT64: 10,
  DOUBLE: 11,
  STRING: 12,
  OPAQUE: 15,
} as const;

const LITERALS = ['null', 'true', 'false'] as const;

/** The document in `buf` from `start` to `end`: a type byte and its value; empty is null. */
export function readBinaryJson(buf: Buffer, start: number, end: number): JsonNode {
  if (start === end) return 'null';
  return readValue(buf.subarray(start, end), buf[start]!, 1);
}

export function jsonText(node: JsonNode): string {
  if (typeof node === 'string') return node;
  if (Array.isArray(node)) return `[${node.map(jsonText).join(',')}]`;
  const keys = [...node.keys()].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  return `{${keys.map((key) => `${JSON.stringify(key)}:${jsonText(node.get(key)!)}`).join(',')}}`;
}

function readValue(buf: Buffer, kind: number, at: number): JsonNode {
  switch (kind) {
    case KIND.SMALL_OBJECT:
    case KIND.SMALL_ARRAY:
      return readContainer(buf.subarray(at), kind === KIND.SMALL_OBJECT, 2);
    case KIND.LARGE_OBJECT:
    case KIND.LARGE_ARRAY:
      return readContainer(buf.subarray(at), kind === KIND.LARGE_OBJECT, 4);
    case KIND.LITERAL:
      return literal(buf[at]!);
    case KIND.INT16:
      return String(buf.readInt16LE(at));
    case KIND.UINT16:
      return String(buf.readUInt16LE(at));
    case KIND.INT32:
      return String(buf.readInt32LE(at));
    case KIND.UINT32:
      return String(buf.readUInt32LE(at));
    case KIND.INT64:
      return String(buf.readBigInt64LE(at));
    case KIND.UINT64:
      return String(buf.readBigUInt64LE(at));
    case KIND.DOUBLE:
      return doubleText(buf.readDoubleLE(at));
    case KIND.STRING: {
      const [length, from] = readLength(buf, at);
      return JSON.stringify(buf.utf8Slice(from, from + length));
    }
    case KIND.OPAQUE: {
      const [length, from] = readLength(buf, at + 1);
      return opaqueText(buf[at]!, buf.subarray(from, from + length));
    }
    default:
      throw new RangeError(`binary JSON of unknown type ${kind}`);
  }
}

function literal(byte: number): string {
  const text = LITERALS[byte];
  if (text === undefined) throw new RangeError('unknown literal in binary JSON');
  return text;
}

/**
 * Count and size, then for an object the offsets and lengths of the keys, then a type byte and
 * the value or its offset; `width` is the size of all those numbers. Offsets count from the count.
 */
function readContainer(buf: Buffer, object: boolean, width: 2 | 4): JsonNode {
  const number = (at: number): number => buf.readUIntLE(at, width);
  const count = number(0);
  if (number(width) > buf.length) throw new RangeError('binary JSON is longer than its value');
  const keyEntry = width + 2;
  const valueEntry = width + 1;
  const values = 2 * width + (object ? count * keyEntry : 0);
  const value = (i: number): JsonNode => {
    const at = values + i * valueEntry;
    const kind = buf[at]!;
    return readValue(buf, kind, isInlined(kind, width) ? at + 1 : number(at + 1));
  };
  if (!object) return Array.from({ length: count }, (_, i) => value(i));
  const members = new Map<string, JsonNode>();
  for (let i = 0; i < count; i++) {
    const entry = 2 * width + i * keyEntry;
    const from = number(entry);
    const key = buf.utf8Slice(from, from + buf.readUInt16LE(entry + width));
    members.set(key, value(i));
  }
  return members;
}

function isInlined(kind: number, width: 2 | 4): boolean {
  if (kind === KIND.LITERAL || kind === KIND.INT16 || kind === KIND.UINT16) return true;
  return width === 4 && (kind === KIND.INT32 || kind === KIND.UINT32);
}

/** A length of 7 bits a byte, the low ones first. */
function readLength(buf: Buffer, at: number): [length: number, from: number] {
  let length = 0;
  for (let i = 0; i < 5; i++) {
    const byte = buf[at + i]!;
    length += (byte & 0x7f) * 2 ** (7 * i);
    if ((byte & 0x80) === 0) return [length, at + i + 1];
  }
  throw new RangeError('a length in binary JSON does not end');
}

/** DECIMAL is a number; moments are strings, as CAST … AS CHAR spells them; the rest base64. */
function opaqueText(type: number, data: Buffer): string {
  switch (type) {
    case TYPE.NEWDECIMAL:
      return decimalReader(data[0]!, data[1]!)({ buf: data, pos: 2, end: data.length });
    case TYPE.DATE:
      return `"${packedTemporal('date', data.readBigInt64LE(0))}"`;
    case TYPE.TIME:
      return `"${packedTemporal('time', data.readBigInt64LE(0))}"`;
    case TYPE.DATETIME:
    case TYPE.TIMESTAMP:
      return `"${packedTemporal('datetime', data.readBigInt64LE(0))}"`;
    default:
      return `"base64:type${type}:${data.toString('base64')}"`;
  }
}

/**
 * The server's spelling of a double in JSON (MySQL source, `my_gcvt`): shortest digits, without an
 * exponent while the point is within 15 places of them, and with `.0` behind a whole number.
 */
export function doubleText(value: number): string {
  const [mantissa = '0', exponent = '0'] = Math.abs(value).toExponential().split('e');
  const digits = mantissa.replace('.', '');
  const sign = value < 0 || Object.is(value, -0) ? '-' : '';
  const point = Number(exponent) + 1;
  if (value === 0) return `${sign}0.0`;
  if (point < -14 || (point > 15 && digits.length <= point)) {
    const fraction = digits.length > 1 ? `.${digits.slice(1)}` : '';
    return `${sign}${digits[0]}${fraction}e${point - 1}`;
  }
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`;
  if (digits.length <= point) return `${sign}${digits}${'0'.repeat(point - digits.length)}.0`;
  return `${sign}${digits.slice(0, point)}.${digits.slice(point)}`;
}
