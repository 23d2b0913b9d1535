/** Carrick itself, as a process of its own, so that it can be stopped, frozen and killed. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Controls } from '../../src/contract/controls.ts';
import type { Operator } from '../../src/contract/operator.ts';
import { operatorAt } from '../../src/observe/client.ts';
import { tokenBeside } from '../../src/observe/token.ts';
import { freePort } from '../../test/support/index.ts';
import { productAt, type SystemName } from './desk.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const PROGRAM = join(ROOT, 'src/main.ts');
export const MAPPINGS = join(ROOT, 'mappings');
const START_TIMEOUT_MS = 60_000;

export interface Daemon extends AsyncDisposable {
  /** Names its slot, `carrick_<instance>`. */
  readonly instance: string;
  readonly url: string;
  readonly operator: Operator & Controls;
  /** Resolves once it is ready: both logs are followed and both targets take writes. */
  start(): Promise<void>;
  /** Freezes it as it stands: it reads and writes nothing until `thaw`. */
  freeze(): void;
  thaw(): void;
  /** kill -9. */
  kill(): Promise<void>;
  metrics(): Promise<Sample[]>;
}

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Writes the configuration into `folder` and lets `carrick setup` prepare both servers. */
export async function prepareDaemon(
  folder: string,
  instance: string,
  urls: Readonly<Record<SystemName, string>>,
): Promise<Daemon> {
  const listen = `127.0.0.1:${await freePort()}`;
  const config = join(folder, 'carrick.yaml');
  writeFileSync(config, configuration(instance, listen, folder, urls));
  const key = randomBytes(32).toString('base64');
  const env = { ...process.env, CRM_URL: urls.crm, ERP_URL: urls.erp, CARRICK_LEDGER_KEY: key };
  await promisify(execFile)(process.execPath, [PROGRAM, 'setup', '--config', config], { env });
  const url = `http://${listen}`;
  const log = join(folder, 'carrick.log');
  let child: ChildProcess | undefined;
  process.on('exit', () => child?.kill('SIGKILL'));
  const kill = async (): Promise<void> => {
    if (child === undefined || hasEnded(child)) return;
    const ended = new Promise((done) => child?.once('exit', done));
    child.kill('SIGKILL');
    await ended;
  };
  return {
    instance,
    url,
    operator: operatorAt(url, () => tokenBeside(join(folder, 'carrick.db'))),
    async start() {
      const output = openSync(log, 'a');
      // A session of its own keeps the terminal's Ctrl-C away: the demonstration ends it itself.
      const stdio = ['ignore', output, output] as const;
      child = spawn(process.execPath, [PROGRAM, 'run', '--config', config], {
        env,
        detached: true,
        stdio: [...stdio],
      });
      closeSync(output);
      await ready(url, child, log);
    },
    freeze: () => void child?.kill('SIGSTOP'),
    thaw: () => void child?.kill('SIGCONT'),
    kill,
    async metrics() {
      const response = await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(10_000) });
      return samples(await response.text());
    },
    [Symbol.asyncDispose]: kill,
  };
}

const configuration = (
  instance: string,
  listen: string,
  folder: string,
  urls: Readonly<Record<SystemName, string>>,
): string => `\
instance: ${instance}
systems:
  crm: {connector: ${productAt(urls.crm)}, url: "\${CRM_URL}"}
  erp: {connector: ${productAt(urls.erp)}, url: "\${ERP_URL}"}
mappings: [${JSON.stringify(join(MAPPINGS, '*.yaml'))}]
ledger: ${JSON.stringify(`sqlite:${join(folder, 'carrick.db')}`)}
ledger_key: "\${CARRICK_LEDGER_KEY}"
ledger_limit: 2GiB
journal: {keep: 90d}
verify: {every: 30s, rows_per_second: 500}
listen: ${listen}
`;

async function ready(url: string, child: ChildProcess, log: string): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (!hasEnded(child) && Date.now() < deadline) {
    const answer = await fetch(`${url}/readyz`).catch(() => undefined);
    if (answer?.ok) return;
    await sleep(50);
  }
  const end = readFileSync(log, 'utf8').slice(-3000);
  throw new Error(`Carrick did not get ready; the end of its log:\n${end}`);
}

const hasEnded = (child: ChildProcess): boolean =>
  child.exitCode !== null || child.signalCode !== null;

/** Prometheus text format 0.0.4: one sample a line, `name{label="value",…} number`. */
export function samples(text: string): Sample[] {
  const found: Sample[] = [];
  for (const line of text.split('\n')) {
    const parts = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/.exec(line);
    if (parts === null) continue;
    const [, name = '', labels = '', value = ''] = parts;
    const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, k, v]) => [k, v]);
    found.push({ name, labels: Object.fromEntries(pairs), value: Number(value) });
  }
  return found;
}

/** The sum over all samples of `name` that carry the given labels. */
export function total(
  all: readonly Sample[],
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number {
  const wanted = Object.entries(labels);
  let sum = 0;
  for (const sample of all) {
    if (sample.name !== name || !wanted.every(([k, v]) => sample.labels[k] === v)) continue;
    sum += sample.value;
  }
  return sum;
}
