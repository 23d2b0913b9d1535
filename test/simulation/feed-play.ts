import type { Parked } from '../../src/contract/ledger.ts';
import type { Operator } from '../../src/contract/operator.ts';
import { CarrickError } from '../../src/errors.ts';
import { createControls } from '../../src/operate/controls.ts';
import { createOperator } from '../../src/operate/operator.ts';
import { isDue, logged, moveOn, suffer, watchRejections } from './course.ts';
import { FEEDS } from './feed-copier.ts';
import type { FeedMutation } from './feed-mutations.ts';
import { checkParked } from './feed-oracle.ts';
import { bootDaemon } from './feed-process.ts';
import type { FeedAct, FeedScenario } from './feed-scenario.ts';
import { clear, mend, transact } from './feed-users.ts';
import {
  createDaemon,
  createFeedWorld,
  endDaemon,
  type FeedWorld,
  openLedger,
} from './feed-world.ts';
import { seeded } from './random.ts';
import type { Fault } from './scenario.ts';
import { Blocked, openScheduler, settled, takeOver } from './scheduler.ts';
import { count, type Figures, Violation } from './world.ts';

const MAX_STEPS = 60_000;
/** Nothing moved for so long: longer than any backoff. */
const QUIET_MS = 90_000;
/** A person goes so often through all that is parked. */
const ROUNDS = 15;
const MANY = { limit: 1000 };

export interface FeedOutcome {
  readonly scenario: FeedScenario;
  readonly world: FeedWorld;
  readonly figures: Figures;
  readonly violations: readonly Violation[];
}

/** Plays one scenario to its end: users, faults, then quiet until nothing moves any more. */
export async function playFeed(
  scenario: FeedScenario,
  mutation: FeedMutation | null = null,
  traced = false,
): Promise<FeedOutcome> {
  const random = seeded(scenario.seed, 'feed schedule');
  const scheduler = openScheduler(random, traced);
  using _clock = takeOver(scheduler, random.fork('chance'), () => world.main.line);
  const world: FeedWorld = createFeedWorld(scenario, random, scheduler, mutation);
  using _rejections = watchRejections(world.violations);
  const { violations, figures } = world;
  try {
    for (const actions of scenario.before) transact(world.source, actions, world.pen);
    for (const commit of world.source.log) commit.visible = true;
    await bootDaemon(world, world.main);
    await drive(world);
    if (violations.length === 0) await judge(world);
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    violations.push(error);
  }
  if (world.twin !== null) endDaemon(world, world.twin);
  endDaemon(world, world.main);
  await settled();
  figures.writes = world.source.log.filter(({ mark }) => mark === null).length;
  return { scenario, world, figures, violations };
}

async function judge(world: FeedWorld): Promise<void> {
  const { watches, known, main, violations } = world;
  const parked = await main.ledger.desk.parked(MANY);
  for (const { ended } of watches.values()) ended();
  const fail = (check: string, detail: string): void =>
    void violations.push(new Violation(check, detail));
  checkParked(known, parked, fail);
  if (parked.length > 0) fail('parked', `all is mended, and ${JSON.stringify(parked[0])} is left`);
}

async function drive(world: FeedWorld): Promise<void> {
  const { scenario, scheduler, figures, random, main, source, systems } = world;
  const users = [...scenario.users];
  const faults = [...scenario.faults];
  const acts = [...scenario.acts];
  const eager = random.pick([0.02, 0.1, 0.3]);
  let rounds = 0;
  let mended = false;
  let last = '';
  let since = scheduler.now();
  for (;;) {
    if (scheduler.now() - since >= QUIET_MS) {
      if (world.swept || rounds >= ROUNDS) break;
      resume(world);
      if (!mended) {
        checkIdle(world);
        mended = mend(source);
      } else sweep(world, rounds++);
      since = scheduler.now();
    }
    figures.steps += 1;
    if (figures.steps > MAX_STEPS) throw new Violation('termination', 'it never comes to rest');
    await settled();
    if (world.violations.length > 0) return;
    if (!main.running || main.fenced) await restart(world);
    while (faults[0] !== undefined && isDue(world, faults[0])) {
      const fault = faults.shift() as Fault;
      if (fault.kind === 'twin') await addTwin(world, fault.size);
      else await suffer(world, fault, victimIn(world));
    }
    if (acts[0] !== undefined && figures.steps >= acts[0].step) {
      if (performAct(world, acts[0])) acts.shift();
    }
    scheduler.advance(random.next() * 5);
    const [next] = users;
    if (next !== undefined && random.chance(eager)) {
      if (transact(source, next, world.pen)) users.shift();
      if (users.length === 0) figures.stopped = logged(systems);
    } else await moveOn(scheduler, random, () => main.running);
    const busy = users.length + faults.length + acts.length > 0 || world.twin !== null;
    const now = busy ? '' : fingerprint(world);
    if (now !== '' && now === last) continue;
    last = now;
    since = scheduler.now();
  }
  figures.ended = logged(systems);
}

async function restart(world: FeedWorld): Promise<void> {
  endDaemon(world, world.main);
  await settled();
  await bootDaemon(world, world.main);
}

function fingerprint(world: FeedWorld): string {
  const { main, systems, scheduler, source } = world;
  const { positions: _, ...numbers } = main.ledger.head();
  const down = [...world.downUntil.values()].some((until) => until > scheduler.now());
  const drifts = [...source.tables.keys()].some(
    (table) => source.misfit(table, source.log.length) !== '',
  );
  const places = [...systems.values()].map((system) =>
    system.visible(FEEDS).map((row) => row.cells),
  );
  return down || drifts ? '' : JSON.stringify([numbers, places, logged(systems)]);
}

