import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Largest resident set so far (VmHWM), proc_pid_status(5). */
export function peakMiB(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1]) / 1024;
}

/** Processor time so far, user and system (proc_pid_stat(5)); Linux counts in hundredths. */
export const cpuSeconds = (pid: number): number => hundredths(pid, 2) / 100;

/** The first of utime, stime, and what children had who have ended: cutime and cstime. */
function hundredths(pid: number, of: 2 | 4): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // Behind the name, which may hold anything, utime is the 12th.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields.slice(11, 11 + of).reduce((sum, field) => sum + Number(field), 0);
}

/** Processor time of a database server so far: all processes that work in its folder. */
export function serverSeconds(folder: string): number {
  let sum = 0;
  for (const name of readdirSync('/proc')) {
    try {
      if (readlinkSync(`/proc/${name}/cwd`) === folder) sum += hundredths(Number(name), 4);
    } catch {
      // Not a process, or it has just ended.
    }
  }
  return sum / 100;
}

/** Seconds from starting a program to its end, its output thrown away by the kernel. */
export async function secondsOf(command: readonly string[]): Promise<number> {
  const started = performance.now();
  const child = spawn(command[0]!, command.slice(1), { stdio: ['ignore', 'ignore', 'pipe'] });
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    complaint = (complaint + text).slice(-2000);
  });
  const code = await new Promise((done, fail) => child.once('close', done).once('error', fail));
  if (code !== 0) throw new Error(`${command[0]} ended with ${code}: ${complaint}`);
  return (performance.now() - started) / 1000;
}
