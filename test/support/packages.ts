/** The servers that the tests start come from the operating system's packages. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { OPENSSL } from './certificates.ts';
import { mariadbIsInstalled, mariadbReplacement } from './mariadb.ts';
import { mysqlProgram } from './mysql.ts';
import { installedPostgres, postgresReplacement } from './postgres.ts';

const INSTALL = join(import.meta.dirname, 'apt-install.sh');

/**
 * Installs the servers that are missing and not replaced by a URL. Only root on a Debian machine
 * can; anybody else is told the command. No system service is started on the way.
 */
export async function ensureServers(): Promise<void> {
  const missing = missingPackages();
  if (missing.length === 0) return;
  await installPackages(missing, 'or name running servers in CRM_URL and ERP_URL');
  const still = missingPackages();
  if (still.length > 0) throw new Error(`apt-get installed no usable ${still.join(' and ')}`);
}

function missingPackages(): string[] {
  const packages: string[] = [];
  if (postgresReplacement() === undefined && installedPostgres() === undefined) {
    packages.push('postgresql');
  }
  const erp = mariadbReplacement() !== undefined || mysqlProgram() !== undefined;
  if (!erp && !mariadbIsInstalled()) packages.push('mariadb-server');
  if (!existsSync(OPENSSL)) packages.push('openssl');
  return packages;
}

/** `instead`: what else one can do who may not install them. */
export async function installPackages(names: readonly string[], instead: string): Promise<void> {
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) {
    throw new Error(
      `the tests need ${names.join(' and ')}, which this machine does not have; on Debian or ` +
        `Ubuntu run: sudo apt-get install --no-install-recommends ${names.join(' ')} (${instead})`,
    );
  }
  const first = await install(names);
  if (first === 0) return;
  // A mirror may have been changing, or somebody else at the lists.
  await sleep(10_000);
  const second = await install(names);
  if (second !== 0) throw new Error(`apt-get ended with code ${second} for ${names.join(' and ')}`);
}

/** One at a time: workers of one run find out at the same moment that something is missing. */
function install(names: readonly string[]): Promise<number | null> {
  const lock = join(tmpdir(), 'carrick-apt.lock');
  const child = spawn('flock', [lock, INSTALL, ...names], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', resolve);
  });
}
