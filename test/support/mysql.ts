import { randomInt } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runTool } from './process.ts';
import { type Engine, privateServer, type TestServer } from './server.ts';
import { mysqlClient } from './sql.ts';
import { copyOfTemplate } from './template.ts';

const PASSWORD = 'mysql';
const TEMPLATE = 'mysql';

export interface MysqlOptions {
  /** Server options over the defaults below, without the dashes: `{'gtid-mode': 'OFF'}`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** True: commits reach the disk, as in production. False survives a kill, not a power loss. */
  readonly durable?: boolean;
}

/** The program of a MySQL server that takes the place of MariaDB, if `CARRICK_MYSQLD` names one. */
export const mysqlProgram = (): string | undefined => process.env.CARRICK_MYSQLD || undefined;

/** A MySQL with GTIDs and full metadata in its binary log, on TCP and on a socket. */
export async function startMysql(program: string, options: MysqlOptions = {}): Promise<TestServer> {
  const folder = await copyOfTemplate(TEMPLATE, (target) => initialise(program, target));
  return privateServer(engine(program, options, randomInt(1, 2 ** 31)), folder);
}

async function initialise(program: string, folder: string): Promise<void> {
  const accounts = join(folder, 'accounts.sql');
  await writeFile(
    accounts,
    `CREATE USER admin@'%' IDENTIFIED BY '${PASSWORD}';
GRANT ALL ON *.* TO admin@'%' WITH GRANT OPTION;
CREATE DATABASE app;
`,
    { mode: 0o644 },
  );
  const command = ['--initialize-insecure', `--init-file=${accounts}`, ...flags(folder, {})];
  await runTool([program, '--no-defaults', ...command], folder);
  // Holds the server's uuid, which every copy must make for itself.
  await rm(join(folder, 'data/auto.cnf'), { force: true });
}

function flags(folder: string, settings: Readonly<Record<string, string>>): string[] {
  const all: Readonly<Record<string, string>> = {
    datadir: join(folder, 'data'),
    tmpdir: folder,
    socket: join(folder, 'mysql.sock'),
    'pid-file': join(folder, 'mysql.pid'),
    'secure-file-priv': '',
    mysqlx: 'OFF',
    'skip-name-resolve': 'ON',
    'performance-schema': 'OFF',
    // Small files: what a template holds is copied for every server.
    'innodb-redo-log-capacity': '32M',
    ...settings,
  };
  return Object.entries(all).map(([name, value]) => `--${name}=${value}`);
}

function engine(program: string, options: MysqlOptions, serverId: number): Engine {
  // 2 and 0 hand each commit to the kernel: a killed server keeps it, a power loss may not.
  const [flush, sync] = options.durable ? ['1', '1'] : ['2', '0'];
  return {
    name: 'MySQL',
    command: (folder, port) => {
      const settings = flags(folder, {
        'bind-address': '127.0.0.1',
        port: String(port),
        'server-id': String(serverId),
        'log-bin': 'binlog',
        'binlog-row-metadata': 'FULL',
        'gtid-mode': 'ON',
        'enforce-gtid-consistency': 'ON',
        'innodb-flush-log-at-trx-commit': flush,
        'sync-binlog': sync,
        ...options.settings,
      });
      return [program, '--no-defaults', ...settings];
    },
    url: (port) => `mysql://admin:${PASSWORD}@127.0.0.1:${port}/app`,
    probe: async (url) => {
      await using client = await mysqlClient(url);
      await client.query('SELECT 1');
    },
    signals: { clean: 'SIGTERM', immediate: 'SIGKILL' },
  };
}
