/** What can happen next, and what the world is like after it. */
import type { Entity } from '../../src/contract/entity.ts';
import { type Decisions, openDecisions } from '../../src/decide/decisions.ts';
import { type Applied, apply, recover } from '../../src/decide/deliveries.ts';
import { echoName, openEchoOf } from '../../src/decide/echoes.ts';
import { prepare } from '../../src/decide/freeze.ts';
import { refusalText } from '../../src/decide/pass.ts';
import { routesOf } from '../../src/decide/routes.ts';
import { openMemoryLedger } from '../../src/ledger/memory.ts';
import type { Change as LoggedChange } from '../../src/model/change.ts';
import type { Position } from '../../src/model/position.ts';
import { rowEvents } from '../../src/reconcile/row-event.ts';
import { type Answer, modelApplier, Torn } from './applier.ts';
import {
  APART,
  type Bound,
  type Change,
  copyWorld,
  DAWN,
  emptyMemory,
  KEY,
  type Row,
  shown,
  systemOf,
  type World,
  WRITABLE,
} from './world.ts';

/** `text` is what a counterexample prints. */
export interface Move {
  readonly text: string;
  readonly actor: 'user' | 'carrick' | 'fault';
  readonly run: (world: World, ground: Ground) => Promise<void> | void;
}

export interface Ground {
  readonly bound: Bound;
  readonly entity: Entity;
  readonly defect: Defect | null;
}

/** Deliberate: each has to be found (`explorer.test.ts`). */
export type Defect = 'blind writes' | 'echoes are changes' | 'nothing is taken back';

export function movesFrom(world: World, { bound }: Ground): Move[] {
  const moves: Move[] = [];
  const carrick = (text: string, run: Move['run']) => moves.push({ text, actor: 'carrick', run });
  const fault = (text: string, run: Move['run']) => {
    if (world.faults < bound.faults) moves.push({ text, actor: 'fault', run });
  };
  for (const { name, rows, log } of world.systems.values()) {
    if (world.operations.length < bound.operations) moves.push(...userMoves(name, rows));
    if (log.length > 0) carrick(`read ${name}`, read(name));
    if (!world.memory.frozen.has(name)) carrick(`freeze for ${name}`, freeze(name));
    else {
      carrick(`apply to ${name}`, send(name, 'answered'));
      fault(`apply to ${name}, the answer is lost`, send(name, 'committed'));
      fault(`apply to ${name}, the connection tears`, send(name, 'lost'));
    }
  }
  fault('kill -9', kill);
  return moves;
}

/** The world after a move; the one before is left as it was. */
export async function after(world: World, move: Move, ground: Ground): Promise<World> {
  const next = copyWorld(world);
  await move.run(next, ground);
  if (move.actor === 'fault') next.faults += 1;
  return next;
}

function userMoves(system: string, rows: readonly Row[]): Move[] {
  const act = (text: string, changeOf: (number: number, world: World) => Change): Move => ({
    text: `${system}: ${text}`,
    actor: 'user',
    run: (world, { bound }) => {
      const number = world.operations.length + 1;
      userChanges(world, bound, system, changeOf(number, world));
    },
  });
  if (rows.length === 0) {
    return [
      act('insert', (n, world) => {
        const id = `${system}-${systemOf(world, system).nextId}`;
        return { before: null, after: { id, values: [KEY, `a${n}`, `b${n}`] } };
      }),
    ];
  }
  return rows.flatMap((row) => [
    ...WRITABLE.map((field, i) =>
      act(`set ${field}`, (n) => ({
        before: row,
        after: { ...row, values: row.values.with(i + 1, `${field}${n}`) },
      })),
    ),
    act('delete', () => ({ before: row, after: null })),
  ]);
}

/** One transaction of a user; its author knows all that was ever seen in that system. */
export function userChanges(world: World, bound: Bound, name: string, change: Change): void {
  const { before, after: to } = change;
  const system = systemOf(world, name);
  const number = world.operations.length + 1;
  const wrote =
    to === null
      ? [`d${number}`]
      : to.values.filter(
          (value): value is string =>
            value !== null && value !== KEY && !before?.values.includes(value),
        );
  const at = DAWN + number * APART + (name === bound.systems[0] ? bound.skew : 0);
  const kind = to === null ? 'delete' : before === null ? 'insert' : 'update';
  world.operations = [...world.operations, { system: name, kind, wrote, seen: system.known, at }];
  const rows = system.rows.filter(({ id }) => id !== before?.id);
  const next = {
    ...system,
    rows: to === null ? rows : [...rows, to],
    nextId: system.nextId + (kind === 'insert' ? 1 : 0),
    log: [...system.log, { changes: [change], batch: null, at }],
  };
  world.systems.set(name, shown(world, next, wrote));
}

