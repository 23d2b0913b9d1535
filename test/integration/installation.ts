/** A daemon in this process between two private servers, with mappings that a test may change. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Connection } from 'mysql2/promise';
import { afterAll, beforeAll } from 'vitest';
import { runCommandLine } from '../../src/cli/cli.ts';
import type { Context } from '../../src/cli/command.ts';
import { jsonSchema, loadComposition } from '../../src/compose.ts';
import type { Daemon } from '../../src/contract/controls.ts';
import { operatorAt } from '../../src/observe/client.ts';
import { tokenBeside } from '../../src/observe/token.ts';
import { freePort, mysqlClient, pgClient, startMariadb, startPostgres } from '../support/index.ts';

export interface Servers extends AsyncDisposable {
  readonly urls: Readonly<Record<'crm' | 'erp', string>>;
  readonly crm: Sql;
  readonly erp: Sql;
}

/** Runs one statement; rows as arrays of text. */
export type Sql = (text: string) => Promise<(string | null)[][]>;

export interface Installation extends AsyncDisposable {
  /** Where configuration, mappings and ledger lie. */
  readonly folder: string;
  readonly operator: Daemon;
  /** Writes a mapping file; it counts from the next `start` on. */
  map(entity: string, text: string): Promise<void>;
  /** What carrick.yaml says, and what it says from now on. */
  configuration(): Promise<string>;
  configure(text: string): Promise<void>;
  setup(): Promise<void>;
  start(): Promise<void>;
  /** As SIGHUP. */
  hangup(): void;
  /** A series as /metrics has it now; undefined: it has none. */
  metric(series: string): Promise<number | undefined>;
  /** All series of a metric, by their labels as Prometheus writes them. */
  allOf(metric: string): Promise<Record<string, number>>;
  /** What Carrick keeps on disk. */
  files(): Promise<string[]>;
  stop(): Promise<void>;
  /** The program itself, as a process. */
  spawn(...argv: string[]): ChildProcess;
  /** A daemon that is told to stop before it starts; resolves when it has. */
  runStopped(): Promise<void>;
  cli(...argv: string[]): Promise<{ code: number; out: string; err: string }>;
}

/** Two private servers, from before the first test of a file until after its last. */
export function serversOfFile(): Omit<Servers, keyof AsyncDisposable> {
  let servers: Servers | undefined;
  beforeAll(async () => {
    servers = await startServers();
  });
  afterAll(() => servers?.[Symbol.asyncDispose]());
  const started = (): Servers => {
    if (servers === undefined) throw new Error('the servers run while tests do');
    return servers;
  };
  return {
    get urls() {
      return started().urls;
    },
    crm: (text) => started().crm(text),
    erp: (text) => started().erp(text),
  };
}

/** A table of accounts in both systems, with rows in the CRM: `C1`, `Name 1`, 1.00 and so on. */
export async function createAccounts(
  { crm, erp }: Pick<Servers, 'crm' | 'erp'>,
  table: string,
  rows: number,
): Promise<void> {
  const columns = 'no varchar(20) unique not null, name varchar(60), credit decimal(12,2)';
  await crm(
    `create table ${table} (id bigint generated always as identity primary key, ${columns})`,
  );
  await erp(`create table ${table} (id bigint auto_increment primary key, ${columns})`);
  await crm(`insert into ${table} (no, name, credit)
    select 'C' || n, 'Name ' || n, n from generate_series(1, ${rows}) n`);
}

