/**
 * The smallest world in which the protocol can go wrong: one thing of the real world, a row of it
 * in each of two or three systems, a log each, and a ledger. Everything that Carrick decides in it
 * is decided by the code that runs in production; modelled are the databases and the order in
 * which things happen.
 */
import type { Entity, Policy } from '../../src/contract/entity.ts';
import type { Batch } from '../../src/decide/freeze.ts';
import { copyDisk, type Disk, emptyDisk } from '../../src/ledger/memory-disk.ts';
import type { RecordId } from '../../src/model/record.ts';
import type { Value } from '../../src/model/value.ts';
import { entityOf, LAST_WRITER } from '../support/entity.ts';

/** The columns after `id` are the entity's fields; `k` is the match key, the same in all rows. */
export const KEY = 'K';
export const WRITABLE = ['a', 'b'] as const;

/** What is explored: every order of some user operations with everything that Carrick does. */
export interface Bound {
  readonly systems: readonly string[];
  readonly operations: number;
  /** Kills of the process and torn connections together. */
  readonly faults: number;
  /** The thing has a row in every system before the first operation; else nobody knows it. */
  readonly linked: boolean;
  readonly policy: 'last_writer' | 'prefer' | 'park';
  readonly deletes: Entity['deleteConflict'];
  /** µs by which the first system's clock is ahead; operations are {@link APART} apart. */
  readonly skew: number;
}

export const APART = 1000;
/** When what is there from the start was written; 0 would say that nobody knows. */
export const DAWN = 1_000_000;

/**
 * What a user did in one system. No two operations write the same value, so a value names its
 * author: `a3` is what operation 3 wrote into `a`, and `d3` says that operation 3 removed the row.
 */
export interface Operation {
  readonly system: string;
  readonly kind: 'insert' | 'update' | 'delete';
  readonly wrote: readonly string[];
  /** All that its author could know of: what was ever seen in that system, and by those authors. */
  readonly seen: ReadonlySet<string>;
  readonly at: number;
}

export interface Row {
  readonly id: string;
  readonly values: readonly Value[];
}

export interface Change {
  readonly before: Row | null;
  readonly after: Row | null;
}

export interface Logged {
  readonly changes: readonly Change[];
  /** The batch in the mark; null: a user's transaction. */
  readonly batch: number | null;
  readonly at: number;
}

export interface System {
  readonly name: string;
  readonly rows: readonly Row[];
  /** Transactions that the ledger has not taken up yet, and how many it has. */
  readonly log: readonly Logged[];
  readonly read: number;
  readonly mark: number;
  readonly nextId: number;
  readonly known: ReadonlySet<string>;
}

/** What dies with the process. */
export interface Memory {
  readonly generated: Map<string, ReadonlyMap<string, RecordId>>;
  readonly refused: Map<number, string>;
  readonly already: Set<number>;
  /** By target: frozen and not sent yet. */
  readonly frozen: Map<string, Batch>;
}

/** A move gets a copy of its own and changes that. */
export interface World {
  readonly systems: Map<string, System>;
  disk: Disk;
  memory: Memory;
  operations: readonly Operation[];
  faults: number;
}

export const emptyMemory = (): Memory => ({
  generated: new Map(),
  refused: new Map(),
  already: new Set(),
  frozen: new Map(),
});

export const copyWorld = ({ systems, disk, memory, operations, faults }: World): World => ({
  systems: new Map(systems),
  disk: copyDisk(disk),
  memory: {
    generated: new Map(memory.generated),
    refused: new Map(memory.refused),
    already: new Set(memory.already),
    frozen: new Map(memory.frozen),
  },
  operations,
  faults,
});

export function emptyWorld({ systems }: Bound): World {
  const empty = { rows: [], log: [], read: 0, mark: 0, nextId: 1, known: new Set<string>() };
  return {
    systems: new Map(systems.map((name) => [name, { ...empty, name }])),
    disk: emptyDisk(),
    memory: emptyMemory(),
    operations: [],
    faults: 0,
  };
}

export function entityFor({ systems, policy, deletes }: Bound): Entity {
  const preferred: Policy = { kind: 'prefer', system: systems.at(-1) ?? '' };
  const chains = {
    last_writer: [LAST_WRITER],
    prefer: [preferred, LAST_WRITER],
    park: [{ kind: 'park' } as const],
  };
  const entity = entityOf({
    fields: { k: 'string', a: 'string', b: 'string' },
    chains: { a: chains[policy], b: chains[policy] },
    systems: Object.fromEntries(systems.map((name) => [name, {}])),
    deleteConflict: deletes,
    firstContact: [preferred],
  });
  // An insert is guarded by the match key (DESIGN.md, Identity): column 1 is `k`.
  const lenses = [...entity.lenses].map(
    ([name, lens]) => [name, { ...lens, guards: [[1]] }] as const,
  );
  return { ...entity, lenses: new Map(lenses) };
}

export function systemOf(world: World, name: string): System {
  const system = world.systems.get(name);
  if (system === undefined) throw new Error(`no system ${name}`);
  return system;
}

/** What is in a row is seen there, with all that its authors had seen. */
export function shown(world: World, system: System, values: readonly Value[]): System {
  const known = new Set(system.known);
  for (const value of values) {
    if (value === null || value === KEY) continue;
    known.add(value);
    for (const earlier of authorOf(world, value)?.seen ?? []) known.add(earlier);
  }
  return { ...system, known };
}

export const authorOf = ({ operations }: World, value: string): Operation | undefined =>
  operations[Number(value.slice(1)) - 1];
