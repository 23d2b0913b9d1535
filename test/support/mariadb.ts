import { createHash, randomBytes, randomInt } from 'node:crypto';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { mysqlProgram, startMysql } from './mysql.ts';
import { runTool } from './process.ts';
import { type Engine, privateServer, replacedServer, type TestServer } from './server.ts';
import { mysqlClient } from './sql.ts';
import { copyOfTemplate, prepareTemplate } from './template.ts';

const PASSWORD = 'mariadb';
const VARIABLES = ['ERP_URL', 'MARIADB_URL', 'MYSQL_URL'] as const;
/** `CARRICK_MARIADB_BASEDIR` names the folder of another MariaDB than the machine's. */
const BASE = process.env.CARRICK_MARIADB_BASEDIR || '/usr';

export interface MariadbOptions {
  /** Server options over the defaults below, without the dashes: `{'max-connections': '20'}`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** True: commits reach the disk, as in production. False survives a kill, not a power loss. */
  readonly durable?: boolean;
  /** Keeps its data here, for another start; by default it is gone at the end. */
  readonly folder?: string;
}

/**
 * A MariaDB with full row images and metadata in its binary log, on TCP and on a socket; a MySQL
 * where `CARRICK_MYSQLD` names its program. The settings are those of {@link erpProduct}.
 */
export async function startMariadb(options: MariadbOptions = {}): Promise<TestServer> {
  const variable = mariadbReplacement();
  if (variable !== undefined) return databaseOf(variable, process.env[variable]!);
  const mysqld = mysqlProgram();
  if (mysqld !== undefined) return startMysql(mysqld, options);
  return privateMariadb(BASE, options);
}

/** A MariaDB of the programs in `base`, whatever URL or other program is set. */
export async function privateMariadb(base: string, options: MariadbOptions): Promise<TestServer> {
  if (!mariadbIsInstalled(base)) {
    throw new Error('MariaDB is not installed: call ensureServers() first');
  }
  const build = (target: string) => initialise(base, target);
  const folder = await copyOfTemplate(templateName(base), build, options.folder);
  const kept = options.folder !== undefined;
  return privateServer(engine(base, options, randomInt(1, 2 ** 31)), folder, kept);
}

/** Builds the template ahead, so that the first test does not pay for it. */
export async function prepareMariadb(): Promise<void> {
  const wanted = mariadbReplacement() === undefined && mysqlProgram() === undefined;
  if (mariadbIsInstalled() && wanted) {
    await prepareTemplate(templateName(BASE), (target) => initialise(BASE, target));
  }
}

/** The variable that names a MariaDB or MySQL to use instead of a private one. */
export function mariadbReplacement(): string | undefined {
  return VARIABLES.find((variable) => process.env[variable]);
}

/** Which of the two `startMariadb` gives: tests whose SQL differs ask. */
export async function erpProduct(): Promise<'MariaDB' | 'MySQL'> {
  const variable = mariadbReplacement();
  if (variable === undefined) return mysqlProgram() === undefined ? 'MariaDB' : 'MySQL';
  await using client = await mysqlClient(process.env[variable]!);
  const [rows] = await client.query('SELECT VERSION() AS version');
  const [{ version = '' } = {}] = rows as { version?: string }[];
  return /mariadb/i.test(version) ? 'MariaDB' : 'MySQL';
}

export function mariadbIsInstalled(base: string = BASE): boolean {
  return existsSync(server(base)) && existsSync(installer(base));
}

const server = (base: string): string => join(base, 'sbin/mariadbd');
const installer = (base: string): string => join(base, 'bin/mariadb-install-db');

const templateName = (base: string): string =>
  `mariadb-${createHash('sha256').update(base).digest('hex').slice(0, 8)}`;

/** Small files: what a template holds is copied for every server. */
const STORAGE = ['--innodb-log-file-size=32M'];

async function initialise(basedir: string, folder: string): Promise<void> {
  const accounts = join(folder, 'accounts.sql');
  await writeFile(
    accounts,
    `FLUSH PRIVILEGES;
CREATE USER admin@'%' IDENTIFIED BY '${PASSWORD}';
GRANT ALL PRIVILEGES ON *.* TO admin@'%' WITH GRANT OPTION;
CREATE DATABASE app;
`,
    { mode: 0o644 },
  );
  const data = `--datadir=${join(folder, 'data')}`;
  const options = ['--skip-name-resolve', '--skip-test-db', `--extra-file=${accounts}`];
  const base = `--basedir=${basedir}`;
  // A server that starts removes what temporary tables have left, another one's as well.
  const temporary = `--tmpdir=${folder}`;
  await runTool(
    [installer(basedir), '--no-defaults', base, data, temporary, ...options, ...STORAGE],
    folder,
  );
}

function engine(base: string, options: MariadbOptions, serverId: number): Engine {
  // 2 and 0 hand each commit to the kernel: a killed server keeps it, a power loss may not.
  const [flush, sync] = options.durable ? ['1', '1'] : ['2', '0'];
  return {
    name: 'MariaDB',
    command: (folder, port) => {
      const settings: Record<string, string> = {
        datadir: join(folder, 'data'),
        tmpdir: folder,
        socket: join(folder, 'mariadb.sock'),
        'pid-file': join(folder, 'mariadb.pid'),
        'bind-address': '127.0.0.1',
        port: String(port),
        'skip-name-resolve': 'ON',
        'server-id': String(serverId),
        'log-bin': 'binlog',
        'binlog-format': 'ROW',
        'binlog-row-image': 'FULL',
        'binlog-row-metadata': 'FULL',
        'gtid-strict-mode': 'ON',
        'innodb-flush-log-at-trx-commit': flush,
        'sync-binlog': sync,
        'character-set-server': 'utf8mb4',
        'performance-schema': 'OFF',
        ...options.settings,
      };
      const flags = Object.entries(settings).map(([name, value]) => `--${name}=${value}`);
      return [server(base), '--no-defaults', `--basedir=${base}`, ...STORAGE, ...flags];
    },
    url: (port) => `mysql://admin:${PASSWORD}@127.0.0.1:${port}/app`,
    probe: async (url) => {
      await using client = await mysqlClient(url);
      await client.query('SELECT 1');
    },
    signals: { clean: 'SIGTERM', immediate: 'SIGKILL' },
  };
}

/** A new database on a server that somebody else runs, dropped at the end. */
async function databaseOf(variable: string, adminUrl: string): Promise<TestServer> {
  const name = `carrick_test_${randomBytes(6).toString('hex')}`;
  const url = new URL(adminUrl);
  url.pathname = `/${name}`;
  await using admin = await mysqlClient(adminUrl);
  await admin.query(`CREATE DATABASE ${name} CHARACTER SET utf8mb4`);
  return replacedServer(variable, url.href, async () => {
    await using client = await mysqlClient(adminUrl);
    await client.query(`DROP DATABASE ${name}`);
  });
}
