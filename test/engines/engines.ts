/** The engines that are tested beside the machine's own, and the programs that the tests start. */
import { execFile } from 'node:child_process';
import { rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { account } from '../support/account.ts';
import { starter, unpacked } from './debian.ts';

export interface EngineKind {
  readonly name: string;
  readonly debianPackages: readonly string[];
  /** Makes it ready in its folder; returns the variables that let test/support start it. */
  prepare(folder: string): Record<string, string>;
  /** Prints its version. */
  program(folder: string): string;
}

const POSTGRES = 'usr/lib/postgresql/18';

export const postgres18: EngineKind = {
  name: 'PostgreSQL 18',
  debianPackages: ['postgresql-18'],
  prepare: (folder) => {
    for (const program of ['initdb', 'postgres']) starter(folder, join(POSTGRES, 'bin', program));
    // Both look for their files from where they stand.
    linkTo(folder, join(POSTGRES, 'lib'));
    linkTo(folder, 'usr/share');
    return { CARRICK_POSTGRES_BIN: join(folder, POSTGRES, 'bin') };
  },
  program: (folder) => join(folder, POSTGRES, 'bin/postgres'),
};

const MYSQLD = 'usr/sbin/mysqld';

export const mysql9: EngineKind = {
  name: 'MySQL 9',
  debianPackages: ['mysql-server-core'],
  prepare: (folder) => {
    const basedir = `--basedir=${join(folder, 'root/usr')}`;
    return { CARRICK_MYSQLD: starter(folder, MYSQLD, [basedir]) };
  },
  program: (folder) => join(folder, MYSQLD),
};

const MARIADBD = 'usr/sbin/mariadbd';

export const mariadb11: EngineKind = {
  name: 'MariaDB 11.8',
  debianPackages: ['mariadb-server-core', 'mariadb-client-core'],
  prepare: (folder) => {
    for (const program of [MARIADBD, 'usr/bin/my_print_defaults', 'usr/bin/resolveip']) {
      starter(folder, program);
    }
    // A script, which calls the others.
    linkTo(folder, 'usr/bin/mariadb-install-db');
    linkTo(folder, 'usr/share');
    return { CARRICK_MARIADB_BASEDIR: join(folder, 'usr') };
  },
  program: (folder) => join(folder, MARIADBD),
};

function linkTo(folder: string, path: string): void {
  rmSync(join(folder, path), { force: true });
  symlinkSync(join(folder, 'root', path), join(folder, path));
}

export interface Engine {
  readonly version: string;
  readonly variables: Readonly<Record<string, string>>;
}

/** Unpacks an engine into `cache` unless it is there; throws what keeps it from running. */
export async function obtain(cache: string, kind: EngineKind): Promise<Engine> {
  const folder = await unpacked(cache, kind.debianPackages);
  const variables = kind.prepare(folder);
  const asked = promisify(execFile)(kind.program(folder), ['--version'], { ...account() });
  const { stdout } = await asked.catch(({ message }: Error) => {
    throw new Error(
      `${message}; where the account that servers run as may not enter ${cache}, name another ` +
        'folder in CARRICK_ENGINES',
    );
  });
  const version = /\d+\.\d+(\.\d+)?/.exec(stdout)?.[0] ?? 'of unknown version';
  return { version, variables };
}
