import type { Entity, Lens, Read } from '../contract/entity.ts';
import type { ParkedRow } from '../contract/ledger.ts';
import type { Repair } from '../contract/patch.ts';
import type { Change, TableSpec, Transaction } from '../model/change.ts';
import { type Cell, type Micros, rowKey, type Value } from '../model/value.ts';

/** Where the rows of one table go: one route for each entity that maps the table. */
export interface Route {
  readonly entity: Entity;
  readonly lens: Lens;
  /** Source column for each of the lens's columns; null when they are the same. */
  readonly pick: readonly number[] | null;
  readonly keyAt: readonly number[];
}

/** News of one row for one entity. */
export interface RowEvent {
  readonly entity: Entity;
  readonly lens: Lens;
  readonly key: string;
  /** The key before, where the change moved it; else the same as `key`. */
  readonly oldKey: string;
  /** In the order of the lens's columns; null: the row is gone. */
  readonly cells: readonly Cell[] | null;
  readonly at: Micros;
  /** `log`: a change. `reading`: what the row holds, written at a time that nobody knows. */
  readonly origin: 'log' | 'reading';
  /** The row is read to be repaired; absent: it is not. */
  readonly repair?: Repair;
  /** Of a row that is gone: a person decided what becomes of it, and knows when it went, µs. */
  readonly decided?: { readonly restore: boolean; readonly at: Micros } | undefined;
  /** A parked row is tried again: its number. Its cells are what is known of it by then. */
  readonly parkedAs?: number;
  /** What a full image reads as; kept so that a second pass need not read it again. */
  read: Read | null;
}

/** A row that a person wants repaired. */
export interface RepairedRow extends Repair {
  readonly entity: string;
  readonly key: readonly Value[];
}

export type Routes = ReadonlyMap<TableSpec, readonly Route[]>;

/** The row news of a transaction, in log order. Truncates and drifts are not rows. */
export function rowEvents(transaction: Transaction, routes: Routes): RowEvent[] {
  const events: RowEvent[] = [];
  const replaced = replacedRows(transaction.changes);
  for (const change of transaction.changes) {
    if (change.op === 'truncate' || change.op === 'drift' || replaced?.has(change)) continue;
    for (const route of routes.get(change.table) ?? []) {
      const gone = change.op === 'delete';
      const image = gone ? (change.old ?? []) : change.row;
      const key = keyOf(image, route);
      events.push({
        entity: route.entity,
        lens: route.lens,
        key,
        oldKey: (change.old === null ? null : wholeKey(change.old, route)) ?? key,
        cells: gone ? null : pick(image, route.pick),
        at: transaction.committedAt,
        origin: 'log',
        read: null,
      });
    }
  }
  return events;
}

/**
 * Deletes that an insert of the same row follows in one transaction: REPLACE, and programs that
 * save by deleting and inserting. Such a row was changed; taken as a delete it would lose its
 * record.
 */
function replacedRows(changes: readonly Change[]): ReadonlySet<Change> | null {
  const has = (op: Change['op']) => changes.some((change) => change.op === op);
  if (!has('delete') || !has('insert')) return null;
  const replaced = new Set<Change>();
  const inserted = new Map<TableSpec, Set<string>>();
  for (const change of changes.toReversed()) {
    const { table, op, old } = change;
    const image = op === 'delete' ? old : change.row;
    if (image === null || op === 'truncate' || op === 'drift') continue;
    const keyAt = table.key.map((name) => table.columns.indexOf(name));
    const key = rowKey(keyAt.map((i) => image[i] ?? null));
    const keys = inserted.get(table) ?? new Set();
    inserted.set(table, keys);
    if (op === 'insert') keys.add(key);
    else if (keys.delete(key) && op === 'delete') replaced.add(change);
  }
  return replaced;
}

export const pick = (row: readonly Cell[], by: readonly number[] | null): readonly Cell[] =>
  by === null ? row : by.map((i) => row[i]);

export const keyOf = (row: readonly Cell[], route: Route): string =>
  rowKey(route.keyAt.map((i) => row[i] ?? null));

function wholeKey(row: readonly Cell[], route: Route): string | null {
  const values: Value[] = [];
  for (const i of route.keyAt) {
    const cell = row[i];
    if (cell === undefined) return null;
    values.push(cell);
  }
  return rowKey(values);
}

/**
 * What a snapshot chunk says of its rows; keys that were asked for and have no row are gone. Rows
 * that are read to be repaired are news for the entity that is repaired alone.
 */
export function chunkEvents(
  table: TableSpec,
  rows: readonly (readonly Cell[])[],
  missing: readonly (readonly Value[])[],
  routes: Routes,
  at: Micros,
  repairs: readonly RepairedRow[] = [],
  decided?: RowEvent['decided'],
): RowEvent[] {
  const events: RowEvent[] = [];
  for (const route of routes.get(table) ?? []) {
    const { entity, lens } = route;
    const wanted = new Map(repairs.map((one) => [rowKey(one.key), one] as const));
    const base = { entity, lens, at, origin: 'reading', read: null } as const;
    const tell = (key: string, cells: RowEvent['cells']): void => {
      const asked = wanted.get(key);
      if (asked !== undefined && asked.entity !== entity.name) return;
      const repair = asked === undefined ? {} : { repair: { from: asked.from } };
      const gone = cells === null && asked === undefined ? { decided } : {};
      events.push({ ...base, ...repair, ...gone, key, oldKey: key, cells });
    };
    for (const row of rows) {
      tell(keyOf(row, route), pick(row, route.pick));
    }
    for (const values of missing) tell(rowKey(values), null);
  }
  return events;
}

/** A parked row tried again, as it is known; null when its entity or system is no longer mapped. */
export function parkedEvent(
  row: ParkedRow,
  entities: ReadonlyMap<string, Entity>,
): RowEvent | null {
  const entity = entities.get(row.entity);
  const lens = entity?.lenses.get(row.system);
  if (entity === undefined || lens === undefined) return null;
  const { key, since: at, id: parkedAs } = row;
  const cells = cellsOf(row, lens);
  return { entity, lens, key, oldKey: key, cells, at, origin: 'log', parkedAs, read: null };
}

/**
 * A parked row was looked up before its turn came: its log may have told more of it, and then what
 * it was is no news any more. Null: it has been taken, or is gone.
 */
export function asParkedNow(event: RowEvent, parked: ParkedRow | null): RowEvent | null {
  if (event.parkedAs === undefined) return event;
  if (parked?.id !== event.parkedAs) return null;
  return { ...event, cells: cellsOf(parked, event.lens), read: null };
}

const cellsOf = ({ cells }: ParkedRow, { table }: Lens): RowEvent['cells'] =>
  cells === null ? null : table.columns.map((name) => cells[name]);
