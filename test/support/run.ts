/**
 * Where the servers of one test run live, and what guarantees that nothing of them stays behind.
 *
 * A run owns one folder in the system's temporary directory. Vitest's global set-up creates it and
 * names it in `CARRICK_TEST_RUN`, so that every worker shares its templates; a program that starts
 * servers on its own (bench, demo) gets a folder of its own at first use. The owner removes it when
 * it exits; a run that was killed is swept by a later one.
 */
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { chmod, chown, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { account } from './account.ts';

const PREFIX = 'carrick-test-';
const VARIABLE = 'CARRICK_TEST_RUN';
const HOUR_MS = 3_600_000;

/** The folder of this run; made by the first process that asks, which then owns it. */
export function runFolder(): string {
  const shared = process.env[VARIABLE];
  if (shared !== undefined) return shared;
  sweep();
  const folder = mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-`));
  process.env[VARIABLE] = folder;
  process.on('exit', () => removeFolder(folder));
  return folder;
}

export function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
}

/** A new folder inside the run, owned by the account that servers run as. */
export async function scratchFolder(name: string): Promise<string> {
  const run = runFolder();
  await chmod(run, 0o755);
  const folder = await mkdtemp(join(run, `${name}-`));
  const owner = account();
  if (owner !== undefined) await chown(folder, owner.uid, owner.gid);
  return folder;
}

/**
 * Removes what killed runs left. A folder counts as left when its owner is gone and nothing was
 * added for an hour: another container may share the directory but not the process numbers.
 */
function sweep(): void {
  for (const name of readdirSync(tmpdir())) {
    const owner = new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1];
    if (owner === undefined || isAlive(Number(owner))) continue;
    const folder = join(tmpdir(), name);
    const changed = statSync(folder, { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
    if (Date.now() - changed > HOUR_MS) removeFolder(folder);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
