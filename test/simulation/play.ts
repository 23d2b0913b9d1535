import { isDue, logged, moveOn, suffer, watchRejections } from './course.ts';
import type { Mutation } from './mutations.ts';
import { mendRows, perform, sweep } from './operator.ts';
import { boot, endProcess } from './process.ts';
import { seeded } from './random.ts';
import type { Fault, Scenario } from './scenario.ts';
import { openScheduler, settled, takeOver } from './scheduler.ts';
import { act } from './users.ts';
import { createWorld, type Outcome, Violation, type World } from './world.ts';

const MAX_STEPS = 150_000;

export interface RunOptions {
  readonly mutation?: Mutation;
  readonly traced?: boolean;
}

/** Plays one scenario to its end: users, faults, then quiet until nothing moves any more. */
export async function play(
  scenario: Scenario,
  { mutation, traced = false }: RunOptions = {},
): Promise<Outcome & { trace: readonly string[] }> {
  const random = seeded(scenario.seed, 'schedule');
  const scheduler = openScheduler(random, traced);
  using _clock = takeOver(scheduler, random.fork('chance'), () => world.ledgerLine);
  const world: World = createWorld(scenario, random, scheduler, mutation ?? null);
  using _rejections = watchRejections(world.violations);
  for (const transaction of scenario.before) userTurn(world, transaction);
  for (const { log } of world.systems.values()) for (const commit of log) commit.visible = true;
  const early = new Set(world.history.writes);
  try {
    await boot(world);
    await drive(world);
    checkMemory(world);
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    world.violations.push(error);
  }
  endProcess(world);
  await settled();
  const { lost, systems, entities, ledger, history, diary, figures, violations } = world;
  figures.writes = diary.transactions;
  const { trace } = scheduler;
  return {
    lost,
    early,
    scenario,
    systems,
    entities,
    ledger,
    history,
    diary,
    figures,
    violations,
    trace,
  };
}

/** Invariant 8: at rest a process remembers nothing of what it sent but its last batches. */
function checkMemory({ decisions, running, lost, systems, violations }: World): void {
  if (decisions === null || !running || lost) return;
  const { generated, refused, already } = decisions;
  const kept = Math.max(0, generated.size - systems.size) + refused.size + already.size;
  if (kept > 0)
    violations.push(
      new Violation(
        'memory',
        `generated ${generated.size}, refused ${refused.size}, already ${already.size}`,
      ),
    );
}

function userTurn(world: World, transaction: Scenario['users'][number]): boolean {
  const system = world.systems.get(transaction.system);
  return system === undefined || act(system, transaction, world.diary);
}

/** Nothing in the ledger or in any log moved for so long: longer than any backoff. */
const QUIET_MS = 90_000;
/** A person looks three times through holds, rows and deliveries. */
const ROUNDS = 9;

async function drive(world: World): Promise<void> {
  const { scenario, scheduler, figures, random } = world;
  const users = [...scenario.users];
  const faults = [...scenario.faults];
  const acts = [...(scenario.acts ?? [])];
  let rounds = 0;
  const eager = random.pick([0.02, 0.1, 0.3]);
  let last = '';
  let since = scheduler.now();
  for (;;) {
    if (scheduler.now() - since >= QUIET_MS) {
      if (rounds >= ROUNDS || world.swept) break;
      if (rounds > 0 || mendRows(world)) sweep(world, rounds++);
      since = scheduler.now();
    }
    figures.steps += 1;
    if (figures.steps > MAX_STEPS) throw new Violation('termination', 'it never comes to rest');
    await settled();
    if (world.violations.length > 0 || world.lost) return;
    if (!world.running) {
      endProcess(world);
      await boot(world);
    }
    while (faults[0] !== undefined && isDue(world, faults[0])) {
      await suffer(world, faults.shift() as Fault, victimIn(world));
    }
    if (acts[0] !== undefined && figures.steps >= acts[0].step) {
      if (perform(world, acts[0])) acts.shift();
    }
    scheduler.advance(random.next() * 5);
    const [next] = users;
    if (next !== undefined && random.chance(eager)) {
      if (userTurn(world, next)) users.shift();
      if (users.length === 0) figures.stopped = logged(world.systems);
    } else await moveOn(scheduler, random, () => world.running);
    const busy = users.length + faults.length + acts.length > 0;
    const now = busy ? '' : fingerprint(world);
    if (now !== '' && now === last) continue;
    last = now;
    since = scheduler.now();
  }
  figures.ended = logged(world.systems);
}

function fingerprint(world: World): string {
  const { positions, ...numbers } = world.ledger.head();
  const down = [...world.downUntil.values()].some((until) => until > world.scheduler.now());
  const drifts = [...world.systems.values()].some((system) =>
    [...system.tables.keys()].some((table) => system.misfit(table, system.log.length) !== ''),
  );
  const read = Object.values(positions).map(({ position }) => position);
  return down || drifts ? '' : JSON.stringify([numbers, read, logged(world.systems)]);
}

const victimIn = (world: World) => ({
  end: () => endProcess(world),
  boot: () => boot(world),
  stop: () => world.stop.abort(),
  lines: [world.lines],
});
