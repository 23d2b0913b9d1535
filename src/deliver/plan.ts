import type { RowWrite, TableWrite } from '../contract/applier.ts';
import type { Entity, Lens } from '../contract/entity.ts';
import type { OutboxEntry, Sent } from '../contract/ledger.ts';
import type { RecordId, RecordState } from '../model/record.ts';
import { type Cell, rowKey, rowKeyValues, type Value } from '../model/value.ts';
import { hasRefs, type Need, needOf, only, writeCells } from './need.ts';

/** One decided write of a batch. */
export interface Delivery {
  readonly entry: OutboxEntry;
  readonly entity: Entity;
  readonly lens: Lens;
  readonly record: RecordState;
  readonly need: Need;
  readonly sent: Sent;
  /** The columns for `sent`, and for what the row is known to hold; references left out. */
  readonly cells: Cells;
  /** Records whose row key in the target it needs. */
  readonly parents: readonly RecordId[];
}

interface Cells {
  readonly wanted: readonly Cell[];
  readonly held: readonly Cell[];
}

export interface Plan {
  readonly deliveries: Delivery[];
  /** Entries whose system has caught up by itself. */
  readonly idle: readonly OutboxEntry[];
  /** Entries that have to wait until a parent has a row in the target. */
  readonly blocked: readonly { readonly entry: OutboxEntry; readonly waits: RecordId }[];
  /** Entries with a value that the target's columns cannot hold, or a parent that is gone. */
  readonly unwritable: readonly { readonly entry: OutboxEntry; readonly fault: string }[];
}

/** The row key of a record in the target, or null when it has none yet. */
export type KeyOf = (record: RecordId) => string | null;

/**
 * Decides what each entry takes now. Pure. `keyOf` knows the parents' keys in the target, `isGone`
 * which parents no system has any longer: they will never have one.
 */
export function plan(
  entries: readonly OutboxEntry[],
  recordOf: (id: RecordId) => RecordState | null,
  entityOf: (name: string) => Entity | undefined,
  { keyOf, isGone }: { readonly keyOf: KeyOf; readonly isGone: (parent: RecordId) => boolean },
): Plan {
  const wanted: Delivery[] = [];
  const idle: OutboxEntry[] = [];
  const unwritable: { entry: OutboxEntry; fault: string }[] = [];
  for (const entry of entries) {
    const record = recordOf(entry.record);
    const entity = entityOf(entry.entity);
    const lens = entity?.lenses.get(entry.system);
    if (record === null || entity === undefined || lens === undefined) {
      idle.push(entry);
      continue;
    }
    const need = needOf(entity, lens, record);
    if (need === null) {
      idle.push(entry);
      continue;
    }
    const sent = sentOf(entity, lens, record, need);
    const cells = cellsOf(entity, lens, record, need, sent);
    const fault = 'fault' in cells ? cells.fault : orphanFault(entity, sent, isGone);
    if ('fault' in cells || fault !== null) {
      unwritable.push({ entry, fault: fault ?? '' });
      continue;
    }
    const parents = parentsOf(entity, sent.values);
    wanted.push({ entry, entity, lens, record, need, sent, cells, parents });
  }
  return { ...splitBlocked(wanted, keyOf), idle, unwritable };
}

function sentOf(entity: Entity, { system }: Lens, record: RecordState, need: Need): Sent {
  const { op, fields } = need;
  const values = only(record.values, fields);
  if (op !== 'update') return { op, values };
  const over: Record<number, Value> = {};
  for (const f of comparedFields(entity, fields)) {
    const held = record.views[system]?.values[f];
    if (held !== undefined) over[f] = held;
  }
  return { op, values, over };
}

/** What is written, and the groups it belongs to. */
const comparedFields = (entity: Entity, fields: readonly number[]): ReadonlySet<number> =>
  new Set(fields.flatMap((f) => [f, ...(entity.units[entity.unitOf[f] ?? -1]?.fields ?? [])]));

function cellsOf(
  entity: Entity,
  lens: Lens,
  record: RecordState,
  need: Need,
  sent: Sent,
): Cells | { readonly fault: string } {
  const wanted = need.written ?? writeCells(entity, lens, sent.values);
  if ('fault' in wanted) return wanted;
  const view = record.views[lens.system];
  const held = view === undefined ? { cells: [] } : writeCells(entity, lens, view.values);
  return 'fault' in held ? held : { wanted: wanted.cells, held: held.cells };
}

