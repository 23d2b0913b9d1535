/**
 * `npm run simulate -- --seeds N [--seed S]`: plays N seeds from S on over all cores. Failing seeds
 * are printed with the command that plays them again. `--show S` plays one seed, shrinks it and
 * prints what happened; `--keep "what was wrong"` then keeps it as a test.
 * `--mutations` prints which check finds which deliberate defect, and within how many seeds.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { inspect, parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { dump, dumpLog } from './dump.ts';
import { FEED_MUTATIONS } from './feed-mutations.ts';
import { playFeed } from './feed-play.ts';
import { drawFeedScenario } from './feed-scenario.ts';
import { feedTrialOf, shrinkFeed } from './feed-trial.ts';
import { MUTATIONS } from './mutations.ts';
import { drawScenario } from './scenario.ts';
import { shrink, type Trial, trial, trialOf } from './trial.ts';
import type { Figures } from './world.ts';

type Kind = 'settled' | 'feed';

interface Share {
  readonly from: number;
  readonly to: number;
  readonly step: number;
  /** Null: of both kinds, of feeds one for every few. */
  readonly only: Kind | null;
}

type News =
  | { readonly failed: number; readonly kind: Kind; readonly why: string[] }
  | { readonly played: number; readonly figures: Figures };

/** So often a worker tells how far it is, in seeds. */
const TELL_EVERY = 50;
/** So often a long run says how far it is. */
const PROGRESS_MS = 60_000;

/** So many seeds of settled entities come to one of feeds, where both are played. */
const FEED_SHARE = 4;

const kindsOf = (seed: number, only: Kind | null): Kind[] =>
  only !== null ? [only] : seed % FEED_SHARE === 0 ? ['settled', 'feed'] : ['settled'];

async function outcomeOf(kind: Kind, seed: number): Promise<Pick<Trial, 'found' | 'figures'>> {
  if (kind === 'settled') return trialOf(seed);
  const { violations: found, figures } = await feedTrialOf(seed);
  return { found, figures };
}

async function work({ from, to, step, only }: Share, tell: (news: News) => void): Promise<void> {
  let figures: Figures | null = null;
  let played = 0;
  const report = (): void => {
    if (figures !== null) tell({ played, figures });
    [figures, played] = [null, 0];
  };
  for (let seed = from; seed < to; seed += step) {
    for (const kind of kindsOf(seed, only)) {
      // Whatever becomes of one seed, the others are played.
      const result = await outcomeOf(kind, seed).catch((error: unknown) => ({ error }));
      if ('error' in result) tell({ failed: seed, kind, why: [inspect(result.error)] });
      else {
        figures = figures === null ? result.figures : sum(figures, result.figures);
        const why = result.found.map(({ message }) => message);
        if (why.length > 0) tell({ failed: seed, kind, why });
      }
    }
    played += 1;
    if (played === TELL_EVERY) report();
  }
  report();
}

function sum(a: Figures, b: Figures): Figures {
  const events = { ...a.events };
  for (const [what, n] of Object.entries(b.events)) events[what] = (events[what] ?? 0) + n;
  const total = { ...a, events };
  for (const name of Object.keys(a) as (keyof Figures)[]) {
    if (name !== 'events') total[name] += b[name];
  }
  return total;
}

/** What has been played so far; told now and then, at the end, and when a person has enough. */
function openTally(seeds: number, first: number) {
  const started = Date.now();
  let played = 0;
  let failed = 0;
  let total: Figures | null = null;
  return {
    hear(news: News): void {
      if ('played' in news) {
        played += news.played;
        total = total === null ? news.figures : sum(total, news.figures);
        return;
      }
      failed += 1;
      const only = news.kind === 'feed' ? '--only feed ' : '';
      process.stdout.write(`seed ${news.failed} fails\n  ${news.why.slice(0, 5).join('\n  ')}\n`);
      process.stdout.write(`  npm run simulate -- ${only}--show ${news.failed}\n`);
    },
    progress(): void {
      const seconds = ((Date.now() - started) / 1000).toFixed(1);
      const of = `${played} of ${seeds} seeds from ${first}`;
      process.stdout.write(`${of} in ${seconds} s: ${failed} failed\n`);
    },
    figures: () => void process.stdout.write(`${JSON.stringify(total)}\n`),
    hasPassed: () => failed === 0 && played === seeds,
  };
}

