/** The events that open a transaction: MariaDB's GTID event, MySQL's three. */
import type { Micros } from '../../../src/model/value.ts';
import { bytes, type Cursor, take, u8, u32, u64 } from './cursor.ts';
import { type BinlogEvent, EVENT } from './event.ts';

export interface GtidEvent {
  /** Null where the server has GTIDs off. */
  readonly gtid: string | null;
  /** When it was committed, at its origin if the log says so. MariaDB: whole seconds. */
  readonly committedAt: Micros;
  /** True: one statement (DDL) follows and no COMMIT. Only MariaDB says so. */
  readonly standalone: boolean;
  /** True: the rows are those of a prepared XA transaction, committed or rolled back later. */
  readonly preparedXa: boolean;
}

const FL_STANDALONE = 1;
const FL_PREPARED_XA = 64;

export function readGtidEvent(event: BinlogEvent): GtidEvent {
  if (event.type === EVENT.MARIADB_GTID) return readMariadbGtid(event);
  if (event.type === EVENT.GTID_TAGGED) return readTaggedGtid(event);
  return readMysqlGtid(event);
}

/** Sequence 8, domain 4, flags 1 (MariaDB Knowledge Base, "GTID_EVENT"). */
function readMariadbGtid(event: BinlogEvent): GtidEvent {
  const c = event.body;
  const sequence = u64(c);
  const domain = u32(c);
  const flags = u8(c);
  return {
    gtid: `${domain}-${event.serverId}-${sequence}`,
    committedAt: event.timestamp * 1_000_000,
    standalone: (flags & FL_STANDALONE) !== 0,
    preparedXa: (flags & FL_PREPARED_XA) !== 0,
  };
}

const LOGICAL_CLOCK = 2;
const LONGER_TIMESTAMP = 2 ** 55;

/**
 * Flags 1, uuid 16, number 8, type of clock 1, last committed 8, sequence 8, then since 8.0.1 the
 * immediate commit time 7, whose top bit says that the original one follows.
 */
function readMysqlGtid(event: BinlogEvent): GtidEvent {
  const c = event.body;
  u8(c);
  const uuid = uuidText(bytes(c, 16));
  const number = u64(c);
  let committedAt = event.timestamp * 1_000_000;
  if (c.pos < c.end && u8(c) === LOGICAL_CLOCK) {
    take(c, 16);
    if (c.end - c.pos >= 7) {
      const immediate = u56(c);
      committedAt = immediate >= LONGER_TIMESTAMP ? u56(c) : immediate;
    }
  }
  const gtid = event.type === EVENT.ANONYMOUS_GTID ? null : `${uuid}:${number}`;
  return { gtid, committedAt, standalone: false, preparedXa: false };
}

function u56(c: Cursor): number {
  const at = take(c, 7);
  return c.buf.readUIntLE(at, 4) + c.buf.readUIntLE(at + 4, 3) * 0x1_0000_0000;
}

/** Fields of a tagged event, by their number in the serialized message. */
const FIELD = { flags: 0, uuid: 1, number: 2, tag: 3, immediate: 6, original: 7 } as const;
/** The fields as of 9.x: 4 last committed, 5 sequence, 8 length, 9 and 10 versions, 11 ticket. */
const KNOWN_FIELDS = 12;

/**
 * A message of MySQL's serialization library (source documentation, "Library: Serialization"):
 * version, size and last field that may not be ignored, then fields by ascending number, absent
 * ones at their defaults. Every number is one of the variable length read by {@link varint}.
 */
function readTaggedGtid(event: BinlogEvent): GtidEvent {
  const c = event.body;
  const version = varint(c);
  varint(c);
  if (version !== 1n || varint(c) > BigInt(KNOWN_FIELDS)) {
    throw new RangeError('a tagged GTID event has an unknown layout');
  }
  let uuid = '';
  let tag = '';
  let number = 0;
  let immediate = 0;
  let original = 0;
  while (c.pos < c.end) {
    const field = Number(varint(c));
    if (field === FIELD.uuid) {
      const raw = Buffer.alloc(16);
      for (let i = 0; i < 16; i++) raw[i] = Number(varint(c));
      uuid = uuidText(raw);
    } else if (field === FIELD.tag) tag = bytes(c, Number(varint(c))).toString('ascii');
    else if (field === FIELD.number) number = Number(varint(c) >> 1n);
    else if (field === FIELD.immediate) immediate = Number(varint(c));
    else if (field === FIELD.original) original = Number(varint(c));
    else if (field < KNOWN_FIELDS) varint(c);
    else break;
  }
  if (uuid === '' || number === 0) throw new RangeError('a tagged GTID event has no GTID');
  const gtid = tag === '' ? `${uuid}:${number}` : `${uuid}:${tag}:${number}`;
  const committedAt = original || immediate || event.timestamp * 1_000_000;
  return { gtid, committedAt, standalone: false, preparedXa: false };
}

/**
 * As many low one-bits as bytes follow, then a zero bit, then the value, little-endian; nine bytes
 * hold a full 64-bit number.
 */
function varint(c: Cursor): bigint {
  const first = u8(c);
  let more = 0;
  while (more < 8 && ((first >> more) & 1) === 1) more++;
  let rest = 0n;
  for (let i = 0; i < more; i++) rest |= BigInt(u8(c)) << BigInt(8 * i);
  if (more === 8) return rest;
  return BigInt(first >> (more + 1)) | (rest << BigInt(7 - more));
}

export function uuidText(raw: Buffer): string {
  const hex = raw.toString('hex');
  return (
    `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-` +
    `${hex.slice(16, 20)}-${hex.slice(20)}`
  );
}
