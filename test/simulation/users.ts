import type { Value } from '../../src/model/value.ts';
import { shapeOf } from './installation.ts';
import type { Action, UserTransaction } from './scenario.ts';
import { Blocked } from './scheduler.ts';
import { type Cells, Refusal, type Session, type SimulatedSystem } from './system.ts';

/** What users did that the oracle asks about; never read by the pipeline. */
export interface Diary {
  /** Numbers given out: every text a user writes is new. */
  counter: number;
  transactions: number;
  /** Sum of all deltas by thing and field. */
  readonly deltas: Map<string, number>;
  /** Each of them, and in which commit of which log it was made. */
  readonly steps: {
    readonly who: string;
    readonly delta: number;
    readonly system: string;
    readonly table: string;
    readonly commit: number;
  }[];
  /** Rows that got another key, and in which commit of which log. */
  readonly moves: Omit<Diary['steps'][number], 'delta'>[];
  /** Members added by thing. */
  readonly members: Map<string, Set<string>>;
  /** Things that were created twice, deleted, or left: sums over them are not plain. */
  readonly disturbed: Set<string>;
  readonly created: Map<string, string>;
  readonly renumbered: Set<string>;
  /** Parked as invalid for a while. */
  readonly spoiled: Set<string>;
  /** Taken out of `where`, or soft-deleted, at some time. */
  readonly hidden: Set<string>;
  readonly deletes: { readonly system: string; readonly who: string; readonly entity: string }[];
}

export const openDiary = (): Diary => ({
  counter: 0,
  transactions: 0,
  deltas: new Map(),
  steps: [],
  moves: [],
  members: new Map(),
  disturbed: new Set(),
  created: new Map(),
  renumbered: new Set(),
  spoiled: new Set(),
  hidden: new Set(),
  deletes: [],
});

/** Does one user's transaction; false when it has to wait for somebody's lock. */
export function act(system: SimulatedSystem, { actions }: UserTransaction, diary: Diary): boolean {
  const notes: (() => void)[] = [];
  const before = diary.counter;
  const came = attempt(system, (session) => {
    for (const action of actions) perform(system, session, action, diary, notes);
  });
  if (came === 'done') {
    for (const note of notes) note();
    diary.transactions += 1;
  } else diary.counter = before;
  return came !== 'waits';
}

/** One transaction of a user; false when it has to wait for somebody's lock. */
export const asUser = (system: SimulatedSystem, work: (session: Session) => void): boolean =>
  attempt(system, work) !== 'waits';

/** `refused`: the system does not let this user do it; nothing was done. */
function attempt(
  system: SimulatedSystem,
  work: (session: Session) => void,
): 'done' | 'refused' | 'waits' {
  const session = system.session('user');
  try {
    work(session);
  } catch (error) {
    session.rollback();
    if (error instanceof Blocked) return 'waits';
    if (error instanceof Refusal) return 'refused';
    throw error;
  }
  session.commit();
  return 'done';
}

function perform(
  system: SimulatedSystem,
  session: Session,
  action: Action,
  diary: Diary,
  notes: (() => void)[],
): void {
  const { entity, kind, who } = action;
  const { table, key, columns, generated } = shapeOf(system.name, entity);
  const number = columns[entity === 'customer' ? 'customer_no' : 'order_no'] ?? '';
  const row = session.rows(table).find(({ cells }) => (cells[number] ?? '').split('~')[0] === who);
  if (row === undefined) {
    if (kind !== 'create') return;
    const cells = valuesFor(system, session, action, {}, diary, notes);
    session.insert(table, { ...cells, [number]: who });
    notes.push(() => noteCreated(diary, who, system.name));
    return;
  }
  const at = system.keyOf(table, row.cells);
  session.row(table, at);
  const disturb = (): void => void notes.push(() => diary.disturbed.add(who));
  switch (kind) {
    case 'create':
    case 'update':
      session.update(table, at, valuesFor(system, session, action, row.cells, diary, notes));
      return;
    case 'delete':
      if (isParent(who) && !isKept(system, table)) return;
      session.delete(table, at);
      disturb();
      notes.push(() => diary.deletes.push({ system: system.name, who, entity }));
      return;
    case 'toggle': {
      if (!('is_vendor' in row.cells) || isParent(who)) return;
      const column = action.roll < 0.5 ? 'is_vendor' : 'active';
      session.update(table, at, { [column]: row.cells[column] === 'true' ? 'false' : 'true' });
      notes.push(() => diary.hidden.add(who));
      disturb();
      return;
    }
    case 'rekey':
      diary.counter += 1;
      if (!generated || isParent(who)) return;
      session.update(table, at, { [key[0] ?? '']: `${9000 + diary.counter}` });
      notes.push(() => {
        const commit = system.log.length - 1;
        diary.moves.push({ who, system: system.name, table, commit });
      });
      return;
    case 'renumber':
      if (isParent(who)) return;
      diary.counter += 1;
      session.update(table, at, { [number]: `${who}~${diary.counter}` });
      notes.push(() => diary.renumbered.add(who));
      disturb();
  }
}

