import type { Entity } from '../../src/contract/entity.ts';
import type { Ledger, LedgerCommit, Parked } from '../../src/contract/ledger.ts';
import type { Decisions } from '../../src/decide/decisions.ts';
import { retry } from '../../src/errors.ts';
import type { FeedDesk } from '../../src/feed/asks.ts';
import { type Feed, feedsOf } from '../../src/feed/plan.ts';
import { type MemoryLedger, openMemoryLedger } from '../../src/ledger/memory.ts';
import type { Position } from '../../src/model/position.ts';
import type { FeedMutation } from './feed-mutations.ts';
import { type FeedWatch, type Known, watchFeed } from './feed-oracle.ts';
import type { FeedScenario } from './feed-scenario.ts';
import { feedEntities, feedTables, waysOf } from './feed-setup.ts';
import type { Pen } from './feed-users.ts';
import { openHistory } from './history.ts';
import type { Random } from './random.ts';
import { type Line, openLine, type Scheduler } from './scheduler.ts';
import { slowLedger } from './slow-ledger.ts';
import { openSystem, type SimulatedSystem, START } from './system.ts';
import type { Figures, Violation } from './world.ts';

/** One process, and what is left of it when it is dead. */
export interface Daemon {
  line: Line;
  ledger: MemoryLedger;
  stop: AbortController;
  running: boolean;
  /** It found out that another one feeds. */
  fenced: boolean;
  decisions: Decisions | null;
  desk: FeedDesk | null;
  readonly lines: Set<{ line: Line; system: string }>;
  /** What its ledger has on disk, by number. */
  parked: Map<number, Parked>;
}

export interface FeedWorld {
  readonly scenario: FeedScenario;
  readonly random: Random;
  readonly scheduler: Scheduler;
  readonly systems: Map<string, SimulatedSystem>;
  readonly source: SimulatedSystem;
  readonly entities: readonly Entity[];
  readonly feeds: readonly Feed[];
  readonly watches: ReadonlyMap<string, FeedWatch>;
  readonly known: Known;
  readonly slots: ReadonlyMap<string, { forgotten: Position }>;
  readonly downUntil: Map<string, number>;
  readonly jumps: Map<string, number>;
  readonly violations: Violation[];
  readonly figures: Figures;
  readonly mutation: FeedMutation | null;
  readonly pen: Pen;
  readonly dropped: Set<string>;
  readonly lost: Parked[];
  readonly main: Daemon;
  twin: Daemon | null;
  twins: boolean;
  diskFull: boolean;
  swept: boolean;
}

const noFigures = (): Figures => ({
  ...{ steps: 0, writes: 0, crashes: 0, tears: 0, conflicts: 0, stopped: 0, ended: 0, events: {} },
});

export function createFeedWorld(
  scenario: FeedScenario,
  random: Random,
  scheduler: Scheduler,
  mutation: FeedMutation | null,
): FeedWorld {
  const { setup } = scenario;
  const jumps = new Map<string, number>();
  const systems = new Map(
    ['crm', ...setup.targets].map((name): [string, SimulatedSystem] => [
      name,
      openSystem({
        ...{ name, tables: feedTables(name, setup), scheduler, history: openHistory() },
        clock: () => Math.floor((scheduler.now() + (jumps.get(name) ?? 0)) * 1000),
        late: () => setup.late && random.chance(0.5),
      }),
    ]),
  );
  const source = systems.get('crm') as SimulatedSystem;
  const entities = feedEntities(setup);
  const feeds = feedsOf(entities);
  const violations: Violation[] = [];
  const dropped = new Set<string>();
  const lost: Parked[] = [];
  const known: Known = {
    ...{ setup, source, systems, ways: waysOf(setup), dropped, lost },
    parked: () => [...world.main.parked.values(), ...(world.twin?.parked.values() ?? [])],
    twins: () => world.twins,
  };
  const world: FeedWorld = {
    ...{ scenario, random, scheduler, systems, source, entities, feeds, known, dropped, lost },
    ...{ violations, jumps, mutation, downUntil: new Map(), pen: { next: 1 } },
    watches: new Map(
      feeds.map((feed) => [feed.name, watchFeed(known, feed, (one) => violations.push(one))]),
    ),
    slots: new Map(feeds.map(({ name }) => [name, { forgotten: START }])),
    figures: noFigures(),
    main: createDaemon((line) => openLedger(scheduler, line, () => takeFullDisk(world))),
    twin: null,
    ...{ twins: false, diskFull: false, swept: false },
  };
  return world;
}

export function createDaemon(ledger: (line: () => Line) => MemoryLedger): Daemon {
  const daemon: Daemon = {
    line: openLine('ledger'),
    ledger: ledger(() => daemon.line),
    stop: new AbortController(),
    ...{ running: false, fenced: false, decisions: null, desk: null },
    ...{ lines: new Set(), parked: new Map() },
  };
  return daemon;
}

export const openLedger = (scheduler: Scheduler, line: () => Line, full: () => boolean) =>
  openMemoryLedger({
    write: () =>
      scheduler.call(line(), 'ledger write', () => {
        if (full()) throw retry('ledger.full', 'the simulated disk is full', 'wait');
      }),
    sync: () => scheduler.call(line(), 'ledger synced', () => {}),
  });

function takeFullDisk(world: FeedWorld): boolean {
  const { diskFull } = world;
  world.diskFull = false;
  return diskFull;
}

/** The ledger as the daemon sees it: what of it is on disk is noted. */
export function watchedLedger(scheduler: Scheduler, { ledger, line, parked }: Daemon): Ledger {
  const loose: (() => void)[] = [];
  let safe = 0;
  const note = ({ parked: changed }: LedgerCommit): void => {
    loose.push(() => {
      for (const one of changed?.put ?? []) parked.set(one.id, one);
      for (const id of changed?.remove ?? []) parked.delete(id);
    });
  };
  return {
    ...slowLedger(scheduler, line, ledger, note),
    async synced() {
      const until = loose.length;
      await ledger.synced();
      for (; safe < until; safe++) loose[safe]?.();
    },
  };
}

export function endDaemon(world: FeedWorld, daemon: Daemon): void {
  daemon.stop = new AbortController();
  world.scheduler.cut(daemon.line, null);
  for (const { line } of daemon.lines) world.scheduler.cut(line, null);
  daemon.lines.clear();
  daemon.ledger = daemon.ledger.crash();
  daemon.running = false;
}
