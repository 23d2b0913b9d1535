/** Carrick as it runs in production: a process of its own, its ledger on disk. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { freePort, scratchFolder } from '../test/support/index.ts';
import { mapping } from './account.ts';
import { cpuSeconds, peakMiB } from './process.ts';
import type { Side } from './side.ts';

const ROOT = resolve(import.meta.dirname, '..');
/** Built, as the image has it: else every start would strip the types of all files first. */
const PROGRAM = join(ROOT, 'dist/main.js');
/** As its first line has it. */
const V8_OPTIONS = ['--max-semi-space-size=8', '--no-incremental-marking-task'];
/** As the image has them: what V8 compiles at a start was made in advance. */
const ENVIRONMENT = {
  NODE_COMPILE_CACHE: join(ROOT, 'dist/compiled'),
  MALLOC_ARENA_MAX: '1',
  MALLOC_MMAP_THRESHOLD_: '32768',
};
const START_TIMEOUT_MS = 20_000;

export interface Daemon extends AsyncDisposable {
  /** Starts the process and returns at once. */
  start(): void;
  /** Resolves once both logs are followed and both targets take writes. */
  ready(): Promise<void>;
  /** Resolves once every delivery was confirmed by its target's log. */
  drained(): Promise<void>;
  /** Largest resident memory of the running process so far. */
  peakMiB(): number;
  /** Processor time of the running process so far. */
  cpuSeconds(): number;
  stop(): Promise<void>;
}

let instances = 0;

/** Builds the program that `prepareDaemon` starts. */
export async function buildDaemon(): Promise<void> {
  await promisify(execFile)('npm', ['run', 'build'], { cwd: ROOT });
  await promisify(execFile)(process.execPath, [...V8_OPTIONS, PROGRAM, 'schema', 'config'], {
    env: { ...process.env, ...ENVIRONMENT },
  });
}

/**
 * Writes configuration and mapping, and lets `carrick setup` prepare both sides. The caller's
 * NODE_OPTIONS reach the daemon: `NODE_OPTIONS='--cpu-prof --cpu-prof-dir=/tmp/profiles'`.
 */
export async function prepareDaemon(
  crm: Side,
  erp: Side,
  { entities = ['account'], fed = false }: { entities?: readonly string[]; fed?: boolean } = {},
): Promise<Daemon> {
  const folder = await scratchFolder('daemon');
  const address = `127.0.0.1:${await freePort()}`;
  const config = join(folder, 'carrick.yaml');
  for (const entity of entities) {
    writeFileSync(
      join(folder, `${entity}.mapping.yaml`),
      mapping(crm.connector, erp.connector, { entity, fed }),
    );
  }
  writeFileSync(
    config,
    `instance: bench_${process.pid}_${++instances}
systems:
  crm: {connector: ${crm.connector}, url: "${crm.url}"}
  erp: {connector: ${erp.connector}, url: "${erp.url}"}
mappings: ["*.mapping.yaml"]
ledger: sqlite:carrick.db
listen: ${address}
log_level: warn
`,
  );
  const { NODE_OPTIONS: _, ...plain } = process.env;
  await promisify(execFile)(process.execPath, [PROGRAM, 'setup', '--config', config], {
    env: plain,
  });
  return daemonOf(config, `http://${address}`, join(folder, 'carrick.log'));
}

function daemonOf(config: string, url: string, log: string): Daemon {
  let child: ChildProcess | undefined;
  process.on('exit', () => child?.kill('SIGKILL'));
  const running = (): ChildProcess => {
    if (child === undefined || hasEnded(child)) {
      throw new Error(`Carrick has ended; the end of its log:\n${endOf(log)}`);
    }
    return child;
  };
  const stop = async (): Promise<void> => {
    if (child === undefined || hasEnded(child)) return;
    const ended = new Promise((done) => child?.once('exit', done));
    child.kill('SIGTERM');
    await ended;
  };
  return {
    start() {
      const output = openSync(log, 'a');
      child = spawn(process.execPath, [...V8_OPTIONS, PROGRAM, 'run', '--config', config], {
        stdio: ['ignore', output, output],
        env: { ...process.env, ...ENVIRONMENT },
      });
      closeSync(output);
    },
    async ready() {
      const give = Date.now() + START_TIMEOUT_MS;
      for (;;) {
        running();
        const answer = await fetch(`${url}/readyz`).catch(() => undefined);
        if (answer?.ok) return;
        if (Date.now() > give) throw new Error(`Carrick is not ready:\n${endOf(log)}`);
        await sleep(20);
      }
    },
    async drained() {
      for (let before = 1; ; await sleep(100)) {
        running();
        // A busy daemon may close a connection that fetch is just using again.
        const text = await fetch(`${url}/metrics`).then(
          (answer) => answer.text(),
          () => null,
        );
        if (text === null) continue;
        const found = [...text.matchAll(/^carrick_outbox_entries\{[^}]*\} (\d+)/gm)];
        const waiting = found.reduce((sum, [, count]) => sum + Number(count), 0);
        // Twice in a row: between a change that was read and its delivery there is no entry.
        if (waiting === 0 && before === 0) return;
        before = waiting;
      }
    },
    peakMiB: () => peakMiB(running().pid!),
    cpuSeconds: () => cpuSeconds(running().pid!),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

const endOf = (log: string): string => readFileSync(log, 'utf8').slice(-3000);

const hasEnded = (child: ChildProcess): boolean =>
  child.exitCode !== null || child.signalCode !== null;
