/** The engines that are tested, and where each comes from. */
import { execFile } from 'node:child_process';
import { rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { account } from '../support/account.ts';
import type { Product } from '../support/index.ts';
import { installedPostgres } from '../support/postgres.ts';
import { starter, unpacked } from './debian.ts';
import { embeddedPostgres } from './npm.ts';

export interface EngineKind {
  /** As `--pair` names it. */
  readonly id: string;
  readonly product: Product;
  /** What its server must say that it is, as far as it goes. */
  readonly version: string;
  /** Makes it ready in `cache` unless it is; returns its programs as test/support wants them. */
  obtain(cache: string): Promise<string>;
}

const TITLES = { postgres: 'PostgreSQL', mysql: 'MySQL', mariadb: 'MariaDB' } as const;

export const titleOf = ({ product, version }: EngineKind): string =>
  `${TITLES[product]} ${version}`;

/** The machine's own, of Debian 12. */
const postgres15: EngineKind = {
  id: 'pg15',
  product: 'postgres',
  version: '15',
  obtain: async () => installedPostgres() ?? missing('postgresql'),
};
const mariadb10: EngineKind = {
  id: 'mariadb10.11',
  product: 'mariadb',
  version: '10.11',
  obtain: async () => '/usr',
};

const missing = (name: string): never => {
  throw new Error(`the machine has no ${name}: \`npm test\` installs it`);
};

const embedded = (major: string, version: string): EngineKind => ({
  id: `pg${major}`,
  product: 'postgres',
  version: major,
  obtain: (cache) => embeddedPostgres(cache, version),
});

const postgresOf = (suite: string, major: string): EngineKind => ({
  id: `pg${major}`,
  product: 'postgres',
  version: major,
  async obtain(cache) {
    const folder = await unpacked(cache, suite, [`postgresql-${major}`]);
    const base = `usr/lib/postgresql/${major}`;
    for (const program of ['initdb', 'postgres']) {
      starter(folder, join(base, 'bin', program));
    }
    // They look for their files from where they stand.
    linkTo(folder, join(base, 'lib'));
    linkTo(folder, 'usr/share');
    return join(folder, base, 'bin');
  },
});

const MYSQLD = 'usr/sbin/mysqld';

const mysql9: EngineKind = {
  id: 'mysql9.7',
  product: 'mysql',
  version: '9.7',
  async obtain(cache) {
    const folder = await unpacked(cache, 'sid', ['mysql-server-core']);
    return starter(folder, MYSQLD, [`--basedir=${join(folder, 'root/usr')}`]);
  },
};

const mariadb11: EngineKind = {
  id: 'mariadb11.8',
  product: 'mariadb',
  version: '11.8',
  async obtain(cache) {
    const folder = await unpacked(cache, 'sid', ['mariadb-server-core', 'mariadb-client-core']);
    for (const program of ['sbin/mariadbd', 'bin/my_print_defaults', 'bin/resolveip']) {
      starter(folder, join('usr', program));
    }
    // A script, which calls the others.
    linkTo(folder, 'usr/bin/mariadb-install-db');
    linkTo(folder, 'usr/share');
    return join(folder, 'usr');
  },
};

const postgres18 = postgresOf('sid', '18');

export const ENGINES: readonly EngineKind[] = [
  embedded('14', '14.23.0-beta.17'),
  postgres15,
  embedded('16', '16.14.0-beta.17'),
  postgresOf('trixie', '17'),
  postgres18,
  mariadb10,
  mariadb11,
  mysql9,
];

/** CRM and ERP. */
export type Pair = readonly [EngineKind, EngineKind];

export const PAIRS: readonly Pair[] = [
  [postgres15, mariadb10],
  [postgres18, mysql9],
  [postgres18, mariadb11],
  [mysql9, mariadb11],
  [postgres15, postgres18],
  [mariadb10, mysql9],
];

function linkTo(folder: string, path: string): void {
  rmSync(join(folder, path), { force: true });
  symlinkSync(join(folder, 'root', path), join(folder, path));
}

export interface Engine {
  readonly kind: EngineKind;
  /** With the full version. */
  readonly title: string;
  /** As CARRICK_CRM and CARRICK_ERP take it. */
  readonly choice: string;
  /** Variables that put it in the place of the machine's own in tests of one engine. */
  readonly variables: Readonly<Record<string, string>>;
}

const VARIABLES = {
  postgres: 'CARRICK_POSTGRES_BIN',
  mysql: 'CARRICK_MYSQLD',
  mariadb: 'CARRICK_MARIADB_BASEDIR',
} as const;
const SERVERS = { postgres: '/postgres', mysql: '', mariadb: '/sbin/mariadbd' } as const;

/** Throws what keeps it from running. */
export async function obtain(cache: string, kind: EngineKind): Promise<Engine> {
  const programs = await kind.obtain(cache);
  const { product } = kind;
  const server = `${programs}${SERVERS[product]}`;
  const asked = promisify(execFile)(server, ['--version'], { ...account() });
  const { stdout } = await asked.catch(({ message }: Error) => {
    throw new Error(
      `${message}; where the account that servers run as may not enter ${cache}, name another ` +
        'folder in CARRICK_ENGINES',
    );
  });
  const version = /\d+\.\d+(\.\d+)?/.exec(stdout)?.[0] ?? 'of unknown version';
  if (!`${version}.`.startsWith(`${kind.version}.`)) {
    throw new Error(`the machine's own is ${TITLES[product]} ${version}`);
  }
  return {
    kind,
    title: `${TITLES[product]} ${version}`,
    choice: `${product}:${programs}`,
    variables: { [VARIABLES[product]]: programs },
  };
}
