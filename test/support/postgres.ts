import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runTool } from './process.ts';
import { scratchFolder } from './run.ts';
import { type Engine, privateServer, replacedServer, type TestServer } from './server.ts';
import { pgClient } from './sql.ts';
import { copyOfTemplate, prepareTemplate } from './template.ts';

const PASSWORD = 'postgres';
const VARIABLES = ['CRM_URL', 'POSTGRES_URL'] as const;

export interface PostgresOptions {
  /** Server settings over the defaults below, for example `{max_slot_wal_keep_size: '1MB'}`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Folder of the server's programs; {@link installedPostgres} by default. */
  readonly bin?: string;
  /** True: commits reach the disk, as in production. False survives a kill, not a power loss. */
  readonly durable?: boolean;
  /** True: a cluster that has nothing in common with others, not even a template. */
  readonly stranger?: boolean;
  /** Keeps its data here, for another start; by default it is gone at the end. */
  readonly folder?: string;
}

/** A PostgreSQL with `wal_level=logical`, on TCP and on a socket in the parent of `dataDir`. */
export async function startPostgres(options: PostgresOptions = {}): Promise<TestServer> {
  const variable = postgresReplacement();
  if (variable !== undefined) return databaseOf(variable, process.env[variable]!);
  return privatePostgres(options);
}

/** The same, whatever URL is set. */
export async function privatePostgres(options: PostgresOptions): Promise<TestServer> {
  const bin = options.bin ?? installedPostgres();
  if (bin === undefined) throw new Error('PostgreSQL is not installed: call ensureServers() first');
  const name = `${templateName(bin)}${options.stranger ? 's' : ''}`;
  const build = (target: string) => initialise(bin, target);
  const folder = await copyOfTemplate(name, build, options.folder);
  return privateServer(engine(bin, options), folder, options.folder !== undefined);
}

/**
 * A physical standby of a private server that nobody is connected to, which is restarted on the
 * way. Both keep a slot for the standby, `standby`; logical slots follow from PostgreSQL 17 on.
 */
export async function startStandby(primary: TestServer): Promise<TestServer> {
  const bin = installedPostgres()!;
  {
    await using client = await pgClient(primary.url);
    await client.query(`select pg_create_physical_replication_slot('standby', true)`);
  }
  const folder = await scratchFolder('standby');
  const data = join(folder, 'data');
  await primary.stop();
  await runTool(['cp', '-a', primary.dataDir!, data], folder);
  await runTool(['touch', join(data, 'standby.signal')], folder);
  await primary.start();
  const settings = {
    primary_conninfo:
      `host=127.0.0.1 port=${primary.port} user=postgres password=${PASSWORD} ` +
      'dbname=postgres application_name=standby',
    primary_slot_name: 'standby',
    hot_standby_feedback: 'on',
    wal_receiver_status_interval: '1s',
    sync_replication_slots: 'on',
  };
  return privateServer(engine(bin, { settings }), folder);
}

/** Builds the template ahead, so that the first test does not pay for it. */
export async function preparePostgres(): Promise<void> {
  const bin = installedPostgres();
  if (bin !== undefined && postgresReplacement() === undefined) {
    await prepareTemplate(templateName(bin), (target) => initialise(bin, target));
  }
}

/** The variable that names a PostgreSQL to use instead of a private one. */
export function postgresReplacement(): string | undefined {
  return VARIABLES.find((variable) => process.env[variable]);
}

/** The program folder in `CARRICK_POSTGRES_BIN`, or of the machine's newest PostgreSQL. */
export function installedPostgres(): string | undefined {
  if (process.env.CARRICK_POSTGRES_BIN) return process.env.CARRICK_POSTGRES_BIN;
  const root = '/usr/lib/postgresql';
  if (!existsSync(root)) return undefined;
  const versions = readdirSync(root).filter((version) =>
    existsSync(join(root, version, 'bin/initdb')),
  );
  const newest = versions.sort((a, b) => Number(b) - Number(a))[0];
  return newest === undefined ? undefined : join(root, newest, 'bin');
}

/** Short, since the path of a server's socket may have 107 bytes. */
const templateName = (bin: string): string =>
  `postgres-${createHash('sha256').update(bin).digest('hex').slice(0, 8)}`;

async function initialise(bin: string, folder: string): Promise<void> {
  const password = join(folder, 'password');
  await writeFile(password, PASSWORD, { mode: 0o644 });
  const options = ['--username=postgres', '--encoding=UTF8', '--locale=C.UTF-8', '--no-sync'];
  const access = ['--auth-local=trust', '--auth-host=scram-sha-256', `--pwfile=${password}`];
  const data = `--pgdata=${join(folder, 'data')}`;
  await runTool([join(bin, 'initdb'), data, ...options, ...access], folder);
}

function engine(bin: string, options: PostgresOptions): Engine {
  const durable = options.durable ? 'on' : 'off';
  return {
    name: 'PostgreSQL',
    command: (folder, port) => {
      const settings: Record<string, string> = {
        listen_addresses: '127.0.0.1',
        port: String(port),
        unix_socket_directories: folder,
        wal_level: 'logical',
        max_wal_senders: '20',
        max_replication_slots: '20',
        fsync: durable,
        full_page_writes: durable,
        // Inside the data folder: a killed server leaves nothing in /dev/shm.
        dynamic_shared_memory_type: 'mmap',
        timezone: 'UTC',
        ...options.settings,
      };
      const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
      return [join(bin, 'postgres'), '-D', join(folder, 'data'), ...flags];
    },
    url: (port) => `postgres://postgres:${PASSWORD}@127.0.0.1:${port}/postgres`,
    probe: async (url) => {
      await using client = await pgClient(url);
      await client.query('select 1');
    },
    // https://www.postgresql.org/docs/current/server-shutdown.html
    signals: { clean: 'SIGINT', immediate: 'SIGQUIT' },
    release: releaseSharedMemory,
  };
}

/**
 * A killed postmaster leaves the small System V segment that guards its data folder; the lock
 * file's seventh line holds its key and id.
 */
async function releaseSharedMemory(folder: string): Promise<void> {
  const lock = await readFile(join(folder, 'data/postmaster.pid'), 'utf8').catch(() => '');
  const id = lock.split('\n')[6]?.trim().split(/\s+/)[1];
  if (id !== undefined) await runTool(['ipcrm', '-m', id], folder).catch(() => {});
}

/** A new database on a server that somebody else runs, dropped with its slots at the end. */
async function databaseOf(variable: string, adminUrl: string): Promise<TestServer> {
  const name = `carrick_test_${randomBytes(6).toString('hex')}`;
  const url = new URL(adminUrl);
  url.pathname = `/${name}`;
  await using admin = await pgClient(adminUrl);
  await admin.query(`create database ${name} template template0 encoding 'UTF8'`);
  return replacedServer(variable, url.href, async () => {
    await using client = await pgClient(adminUrl);
    await client.query(
      `select pg_terminate_backend(pid, 5000) from pg_stat_activity
       where datname = $1 and pid <> pg_backend_pid()`,
      [name],
    );
    await client.query(
      'select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = $1',
      [name],
    );
    await client.query(`drop database ${name}`);
  });
}
