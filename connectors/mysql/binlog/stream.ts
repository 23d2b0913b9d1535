/** One reading of the log, from a position until it is closed or fails. */
import { randomInt, randomUUID } from 'node:crypto';
import { type CarrickError, retry } from '../../../src/errors.ts';
import type { SourceBatch } from '../../../src/model/change.ts';
import { asCarrickError } from '../errors.ts';
import { formatPosition, type LogPosition, parseFile } from '../position.ts';
import { assembler } from './assembler.ts';
import { batchQueue } from './batches.ts';
import type { Charsets, RunQuery } from './charset.ts';
import { decoder } from './decoder.ts';
import { dumpFile, dumpGtid, type RawConnection, startDump } from './dump.ts';
import { corrupt } from './event.ts';
import { mysqlGtidSet } from './gtid.ts';
import { type LogServer, lost } from './server.ts';
import type { Tables } from './tables.ts';
import { trackFrom } from './tracker.ts';

export interface LogStream {
  next(): Promise<SourceBatch>;
  close(): void;
  /** When the last event came, µs. */
  readonly lastByteAt: number | null;
  readonly file: string;
  readonly offset: number;
}

export interface StreamOptions {
  readonly connection: RawConnection;
  readonly run: RunQuery;
  readonly server: LogServer;
  readonly tables: Tables;
  readonly charsets: Charsets;
  readonly from: LogPosition;
}

const HEARTBEAT_NS = 5_000_000_000;
/** While events come that give nothing to hand over, the position is handed over this often. */
const BEAT_MS = 5_000;
const MARIADB_CAPABILITY_GTID = 4;

export async function openStream(options: StreamOptions): Promise<LogStream> {
  const { connection, run, server, tables, charsets, from } = options;
  await prepare(run, server, from);
  const [setting] = await run('SELECT @master_binlog_checksum');
  const tracker = trackFrom(from, server.identity);
  let lastByteAt: number | null = null;
  let lastBatchAt = Date.now();
  let closed = false;
  /** An event is worked on: the next one has to wait. */
  let working = false;
  const hold = holder(connection);
  const regulate = (): void => {
    if (!closed) hold(working || batches.full);
  };
  const collected = assembler(from, tracker, (batch) => {
    lastBatchAt = Date.now();
    batches.push(batch);
    regulate();
  });
  const batches = batchQueue(collected.flush, regulate);
  const { mariadb } = server;
  const checksum = setting?.[0] === 'CRC32';
  const room = () => (batches.full ? batches.room() : null);
  const shared = { tables, charsets, tracker, assembler: collected, room };
  const events = decoder({ mariadb, checksum, ...shared });
  const fail = (error: unknown): void => {
    if (closed) return;
    closed = true;
    connection.destroy();
    connection.stream.destroy();
    // What was read before the failure is whole and may still be handed over.
    const damaged = error instanceof RangeError;
    batches.fail(damaged ? corrupt(error.message, error) : asCarrickError(error, 'source'));
  };
  const proceed = (): void => {
    working = false;
    batches.offer();
    regulate();
  };
  const wait = (pending: Promise<void>): void => {
    working = true;
    regulate();
    pending.then(proceed).catch(fail);
  };
  connection.on('error', fail);
  startDump(connection, request(from), {
    event: (buf, start, end) => {
      if (closed) return;
      const now = Date.now();
      lastByteAt = now * 1000;
      try {
        const pending = events.take(buf, start, end);
        if (pending !== undefined) return wait(pending);
        if (now - lastBatchAt >= BEAT_MS && !batches.full) collected.beat();
        else if (batches.waiting) batches.offer();
      } catch (error) {
        fail(error);
      }
    },
    refused: (errno, message) => fail(refusal(errno, message, from)),
    ended: () => fail(ended()),
    failed: fail,
  });
  return {
    next: batches.next,
    close: () => fail(ended()),
    get lastByteAt() {
      return lastByteAt;
    },
    get file() {
      return tracker.file;
    },
    get offset() {
      return tracker.offset;
    },
  };
}

/** Stops and starts the socket, and says nothing twice. */
function holder(connection: RawConnection): (hold: boolean) => void {
  let held = false;
  return (hold) => {
    if (hold === held) return;
    held = hold;
    if (hold) connection.pause();
    else connection.resume();
  };
}

/** What a replica tells the server about itself before it asks for the log. */
async function prepare(run: RunQuery, server: LogServer, from: LogPosition): Promise<void> {
  const replica = randomUUID();
  await run(
    'SET @master_binlog_checksum = @@global.binlog_checksum, ' +
      '@source_binlog_checksum = @@global.binlog_checksum, ' +
      `@master_heartbeat_period = ${HEARTBEAT_NS}, @source_heartbeat_period = ${HEARTBEAT_NS}, ` +
      `@slave_uuid = '${replica}', @replica_uuid = '${replica}'`,
  );
  if (!server.mariadb) return;
  await run(
    `SET @mariadb_slave_capability = ${MARIADB_CAPABILITY_GTID}, ` +
      `@slave_connect_state = '${from.at}', @slave_gtid_strict_mode = 1`,
  );
}

/** A server id that no replica is likely to have: the server drops the older of two equal ones. */
const replicaId = (): number => randomInt(0x4000_0000, 0xffff_ffff);

function request(from: LogPosition): Buffer {
  if (from.flavour === 'mysql') return dumpGtid(replicaId(), mysqlGtidSet(from.at).encode());
  // MariaDB finds the file by @slave_connect_state.
  if (from.flavour === 'mariadb') return dumpFile(replicaId(), '', 4);
  return dumpFile(replicaId(), ...parseFile(from.at));
}

const FATAL_READING_BINLOG = 1236;
const GONE =
  /purged|could not find|not in the (?:master|source|primary)|could not open log|doesn't exist|impossible position|> file size|more GTIDs|requested to start|first log/i;
const DAMAGED = /checksum|corrupt|bogus|read error|truncated/i;

function refusal(errno: number, message: string, from: LogPosition): Error {
  if (errno !== FATAL_READING_BINLOG) {
    return asCarrickError(Object.assign(new Error(message), { errno, code: 'ER' }), 'source');
  }
  if (GONE.test(message)) return lost(from, message);
  const code = DAMAGED.test(message) ? 'source.corrupt' : 'source.unreachable';
  return retry(
    code,
    `The server stopped sending its log at ${formatPosition(from)}: ${message}`,
    'Reading is tried again. If it goes on, look into the error log of the server.',
  );
}

const ended = (): CarrickError =>
  retry(
    'source.unreachable',
    'The server ended the stream of its log',
    'Reading is tried again. The server may be shutting down, or somebody ended the connection.',
  );
