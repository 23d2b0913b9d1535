/** Builds events from the documented formats, for what no server at hand writes. */
import { crc32 } from 'node:zlib';
import { assembler } from '../../connectors/mysql/binlog/assembler.ts';
import type { Charsets } from '../../connectors/mysql/binlog/charset.ts';
import { decoder } from '../../connectors/mysql/binlog/decoder.ts';
import type { Followed } from '../../connectors/mysql/binlog/plan.ts';
import type { Tables } from '../../connectors/mysql/binlog/tables.ts';
import { trackFrom } from '../../connectors/mysql/binlog/tracker.ts';
import { parsePosition } from '../../connectors/mysql/position.ts';
import type { SourceBatch, TableSpec } from '../../src/model/change.ts';
import type { ColumnKind } from '../../src/model/value.ts';

export const bytes = (...parts: (number | Buffer | string)[]): Buffer =>
  Buffer.concat(
    parts.map((part) => (typeof part === 'number' ? Buffer.from([part]) : Buffer.from(part))),
  );

export function le(value: number | bigint, length: number): Buffer {
  const buffer = Buffer.alloc(length);
  let rest = BigInt.asUintN(8 * length, BigInt(value));
  for (let i = 0; i < length; i++, rest >>= 8n) buffer[i] = Number(rest & 0xffn);
  return buffer;
}

export const lenenc = (value: number): Buffer =>
  value < 251 ? le(value, 1) : bytes(0xfc, le(value, 2));

export const prefixed = (data: Buffer | string): Buffer =>
  bytes(lenenc(Buffer.from(data).length), data);

let position = 4;

/** An event with its header; `checksum` puts the CRC-32 behind it. */
export function event(type: number, body: Buffer, checksum = true, flags = 0): Buffer {
  const size = 19 + body.length + (checksum ? 4 : 0);
  position += size;
  const head = bytes(le(1_700_000_000, 4), type, le(1, 4), le(size, 4), le(position, 4));
  const whole = bytes(head, le(flags, 2), body);
  return checksum ? bytes(whole, le(crc32(whole), 4)) : whole;
}

export const SERVER = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const uuid = Buffer.from(SERVER.replaceAll('-', ''), 'hex');

/** MySQL 8: with the commit times, and 7 bytes more if it has come from another server. */
export const gtidEvent = (number: number, immediate: number, original?: number): Buffer =>
  event(
    33,
    bytes(
      0,
      uuid,
      le(number, 8),
      2,
      le(0, 8),
      le(1, 8),
      original === undefined
        ? le(immediate, 7)
        : bytes(le(BigInt(immediate) | (1n << 55n), 7), le(original, 7)),
      lenenc(200),
      le(80_036, 4),
    ),
  );

export const query = (sql: string, checksum = true): Buffer =>
  event(2, bytes(le(1, 4), le(0, 4), 3, le(0, 2), le(0, 2), 'app', 0, sql), checksum);

export const xid = (checksum = true): Buffer => event(16, le(1, 8), checksum);

export interface TestColumn {
  readonly name: string;
  readonly type: number;
  readonly meta: Buffer;
}

/** A TABLE_MAP with the names of its columns; table id 9. */
export const tableMap = (name: string, columns: readonly TestColumn[], checksum = true): Buffer =>
  event(
    19,
    bytes(
      ...[le(9, 6), le(1, 2), 3, 'app', 0, name.length, name, 0],
      lenenc(columns.length),
      Buffer.from(columns.map(({ type }) => type)),
      prefixed(bytes(...columns.map(({ meta }) => meta))),
      Buffer.alloc((columns.length + 7) >> 3, 0xff),
      4,
      prefixed(bytes(...columns.map((column) => prefixed(column.name)))),
    ),
    checksum,
  );

/** Rows in version 2, with extra data that a reader passes over. */
export const rows = (type: number, columns: number, data: Buffer, checksum = true): Buffer => {
  const image = Buffer.alloc((columns + 7) >> 3, 0xff);
  const images = type === 31 || type === 39 ? bytes(image, image) : image;
  const extra = bytes(le(5, 2), 0, 1, 2);
  return event(type, bytes(le(9, 6), le(1, 2), extra, lenenc(columns), images, data), checksum);
};

export const INT: Omit<TestColumn, 'name'> = { type: 3, meta: Buffer.alloc(0) };
export const JSON_COLUMN: Omit<TestColumn, 'name'> = { type: 245, meta: Buffer.from([4]) };

/** Every collation is utf8mb4 but 63. */
const charsets: Charsets = {
  ofCollation: (id) => (id === 63 ? null : (buf, start, end) => buf.utf8Slice(start, end)),
  collationOf: () => 45,
};

/** Takes events as the server would send them and returns what the source would hand over. */
export function decode(
  spec: TableSpec,
  kinds: Readonly<Record<string, ColumnKind>>,
  events: readonly Buffer[],
  from = `mysql@${SERVER}:`,
): SourceBatch[] {
  const known = new Map(Object.entries(kinds));
  const followed: Followed = {
    ...{ spec, mark: false, kinds: known, declared: known },
    ...{ catalog: [], rowEnd: null, drift: '', stale: false },
  };
  const tables: Tables = {
    find: (schema, table) => (schema === 'app' && table === spec.name ? followed : null),
    inSchema: () => [followed],
    amongWords: (words) => (words.has(spec.name) ? [followed] : []),
    refresh: async () => {},
  };
  const batches: SourceBatch[] = [];
  const place = parsePosition(from);
  const tracker = trackFrom(place, SERVER);
  const collected = assembler(place, tracker, (batch) => batches.push(batch));
  const room = () => null;
  const shared = { tables, charsets, tracker, assembler: collected, room };
  const reader = decoder({ mariadb: false, checksum: true, ...shared });
  for (const data of events) {
    // Within a packet, the event is not at the beginning.
    const buf = bytes(0xaa, data);
    if (reader.take(buf, 1, buf.length) !== undefined) throw new Error('an event has to wait');
  }
  collected.beat();
  return batches;
}