/** No row is left that refers to one that is gone: foreign keys see to that. */
const isKept = ({ tables }: SimulatedSystem, table: string): boolean =>
  [...tables.values()].some(({ references }) => references?.table === table);

/** These customers have orders: without foreign keys nobody deletes them or changes their keys. */
export const isParent = (who: string): boolean => who === 'C2' || who === 'C3';

function noteCreated(diary: Diary, who: string, system: string): void {
  if (diary.created.has(who)) diary.disturbed.add(who);
  diary.created.set(who, system);
}

const TIERS: Readonly<Record<string, readonly string[]>> = {
  crm: ['S', 'G', 'P'],
  erp: ['1', '2', '3'],
};

function valuesFor(
  system: SimulatedSystem,
  session: Session,
  { entity, who, fields, roll }: Action,
  held: Cells,
  diary: Diary,
  notes: (() => void)[],
): Record<string, Value> {
  const { table, columns } = shapeOf(system.name, entity);
  const cells: Record<string, Value> = {};
  for (const field of fields) {
    const column = columns[field];
    if (column === undefined) continue;
    diary.counter += 1;
    const n = diary.counter;
    const now = held[column] ?? null;
    if (field === 'tier') cells[column] = TIERS[system.name]?.[Math.floor(roll * 3)] ?? null;
    else if (field === 'credit') cells[column] = `${Math.floor(roll * 100)}.00`;
    else if (field === 'points' || field === 'qty') {
      const delta = 1 + Math.floor(roll * 5);
      cells[column] = `${Number(now ?? 0) + delta}`;
      notes.push(() => {
        const commit = system.log.length - 1;
        diary.steps.push({ who, delta, system: system.name, table, commit });
        diary.deltas.set(who, (diary.deltas.get(who) ?? 0) + delta);
      });
    } else if (field === 'tags') {
      cells[column] = JSON.stringify([...JSON.parse(now ?? '[]'), `t${n}`].sort());
      const members = diary.members.get(who) ?? new Set();
      notes.push(() => diary.members.set(who, members.add(`t${n}`)));
    } else if (field === 'customer') {
      const parent = parentFor(system, session, roll);
      if (parent !== null) cells[column] = parent;
    } else if (field === 'email') cells[column] = `E${n}@X`;
    else if (field === 'amount') cells[column] = `${n}.37`;
    else cells[column] = `${field.slice(0, 2)}${n}`;
  }
  return cells;
}

/** Only customers that nobody deletes have orders. */
function parentFor(system: SimulatedSystem, session: Session, roll: number): Value {
  if (system.name === 'web') return null;
  const { table, columns } = shapeOf(system.name, 'customer');
  const parents = session
    .rows(table)
    .filter(({ cells }) => isParent(cells[columns.customer_no ?? ''] ?? ''))
    .map(({ cells }) => system.keyOf(table, cells))
    .sort();
  const parent = parents[Math.floor(roll * parents.length)] ?? null;
  if (parent !== null) session.row(table, parent);
  return parent;
}
