/** Carrick as a process that is killed and started again, and what it took in all its lives. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { promisify } from 'node:util';

const PROGRAM = resolve(import.meta.dirname, '../../src/main.ts');
/** proc_pid_stat(5): clock ticks of 10 ms on every Linux that Node runs on. */
const TICKS = 100;

export interface Daemon {
  start(): void;
  /** kill -9, and returns when the process is gone. */
  kill(): Promise<void>;
  /** SIGTERM; throws when it ends with anything but 0. */
  stop(): Promise<void>;
  /** Looks at the process: call it now and then. */
  look(): void;
  /** Of all lives: the largest resident memory, and processor time. */
  readonly peakMiB: number;
  readonly cpuSeconds: number;
}

export async function setUp(config: string, env: NodeJS.ProcessEnv): Promise<void> {
  const argv = [PROGRAM, 'setup', '--config', config];
  await promisify(execFile)(process.execPath, argv, { env });
}

export function daemonOf(config: string, env: NodeJS.ProcessEnv, log: string): Daemon {
  let child: ChildProcess | null = null;
  let peakMiB = 0;
  let before = 0;
  let now = 0;
  process.on('exit', () => child?.kill('SIGKILL'));
  const look = (): void => {
    if (child === null || child.exitCode !== null || child.signalCode !== null) {
      throw new Error(
        `Carrick has ended; the end of its log:\n${readFileSync(log, 'utf8').slice(-3000)}`,
      );
    }
    const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
    peakMiB = Math.max(peakMiB, Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1]) / 1024);
    const [, , , , , , , , , , , user, system] = readFileSync(`/proc/${child.pid}/stat`, 'utf8')
      .replace(/\(.*\) /, '')
      .split(' ');
    now = (Number(user) + Number(system)) / TICKS;
  };
  const end = async (signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null> => {
    const ending = child;
    if (ending === null) return null;
    look();
    child = null;
    before += now;
    now = 0;
    const { promise, resolve: ended } = Promise.withResolvers<number | null>();
    ending.once('exit', ended);
    ending.kill(signal);
    return promise;
  };
  return {
    start() {
      const output = openSync(log, 'a');
      child = spawn(process.execPath, [PROGRAM, 'run', '--config', config], {
        stdio: ['ignore', output, output],
        env,
      });
      closeSync(output);
    },
    kill: async () => void (await end('SIGKILL')),
    async stop() {
      const code = await end('SIGTERM');
      if (code !== 0) throw new Error(`Carrick ended with ${code}`);
    },
    look,
    get peakMiB() {
      return peakMiB;
    },
    get cpuSeconds() {
      return before + now;
    },
  };
}