async function startServers(): Promise<Servers> {
  await using opened = new AsyncDisposableStack();
  const [crm, erp] = await Promise.all([startPostgres(), startMariadb()]);
  opened.use(crm);
  opened.use(erp);
  const pg = opened.use(await pgClient(crm.url));
  const mysql: Connection = await mysqlClient(erp.url);
  opened.defer(() => mysql.end());
  const all = opened.move();
  return {
    urls: { crm: crm.url, erp: erp.url },
    crm: async (text) => (await pg.query({ text, rowMode: 'array' })).rows ?? [],
    erp: async (text) => {
      const [rows] = await mysql.query({ sql: text, rowsAsArray: true });
      return Array.isArray(rows) ? (rows as (string | null)[][]) : [];
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

export async function openInstallation({ urls }: Pick<Servers, 'urls'>): Promise<Installation> {
  const folder = await mkdtemp(join(tmpdir(), 'carrick-installation-'));
  const instance = `it_${randomBytes(4).toString('hex')}`;
  const listen = `127.0.0.1:${await freePort()}`;
  const path = join(folder, 'carrick.yaml');
  await writeFile(path, configuration(instance, listen, folder));
  const env = { ...process.env, CRM_URL: urls.crm, ERP_URL: urls.erp };
  const operator = operatorAt(`http://${listen}`, () => tokenBeside(join(folder, 'carrick.db')));
  let hangup: () => void = () => {};
  let running: { readonly stop: AbortController; readonly ended: Promise<void> } | null = null;
  const load = () => loadComposition(path, env, { offline: false });
  const stop = async (): Promise<void> => {
    running?.stop.abort();
    await running?.ended;
    running = null;
  };
  return {
    folder,
    operator,
    map: (entity, text) => writeFile(join(folder, `${entity}.map.yaml`), text),
    configuration: () => readFile(path, 'utf8'),
    configure: (text) => writeFile(path, text),
    async setup() {
      await (await load()).setup();
    },
    async start() {
      const aborter = new AbortController();
      const ended = (await load()).run(aborter.signal, (act) => {
        hangup = act;
      });
      ended.catch(() => undefined);
      running = { stop: aborter, ended };
      await until(async () => {
        const { systems } = await operator.status();
        return systems.every(({ source, target }) => source !== 'stopped' && target !== 'stopped');
      });
    },
    hangup: () => hangup(),
    async metric(series) {
      const text = await (await fetch(`http://${listen}/metrics`)).text();
      const line = text.split('\n').find((one) => one.startsWith(`${series} `));
      return line === undefined ? undefined : Number(line.slice(series.length + 1));
    },
    async allOf(metric) {
      const text = await (await fetch(`http://${listen}/metrics`)).text();
      const lines = [...text.matchAll(/^(\w+)(?:\{(.*)\})? (\S+)$/gm)];
      const found = lines.filter(([, name]) => name === metric);
      return Object.fromEntries(found.map(([, , labels = '', value]) => [labels, Number(value)]));
    },
    files: async () => (await readdir(folder)).filter((name) => name.includes('.db')),
    stop,
    spawn: (...argv) => {
      const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
      return spawn(process.execPath, [main, ...argv, '--config', path], { env, stdio: 'ignore' });
    },
    async runStopped() {
      await (await load()).run(AbortSignal.abort('test'), () => {});
    },
    cli: (...argv) => commandLine([...argv, '--config', path], env),
    async [Symbol.asyncDispose]() {
      await stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const configuration = (instance: string, listen: string, folder: string): string => `\
instance: ${instance}
systems:
  crm: {connector: postgres, url: "\${CRM_URL}"}
  erp: {connector: mysql, url: "\${ERP_URL}"}
mappings: [${JSON.stringify(join(folder, '*.map.yaml'))}]
ledger: ${JSON.stringify(`sqlite:${join(folder, 'carrick.db')}`)}
ledger_key: ${randomBytes(32).toString('base64')}
listen: ${listen}
log_level: error
`;

async function commandLine(argv: string[], env: NodeJS.ProcessEnv) {
  const out: string[] = [];
  const err: string[] = [];
  const context: Context = {
    compose: { load: loadComposition, schema: jsonSchema },
    env,
    out: (text) => void out.push(text),
    err: (text) => void err.push(text),
    terminal: false,
    colours: false,
    columns: 100,
    now: () => Date.now() * 1000,
    stopOnSignal: () => new AbortController().signal,
    onHangup: () => {},
  };
  const code = await runCommandLine(argv, context);
  return { code, out: out.join('\n'), err: err.join('\n') };
}

const PATIENCE_MS = 150_000;

/** Waits for what must come; errors on the way there (nothing answers yet) are no matter. */
export async function until(holds: () => Promise<boolean>, what = ''): Promise<void> {
  let why: unknown;
  for (const deadline = Date.now() + PATIENCE_MS; Date.now() < deadline; ) {
    const held = await holds().catch((error: unknown) => {
      why = error;
      return false;
    });
    if (held) return;
    await sleep(50);
  }
  throw new Error(`it did not come: ${what || String(holds)}`, { cause: why });
}
