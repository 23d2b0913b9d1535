import type {
  Applier,
  ApplyTransaction,
  Outcome,
  RowWrite,
  TableWrite,
} from '../../src/contract/applier.ts';
import type { Value } from '../../src/model/value.ts';
import {
  APART,
  type Change,
  DAWN,
  type Row,
  type System,
  shown,
  systemOf,
  type World,
} from './world.ts';

/** How the answer to COMMIT comes: it does, it is lost on its way, or there was no commit. */
export type Answer = 'answered' | 'committed' | 'lost';

export class Torn extends Error {}

/** A target that does what `src/contract/applier.ts` says; the CRM takes plain updates at once. */
export function modelApplier(world: World, name: string, answer: Answer, blind = false): Applier {
  const begin = async (batch: number): Promise<ApplyTransaction> =>
    openTransaction({ world, name, answer, blind }, batch);
  return {
    committed: async () => systemOf(world, name).mark,
    begin,
    ...(name === 'crm' && {
      async update(batch, write) {
        const transaction = await begin(batch);
        const outcomes = await transaction.write(write);
        await transaction.commit();
        return outcomes.map((one) => (one.kind === 'already' ? { kind: 'diverged' } : one));
      },
    }),
    fence: async () => undefined,
    ping: async () => undefined,
    async [Symbol.asyncDispose]() {},
  };
}

interface Ground {
  readonly world: World;
  readonly name: string;
  readonly answer: Answer;
  readonly blind: boolean;
}

function openTransaction({ world, name, answer, blind }: Ground, batch: number): ApplyTransaction {
  const changes: Change[] = [];
  let system = systemOf(world, name);
  return {
    async write(write) {
      return write.rows.map((row) => {
        const { outcome, change } = writeRow(system, blind ? unasked(write) : write, row);
        if (change !== null) {
          assertSeen(systemOf(world, name), change);
          changes.push(change);
          system = { ...withChange(system, change) };
        }
        return outcome;
      });
    },
    async inTheWay(insert, columns) {
      return insert.rows.map((row) =>
        hits(system, insert, row).map((hit) => columns.map((column) => cellOf(hit, column))),
      );
    },
    async commit() {
      if (answer !== 'lost') {
        const at = DAWN + world.operations.length * APART + APART / 2;
        const log = [...system.log, { changes, batch, at }];
        const values = changes.flatMap(({ after }) => after?.values ?? []);
        world.systems.set(name, shown(world, { ...system, log, mark: batch }, values));
      }
      if (answer !== 'answered') throw new Torn();
    },
    async [Symbol.asyncDispose]() {},
  };
}

const unasked = (write: TableWrite): TableWrite => ({ ...write, compare: [] });

const withChange = (system: System, { before, after }: Change): System => {
  const rows = system.rows.filter(({ id }) => id !== before?.id);
  const nextId = system.nextId + (before === null ? 1 : 0);
  return { ...system, rows: after === null ? rows : [...rows, after], nextId };
};

const COLUMNS = ['id', 'k', 'a', 'b'];

const cellOf = ({ id, values }: Row, column: string): Value =>
  column === 'id' ? id : (values[COLUMNS.indexOf(column) - 1] ?? null);

const hits = ({ rows }: System, { columns, guards }: TableWrite, { values }: RowWrite): Row[] =>
  rows.filter((row) =>
    guards.some((guard) =>
      guard.every((column) => cellOf(row, column) === values[columns.indexOf(column)]),
    ),
  );

interface Written {
  readonly outcome: Outcome;
  readonly change: Change | null;
}

function writeRow(system: System, write: TableWrite, row: RowWrite): Written {
  const { op, columns, compare } = write;
  const { key, values, expect } = row;
  const none = (kind: 'already' | 'diverged'): Written => ({ outcome: { kind }, change: null });
  const wanted = (column: string): Value | undefined => {
    const i = columns.indexOf(column);
    return i < 0 ? undefined : (values[i] ?? null);
  };
  if (op === 'insert') {
    if (hits(system, write, row).length > 0) return none('diverged');
    const id = `${system.name}-${system.nextId}`;
    const after = { id, values: ['k', 'a', 'b'].map((column) => wanted(column) ?? null) };
    return { outcome: { kind: 'applied', key: [id] }, change: { before: null, after } };
  }
  const before = system.rows.find(({ id }) => id === key?.[0]);
  if (before === undefined) return none(op === 'delete' ? 'already' : 'diverged');
  const holds = (names: readonly string[], cells: readonly Value[]): boolean =>
    names.every((name, i) => cellOf(before, name) === cells[i]);
  if (op === 'update' && holds(columns, values)) return none('already');
  if (!holds(compare, expect)) return none('diverged');
  const applied: Outcome = { kind: 'applied', key: [before.id] };
  if (op === 'delete') return { outcome: applied, change: { before, after: null } };
  const next = before.values.map((value, f) => wanted(COLUMNS[f + 1] ?? '') ?? value);
  return { outcome: applied, change: { before, after: { ...before, values: next } } };
}

/** Invariant 3: what is written over was read from the log before. */
function assertSeen({ name, log }: System, { before, after }: Change): void {
  if (before === null) return;
  const unread = new Set(
    log.filter(({ batch }) => batch === null).flatMap(({ changes }) => changes.flatMap(newValues)),
  );
  for (const [f, value] of before.values.entries()) {
    if (value !== after?.values[f] && value !== null && unread.has(value)) {
      throw new Error(`blind write: ${value} in ${name} was not read yet`);
    }
  }
}

const newValues = ({ before, after }: Change): Value[] =>
  (after?.values ?? []).filter((value, f) => value !== before?.values[f]);
