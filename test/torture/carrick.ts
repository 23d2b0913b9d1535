/** The daemon as a supervisor runs it: it is started again whenever it ends and should not have. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Operator } from '../../src/contract/operator.ts';
import { operatorAt } from '../../src/observe/client.ts';
import { tokenBeside } from '../../src/observe/token.ts';
import { productAt } from './session.ts';
import type { SystemName } from './shapes.ts';

const PROGRAM = resolve(import.meta.dirname, '../../src/main.ts');
const MAPPINGS = join(import.meta.dirname, 'mappings/*.yaml');
/** A server could not be reached at the start: the supervisor's business (RUNBOOK, Exit codes). */
const UNREACHABLE = 3;

export interface Place {
  /** Where the configuration and the log are. */
  readonly folder: string;
  readonly ledger: string;
  readonly instance: string;
  readonly port: number;
  readonly urls: Readonly<Record<SystemName, string>>;
}

export interface Carrick extends AsyncDisposable {
  readonly place: Place;
  readonly operator: Operator;
  /** Ends that nobody ordered, by exit code; 3 is left out. */
  readonly ends: string[];
  start(): void;
  /** Waits for its end; it stays down until `start`. */
  stop(signal: 'SIGKILL' | 'SIGTERM'): Promise<void>;
  /** Another command beside it, as an operator types it. */
  command(...words: string[]): Promise<string>;
  /** The end of its log. */
  log(): string;
}

export function openCarrick(place: Place): Carrick {
  const { folder, instance, port, urls } = place;
  const config = join(folder, `${instance}.yaml`);
  const log = join(folder, `${instance}.log`);
  writeFileSync(config, configuration(place));
  const env = { ...process.env, CRM_URL: urls.crm, ERP_URL: urls.erp };
  const ends: string[] = [];
  let wanted = false;
  let child: ChildProcess | null = null;
  let gone = Promise.resolve();
  process.on('exit', () => child?.kill('SIGKILL'));
  const launch = (): void => {
    const output = openSync(log, 'a');
    const started = spawn(process.execPath, [PROGRAM, 'run', '--config', config], {
      env,
      detached: true,
      stdio: ['ignore', output, output],
    });
    closeSync(output);
    child = started;
    gone = new Promise((resolve) => {
      started.once('exit', (code, signal) => {
        child = null;
        resolve();
        if (!wanted) return;
        if (code !== UNREACHABLE) ends.push(`exit ${code ?? signal}`);
        void sleep(500).then(() => {
          if (wanted && child === null) launch();
        });
      });
    });
  };
  const stop: Carrick['stop'] = async (signal) => {
    wanted = false;
    child?.kill(signal);
    await gone;
  };
  return {
    place,
    operator: operatorAt(`http://127.0.0.1:${port}`, () => tokenBeside(place.ledger)),
    ends,
    start() {
      wanted = true;
      if (child === null) launch();
    },
    stop,
    async command(...words) {
      const argv = [PROGRAM, ...words, '--config', config];
      return (await promisify(execFile)(process.execPath, argv, { env })).stdout;
    },
    log: () => readFileSync(log, 'utf8').slice(-4000),
    [Symbol.asyncDispose]: () => stop('SIGKILL'),
  };
}

const configuration = ({ instance, ledger, port, urls }: Place): string => `\
instance: ${instance}
systems:
  crm: {connector: ${productAt(urls.crm)}, url: "\${CRM_URL}"}
  erp: {connector: ${productAt(urls.erp)}, url: "\${ERP_URL}"}
mappings: [${JSON.stringify(MAPPINGS)}]
ledger: ${JSON.stringify(`sqlite:${ledger}`)}
listen: 127.0.0.1:${port}
`;
