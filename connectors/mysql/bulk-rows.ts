import type { Value } from '../../src/model/value.ts';
import { labelsOf, type MysqlColumn } from './types.ts';

/** The rows of one bulk execution, as the server takes them. */
export interface BulkRows {
  readonly bytes: number;
  /** False: the row is long, or a value takes another spelling; nothing was added. */
  add(row: readonly Value[]): boolean;
  /** The whole packet, for a statement that the server knows by `id`. */
  packet(id: number): Buffer;
}

/** Header 4, command 1, statement 4, flags 2. */
const TYPES_AT = 11;
const COM_STMT_BULK_EXECUTE = 0xfa;
const SEND_TYPES = 128;
const [GIVEN, NULL] = [0, 1];
const [LONGLONG, BLOB, VAR_STRING] = [0x08, 0xfc, 0xfd];
const UNSIGNED = 0x80;

/** How the values of a column are spelled. */
const [TEXT, INSTANT, BYTES, NUMBER, SET] = [0, 1, 2, 3, 4];

function formOf({ kind, dataType }: MysqlColumn): number {
  if (dataType === 'bit' || dataType === 'year') return NUMBER;
  if (kind === 'timestamp') return INSTANT;
  if (kind === 'bytes') return BYTES;
  return kind === 'set' ? SET : TEXT;
}

const typeOf = (form: number): readonly [type: number, flags: number] => {
  if (form === NUMBER) return [LONGLONG, UNSIGNED];
  return [form === BYTES ? BLOB : VAR_STRING, 0];
};

const HEX = /^(?:[0-9a-f]{2})*$/i;
const DIGITS = /^\d{1,19}$/;
/** A packet's length has three bytes: some rows less than this long and one more fit. */
const LARGEST_ROW = 2 ** 22;

/** Holds what grows; two of them are in use by turns, while the server reads the other. */
export interface Room {
  buf: Buffer;
}

/** What was spelled so far: a buffer that is large enough, and where it ends. */
interface Spelled {
  buf: Buffer;
  at: number;
}

/**
 * Values go as the text that a literal would have, without its quotes. `limit`: bytes of a row.
 */
export function bulkRows(columns: readonly MysqlColumn[], room: Room, limit: number): BulkRows {
  const forms = columns.map(formOf);
  const longest = Math.min(limit, LARGEST_ROW);
  const to: Spelled = { buf: room.buf, at: TYPES_AT };
  const reserve = (bytes: number): void => {
    if (to.at + bytes <= to.buf.length) return;
    const larger = Buffer.allocUnsafe(2 * (to.at + bytes));
    to.buf.copy(larger, 0, 0, to.at);
    to.buf = larger;
    room.buf = larger;
  };
  reserve(2 * forms.length);
  for (const form of forms) {
    for (const byte of typeOf(form)) to.buf[to.at++] = byte;
  }
  return {
    get bytes() {
      return to.at;
    },
    add(row) {
      let most = 0;
      for (let i = 0; i < forms.length; i++) most += 3 * (row[i]?.length ?? 0) + 12;
      if (most > longest) return false;
      reserve(most);
      const start = to.at;
      for (let i = 0; i < forms.length; i++) {
        const value = row[i]!;
        to.buf[to.at++] = value === null ? NULL : GIVEN;
        if (value === null || addValue(to, forms[i]!, value)) continue;
        to.at = start;
        return false;
      }
      return true;
    },
    packet(id) {
      const { buf, at } = to;
      buf.writeUIntLE(at - 4, 0, 3);
      buf[3] = 0;
      buf[4] = COM_STMT_BULK_EXECUTE;
      buf.writeUInt32LE(id, 5);
      buf.writeUInt16LE(SEND_TYPES, 9);
      return buf.subarray(0, at);
    },
  };
}

function addValue(to: Spelled, form: number, value: string): boolean {
  if (form === TEXT) addText(to, value);
  else if (form === INSTANT) addText(to, value.endsWith('Z') ? value.slice(0, -1) : value);
  else if (form === SET) addText(to, labelsOf(value)?.join(',') ?? value);
  else if (form === BYTES) {
    if (!HEX.test(value)) return false;
    addLength(to, value.length / 2);
    to.at += to.buf.write(value, to.at, 'hex');
  } else {
    if (!DIGITS.test(value)) return false;
    to.at = to.buf.writeBigUInt64LE(BigInt(value), to.at);
  }
  return true;
}

/** Characters of three bytes, the most, whose number of bytes one byte tells. */
const SHORT = 83;

function addText(to: Spelled, value: string): void {
  const { buf } = to;
  if (value.length > SHORT) {
    addLength(to, Buffer.byteLength(value));
    to.at += buf.write(value, to.at);
    return;
  }
  const start = to.at + 1;
  let at = start;
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    if (code > 127) {
      at = start + buf.write(value, start);
      break;
    }
    buf[at++] = code;
  }
  buf[to.at] = at - start;
  to.at = at;
}

/** A length-encoded integer. */
function addLength(to: Spelled, length: number): void {
  const width = length < 251 ? 1 : length < 65_536 ? 2 : 3;
  if (width > 1) to.buf[to.at++] = width === 2 ? 0xfc : 0xfd;
  to.at = to.buf.writeUIntLE(length, to.at, width);
}