/** A process on what the disk holds, with what the last one still remembers. */
async function processOn(world: World, { bound, entity }: Ground): Promise<Decisions> {
  const ledger = openMemoryLedger(undefined, world.disk);
  const entities = new Map([[entity.name, entity]]);
  const decisions = openDecisions(ledger, entities, bound.systems, {});
  const { memory } = world;
  for (const [name, keys] of memory.generated) decisions.generated.set(name, keys);
  for (const [seq, reason] of memory.refused) decisions.refused.set(seq, reason);
  for (const seq of memory.already) decisions.already.add(seq);
  for (const item of world.disk.parked.values()) {
    if (item.kind !== 'delivery') continue;
    decisions.refusals.set(refusalText(item.system, item.record), item.id);
  }
  const { generated, refused, already } = decisions;
  world.memory = { generated, refused, already, frozen: memory.frozen };
  return decisions;
}

/** `follow` of src/pipeline.ts, for one transaction. */
const read =
  (name: string): Move['run'] =>
  async (world, ground) => {
    const decisions = await processOn(world, ground);
    const { tables, routes } = routesOf(name, [ground.entity]);
    const system = systemOf(world, name);
    const [logged, ...log] = system.log;
    const [table] = tables;
    if (logged === undefined || table === undefined) return;
    const transaction = `${name} ${system.read + 1}`;
    const { at, batch } = logged;
    const changes = logged.changes.map((change): LoggedChange => ({ table, ...imageOf(change) }));
    const whole = { id: transaction, committedAt: at, mark: null, changes, complete: true };
    const ours = batch !== null && ground.defect !== 'echoes are changes';
    const echo = ours ? await openEchoOf(decisions, name, batch) : null;
    const events = rowEvents(whole, routes);
    await decisions.decide(
      [{ system: name, transaction, at, origin: 'log', events, echo, complete: true }],
      {
        system: name,
        state: ({ unread }) => {
          if (unread.size > 0) throw new Error('a row is to be read again');
          const position = String(system.read + 1) as Position;
          return { position, openTransaction: null, snapshots: {} };
        },
      },
    );
    if (batch !== null) decisions.generated.delete(echoName(name, batch));
    world.systems.set(name, { ...systemOf(world, name), log, read: system.read + 1 });
  };

function imageOf({ before, after: to }: Change): Pick<LoggedChange, 'op' | 'row' | 'old'> {
  const cells = ({ id, values }: Row) => [id, ...values];
  if (to === null) return { op: 'delete', row: [], old: before && cells(before) };
  return { op: before === null ? 'insert' : 'update', row: cells(to), old: null };
}

const freeze =
  (name: string): Move['run'] =>
  async (world, ground) => {
    const decisions = await processOn(world, ground);
    const number = decisions.ledger.head().batches[name] ?? 0;
    const batch = await prepare(decisions, name, number + 1, () => undefined);
    if (batch === null || batch === 'progress') return;
    await batch.frozen;
    world.memory.frozen.set(name, batch);
  };

const send =
  (name: string, answer: Answer): Move['run'] =>
  async (world, ground) => {
    const decisions = await processOn(world, ground);
    const batch = world.memory.frozen.get(name);
    if (batch === undefined) return;
    world.memory.frozen.delete(name);
    const applier = modelApplier(world, name, answer, ground.defect === 'blind writes');
    try {
      const written = ({ outcomes, generated }: Applied): void => {
        decisions.generated.set(echoName(name, batch.number), generated);
        for (const [{ entry }, outcome] of outcomes) {
          if (outcome.kind === 'already') decisions.already.add(entry.seq);
        }
      };
      // Other branches send it too, and what is sent is taken out of it.
      const sending = { ...batch, deliveries: [...batch.deliveries] };
      await apply(applier, sending, { buried: new Map(), written, more: async () => null });
    } catch (error) {
      if (!(error instanceof Torn)) throw error;
      if (ground.defect === 'nothing is taken back') return;
      await recover(decisions, name, applier, batch.number);
    }
  };

/** Nothing is left but the disk; the next process looks at every mark before it delivers. */
const kill: Move['run'] = async (world, ground) => {
  world.memory = emptyMemory();
  const decisions = await processOn(world, ground);
  for (const name of world.systems.keys()) {
    const applier = modelApplier(world, name, 'answered');
    await recover(decisions, name, applier, decisions.ledger.head().batches[name] ?? 0);
  }
};