async function simulate(seeds: number, first: number, only: Kind | null): Promise<boolean> {
  const cores = Math.min(availableParallelism(), seeds);
  const tally = openTally(seeds, first);
  const timer = setInterval(tally.progress, PROGRESS_MS);
  const workers = Array.from({ length: cores }, (_, i) => {
    const share: Share = { from: first + i, to: first + seeds, step: cores, only };
    return new Worker(new URL(import.meta.url), { workerData: share }).on('message', tally.hear);
  });
  process.once('SIGINT', () => {
    for (const worker of workers) void worker.terminate();
  });
  await Promise.all(
    workers.map(
      (worker) => new Promise((resolve, reject) => worker.on('exit', resolve).on('error', reject)),
    ),
  );
  clearInterval(timer);
  tally.progress();
  tally.figures();
  return tally.hasPassed();
}

async function show(seed: number, bug: string | undefined): Promise<boolean> {
  const scenario = drawScenario(seed);
  const { found } = await trial(scenario);
  const [first] = found;
  const least = first === undefined ? scenario : await shrink(scenario, first.check);
  const again = await trial(least);
  const { before, users, faults, acts } = least;
  process.stdout.write(`${await dump(again.outcome, 1000)}\n`);
  process.stdout.write(`${JSON.stringify({ before, users, faults, acts }, null, 1)}\n`);
  for (const { message } of again.found) process.stdout.write(`${message}\n`);
  if (bug !== undefined && first !== undefined) keepIn('seeds.json', { bug, scenario: least });
  process.stdout.write(first === undefined ? 'passes\n' : `fails (${found.length} findings)\n`);
  return first === undefined;
}

async function showFeed(seed: number, bug: string | undefined): Promise<boolean> {
  const scenario = drawFeedScenario(seed);
  const [first] = (await playFeed(scenario)).violations;
  const least = first === undefined ? scenario : await shrinkFeed(scenario, first.check);
  const { world, violations } = await playFeed(least);
  for (const system of world.systems.values()) process.stdout.write(`${dumpLog(system, 1000)}\n`);
  process.stdout.write(`${JSON.stringify(least, null, 1)}\n`);
  for (const { message } of violations) process.stdout.write(`${message}\n`);
  if (bug !== undefined && first !== undefined) keepIn('feed-seeds.json', { bug, scenario: least });
  process.stdout.write(
    first === undefined ? 'passes\n' : `fails (${violations.length} findings)\n`,
  );
  return first === undefined;
}

function keepIn(name: string, one: object): void {
  const file = new URL(name, import.meta.url);
  const kept = JSON.parse(readFileSync(file, 'utf8')) as unknown[];
  writeFileSync(file, `${JSON.stringify([...kept, one], null, 1)}\n`);
}

/** Which check finds which mutation, and at which seed, counted from 1. */
async function tellMutations(seeds: number, only: Kind | null): Promise<boolean> {
  const settled = MUTATIONS.map((one) => ({
    ...{ one, kind: 'settled' },
    found: async (seed: number) => (await trialOf(seed, one)).found,
  }));
  const fed = FEED_MUTATIONS.map((one) => ({
    ...{ one, kind: 'feed' },
    found: async (seed: number) => (await feedTrialOf(seed, one)).violations,
  }));
  let missed = 0;
  for (const { one, kind, found } of [...settled, ...fed]) {
    if (only !== null && kind !== only) continue;
    let told = 'not found';
    for (let seed = 1; seed <= seeds && told === 'not found'; seed++) {
      const [first] = await found(seed);
      if (first !== undefined) told = `${first.check} | ${seed}`;
    }
    if (told === 'not found') missed += 1;
    process.stdout.write(`| ${one.name} | ${one.breaks} | ${told} |\n`);
  }
  return missed === 0;
}

if (isMainThread) {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '1000' },
      seed: { type: 'string', default: '1' },
      show: { type: 'string' },
      keep: { type: 'string' },
      mutations: { type: 'boolean', default: false },
      only: { type: 'string' },
    },
  });
  const { seeds, seed, show: shown, keep, mutations, only } = values;
  if (only !== undefined && only !== 'feed' && only !== 'settled') {
    throw new Error('--only takes feed or settled');
  }
  const kind = only ?? null;
  let passed: boolean;
  if (mutations) passed = await tellMutations(Number(seeds), kind);
  else if (shown === undefined) passed = await simulate(Number(seeds), Number(seed), kind);
  else if (kind === 'feed') passed = await showFeed(Number(shown), keep);
  else passed = await show(Number(shown), keep);
  process.exitCode = passed ? 0 : 1;
} else {
  await work(workerData as Share, (news) => parentPort?.postMessage(news));
}
