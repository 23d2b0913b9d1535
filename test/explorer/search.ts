/**
 * Breadth first through every state that a bound allows, so that the first counterexample is a
 * shortest one. States that differ in nothing but numbers that only have an order (of records,
 * deliveries, batches) are one.
 */
import { hash } from 'node:crypto';
import type { OutboxEntry } from '../../src/contract/ledger.ts';
import type { RecordState } from '../../src/model/record.ts';
import { violations } from './judge.ts';
import { after, type Defect, type Ground, movesFrom } from './moves.ts';
import {
  type Bound,
  DAWN,
  emptyWorld,
  entityFor,
  KEY,
  shown,
  systemOf,
  type World,
} from './world.ts';

export interface Found {
  readonly states: number;
  readonly moves: number;
  /** States in which nothing is left to do, each of them judged. */
  readonly quiet: number;
  readonly counterexamples: readonly Counterexample[];
}

export interface Counterexample {
  readonly violations: readonly string[];
  readonly path: readonly string[];
}

export async function explore(
  bound: Bound,
  { stopAfter = 1, defect = null }: { stopAfter?: number; defect?: Defect | null } = {},
): Promise<Found> {
  const ground: Ground = { bound, entity: entityFor(bound), defect };
  const first = await start(ground);
  const seen = new Map<string, number>([[stateText(first), 0]]);
  const came: { from: number; text: string }[] = [{ from: -1, text: '' }];
  const counterexamples: Counterexample[] = [];
  let [moves, quiet] = [0, 0];
  const path = (index: number): string[] => {
    const { from, text } = came[index] ?? { from: -1, text: '' };
    return from < 0 ? [] : [...path(from), text];
  };
  let layer: [number, World][] = [[0, first]];
  while (layer.length > 0 && counterexamples.length < stopAfter) {
    const next: [number, World][] = [];
    for (const [index, world] of layer) {
      const own = stateText(world);
      let resting = true;
      for (const move of movesFrom(world, ground)) {
        let reached: World;
        try {
          reached = await after(world, move, ground);
        } catch (error) {
          counterexamples.push({ violations: [String(error)], path: [...path(index), move.text] });
          resting = false;
          continue;
        }
        moves += 1;
        const text = stateText(reached);
        if (move.actor === 'carrick' && text !== own) resting = false;
        if (seen.has(text)) continue;
        seen.set(text, came.length);
        next.push([came.length, reached]);
        came.push({ from: index, text: move.text });
      }
      if (!resting) continue;
      quiet += 1;
      const wrong = violations(world, ground);
      if (wrong.length > 0) counterexamples.push({ violations: wrong, path: path(index) });
    }
    layer = next;
  }
  return { states: came.length, moves, quiet, counterexamples };
}

/** Nothing anywhere, or one thing that all systems hold alike. */
async function start(ground: Ground): Promise<World> {
  let world = emptyWorld(ground.bound);
  if (!ground.bound.linked) return world;
  const [name = ''] = ground.bound.systems;
  const system = systemOf(world, name);
  const row = { id: `${name}-1`, values: [KEY, 'a0', 'b0'] };
  const log = [{ changes: [{ before: null, after: row }], batch: null, at: DAWN }];
  world.systems.set(name, shown(world, { ...system, rows: [row], log, nextId: 2 }, row.values));
  for (let moved = true; moved; ) {
    moved = false;
    for (const move of movesFrom(world, ground)) {
      if (move.actor !== 'carrick') continue;
      const next = await after(world, move, ground);
      if (stateText(next) === stateText(world)) continue;
      [world, moved] = [next, true];
      break;
    }
  }
  return world;
}

/** Two worlds with one text have the same future. */
export function stateText(world: World): string {
  const { systems, disk, memory, operations, faults } = world;
  const seqs = [...disk.outbox.keys()].sort((a, b) => a - b);
  const records = [...disk.records.keys()].sort((a, b) => a - b);
  const seq = (number: number): number => seqs.indexOf(number);
  const since = (name: string, batch: number | null): number | null =>
    batch === null ? null : batch - (disk.batches.get(name) ?? 0);
  const entry = ({ entry: e }: { readonly entry: OutboxEntry }) => [
    seq(e.seq),
    e.system,
    records.indexOf(e.record),
    since(e.system, e.batch),
    e.sent,
    e.attempts,
  ];
  const parts = [
    [...systems.values()].map(({ name, rows, log, mark, nextId, known }) => [
      rows,
      log.map(({ batch, ...rest }) => [since(name, batch), rest]),
      since(name, mark),
      nextId,
      [...known].sort(),
    ]),
    [...disk.records.values()].map((record) => recordParts(record, seq)),
    [...disk.outbox.values()].map(entry).sort(),
    [...disk.journal.values()]
      .map(({ id: _, record: __, at: ___, ...rest }) => JSON.stringify(rest))
      .sort(),
    [...disk.parked.values()].map(({ kind, reason, system }) => [kind, reason, system]),
    [...memory.generated]
      .filter(([name]) => isUnread(world, name))
      .map(([name, keys]) => [name.split(':')[0], [...keys.keys()]]),
    [...memory.already].map(seq),
    [...memory.frozen].map(([name, { deliveries }]) => [
      name,
      deliveries.map(({ entry: e, record }) => [seq(e.seq), record.views[name], record.values]),
    ]),
    operations.map(({ seen, ...rest }) => [rest, [...seen].sort()]),
    faults,
  ];
  return hash('sha1', JSON.stringify(parts), 'base64url');
}

const recordParts = ({ id: _, outbox, held, ...rest }: RecordState, seq: (n: number) => number) => [
  rest,
  Object.entries(outbox).map(([system, number]) => [system, seq(number)]),
  Object.keys(held ?? {}),
];

function isUnread({ systems }: World, name: string): boolean {
  const [system = '', batch] = name.split(':');
  return systems.get(system)?.log.some((logged) => logged.batch === Number(batch)) === true;
}
