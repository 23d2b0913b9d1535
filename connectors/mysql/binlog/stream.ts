/** One reading of the log, from a position until it is closed or fails. */
import { randomInt, randomUUID } from 'node:crypto';
import { type CarrickError, halt, retry } from '../../../src/errors.ts';
import type { SourceBatch } from '../../../src/model/change.ts';
import { asCarrickError } from '../errors.ts';
import { formatPosition, type LogPosition, parseFile } from '../position.ts';
import { assembler } from './assembler.ts';
import { batchQueue } from './batches.ts';
import type { Charsets, RunQuery } from './charset.ts';
import { decoder } from './decoder.ts';
import { type DumpHandlers, dumpFile, dumpGtid, type RawConnection, startDump } from './dump.ts';
import { corrupt } from './event.ts';
import { mysqlGtidSet } from './gtid.ts';
import { type LogServer, lost } from './server.ts';
import type { Tables } from './tables.ts';
import { trackFrom } from './tracker.ts';

export interface LogStream {
  next(): Promise<SourceBatch>;
  close(): void;
  /** True: the connection has failed, so the server has nothing to end either. */
  readonly broken: boolean;
  /** When the last event came, µs. */
  readonly lastByteAt: number | null;
  /** Where it reads, by file. */
  readonly place: { readonly file: string; readonly offset: number };
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
/** Several heartbeats have failed to come: the connection is gone, and nobody said so. */
const SILENCE_MS = 30_000;
/** How long the server waits for a consumer that has stopped reading. */
const WRITE_TIMEOUT_S = 600;
const MARIADB_CAPABILITY_GTID = 4;

export async function openStream(options: StreamOptions): Promise<LogStream> {
  const { connection, server, tables, charsets, from } = options;
  const checksum = await prepare(options);
  const tracker = trackFrom(from, server.identity);
  let lastByteAt: number | null = null;
  let lastBatchAt = Date.now();
  let closed = false;
  let broken = false;
  /** An event is worked on: the next one has to wait. */
  let working = false;
  const hold = holder(connection);
  const held = () => working || batches.full;
  const regulate = (): void => {
    if (!closed) hold(held());
  };
  const watch = watchSilence(held, () => breakDown(silent()));
  const collected = assembler(from, tracker, (batch) => {
    lastBatchAt = Date.now();
    batches.push(batch);
    regulate();
  });
  const batches = batchQueue(collected.flush, regulate);
  const shared = { tables, charsets, tracker, assembler: collected, room: batches.room };
  const events = decoder({ mariadb: server.mariadb, checksum, ...shared });
  const fail = (error: unknown, byConnection = false): void => {
    if (closed) return;
    closed = true;
    broken = byConnection;
    watch.stop();
    hangUp(connection);
    // What was read before the failure is whole and may still be handed over.
    const damaged = error instanceof RangeError;
    batches.fail(damaged ? corrupt(error.message, error) : asCarrickError(error, 'source'));
  };
  const wait = (pending: Promise<void>): void => {
    working = true;
    regulate();
    pending
      .then(() => {
        working = false;
        batches.offer();
        regulate();
      })
      .catch(fail);
  };
  const breakDown = (error: Error): void => fail(error, true);
  connection.on('error', breakDown);
  startDump(connection, request(from), {
    event: (buf, start, end) => {
      if (closed) return;
      const now = Date.now();
      lastByteAt = now * 1000;
      watch.heard(now);
      try {
        const pending = events.take(buf, start, end);
        if (pending !== undefined) return wait(pending);
        if (now - lastBatchAt >= BEAT_MS && !batches.full) collected.beat();
        else if (batches.waiting) batches.offer();
      } catch (error) {
        fail(error);
      }
    },
    ...endings(from, fail, breakDown),
  });
  return {
    next: batches.next,
    place: tracker,
    close: () => fail(ended()),
    get broken() {
      return broken;
    },
    get lastByteAt() {
      return lastByteAt;
    },
  };
}

/** mysql2 only says goodbye and would go on reading what the server still sends. */
function hangUp(connection: RawConnection): void {
  connection.destroy();
  connection.stream.destroy();
}

/** The ways in which the server or the network ends the stream. */
function endings(
  from: LogPosition,
  fail: (error: Error) => void,
  breakDown: (error: Error) => void,
): Omit<DumpHandlers, 'event'> {
  return {
    refused: (errno, message) => fail(refusal(errno, message, from)),
    ended: () => breakDown(ended()),
    failed: breakDown,
  };
}

/** Notices a server that has said nothing for too long although nothing held it. */
function watchSilence(held: () => boolean, silence: () => void) {
  let heardAt = Date.now();
  const timer = setInterval(() => {
    if (held()) heardAt = Date.now();
    else if (Date.now() - heardAt > SILENCE_MS) silence();
  }, BEAT_MS);
  timer.unref();
  return {
    heard: (now: number): void => {
      heardAt = now;
    },
    stop: (): void => clearInterval(timer),
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

/**
 * Says what a replica says before it asks for the log. Returns whether events will have a checksum
 * until a format description says it.
 */
async function prepare({ connection, run, server, from }: StreamOptions): Promise<boolean> {
  const replica = randomUUID();
  try {
    await run(
      'SET @master_binlog_checksum = @@global.binlog_checksum, ' +
        '@source_binlog_checksum = @@global.binlog_checksum, ' +
        `@master_heartbeat_period = ${HEARTBEAT_NS}, @source_heartbeat_period = ${HEARTBEAT_NS}, ` +
        `@slave_uuid = '${replica}', @replica_uuid = '${replica}', ` +
        `SESSION net_write_timeout = ${WRITE_TIMEOUT_S}`,
    );
    if (server.mariadb) {
      await run(
        `SET @mariadb_slave_capability = ${MARIADB_CAPABILITY_GTID}, ` +
          `@slave_connect_state = '${from.at}', @slave_gtid_strict_mode = 1`,
      );
    }
    const [setting] = await run('SELECT @master_binlog_checksum');
    return setting?.[0] === 'CRC32';
  } catch (error) {
    hangUp(connection);
    throw error;
  }
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
/** What MySQL and MariaDB say when a position is not, or no longer, in their log. */
const GONE = new RegExp(
  'purged|could not find|not in the (?:master|source|primary)|could not open log|' +
    "doesn't exist|impossible position|> file size|more GTIDs|requested to start|first log",
  'i',
);
const DAMAGED = /checksum|corrupt|bogus|read error|truncated/i;

function refusal(errno: number, message: string, from: LogPosition): Error {
  if (errno !== FATAL_READING_BINLOG) {
    return asCarrickError(Object.assign(new Error(message), { errno, code: 'ER' }), 'source');
  }
  if (GONE.test(message)) return lost(from, message);
  if (/GTID_MODE/i.test(message)) return modeChanged(message, from);
  const code = DAMAGED.test(message) ? 'source.corrupt' : 'source.unreachable';
  return retry(
    code,
    `The server stopped sending its log at ${formatPosition(from)}: ${message}`,
    'Reading is tried again. If it goes on, look into the error log of the server.',
  );
}

/** The server neither sends transactions without GTIDs when they are on, nor by GTID when off. */
const modeChanged = (message: string, from: LogPosition): Error =>
  halt(
    'source.unsupported',
    `The server's gtid_mode keeps its log from being read at ${formatPosition(from)}: ${message}`,
    'SET GLOBAL gtid_mode = ON_PERMISSIVE until Carrick has read past the change, or resync.',
  );

const ended = (): CarrickError =>
  retry(
    'source.unreachable',
    'The server ended the stream of its log',
    'Reading is tried again. The server may be shutting down, or somebody ended the connection.',
  );

const silent = (): CarrickError =>
  retry(
    'source.unreachable',
    `The server has sent nothing, not even a heartbeat, for ${SILENCE_MS / 1000} seconds`,
    'Reading is tried again on a new connection. Check the network between here and the server.',
  );
