import { rowKey, rowKeyValues, type Value } from '../../src/model/value.ts';
import type { FeedAct, FeedAction } from './feed-scenario.ts';
import { UNKNOWN_CODE } from './feed-setup.ts';
import type { Cells, Session, SimulatedSystem } from './system.ts';
import { asUser } from './users.ts';

/** Values are numbered: no two writes make the same text. */
export interface Pen {
  next: number;
}

export const transact = (
  system: SimulatedSystem,
  actions: readonly FeedAction[],
  pen: Pen,
): boolean =>
  asUser(system, (session) => {
    for (const action of actions) perform(system, session, action, pen);
  });

/** The keys that rows may have. */
const keyOf = (table: FeedAction['table'], n: number): string[] =>
  table === 'public.items' ? [`I${n}`] : [`I${n >> 1}`, n % 2 === 0 ? 'a' : 'b'];

function perform(
  system: SimulatedSystem,
  session: Session,
  { table, kind, who, other, fields, roll }: FeedAction,
  pen: Pen,
): void {
  const names = system.tables.get(table)?.key ?? [];
  const named = (key: readonly Value[]): Record<string, Value> =>
    Object.fromEntries(names.map((name, i) => [name, key[i] ?? null]));
  const key = rowKey(keyOf(table, who));
  const row = session.row(table, key);
  const move = (from: string, to: readonly Value[]): void =>
    void session.update(table, from, named(to));
  if (row === null) {
    if (kind !== 'create') return;
    session.insert(table, {
      ...(table === 'public.items' ? { kind: 'S' } : {}),
      ...valuesFor(fields, roll, pen),
      ...named(rowKeyValues(key, names.length)),
    });
    return;
  }
  const taken = session.row(table, rowKey(keyOf(table, other))) !== null;
  switch (kind) {
    case 'create':
    case 'update':
      session.update(table, key, valuesFor(fields, roll, pen));
      return;
    case 'touch':
      if (table === 'public.items') session.update(table, key, { inside: `${pen.next++}` });
      return;
    case 'delete':
      session.delete(table, key);
      return;
    case 'toggle':
      if (!('hidden' in row.cells)) return;
      session.update(table, key, {
        hidden: row.cells.hidden === 'true' ? 'false' : 'true',
        ...(roll < 0.3 ? valuesFor(fields, roll, pen) : {}),
      });
      return;
    case 'rekey':
      if (taken || other === who) return;
      session.update(table, key, {
        ...named(keyOf(table, other)),
        ...(roll < 0.3 ? valuesFor(fields, roll, pen) : {}),
      });
      return;
    case 'swap':
      if (!taken || other === who) return;
      move(key, keyOf(table, 20));
      move(rowKey(keyOf(table, other)), keyOf(table, who));
      move(rowKey(keyOf(table, 20)), keyOf(table, other));
      return;
    case 'spoil':
      session.update(
        table,
        key,
        table === 'public.items' ? { kind: UNKNOWN_CODE } : { amount: `-${pen.next++}` },
      );
  }
}

function valuesFor(fields: readonly string[], roll: number, pen: Pen): Record<string, Value> {
  const values: Record<string, Value> = {};
  for (const field of fields) {
    const n = pen.next++;
    if (field === 'kind') values[field] = roll < 0.5 ? 'S' : 'G';
    else if (field === 'slot') values[field] = roll < 0.5 ? null : `${Math.floor(roll * 8)}`;
    else values[field] = `${field.slice(0, 2)}${n}`;
  }
  return values;
}

/** All rows at once. */
export const clear = (
  system: SimulatedSystem,
  kind: 'wipe' | 'truncate',
  table: FeedAct['table'],
): boolean =>
  asUser(system, (session) => {
    if (kind === 'truncate') session.truncate(table);
    else
      for (const { cells } of session.rows(table))
        session.delete(table, keyIn(system, table, cells));
  });

const keyIn = (system: SimulatedSystem, table: string, cells: Cells): string =>
  system.keyOf(table, cells);

/** At last the users mend their rows: no unknown code, nothing that a target refuses. */
export const mend = (system: SimulatedSystem): boolean =>
  asUser(system, (session) => {
    for (const table of ['public.items', 'public.prices'] as const) {
      for (const [i, { cells }] of session.rows(table).entries()) {
        const at = keyIn(system, table, cells);
        if (cells.kind === UNKNOWN_CODE) session.update(table, at, { kind: 'S' });
        if (cells.amount?.startsWith('-'))
          session.update(table, at, { amount: cells.amount.slice(1) });
        if (table === 'public.items' && cells.slot !== null)
          session.update(table, at, { slot: `m${i}` });
      }
    }
  });