/** Nothing is written in place of a reference that means nothing any more: a person has to look. */
function orphanFault(
  { fields }: Entity,
  { values }: Sent,
  isGone: (parent: RecordId) => boolean,
): string | null {
  const orphan = fields.find(
    ({ ref }, f) => ref !== null && values[f] != null && isGone(Number(values[f])),
  );
  if (orphan === undefined) return null;
  return `${orphan.name} refers to a ${orphan.ref} that was deleted everywhere: correct the row`;
}

/** A child whose parent has no row yet waits, unless the parent is inserted by the same batch. */
function splitBlocked(
  wanted: readonly Delivery[],
  keyOf: KeyOf,
): Pick<Plan, 'deliveries' | 'blocked'> {
  const blocked = new Map<RecordId, { entry: OutboxEntry; waits: RecordId }>();
  const inserting = new Set(wanted.filter((d) => d.need.op === 'insert').map((d) => d.record.id));
  for (let before = -1; before !== blocked.size; ) {
    before = blocked.size;
    for (const delivery of wanted) {
      if (blocked.has(delivery.record.id)) continue;
      const waits = delivery.parents.find((parent) => {
        if (keyOf(parent) !== null) return false;
        return !inserting.has(parent) || blocked.has(parent);
      });
      if (waits !== undefined) blocked.set(delivery.record.id, { entry: delivery.entry, waits });
    }
  }
  const deliveries = wanted.filter((delivery) => !blocked.has(delivery.record.id));
  return { deliveries, blocked: [...blocked.values()] };
}

export function parentsOf(entity: Entity, values: readonly Cell[]): RecordId[] {
  const parents: RecordId[] = [];
  for (const [f, field] of entity.fields.entries()) {
    const value = values[f];
    if (field.ref !== null && value !== undefined && value !== null) parents.push(Number(value));
  }
  return parents;
}

/** One statement's worth of deliveries, with the write that carries them. */
export interface Group {
  readonly write: TableWrite;
  readonly deliveries: readonly Delivery[];
}

/**
 * Groups the deliveries that can be written now by what they write: inserts and updates first, in
 * the order parents need, deletes of children before those of parents.
 */
export function groupWrites(deliveries: readonly Delivery[], keyOf: KeyOf): Group[] {
  const groups = new Map<string, { write: TableWrite; rows: RowWrite[]; deliveries: Delivery[] }>();
  for (const delivery of deliveries) {
    const { shape, row } = rowWrite(delivery, keyOf);
    const name = JSON.stringify(shape);
    let group = groups.get(name);
    if (group === undefined) {
      const rows: RowWrite[] = [];
      group = { write: { ...shape, rows }, rows, deliveries: [] };
      groups.set(name, group);
    }
    group.rows.push(row);
    group.deliveries.push(delivery);
  }
  return [...groups.values()];
}

/**
 * All of a batch as one statement, where it is nothing but updates that are tried for the first
 * time: how each went is known early enough when the log tells it. Null: it takes more.
 */
export function soleUpdate(deliveries: readonly Delivery[], keyOf: KeyOf): Group | null {
  const isPlain = ({ entry, need, parents }: Delivery): boolean =>
    need.op === 'update' && entry.attempts === 0 && parents.every((id) => keyOf(id) !== null);
  if (!deliveries.every(isPlain)) return null;
  const [group, other] = groupWrites(deliveries, keyOf);
  return other === undefined ? (group ?? null) : null;
}

function rowWrite(
  delivery: Delivery,
  keyOf: KeyOf,
): { shape: Omit<TableWrite, 'rows'>; row: RowWrite } {
  const { lens, need } = delivery;
  if (need.op === 'insert') return insertWrite(delivery, keyOf);
  const expected = expectedCells(delivery, keyOf);
  const key = rowKeyValues(delivery.record.views[lens.system]?.key ?? '', lens.table.key.length);
  return need.op === 'delete'
    ? deleteWrite(lens, key, expected)
    : updateWrite(delivery, key, expected, keyOf);
}

function updateWrite(delivery: Delivery, key: Value[], expected: readonly Cell[], keyOf: KeyOf) {
  const { entity, lens, need } = delivery;
  const wanted = wantedCells(delivery, keyOf);
  const columns = new Set(need.fields.flatMap((f) => lens.columnsOf[f] ?? []));
  const guarded = new Set(columns);
  for (const f of comparedFields(entity, need.fields)) {
    for (const column of lens.columnsOf[f] ?? []) guarded.add(column);
  }
  const written = [...columns].filter((column) => wanted[column] !== undefined);
  const compared = [...guarded].filter((column) => expected[column] !== undefined);
  return {
    shape: shapeOf(lens, 'update', written, compared),
    row: { key, values: cellsAt(wanted, written), expect: cellsAt(expected, compared) },
  };
}

