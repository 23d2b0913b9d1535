/** Prometheus and promtool, from the operating system's packages like the databases. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort, scratchFolder } from '../support/index.ts';
import { installPackages } from '../support/packages.ts';
import { killTree, spawnServer } from '../support/process.ts';
import { removeFolder } from '../support/run.ts';
import { ROOT } from '../support/sources.ts';

const PROMETHEUS = '/usr/bin/prometheus';
const PROMTOOL = '/usr/bin/promtool';
const START_TIMEOUT_MS = 60_000;

/** Installs Debian's package where this is root and it is missing; else says what is missing. */
export async function ensurePrometheus(): Promise<void> {
  if (existsSync(PROMETHEUS) && existsSync(PROMTOOL)) return;
  await installPackages(['prometheus'], 'nothing replaces it');
}

/** What promtool says, and whether it is content. */
export function promtool(...args: string[]): { ok: boolean; text: string } {
  const { status, stdout, stderr } = spawnSync(PROMTOOL, args, { cwd: ROOT, encoding: 'utf8' });
  return { ok: status === 0, text: `${stdout}${stderr}` };
}

export interface Prometheus extends AsyncDisposable {
  /** How many series an expression has had, at any second since `from` (milliseconds). */
  seriesSince(expr: string, from: number): Promise<number>;
  /** The last error of each rule that has one. */
  ruleErrors(): Promise<string[]>;
}

/** Scrapes `target` (host:port) every second and evaluates our rules as often. */
export async function startPrometheus(target: string): Promise<Prometheus> {
  const folder = await scratchFolder('prometheus');
  const port = await freePort();
  const config = join(folder, 'prometheus.yml');
  await writeFile(config, configuration(target));
  await chmod(config, 0o644);
  const command = [
    PROMETHEUS,
    `--config.file=${config}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ];
  const child = spawnServer(command, folder, join(folder, 'log'));
  const url = `http://127.0.0.1:${port}`;
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (!(await fetch(`${url}/-/ready`).catch(() => undefined))?.ok) {
    if (Date.now() > deadline) throw new Error('Prometheus did not get ready');
    await sleep(100);
  }
  const get = async (path: string) => {
    const answer = (await (await fetch(url + path)).json()) as { data: never; error?: string };
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer.data;
  };
  return {
    async seriesSince(expr, from) {
      const range = { start: `${from / 1000}`, end: `${Date.now() / 1000}`, step: '1' };
      const { result } = (await get(
        `/api/v1/query_range?${new URLSearchParams({ query: expr, ...range })}`,
      )) as { result: unknown[] };
      return result.length;
    },
    async ruleErrors() {
      const { groups } = (await get('/api/v1/rules')) as {
        groups: { rules: { name: string; lastError?: string }[] }[];
      };
      return groups
        .flatMap((group) => group.rules)
        .filter(({ lastError }) => lastError)
        .map(({ name, lastError }) => `${name}: ${lastError}`);
    },
    async [Symbol.asyncDispose]() {
      await killTree(child);
      removeFolder(folder);
    },
  };
}

const configuration = (target: string): string => `\
global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
rule_files: [${join(ROOT, 'deploy/prometheus/rules.yaml')}]
scrape_configs:
  - job_name: carrick
    static_configs: [{targets: ["${target}"]}]
`;
