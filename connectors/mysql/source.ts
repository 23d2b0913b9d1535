import mysql from 'mysql2';
import type { ConnectorContext } from '../../src/contract/connector.ts';
import type { Source, SourceStatus } from '../../src/contract/source.ts';
import type { SourceBatch, TableSpec } from '../../src/model/change.ts';
import type { Position } from '../../src/model/position.ts';
import { loadCharsets, type RunQuery } from './binlog/charset.ts';
import type { RawConnection } from './binlog/dump.ts';
import { type LogServer, logServer } from './binlog/server.ts';
import { type LogStream, openStream } from './binlog/stream.ts';
import { followTables } from './binlog/tables.ts';
import { connectionOf, type MysqlOptions } from './config.ts';
import { describeTables } from './describe.ts';
import { asCarrickError } from './errors.ts';
import { formatPosition, type LogPosition, parsePosition } from './position.ts';
import { tableReader } from './read.ts';
import { lazySession } from './session.ts';

const LAG_POLL_MS = 10_000;

/** Reads the binary log of MySQL and MariaDB (see TYPES.md for values, position.ts for places). */
export async function openSource(
  options: MysqlOptions,
  specs: readonly TableSpec[],
  _context: ConnectorContext,
): Promise<Source> {
  const lazy = lazySession(options);
  const reader = tableReader(options);
  const run: RunQuery = async (sql) => (await lazy.get()).rows(sql);
  let current: { readonly stream: LogStream; shut(): Promise<void> } | null = null;
  /** The last stream, also while it is not open yet. */
  let opening: ReturnType<typeof open> | null = null;
  const lag = lagMeter();

  const server = async (): Promise<LogServer> => logServer(run, (await lazy.get()).mariadb);
  const guarded = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      // A session that broke while nobody looked: the next try gets another one.
      await lazy.reset();
      throw asCarrickError(error, 'source');
    }
  };

  const describe = async () =>
    describeTables(
      await lazy.get(),
      options.database,
      specs.map(({ name }) => name),
    );

  const open = async (position: LogPosition) => {
    const log = await server();
    await log.verify(position);
    const charsets = await loadCharsets(run);
    const { database } = options;
    const tables = await followTables({ specs, database, describe, run, charsets });
    const dump = await replicaConnection(options);
    const shared = { server: log, tables, charsets, from: position };
    const stream = await openStream({ ...dump, ...shared });
    return { log, stream, shut: shutter(stream, () => run(`KILL ${dump.id}`)) };
  };

  async function* tail(from: Position): AsyncGenerator<SourceBatch> {
    opening = guarded(() => open(parsePosition(from)));
    const opened = await opening;
    current = opened;
    try {
      for (;;) {
        const batch = await opened.stream.next();
        void lag.poll(opened.log, opened.stream);
        yield batch;
      }
    } finally {
      current = null;
      await opened.shut();
    }
  }

  return {
    start: () => guarded(async () => formatPosition(await (await server()).executed())),
    tail,
    // The server keeps its log by its own settings: there is nothing to release.
    settle: () => {},
    status: (): SourceStatus => ({
      lastByteAt: current?.stream.lastByteAt ?? null,
      lagBytes: lag.bytes(),
      retainedBytes: null,
      retentionLimitBytes: null,
      retentionLimitSeconds: lag.keptSeconds(),
    }),
    read: (request) => reader.read(request),
    estimate: (table) => reader.estimate(table),
    digest: (request) => reader.digest(request),
    [Symbol.asyncDispose]: async () => {
      await (await opening?.catch(() => null))?.shut();
      await reader[Symbol.asyncDispose]();
      await lazy[Symbol.asyncDispose]();
    },
  };
}

/** Ends a stream once: the server's thread would notice only when it has something to send. */
function shutter(stream: LogStream, kill: () => Promise<unknown>): () => Promise<void> {
  const end = async (): Promise<void> => {
    stream.close();
    if (!stream.broken) await kill().catch(() => {});
  };
  let ended: Promise<void> | null = null;
  return () => (ended ??= end());
}

/** Asks now and then how much of the log is still to be read, and how long it is kept. */
function lagMeter() {
  let known: number | null = null;
  let kept: number | null = null;
  let askedAt = 0;
  return {
    bytes: (): number | null => known,
    keptSeconds: (): number | null => kept,
    poll: async (log: LogServer, { place }: LogStream): Promise<void> => {
      if (Date.now() - askedAt < LAG_POLL_MS) return;
      askedAt = Date.now();
      known = await log.bytesAfter(place.file, place.offset).catch(() => null);
      kept = await log.keptSeconds().catch(() => null);
    },
  };
}

/** A connection to become a replica's, its id at the server, and statements on it. */
async function replicaConnection(options: MysqlOptions) {
  const connection = mysql.createConnection({
    ...connectionOf(options),
    rowsAsArray: true,
    typeCast: (field) => field.string(),
    enableKeepAlive: true,
  });
  connection.on('error', () => {});
  const run: RunQuery = async (sql) => (await connection.promise().query(sql))[0] as string[][];
  const [[id] = []] = await run('SELECT CONNECTION_ID()');
  return { connection: connection as unknown as RawConnection, run, id: Number(id) };
}
