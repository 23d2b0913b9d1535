/** Child processes that cannot outlive the process that started them. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { account } from './account.ts';

const SETPRIV = '/usr/bin/setpriv';
const running = new Set<ChildProcess>();
let guarded = false;

/**
 * Starts a server as the unprivileged account, its output appended to `log`. The kernel kills it
 * when this process dies, however it dies, where setpriv exists; an exit handler covers the rest.
 */
export function spawnServer(command: readonly string[], cwd: string, log: string): ChildProcess {
  if (!guarded) process.on('exit', () => running.forEach(killNow));
  guarded = true;
  const bound = existsSync(SETPRIV) ? [SETPRIV, '--pdeathsig', 'KILL', '--', ...command] : command;
  const output = openSync(log, 'a');
  // A session of its own keeps the terminal's Ctrl-C away: the tests still need their server then.
  const child = spawn(bound[0]!, bound.slice(1), {
    cwd,
    detached: true,
    stdio: ['ignore', output, output],
    env: serverEnvironment(),
    ...account(),
  });
  closeSync(output);
  running.add(child);
  child.once('exit', () => running.delete(child));
  child.once('error', () => running.delete(child));
  return child;
}

/** Runs a set-up tool (initdb, cp …) to its end as the unprivileged account. */
export async function runTool(command: readonly string[], cwd: string): Promise<void> {
  await promisify(execFile)(command[0]!, command.slice(1), {
    cwd,
    env: serverEnvironment(),
    maxBuffer: 16 * 1024 * 1024,
    ...account(),
  });
}

/** SIGKILL to a process and its children at one instant, then waits until they are gone. */
export async function killTree(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || hasEnded(child)) return;
  // A stopped parent starts no further children between the listing and the kill.
  child.kill('SIGSTOP');
  const pids = [child.pid, ...childrenOf(child.pid)];
  for (const pid of pids) sendKill(pid);
  while (pids.some(isRunning) || !hasEnded(child)) await sleep(5);
}

export function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

function killNow(child: ChildProcess): void {
  if (child.pid !== undefined) sendKill(child.pid);
}

function sendKill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function childrenOf(pid: number): number[] {
  const path = `/proc/${pid}/task/${pid}/children`;
  if (!existsSync(path)) return [];
  return readFileSync(path, 'utf8').trim().split(/\s+/).filter(Boolean).map(Number);
}

/** A zombie counts as gone: in a container nobody may ever collect it. */
function isRunning(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return !stat.slice(stat.lastIndexOf(')')).startsWith(') Z');
  } catch {
    return false;
  }
}

/** No PG* or MYSQL* setting of the caller reaches a server; messages come in English. */
function serverEnvironment(): NodeJS.ProcessEnv {
  return { PATH: process.env.PATH, LC_ALL: 'C.UTF-8', TZ: 'UTC' };
}
