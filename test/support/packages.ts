/** The database servers that the tests start come from the operating system's packages. */
import { spawn } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { OPENSSL } from './certificates.ts';
import { mariadbIsInstalled, mariadbReplacement } from './mariadb.ts';
import { mysqlProgram } from './mysql.ts';
import { installedPostgres, postgresReplacement } from './postgres.ts';

const POLICY = '/usr/sbin/policy-rc.d';
const LOCK_WAIT = ['-o', 'DPkg::Lock::Timeout=600'];

/**
 * Installs the servers that are missing and not replaced by a URL. Only root on a Debian machine
 * can; anybody else is told the command. No system service is started on the way.
 */
export async function ensureServers(): Promise<void> {
  const missing = missingPackages();
  if (missing.length === 0) return;
  const install = ['install', '-y', '--no-install-recommends', ...missing];
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) {
    throw new Error(
      `the tests need ${missing.join(' and ')}, which this machine does not have; ` +
        `on Debian or Ubuntu run: sudo apt-get ${install.join(' ')} ` +
        '(or name running servers in CRM_URL and ERP_URL)',
    );
  }
  const ownsPolicy = forbidServices();
  try {
    await aptGet(['update']);
    await aptGet(install);
  } finally {
    if (ownsPolicy) rmSync(POLICY, { force: true });
  }
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

/** Debian asks this program before a package starts its service; 101 is "no". */
function forbidServices(): boolean {
  if (existsSync(POLICY)) return false;
  writeFileSync(POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  return true;
}

/** Runs apt-get; a second try covers a mirror that was changing and a lock on its lists. */
async function aptGet(command: readonly string[]): Promise<void> {
  const first = await exitCode(command);
  if (first === 0) return;
  await sleep(10_000);
  const second = await exitCode(command);
  if (second !== 0) throw new Error(`apt-get ${command.join(' ')} failed with code ${second}`);
}

function exitCode(command: readonly string[]): Promise<number | null> {
  return new Promise((resolve, reject) => {
    const child = spawn('apt-get', ['-q', ...LOCK_WAIT, ...command], {
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    });
    child.once('error', reject);
    child.once('exit', resolve);
  });
}
