import type { JournalEntry, Parked } from '../../src/contract/ledger.ts';
import type { Operator } from '../../src/contract/operator.ts';
import { CarrickError } from '../../src/errors.ts';
import { RECORD_UNIT } from '../../src/model/record.ts';
import { createOperator } from '../../src/operate/operator.ts';
import { endOfLog } from './connector.ts';
import { shapeOf } from './installation.ts';
import { whoOf } from './oracle.ts';
import type { Act } from './scenario.ts';
import { Blocked } from './scheduler.ts';
import type { SimulatedSystem } from './system.ts';
import { asUser, isParent } from './users.ts';
import { count, Violation, type World } from './world.ts';

/** A code that no mapping of a tier knows. */
const UNKNOWN_CODE = 'X9';
const HOUR_MS = 3_600_000;
const MANY = { limit: 1000 };

/** Has the process that runs now do something; it may die over it, or say no. */
function ask(world: World, work: (operator: Operator) => Promise<string>): void {
  const { decisions, stop } = world;
  if (decisions === null || !world.running || stop.signal.aborted) return;
  const status = async (): Promise<never> => Promise.reject(new Error('nobody asks'));
  const read = async (): Promise<never> => Promise.reject(new Error('nobody reads'));
  const operator = createOperator(decisions, {
    status,
    read,
    digest: async () => null,
    caughtUp: async () => true,
    log: null,
    alone: false,
    feeds: null,
    mapped: decisions.entities,
    described: async () => ({ entities: [], schemas: undefined }),
  });
  work(operator).then(
    (what) => what !== '' && count(world, what),
    (error: unknown) => {
      if (error instanceof CarrickError) return;
      world.violations.push(new Violation('operator', String(error)));
    },
  );
}

const at = <T>(items: readonly T[], roll: number): T | undefined =>
  items[Math.floor(roll * items.length)];

/** False when it has to wait for somebody's lock. */
export function perform(world: World, act: Act): boolean {
  const { systems, scheduler } = world;
  const { kind, entity, roll } = act;
  const system = systems.get(act.system);
  if (system === undefined) return true;
  switch (kind) {
    case 'retry':
      ask(world, async ({ parked, retry }) => {
        const item = at(await parked(MANY), roll);
        if (item === undefined) return '';
        world.released ||= item.kind === 'hold';
        await retry([item.id]);
        return `retry ${item.kind}`;
      });
      return true;
    case 'resolve':
    case 'restore':
      ask(world, (operator) => decide(world, operator, kind, roll));
      return true;
    case 'resync':
      ask(world, async ({ resync }) => {
        await resync(entity, roll < 0.5 ? null : system.name);
        return kind;
      });
      return true;
    case 'outage':
      count(world, 'outage');
      world.downUntil.set(system.name, scheduler.now() + (1 + roll * 3) * HOUR_MS);
      return true;
    case 'purge':
      count(world, 'purge');
      world.purged = true;
      system.forgotten = endOfLog(system);
      return true;
    case 'drift':
      return drift(world, system, entity, roll);
    default:
      return change(world, system, act);
  }
}

/** Who restores or resolves a sum or a set decides it: it is no longer the sum of its parts. */
async function decide(
  world: World,
  { conflicts, resolve }: Operator,
  kind: 'resolve' | 'restore',
  roll: number,
): Promise<string> {
  const state = kind === 'resolve' ? 'open' : 'settled';
  const entry = at(await conflicts({ ...MANY, state }), roll);
  if (entry === undefined) return '';
  const sides = [entry.incoming.system, entry.standing.system];
  const take = state === 'open' ? at(sides, (roll * 97) % 1) : loserOf(entry);
  if (take === undefined || !world.systems.has(take)) return '';
  const [record] = (await world.ledger.find({ records: [entry.record] })).records;
  if (record == null) return '';
  world.diary.disturbed.add(whoOf(record));
  world.released ||= entry.unit === RECORD_UNIT;
  await resolve(entry.id, { take });
  return kind;
}

const loserOf = ({ incoming, standing, winner }: JournalEntry): string | undefined =>
  [incoming, standing].find(({ system }) => system !== winner)?.system;

function drift(
  world: World,
  system: SimulatedSystem,
  entity: Act['entity'],
  roll: number,
): boolean {
  const { table } = shapeOf(system.name, entity);
  if (system.misfit(table, system.log.length) !== '') return true;
  if (!unlessBlocked(() => system.drift(table, 'a column is gone'))) return false;
  count(world, 'drift');
  world.scheduler.timer(1000 + roll * 120_000, () => {
    system.drift(table, '');
    world.scheduler.changed();
  });
  return true;
}

/** False when somebody's lock is in the way. */
function unlessBlocked(work: () => void): boolean {
  try {
    work();
    return true;
  } catch (error) {
    if (error instanceof Blocked) return false;
    throw error;
  }
}

function change(world: World, system: SimulatedSystem, { kind, entity, roll }: Act): boolean {
  const { diary } = world;
  const { table, columns } = shapeOf(system.name, entity);
  const who = system.tables.get(table)?.who;
  return asUser(system, (session) => {
    const rows = session.rows(table).filter(({ cells }) => !isParent(who?.(cells) ?? ''));
    if (rows.length === 0) return;
    if (kind === 'spoil') {
      const row = at(rows, roll);
      const { tier } = columns;
      if (row === undefined || tier === undefined) return;
      session.update(table, system.keyOf(table, row.cells), { [tier]: UNKNOWN_CODE });
      diary.spoiled.add(who?.(row.cells) ?? '');
      count(world, 'spoiled row');
      return;
    }
    if (kind === 'truncate' && entity === 'order') session.truncate(table);
    else for (const { cells } of rows) session.delete(table, system.keyOf(table, cells));
    count(world, kind);
    for (const { cells } of rows) {
      diary.disturbed.add(who?.(cells) ?? '');
      diary.deletes.push({ system: system.name, who: who?.(cells) ?? '', entity });
    }
  });
}

/** At last the users mend their rows. */
export function mendRows(world: World): boolean {
  let done = true;
  for (const system of world.systems.values()) {
    const { table, columns } = shapeOf(system.name, 'customer');
    const { tier } = columns;
    if (tier === undefined) continue;
    const good = system.name === 'crm' ? 'S' : '1';
    const mended = asUser(system, (session) => {
      for (const { cells } of session.rows(table)) {
        if (cells[tier] !== UNKNOWN_CODE) continue;
        session.update(table, system.keyOf(table, cells), { [tier]: good });
      }
    });
    done &&= mended;
  }
  return done;
}

const ORDER: readonly Parked['kind'][] = ['hold', 'row', 'delivery'];

/** A person goes through all that is parked of one kind. */
export function sweep(world: World, round: number): void {
  const kind = ORDER[round % ORDER.length];
  ask(world, async ({ parked, retry, discard }) => {
    const items = await parked(MANY);
    world.swept ||= items.length === 0;
    const due = items.filter((item) => item.kind === kind && item.reason !== 'schema_drift');
    const isUndone = ({ id }: Parked): boolean =>
      kind === 'hold' && world.random.fork(`sweep ${id}`).chance(0.5);
    const undone = due.filter(isUndone);
    const tried = due.filter((item) => !undone.includes(item));
    world.released ||= kind === 'hold' && due.length > 0;
    await discard(undone.map(({ id }) => id));
    await retry(tried.map(({ id }) => id));
    for (const { reason } of undone) count(world, `${reason} undone`);
    for (const { reason } of tried) count(world, `${reason} tried again`);
    return 'sweep';
  });
}
