/**
 * `npm run bench`: Carrick and its peers, on the same servers, data and machine, in turn.
 * Options: --only NAME (may be given several times), --quick, --repeat N.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ensureServers } from '../test/support/index.ts';
import { type Bench, type Measured, measure, type Sizes } from './bench.ts';
import { buildDaemon } from './daemon.ts';
import { linesOf, tableOf } from './table.ts';
import { entityGrowth } from './works/growth.ts';
import { latency } from './works/latency.ts';
import { ledgerBench, ledgerGrowth } from './works/ledger.ts';
import { mariadbCapture } from './works/mariadb-capture.ts';
import { memory } from './works/memory.ts';
import { postgresCapture } from './works/postgres-capture.ts';
import { oneWay } from './works/replication.ts';
import { twoWay } from './works/two-way.ts';

const BENCHES: readonly Bench[] = [
  postgresCapture,
  mariadbCapture,
  ...oneWay,
  twoWay,
  ledgerBench,
  ledgerGrowth,
  entityGrowth,
  latency,
  ...memory,
];

const FULL: Sizes = {
  bulk: 500_000,
  singles: 200_000,
  replicated: { bulk: 300_000, singles: 100_000 },
  records: 2_000_000,
  growth: { records: [10_000, 100_000, 1_000_000, 10_000_000], entities: [1, 10, 50] },
  latencySeconds: 60,
  outageSeconds: 600,
  memoryRows: 5_000_000,
};

const QUICK: Sizes = {
  bulk: 100_000,
  singles: 40_000,
  replicated: { bulk: 20_000, singles: 10_000 },
  records: 100_000,
  growth: { records: [10_000, 100_000], entities: [1, 10, 50] },
  latencySeconds: 5,
  outageSeconds: 10,
  memoryRows: 50_000,
};

const say = (line: string): void => console.log(line);

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', multiple: true },
      quick: { type: 'boolean', default: false },
      repeat: { type: 'string' },
    },
  });
  const names = BENCHES.map(({ name }) => name);
  const unknown = values.only?.find((name) => !names.includes(name));
  if (unknown !== undefined)
    throw new Error(`no benchmark ${unknown}; there is ${names.join(', ')}`);
  const chosen = BENCHES.filter(({ name }) => values.only?.includes(name) ?? true);
  const sizes = values.quick ? QUICK : FULL;
  const repeat = Number(values.repeat ?? (values.quick ? 1 : 5));
  await Promise.all([ensureServers(), buildDaemon()]);
  const results: { readonly bench: Bench; readonly measured: readonly Measured[] }[] = [];
  for (const bench of chosen)
    results.push({ bench, measured: await runBench(bench, sizes, repeat) });
  const lines = results.flatMap(({ measured }) => measured.flatMap(linesOf));
  say(`\n${tableOf(lines)}\n`);
  const notes = new Map<string, string[]>();
  for (const { bench } of results) {
    for (const note of bench.leavesOut) notes.set(note, [...(notes.get(note) ?? []), bench.name]);
  }
  for (const [note, names] of notes) say(`${names.join(', ')}: ${note}`);
  save({
    at: new Date().toISOString(),
    node: process.version,
    processors: cpus().map(({ model }) => model),
    quick: values.quick,
    repeat,
    sizes,
    lines,
    samples: results.flatMap(({ measured }) => measured),
  });
}

async function runBench(bench: Bench, sizes: Sizes, repeat: number): Promise<Measured[]> {
  say(`${bench.name}: preparing`);
  await using stack = new AsyncDisposableStack();
  const contest = await bench.open(sizes, stack);
  for (const line of contest.absent ?? []) say(`  not measured: ${line}`);
  return await measure(contest, repeat, say);
}

function save<R extends { readonly at: string }>(result: R): void {
  const folder = join(import.meta.dirname, 'results');
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${result.at.replaceAll(':', '-')}.json`);
  writeFileSync(file, `${JSON.stringify(result, null, 2)}\n`);
  say(`\nAll samples: ${file}`);
}

await main();
