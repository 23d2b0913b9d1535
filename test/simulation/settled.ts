/**
 * The same users as those of a feed, and the same mappings without `feed`: what only the source
 * writes is settled as every entity is. Nothing is killed or cut.
 */
import type { Parked } from '../../src/contract/ledger.ts';
import type { FeedScenario } from './feed-scenario.ts';
import { feedEntities, feedTables } from './feed-setup.ts';
import { mend, type Pen, transact } from './feed-users.ts';
import { openHistory } from './history.ts';
import { sweep } from './operator.ts';
import { boot, endProcess } from './process.ts';
import { type Random, seeded } from './random.ts';
import { openScheduler, type Scheduler, settled, takeOver } from './scheduler.ts';
import { drawSetup } from './setup.ts';
import { openSystem, type SimulatedSystem } from './system.ts';
import { createWorld, Violation, type World } from './world.ts';

const MAX_STEPS = 150_000;
/** Nothing moved for so long: longer than any backoff. */
const QUIET_MS = 90_000;
/** A person goes so often through all that is parked. */
const ROUNDS = 9;

export interface Settled {
  readonly systems: ReadonlyMap<string, SimulatedSystem>;
  readonly violations: readonly Violation[];
  /** What nobody could settle. */
  readonly parked: readonly Parked[];
}

export async function playSettled(scenario: FeedScenario): Promise<Settled> {
  const random = seeded(scenario.seed, 'settled schedule');
  const scheduler = openScheduler(random, false);
  using _clock = takeOver(scheduler, random.fork('chance'), () => world.ledgerLine);
  const world = settledWorld(scenario, random, scheduler);
  const source = world.systems.get('crm') as SimulatedSystem;
  const pen = { next: 1 };
  for (const actions of scenario.before) transact(source, actions, pen);
  for (const commit of source.log) commit.visible = true;
  try {
    await boot(world);
    await drive(world, source, scenario.users, pen);
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    world.violations.push(error);
  }
  endProcess(world);
  await settled();
  const parked = await world.ledger.desk.parked({ limit: 1000 });
  return { systems: world.systems, violations: world.violations, parked };
}

function settledWorld(scenario: FeedScenario, random: Random, scheduler: Scheduler): World {
  const { seed, setup } = scenario;
  const names = ['crm', ...setup.targets];
  const plain = {
    ...drawSetup(seeded(seed, 'settled')),
    ...{ systems: names, late: {}, coarse: {}, clocks: {}, triggers: [], foreign: undefined },
    ...{ minimal: { crm: setup.images === 'minimal' }, flood: false, loadShare: setup.loadShare },
  };
  const world = createWorld(
    { seed, setup: plain, before: [], users: [], faults: [], acts: [] },
    random,
    scheduler,
    null,
  );
  const history = openHistory();
  const clock = () => Math.floor(scheduler.now() * 1000);
  const late = () => setup.late && random.chance(0.5);
  const systems = names.map((name): [string, SimulatedSystem] => [
    name,
    openSystem({ name, tables: feedTables(name, setup), scheduler, history, clock, late }),
  ]);
  return Object.assign(world, {
    systems: new Map(systems),
    entities: feedEntities(setup, true),
  });
}

async function drive(
  world: World,
  source: SimulatedSystem,
  actions: FeedScenario['users'],
  pen: Pen,
): Promise<void> {
  const { scheduler, random, figures } = world;
  const users = [...actions];
  let mended = false;
  let rounds = 0;
  let last = '';
  let since = scheduler.now();
  for (;;) {
    if (scheduler.now() - since >= QUIET_MS) {
      if (world.swept || rounds >= ROUNDS) return;
      if (!mended) mended = mend(source);
      else sweep(world, rounds++);
      since = scheduler.now();
    }
    figures.steps += 1;
    if (figures.steps > MAX_STEPS) throw new Violation('termination', 'it never comes to rest');
    await settled();
    if (world.violations.length > 0) return;
    scheduler.advance(random.next() * 5);
    const [next] = users;
    if (next !== undefined && random.chance(0.1)) {
      if (transact(source, next, pen)) users.shift();
    } else if (!(random.chance(0.03) && scheduler.tick()) && !scheduler.step()) scheduler.tick();
    const now = users.length > 0 ? '' : stateOf(world);
    if (now !== '' && now === last) continue;
    last = now;
    since = scheduler.now();
  }
}

function stateOf({ ledger, systems }: World): string {
  const { positions, ...numbers } = ledger.head();
  const read = Object.values(positions).map(({ position }) => position);
  return JSON.stringify([numbers, read, [...systems.values()].map(({ log }) => log.length)]);
}
