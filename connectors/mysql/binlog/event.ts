import { crc32 } from 'node:zlib';
import { halt, retry } from '../../../src/errors.ts';
import { type Cursor, cursorOver, take, u8, u16, u32, utf8 } from './cursor.ts';

/**
 * Event types, from the MySQL source documentation (`mysql::binlog::event::Log_event_type`) and
 * the MariaDB Knowledge Base ("Replication Protocol"); 160 and above are MariaDB's.
 */
export const EVENT = {
  QUERY: 2,
  STOP: 3,
  ROTATE: 4,
  FORMAT_DESCRIPTION: 15,
  XID: 16,
  EXECUTE_LOAD_QUERY: 18,
  TABLE_MAP: 19,
  WRITE_ROWS_V1: 23,
  UPDATE_ROWS_V1: 24,
  DELETE_ROWS_V1: 25,
  INCIDENT: 26,
  HEARTBEAT: 27,
  WRITE_ROWS: 30,
  UPDATE_ROWS: 31,
  DELETE_ROWS: 32,
  GTID: 33,
  ANONYMOUS_GTID: 34,
  XA_PREPARE: 38,
  PARTIAL_UPDATE_ROWS: 39,
  TRANSACTION_PAYLOAD: 40,
  HEARTBEAT_V2: 41,
  GTID_TAGGED: 42,
  MARIADB_GTID: 162,
  QUERY_COMPRESSED: 165,
  WRITE_ROWS_COMPRESSED_V1: 166,
  UPDATE_ROWS_COMPRESSED_V1: 167,
  DELETE_ROWS_COMPRESSED_V1: 168,
  WRITE_ROWS_COMPRESSED: 169,
  UPDATE_ROWS_COMPRESSED: 170,
  DELETE_ROWS_COMPRESSED: 171,
} as const;

/**
 * Events that change nothing in a table that is replicated row by row: STOP, INTVAR, RAND,
 * USER_VAR (context of a statement that follows), BEGIN_LOAD_QUERY, IGNORABLE, ROWS_QUERY,
 * PREVIOUS_GTIDS, TRANSACTION_CONTEXT, VIEW_CHANGE; MariaDB's ANNOTATE_ROWS, BINLOG_CHECKPOINT,
 * GTID_LIST, START_ENCRYPTION.
 */
const WITHOUT_EFFECT = new Set([3, 5, 13, 14, 17, 28, 29, 35, 36, 37, 160, 161, 163, 164]);

const IGNORABLE_FLAG = 0x80;

/** An unknown event may be left out only if it has no effect or its writer allows it. */
export function mayBeIgnored(type: number, flags: number): boolean {
  return WITHOUT_EFFECT.has(type) || (flags & IGNORABLE_FLAG) !== 0;
}

export const HEADER_LENGTH = 19;
const CHECKSUM_LENGTH = 4;
const FLAGS_AT = 17;
const IN_USE_FLAG = 0x01;

/** The header every event starts with, and its body. One object, refilled for every event. */
export interface BinlogEvent {
  /** Seconds since 1970. */
  timestamp: number;
  type: number;
  serverId: number;
  /** Bytes in the log file, header and checksum included. */
  size: number;
  /** Where the next event begins in the file, low 32 bits; 0 for events that are in no file. */
  nextPosition: number;
  flags: number;
  /** The body, from the post-header on, without the checksum. */
  body: Cursor;
}

export function emptyEvent(): BinlogEvent {
  const body = cursorOver(Buffer.alloc(0));
  return { timestamp: 0, type: 0, serverId: 0, size: 0, nextPosition: 0, flags: 0, body };
}

/** Reads the header at `start` into `event`; `end` is where the event ends, checksum included. */
export function readHeader(event: BinlogEvent, buf: Buffer, start: number, end: number): void {
  if (end - start < HEADER_LENGTH) throw new RangeError('the event is shorter than its header');
  event.timestamp = buf.readUInt32LE(start);
  event.type = buf[start + 4]!;
  event.serverId = buf.readUInt32LE(start + 5);
  event.size = buf.readUInt32LE(start + 9);
  event.nextPosition = buf.readUInt32LE(start + 13);
  event.flags = buf.readUInt16LE(start + FLAGS_AT);
  event.body.buf = buf;
  event.body.pos = start + HEADER_LENGTH;
  event.body.end = end;
}

/**
 * Checks the CRC-32 behind an event and takes it off the body. The format description's own
 * checksum is over the event as a closed file holds it, with the in-use flag cleared.
 */
export function verifyChecksum(event: BinlogEvent, start: number): void {
  const { buf } = event.body;
  const end = event.body.end - CHECKSUM_LENGTH;
  if (end < start + HEADER_LENGTH) throw new RangeError('the event has no room for a checksum');
  let sum: number;
  if (event.type === EVENT.FORMAT_DESCRIPTION && (event.flags & IN_USE_FLAG) !== 0) {
    const closed = Buffer.from(buf.subarray(start, end));
    closed.writeUInt16LE(event.flags & ~IN_USE_FLAG, FLAGS_AT);
    sum = crc32(closed);
  } else {
    sum = crc32(buf.subarray(start, end));
  }
  if (sum !== buf.readUInt32LE(end)) {
    throw corrupt(`the checksum of an event of type ${event.type} is wrong`);
  }
  event.body.end = end;
}

export interface FormatDescription {
  readonly serverVersion: string;
  /** True: every event of this file ends with a CRC-32. */
  readonly checksum: boolean;
  /** Length of the post-header of each event type, by type. */
  readonly postHeaderLengths: readonly number[];
}

/** FORMAT_DESCRIPTION: version 2, server version 50, created 4, header length 1, lengths. */
export function readFormatDescription(c: Cursor): FormatDescription {
  const version = u16(c);
  const serverVersion = utf8(c, 50).replace(/\0.*$/s, '');
  u32(c);
  const headerLength = u8(c);
  if (version !== 4 || headerLength !== HEADER_LENGTH) {
    throw halt(
      'source.unsupported',
      `The binary log has format ${version} with headers of ${headerLength} bytes`,
      'Use MySQL 5.7 or later, or MariaDB 10.5 or later.',
    );
  }
  // The algorithm byte and four checksum bytes end the event, whether checksums are on or not.
  const lengths = c.end - CHECKSUM_LENGTH - 1 - c.pos;
  const at = take(c, lengths);
  const postHeaderLengths = [0, ...c.buf.subarray(at, at + lengths)];
  return { serverVersion, checksum: u8(c) === 1, postHeaderLengths };
}

export const corrupt = (what: string, cause?: unknown) =>
  retry(
    'source.corrupt',
    `The binary log cannot be read: ${what}`,
    'Reading is tried again. If it fails at the same place, check the server with ' +
      '`mysqlbinlog --verify-binlog-checksum` (MariaDB: `mariadb-binlog`) and resync.',
    cause,
  );
