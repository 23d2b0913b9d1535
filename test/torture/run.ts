/** One run: a first load, the storm, the losses; after each the oracle judges. */
import { setTimeout as sleep } from 'node:timers/promises';
import { forecast, storm } from './faults.ts';
import { type Aftermath, type Loss, lose, lossName } from './losses.ts';
import { type Evidence, judge, type Violation } from './oracle.ts';
import { keep, type Say, tellViolations } from './report.ts';
import { drain, gather, Stuck } from './rest.ts';
import { seedRows } from './seed.ts';
import { startWatch } from './watch.ts';
import { openWorld, type World } from './world.ts';
import { startWriters } from './writers.ts';

export interface Plan {
  readonly seed: number;
  /** Of faults; 0: none. */
  readonly minutes: number;
  readonly losses: readonly Loss[];
}

const UNHARMED: Aftermath = { journal: [], unconfirmed: null, unwatched: null };

/** Exit code. */
export async function run(plan: Plan, say: Say): Promise<number> {
  const started = performance.now();
  await using world = await openWorld(plan.seed);
  say(`seed ${plan.seed}; where everything is kept if it fails: ${world.folder}`);
  if (world.disk === null) say('skipped: ledger disk full, which needs root to mount a tmpfs');
  const minutes = (): string => ((performance.now() - started) / 60_000).toFixed(1);
  let evidence: Evidence | null = null;
  try {
    const violations: Violation[] = [];
    for (const [name, phase] of phases(world, plan, say)) {
      const aftermath = await phase(violations);
      evidence = await gather(world, aftermath, evidence);
      violations.push(...judge(evidence));
      for (const end of world.carrick.ends) {
        violations.push({ check: 'ended', detail: `Carrick ended: ${end}`, about: [] });
      }
      say(`${minutes()} min: ${name}: ${violations.length === 0 ? 'well' : 'VIOLATED'}`);
      if (violations.length > 0) break;
    }
    summarize(world, evidence, violations, minutes(), say);
    if (violations.length === 0 || evidence === null) return 0;
    tellViolations(world, evidence, violations, say);
  } catch (error) {
    if (!(error instanceof Stuck)) throw error;
    say(`VIOLATION stuck: ${error.message}\n${world.carrick.log()}`);
  }
  keep(world);
  say(`seed ${plan.seed}: the diary, logs, ledger and audits are in ${world.folder}`);
  return 1;
}

type Phase = (violations: Violation[]) => Promise<Aftermath>;

function phases(world: World, { minutes, losses }: Plan, say: Say): [string, Phase][] {
  return [
    ['first load', () => firstLoad(world)],
    ...(minutes > 0
      ? [['storm', (found) => weather(world, minutes, found, say)] as [string, Phase]]
      : []),
    ...losses.map((loss): [string, Phase] => [lossName(world, loss), () => lose(world, loss)]),
  ];
}

async function firstLoad(world: World): Promise<Aftermath> {
  await seedRows(world);
  await world.carrick.command('setup');
  world.carrick.start();
  await drain(world);
  return UNHARMED;
}

/** People go on for a moment when the last fault is over. */
const AFTER_MS = 1500;

async function weather(
  world: World,
  minutes: number,
  found: Violation[],
  say: Say,
): Promise<Aftermath> {
  for (const line of forecast(world)) say(line);
  const crew = startWriters(world, '');
  const watch = startWatch(world);
  await storm(world, minutes);
  await sleep(AFTER_MS);
  await crew.stop();
  await drain(world);
  await watch.stop();
  for (const detail of watch.halts) found.push({ check: 'halted', detail, about: [] });
  const troubles = [...watch.troubles].map(([code, times]) => `${code} ${times}`);
  say(`what status told meanwhile, and in how many looks: ${troubles.join(', ')}`);
  return UNHARMED;
}

function summarize(
  { seed, diary }: World,
  evidence: Evidence | null,
  violations: readonly Violation[],
  minutes: string,
  say: Say,
): void {
  const count = (check: string): number =>
    violations.filter((violation) => violation.check === check).length;
  const faults = [...diary.faults].map(([kind, times]) => `${kind} ${times}`).sort();
  const attempts = [...diary.attempts.values()];
  const committed = attempts.filter(({ outcome }) => outcome === 'committed').length;
  const crashes = faults
    .filter((line) => / killed/.test(line))
    .map((line) => line.split(' ').at(-1));
  const figures = {
    seed,
    minutes: Number(minutes),
    crashes: crashes.reduce((sum, times) => sum + Number(times), 0),
    faults: [...diary.faults.values()].reduce((sum, times) => sum + times, 0),
    userTransactions: committed,
    userWrites: evidence?.history.changes.filter(({ tx }) => tx !== null).length ?? 0,
    carrickWrites: evidence?.history.changes.filter(({ tx }) => tx === null).length ?? 0,
    conflicts: evidence?.journal.length ?? 0,
    parkedWithReason: evidence?.parked.length ?? 0,
    // Not judged in full after a loss, and why: RUNBOOK, Rejoining a system, Beginning anew.
    unsureSums: evidence?.unconfirmed.union(evidence.unwatched).size ?? 0,
    unsureRows: evidence?.twofold.size ?? 0,
    lost: count('lost'),
    doubled: count('doubled') + count('sum'),
    violations: violations.length,
  };
  say(`faults: ${faults.join(', ')}`);
  say(JSON.stringify(figures));
}