const victimIn = (world: FeedWorld) => ({
  end: () => endDaemon(world, world.main),
  boot: () => bootDaemon(world, world.main),
  stop: () => world.main.stop.abort(),
  lines: [world.main, ...(world.twin === null ? [] : [world.twin])].map(({ lines }) => lines),
});

/** A second daemon knows nothing of what the first one has set aside: only where nothing is. */
async function addTwin(world: FeedWorld, size: number): Promise<void> {
  const { scheduler, scenario } = world;
  const { unique, picky, images } = scenario.setup;
  if (world.twin !== null || unique || picky || images !== 'full') return;
  world.twins = true;
  count(world, 'twin');
  const twin = createDaemon((line) => openLedger(scheduler, line, () => false));
  world.twin = twin;
  scheduler.timer(size * 60_000, () => {
    endDaemon(world, twin);
    world.lost.push(...twin.parked.values());
    world.twin = null;
    scheduler.changed();
  });
  await bootDaemon(world, twin);
}

/** Has the process that runs now do something; it may die over it, or say no. */
function ask(world: FeedWorld, work: (operator: Operator) => Promise<string>): void {
  const { decisions, desk, stop, running } = world.main;
  if (decisions === null || !running || stop.signal.aborted) return;
  const never = async (): Promise<never> => Promise.reject(new Error('nobody asks'));
  const operator = createOperator(decisions, {
    ...{
      status: never,
      read: never,
      described: never,
      digest: async () => null,
      caughtUp: async () => true,
    },
    ...{ log: null, alone: false, feeds: desk },
    mapped: new Map(world.entities.map((entity) => [entity.name, entity])),
  });
  work(operator).then(
    (what) => what !== '' && count(world, what),
    (error: unknown) => {
      if (error instanceof CarrickError) return;
      world.violations.push(new Violation('operator', String(error)));
    },
  );
}

const HOUR_MS = 3_600_000;

/** False when it has to wait for somebody's lock. */
function performAct(world: FeedWorld, { kind, table, system, roll }: FeedAct): boolean {
  const { source, scheduler } = world;
  const entity = table === 'public.prices' ? 'price' : roll < 0.8 ? 'item' : 'special';
  switch (kind) {
    case 'retry':
    case 'discard':
      ask(world, async (operator) => {
        const items = await operator.parked(MANY);
        const item = items[Math.floor(roll * items.length)];
        if (item === undefined || (kind === 'discard' && item.kind !== 'hold')) return '';
        if (kind === 'discard') drop(world, item);
        await operator[kind]([item.id]);
        return `${kind} ${item.kind}`;
      });
      return true;
    case 'resync':
      ask(world, async ({ resync }) => {
        await resync(entity, roll < 0.5 ? null : system);
        return kind;
      });
      return true;
    case 'pause':
    case 'resume':
      pause(world, kind === 'pause' ? system : null);
      return true;
    case 'outage':
      count(world, kind);
      world.downUntil.set(system, scheduler.now() + (1 + roll * 3) * HOUR_MS);
      return true;
    case 'drift': {
      if (source.misfit(table, source.log.length) !== '') return true;
      try {
        source.drift(table, 'a column is gone');
      } catch (error) {
        if (error instanceof Blocked) return false;
        throw error;
      }
      count(world, kind);
      scheduler.timer(1000 + roll * 120_000, () => {
        source.drift(table, '');
        scheduler.changed();
      });
      return true;
    }
    default:
      count(world, kind);
      return clear(source, kind, table);
  }
}

/** A truncate is one of a table: whatever is copied from it stays. */
function drop({ dropped }: FeedWorld, { entity, reason }: Pick<Parked, 'entity' | 'reason'>): void {
  for (const one of reason === 'truncate' ? ['item', 'special', 'price'] : [entity])
    dropped.add(one);
}

/** Of one system, or the end of all pauses. */
function pause(world: FeedWorld, name: string | null): void {
  const { decisions, running, stop } = world.main;
  if (decisions === null || !running || stop.signal.aborted) return;
  const systems = [...world.systems.keys()];
  const support = async (): Promise<never> => Promise.reject(new Error('nobody asks'));
  const controls = createControls(decisions, { systems, entities: [], support, log: null });
  const done = name === null ? controls.resume(null) : controls.pause(name);
  done.then(
    () => count(world, name === null ? 'resume' : 'pause'),
    () => undefined,
  );
}

const resume = (world: FeedWorld): void => pause(world, null);

const isDrained = ({ watches }: FeedWorld): boolean =>
  [...watches.values()].every(({ drained }) => drained());

/** What was set aside and is in order again waits for nobody. */
function checkIdle(world: FeedWorld): void {
  const { known, main, violations, figures } = world;
  // A crash right behind the commit leaves what is in order again for a person to look at.
  if (!isDrained(world) || figures.crashes > 0) return;
  const rows = [...main.parked.values()].filter(({ kind }) => kind === 'row');
  checkParked(known, rows, (check, detail) => void violations.push(new Violation(check, detail)));
}

/** A person goes through all that is parked. */
function sweep(world: FeedWorld, round: number): void {
  ask(world, async ({ parked, retry, discard }) => {
    const items = await parked(MANY);
    world.swept ||= items.length === 0 && isDrained(world);
    for (const { id, kind, entity, reason } of items) {
      const drops = kind === 'hold' && world.random.fork(`sweep ${id} ${round}`).chance(0.5);
      if (drops) drop(world, { entity, reason });
      await (drops ? discard([id]) : retry([id]));
      count(world, `${reason} ${drops ? 'dropped' : 'tried again'}`);
    }
    return 'sweep';
  });
}
