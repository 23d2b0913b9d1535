/**
 * Where the servers of one test run live, and what guarantees that nothing of them stays behind.
 *
 * A run owns one folder in the system's temporary directory. Vitest's global set-up creates it and
 * names it in `CARRICK_TEST_RUN`, so that every worker shares its templates; a program that starts
 * servers on its own (bench, demo) gets a folder of its own at first use.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { chmod, chown, mkdir, mkdtemp } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { account } from './account.ts';

const VARIABLE = 'CARRICK_TEST_RUN';

/** The folder of this run; made by the first process that asks, and removed after its end. */
export function runFolder(): string {
  const shared = process.env[VARIABLE];
  if (shared !== undefined) return shared;
  const folder = mkdtempSync(join(tmpdir(), 'carrick-test-'));
  process.env[VARIABLE] = folder;
  removeAfterwards(folder);
  return folder;
}

/**
 * A shell waits for the end of a pipe that this process never writes to: however the process dies,
 * kill -9 included, the kernel closes the pipe. The pause lets servers that die with it finish.
 */
function removeAfterwards(folder: string): void {
  const script = 'cat; rm -rf "$0" || { sleep 1; rm -rf "$0"; }';
  const remover = spawn('/bin/sh', ['-c', script, folder], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  remover.unref();
  (remover.stdin as Socket).unref();
}

export function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
}

/** A new folder inside the run, owned by the account that servers run as. */
export async function scratchFolder(name: string): Promise<string> {
  const run = runFolder();
  await chmod(run, 0o755);
  return ownFolder(await mkdtemp(join(run, `${name}-`)));
}

/** Makes the folder where there is none, and gives it to the account that servers run as. */
export async function ownFolder(folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  const owner = account();
  if (owner !== undefined) await chown(folder, owner.uid, owner.gid);
  return folder;
}