/** Deleting takes everything that the row is known to hold as its condition (invariant 3). */
function deleteWrite(lens: Lens, key: Value[], expected: readonly Cell[]) {
  const compared = expected.flatMap((cell, column) => (cell === undefined ? [] : [column]));
  const { deletion } = lens;
  const expect = cellsAt(expected, compared);
  if (deletion.kind === 'soft') {
    const shape = shapeOf(lens, 'update', [deletion.column], compared);
    return { shape, row: { key, values: [deletion.value], expect } };
  }
  return { shape: shapeOf(lens, 'delete', [], compared), row: { key, values: [], expect } };
}

function insertWrite(delivery: Delivery, keyOf: KeyOf) {
  const { lens } = delivery;
  const cells = [...wantedCells(delivery, keyOf)];
  for (const { column, value } of lens.onInsert) cells[column] ??= value;
  const written = cells.flatMap((cell, column) => (cell === undefined ? [] : [column]));
  const names = lens.table.columns;
  const keyAt = lens.table.key.map((name) => names.indexOf(name));
  const key = keyAt.map((column) => cells[column]);
  const given = key.every((cell) => cell !== undefined && cell !== null);
  const guards = lens.guards
    .filter((guard) => guard.every((column) => (cells[column] ?? null) !== null))
    .map((guard) => guard.map((column) => names[column] ?? ''));
  return {
    shape: { ...shapeOf(lens, 'insert', written, []), guards },
    row: { key: given ? (key as Value[]) : null, values: cellsAt(cells, written), expect: [] },
  };
}

/**
 * The update that makes the soft-deleted row in the way of an insert the row that is wanted; null
 * where it is another's key, alive, or none of ours even when alive. What a deleted row holds is no
 * longer anybody's opinion; `compare` still guards all of it against who revives it himself.
 */
export function revival(
  { lens }: Delivery,
  {
    write: { columns, key: keyNames },
    row,
  }: { readonly write: TableWrite; readonly row: RowWrite },
  found: readonly Value[],
): TableWrite | null {
  const { deletion, table } = lens;
  if (deletion.kind !== 'soft' || deletion.alive === undefined) return null;
  if (found[deletion.column] !== deletion.value) return null;
  const key = keyNames.map((name) => found[table.columns.indexOf(name)] ?? null);
  if (row.key !== null && rowKey(row.key) !== rowKey(key)) return null;
  const alive = found.with(deletion.column, deletion.alive);
  if (lens.read(alive, () => undefined).kind === 'outside') return null;
  const name = table.columns[deletion.column] ?? '';
  const others = columns.flatMap((column, i) =>
    column === name || keyNames.includes(column) ? [] : [{ column, value: row.values[i] ?? null }],
  );
  return {
    op: 'update',
    table: table.name,
    key: keyNames,
    columns: [...others.map(({ column }) => column), name],
    compare: table.columns,
    guards: [],
    rows: [{ key, values: [...others.map(({ value }) => value), deletion.alive], expect: found }],
  };
}

const shapeOf = (
  lens: Lens,
  op: TableWrite['op'],
  columns: readonly number[],
  compare: readonly number[],
): Omit<TableWrite, 'rows'> => ({
  op,
  table: lens.table.name,
  key: lens.table.key,
  columns: columns.map((column) => lens.table.columns[column] ?? ''),
  compare: compare.map((column) => lens.table.columns[column] ?? ''),
  guards: [],
});

const cellsAt = (cells: readonly Cell[], columns: readonly number[]): Value[] =>
  columns.map((column) => cells[column] ?? null);

const wantedCells = ({ entity, lens, sent, cells }: Delivery, keyOf: KeyOf): readonly Cell[] =>
  hasRefs(entity) ? lens.write(withKeys(entity, sent.values, keyOf)) : cells.wanted;

/** What the target's row is known to hold: the view through the lens, exact content on top. */
function expectedCells({ entity, lens, record, cells: { held } }: Delivery, keyOf: KeyOf): Cell[] {
  const view = record.views[lens.system];
  const cells = hasRefs(entity)
    ? lens.write(withKeys(entity, view?.values ?? [], keyOf))
    : [...held];
  for (const [column, content] of Object.entries(view?.raw ?? {})) {
    const at = lens.table.columns.indexOf(column);
    if (at >= 0) cells[at] = content;
  }
  return cells;
}

/** References as the target spells them: record ids become the parents' row keys. */
function withKeys(entity: Entity, values: readonly Cell[], keyOf: KeyOf): readonly Cell[] {
  return values.map((value, f) => {
    if (entity.fields[f]?.ref == null || value === undefined || value === null) return value;
    return keyOf(Number(value)) ?? undefined;
  });
}
