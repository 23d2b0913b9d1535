/** Debezium's engine with its JDBC sink in one Java process: see debezium/src. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { scratchFolder } from '../test/support/index.ts';
import { cpuSeconds, peakMiB } from './process.ts';
import type { Side } from './side.ts';

const PROJECT = join(import.meta.dirname, 'debezium');

/** What to put on Java's class path, or why there is none. */
export type Built = { readonly classPath: string } | { readonly absent: string };

/** Compiles the driver and fetches Debezium, which takes a while the first time. */
export async function buildDebezium(): Promise<Built> {
  const goals = ['compile', 'dependency:copy-dependencies', '-DoutputDirectory=target/lib'];
  try {
    await promisify(execFile)('mvn', ['-q', '-B', ...goals], { cwd: PROJECT, timeout: 900_000 });
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    const why = missing ? 'Maven is not installed' : 'Maven could not build its driver';
    return { absent: `Debezium: ${why}` };
  }
  return { classPath: ['classes', 'lib/*'].map((part) => join(PROJECT, 'target', part)).join(':') };
}

export interface Debezium extends AsyncDisposable {
  start(): void;
  peakMiB(): number;
  /** Processor time of the running process so far. */
  cpuSeconds(): number;
  stop(): Promise<void>;
}

let engines = 0;

/** One-way from `from` to `to`. Offsets and schema history are in files; nothing is snapshotted. */
export async function prepareDebezium(classPath: string, from: Side, to: Side): Promise<Debezium> {
  const folder = await scratchFolder('debezium');
  const number = ++engines;
  const source = join(folder, 'source.properties');
  const sink = join(folder, 'sink.properties');
  writeFileSync(source, properties(sourceOptions(from, folder, number)));
  writeFileSync(sink, properties(sinkOptions(to)));
  if (from.connector === 'postgres') {
    await from.run(`create publication debezium_${number} for table accounts`);
    await from.run(`select pg_create_logical_replication_slot('debezium_${number}', 'pgoutput')`);
  }
  const log = join(folder, 'debezium.log');
  let child: ChildProcess | undefined;
  process.on('exit', () => child?.kill('SIGKILL'));
  const running = (): number => {
    if (child?.pid === undefined || child.exitCode !== null) {
      throw new Error(`Debezium has ended:\n${causes(readFileSync(log, 'utf8'))}`);
    }
    return child.pid;
  };
  const stop = async (): Promise<void> => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((done) => child?.once('exit', done));
    // Offsets are written after every batch: it is as well killed as closed.
    child.kill('SIGKILL');
    await ended;
  };
  return {
    start() {
      const output = openSync(log, 'a');
      child = spawn('java', ['-cp', classPath, 'Replicate', source, sink], {
        stdio: ['ignore', output, output],
      });
      closeSync(output);
    },
    peakMiB: () => peakMiB(running()),
    cpuSeconds: () => cpuSeconds(running()),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

const properties = (options: Readonly<Record<string, string>>): string =>
  Object.entries(options)
    .map(([key, value]) => `${key}=${value}\n`)
    .join('');

/** https://debezium.io/documentation/reference/3.4/connectors/ */
function sourceOptions(side: Side, folder: string, number: number): Record<string, string> {
  const { hostname, port, username, password } = new URL(side.url);
  const same = {
    name: `debezium-${number}`,
    'topic.prefix': 'crm',
    'offset.storage': 'org.apache.kafka.connect.storage.FileOffsetBackingStore',
    'offset.storage.file.filename': join(folder, 'offsets'),
    'offset.flush.interval.ms': '0',
    'database.hostname': hostname,
    'database.port': port,
    'database.user': username,
    'database.password': password,
    'decimal.handling.mode': 'precise',
    'poll.interval.ms': '10',
  };
  if (side.connector === 'postgres') {
    return {
      ...same,
      'connector.class': 'io.debezium.connector.postgresql.PostgresConnector',
      'database.dbname': side.database,
      'plugin.name': 'pgoutput',
      'slot.name': `debezium_${number}`,
      'publication.name': `debezium_${number}`,
      'publication.autocreate.mode': 'disabled',
      'table.include.list': 'public.accounts',
      'snapshot.mode': 'no_data',
    };
  }
  return {
    ...same,
    'connector.class': 'io.debezium.connector.mariadb.MariaDbConnector',
    'database.server.id': String(5_000_000 + number),
    'database.include.list': side.database,
    'table.include.list': `${side.database}.accounts`,
    'schema.history.internal': 'io.debezium.storage.file.history.FileSchemaHistory',
    'schema.history.internal.file.filename': join(folder, 'history'),
    'snapshot.mode': 'no_data',
    'include.schema.changes': 'false',
    converters: 'boolean',
    'boolean.type': 'io.debezium.connector.binlog.converters.TinyIntOneToBooleanConverter',
  };
}

function sinkOptions(side: Side): Record<string, string> {
  const { host, pathname, username, password } = new URL(side.url);
  const product = side.connector === 'postgres' ? 'postgresql' : 'mariadb';
  const rewrite = side.connector === 'postgres' ? 'reWriteBatchedInserts' : 'useBulkStmts';
  return {
    topics: 'accounts',
    'connection.url': `jdbc:${product}://${host}${pathname}?${rewrite}=true`,
    'connection.username': username,
    'connection.password': password,
    'insert.mode': 'upsert',
    'primary.key.mode': 'record_key',
    'schema.evolution': 'none',
    'collection.name.format': 'accounts',
    'batch.size': '2000',
  };
}

/** What a Java stack trace is about. */
const causes = (log: string): string =>
  log
    .split('\n')
    .filter((line) => /Exception|Error/.test(line))
    .slice(-8)
    .join('\n');
