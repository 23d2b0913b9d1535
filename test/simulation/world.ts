import type { Entity } from '../../src/contract/entity.ts';
import type { Ledger } from '../../src/contract/ledger.ts';
import type { Decisions } from '../../src/decide/decisions.ts';
import { retry } from '../../src/errors.ts';
import { type MemoryLedger, openMemoryLedger } from '../../src/ledger/memory.ts';
import type { Position } from '../../src/model/position.ts';
import { type History, openHistory, type Write } from './history.ts';
import { entitiesOf, tablesOf } from './installation.ts';
import type { Mutation } from './mutations.ts';
import type { Random } from './random.ts';
import type { Scenario } from './scenario.ts';
import { type Line, openLine, type Scheduler } from './scheduler.ts';
import { openSystem, type SimulatedSystem } from './system.ts';
import { type Diary, openDiary } from './users.ts';

/** Something that must never happen, seen while the pipeline runs. */
export class Violation extends Error {
  readonly check: string;
  constructor(check: string, detail: string) {
    super(`${check}: ${detail}`);
    this.check = check;
  }
}

/** What a run leaves for the oracle. */
export interface Outcome {
  readonly scenario: Scenario;
  readonly systems: ReadonlyMap<string, SimulatedSystem>;
  readonly entities: readonly Entity[];
  readonly ledger: Ledger;
  readonly history: History;
  /** Writes from before the pipeline ran: when they were made nobody can know. */
  readonly early: ReadonlySet<Write>;
  readonly diary: Diary;
  readonly figures: Figures;
  readonly violations: Violation[];
  /** The run ended when a source said that its log is gone. */
  readonly lost: boolean;
}

export interface Figures {
  steps: number;
  writes: number;
  crashes: number;
  tears: number;
  conflicts: number;
  /** Transactions in all logs when the users stopped, and at the end. */
  stopped: number;
  ended: number;
  /** What else happened, and how often. */
  readonly events: Record<string, number>;
}

export function count({ figures: { events } }: Pick<World, 'figures'>, what: string): void {
  events[what] = (events[what] ?? 0) + 1;
}

export interface World {
  readonly scenario: Scenario;
  readonly random: Random;
  readonly scheduler: Scheduler;
  readonly systems: Map<string, SimulatedSystem>;
  readonly entities: readonly Entity[];
  readonly history: History;
  readonly diary: Diary;
  readonly lines: Set<{ line: Line; system: string }>;
  readonly downUntil: Map<string, number>;
  readonly jumps: Map<string, number>;
  readonly violations: Violation[];
  readonly figures: Figures;
  readonly mutation: Mutation | null;
  /** Where each system's log was read up to when its latest batch was planned. */
  readonly plannedAt: Map<string, Position>;
  /** Deletes that were carried out, by system and table, while nobody had released any. */
  readonly passedOn: Map<string, number>;
  /** A person has released or undone something that was held. */
  released: boolean;
  diskFull: boolean;
  /** Log that was not read yet is gone, and its reader said so. */
  lost: boolean;
  /** A person looked at last, and nothing was parked. */
  swept: boolean;
  purged: boolean;
  /** Of the process that runs now. */
  decisions: Decisions | null;
  ledgerLine: Line;
  ledger: MemoryLedger;
  stop: AbortController;
  running: boolean;
}

export function createWorld(
  scenario: Scenario,
  random: Random,
  scheduler: Scheduler,
  mutation: Mutation | null,
): World {
  const { setup } = scenario;
  const history = openHistory();
  const jumps = new Map<string, number>();
  const systems = new Map<string, SimulatedSystem>();
  for (const name of setup.systems) {
    const { offset, drift } = setup.clocks[name] ?? { offset: 0, drift: 0 };
    const unit = setup.coarse[name] ? 1_000_000 : 1;
    systems.set(
      name,
      openSystem({
        name,
        tables: tablesOf(name, setup),
        scheduler,
        history,
        clock() {
          const ms = scheduler.now() * (1 + drift * 0.001) + offset + (jumps.get(name) ?? 0);
          return Math.floor((ms * 1000) / unit) * unit;
        },
        late: () => setup.late[name] === true && random.chance(0.5),
        lazy: () => setup.lazy?.includes(name) === true,
      }),
    );
  }
  const world: World = {
    scenario,
    random,
    scheduler,
    systems,
    history,
    jumps,
    mutation,
    entities: entitiesOf(setup),
    diary: openDiary(),
    lines: new Set(),
    downUntil: new Map(),
    violations: [],
    figures: {
      steps: 0,
      writes: 0,
      crashes: 0,
      tears: 0,
      conflicts: 0,
      stopped: 0,
      ended: 0,
      events: {},
    },
    plannedAt: new Map(),
    passedOn: new Map(),
    released: false,
    diskFull: false,
    lost: false,
    swept: scenario.acts === undefined,
    purged: false,
    decisions: null,
    ledgerLine: openLine('ledger'),
    ledger: openMemoryLedger({
      write: () => writeDisk(world),
      sync: () => scheduler.call(world.ledgerLine, 'ledger synced', () => {}),
    }),
    stop: new AbortController(),
    running: false,
  };
  return world;
}

const writeDisk = (world: World): Promise<void> =>
  world.scheduler.call(world.ledgerLine, 'ledger write', () => {
    if (!world.diskFull) return;
    world.diskFull = false;
    throw retry('ledger.full', 'the simulated disk is full', 'wait');
  });
