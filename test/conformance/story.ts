/**
 * Random stories of users and of Carrick on one table, in words that a real system and a simulated
 * one both understand. Nobody waits for anybody in them: what one open transaction holds, nobody
 * else touches.
 */
import type { Outcome, TableWrite } from '../../src/contract/applier.ts';
import type { TableSpec } from '../../src/model/change.ts';
import type { Value } from '../../src/model/value.ts';
import type { Random } from '../simulation/random.ts';

export const TABLE: TableSpec = {
  name: 'story',
  key: ['id'],
  columns: ['id', 'name', 'amount'],
};
export const UNIQUE = ['name'];

/** In the order of the columns. */
export type Cells = readonly Value[];

export type Step =
  | { readonly do: 'begin' | 'commit' | 'rollback'; readonly by: number }
  | { readonly do: 'insert'; readonly by: number; readonly row: Cells }
  | { readonly do: 'update'; readonly by: number; readonly id: string; readonly row: Cells }
  | { readonly do: 'delete'; readonly by: number; readonly id: string }
  | { readonly do: 'apply'; readonly writes: readonly TableWrite[]; readonly commits: boolean };

/** What came of a story: all that Carrick gets to know of a system. */
export interface Ending {
  readonly outcomes: readonly Outcome['kind'][][];
  /** The mark's batch, or null, and the changes in few words, by transaction. */
  readonly log: readonly unknown[];
  readonly rows: readonly Cells[];
  /** The last batch that the mark names. */
  readonly committed: number;
}

/** A system that a story is played on. */
export interface Stage {
  play(step: Step): Promise<void>;
  ending(): Promise<Ending>;
}

/** What the next step is drawn from. */
export interface Scene {
  /** All rows as they are now, those of open transactions included. */
  rows(): readonly Cells[];
  /** Sessions of users with a transaction open. */
  open(): readonly number[];
}

/** Each has ids and names of its own. */
const SESSIONS = 2;
const IDS = ['1', '2', '3', '4', '5', '6', '7', '8', '9', '10', '11', '12'];
const idsOf = (by: number): string[] => IDS.filter((id) => Number(id) % SESSIONS === by);

/** Plays a story while it is drawn, and closes what is open at its end. */
export async function improvise(
  random: Random,
  length: number,
  stage: Stage,
  scene: Scene,
): Promise<Step[]> {
  const story: Step[] = [];
  const names = { next: 1 };
  const play = async (step: Step): Promise<void> => {
    story.push(step);
    await stage.play(step);
  };
  while (story.length < length) {
    const ours = scene.open().length === 0 && random.chance(0.45);
    await play(ours ? drawApply(random, scene, names) : drawUser(random, scene, names));
  }
  for (const by of scene.open()) await play({ do: 'commit', by });
  return story;
}

interface Names {
  next: number;
}

const freshName = (names: Names): string => `n${names.next++}`;

function drawCells(random: Random, names: Names, id: string): Cells {
  const name = random.chance(0.15) ? null : freshName(names);
  return [id, name, drawAmount(random)];
}

/** Few, so that rows often have the same; some have none. */
const drawAmount = (random: Random): Value =>
  random.chance(0.15) ? null : `${random.int(3)}.${random.int(2)}0`;

function drawUser(random: Random, scene: Scene, names: Names): Step {
  const by = random.int(SESSIONS);
  if (!scene.open().includes(by)) return { do: 'begin', by };
  if (random.chance(0.3)) return { do: random.chance(0.25) ? 'rollback' : 'commit', by };
  const held = new Map(scene.rows().map((row) => [row[0] ?? '', row]));
  const id = random.pick(idsOf(by));
  if (!held.has(id)) return { do: 'insert', by, row: drawCells(random, names, id) };
  if (random.chance(0.3)) return { do: 'delete', by, id };
  const free = idsOf(by).filter((other) => !held.has(other));
  const to = random.chance(0.2) && free.length > 0 ? random.pick(free) : id;
  // Never what it was: engines differ in whether they log a change that changes nothing.
  return { do: 'update', by, id, row: [to, freshName(names), drawAmount(random)] };
}

const OPS = ['insert', 'update', 'delete'] as const;

/** Some of what is expected is true, some is stale, and some rows are not there. */
function drawApply(random: Random, scene: Scene, names: Names): Step {
  const chosen = IDS.filter(() => random.chance(0.3));
  const writes = OPS.flatMap((op, nth) => {
    const ids = chosen.filter((_, i) => i % OPS.length === nth);
    return ids.length === 0 ? [] : [drawWrite(random, scene, names, op, ids)];
  });
  return { do: 'apply', writes, commits: random.chance(0.8) };
}

function drawWrite(
  random: Random,
  scene: Scene,
  names: Names,
  op: TableWrite['op'],
  ids: readonly string[],
): TableWrite {
  const { name: table, key, columns } = TABLE;
  const taken = scene.rows().flatMap(([, name]) => name ?? []);
  if (op === 'insert') {
    const rows = ids.map((id) => {
      const [, name, amount] = drawCells(random, names, id);
      const twice = taken.length > 0 && random.chance(0.3) ? random.pick(taken) : name;
      return { key: [id], values: [id, twice ?? null, amount ?? null], expect: [] };
    });
    const guards = random.pick([[], [['name']], [['amount']], [['name', 'amount']]]);
    return { op, table, key, columns, compare: [], guards, rows };
  }
  const rows = ids.map((id) => {
    const name = scene.rows().find((row) => row[0] === id)?.[1] ?? null;
    // What is wanted is there already only where something else was expected: no other need is.
    const there = random.chance(0.2);
    const wanted = there ? name : freshName(names);
    const expected = there || random.chance(0.25) ? 'stale' : name;
    return { key: [id], values: op === 'delete' ? [] : [wanted], expect: [expected] };
  });
  const written = op === 'delete' ? [] : ['name'];
  return { op, table, key, columns: written, compare: ['name'], guards: [], rows };
}
