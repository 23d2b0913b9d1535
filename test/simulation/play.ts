import { unreachable } from './connector.ts';
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
  using _rejections = watchRejections(world);
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

/** A promise that fails and that nobody awaits would end the daemon. */
function watchRejections({ violations }: World): Disposable {
  const note = (error: unknown): void => {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    violations.push(new Violation('unhandled', text));
  };
  process.on('unhandledRejection', note);
  return { [Symbol.dispose]: () => void process.off('unhandledRejection', note) };
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
      await suffer(world, faults.shift() as Fault);
    }
    if (acts[0] !== undefined && figures.steps >= acts[0].step) {
      if (perform(world, acts[0])) acts.shift();
    }
    scheduler.advance(random.next() * 5);
    const [next] = users;
    if (next !== undefined && random.chance(eager)) {
      if (userTurn(world, next)) users.shift();
      if (users.length === 0) figures.stopped = logged(world);
    } else if (
      !(random.chance(0.03) && scheduler.tick()) &&
      !scheduler.step() &&
      !scheduler.tick()
    ) {
      // What a fault just ended may still be on its way to its next call, or to its end.
      await settled();
      if (world.running && !scheduler.step() && !scheduler.tick()) {
        throw new Violation('stuck', 'nothing will ever happen again');
      }
    }
    const busy = users.length + faults.length + acts.length > 0;
    const now = busy ? '' : fingerprint(world);
    if (now !== '' && now === last) continue;
    last = now;
    since = scheduler.now();
  }
  figures.ended = logged(world);
}

/** A point that does not come is not waited for for ever. */
function isDue({ figures, scheduler }: World, { step, point }: Fault): boolean {
  const late = figures.steps - step;
  return late >= 400 || (late >= 0 && (point === '' || scheduler.last().endsWith(point)));
}

const logged = (world: World): number =>
  [...world.systems.values()].reduce((sum, { log }) => sum + log.length, 0);

function fingerprint(world: World): string {
  const { positions, ...numbers } = world.ledger.head();
  const down = [...world.downUntil.values()].some((until) => until > world.scheduler.now());
  const drifts = [...world.systems.values()].some((system) =>
    [...system.tables.keys()].some((table) => system.misfit(table, system.log.length) !== ''),
  );
  const read = Object.values(positions).map(({ position }) => position);
  return down || drifts ? '' : JSON.stringify([numbers, read, logged(world)]);
}

async function suffer(world: World, { kind, system, size }: Fault): Promise<void> {
  const { scheduler, figures } = world;
  switch (kind) {
    case 'crash':
      figures.crashes += 1;
      endProcess(world);
      await settled();
      scheduler.advance(1 + size * 3000);
      return boot(world);
    case 'stop':
      world.stop.abort();
      return;
    case 'tear':
      figures.tears += 1;
      for (const entry of [...world.lines]) {
        if (entry.system !== system) continue;
        world.lines.delete(entry);
        scheduler.cut(entry.line, unreachable('target'));
      }
      return;
    case 'down':
      world.downUntil.set(system, scheduler.now() + size * 60_000);
      return;
    case 'disk':
      world.diskFull = true;
      return;
    case 'jump':
      world.jumps.set(system, (world.jumps.get(system) ?? 0) + (size - 0.5) * 7_200_000);
  }
}
