import type { Entity, Lens } from '../contract/entity.ts';
import type { Sent } from '../contract/ledger.ts';
import { CarrickError } from '../errors.ts';
import { RECORD_UNIT, type RecordState, type SystemView } from '../model/record.ts';
import type { Cell } from '../model/value.ts';

/** What it takes to bring one system up to a record; null when it is there already. */
export interface Need {
  readonly op: Sent['op'];
  /** Ordinals of the fields that are written. */
  readonly fields: readonly number[];
  /** Of an insert: see {@link writeCells}. */
  readonly written?: Written;
}

export type Written = { readonly cells: readonly Cell[] } | { readonly fault: string };

/**
 * Compares the record with the system's view. Fields of a held unit are left alone on both sides,
 * and so is a value that the system is known to store differently (invariant 5).
 */
export function needOf(entity: Entity, lens: Lens, record: RecordState): Need | null {
  if (record.held?.[RECORD_UNIT] !== undefined) return null;
  const view = record.views[lens.system];
  if (view === undefined) return record.deleted === null ? insertNeed(entity, lens, record) : null;
  if (view.status === 'unlinked') return null;
  if (record.deleted !== null) {
    const kind = lens.deletion.kind;
    return kind === 'propagate' || kind === 'soft' ? { op: 'delete', fields: [] } : null;
  }
  const fields: number[] = [];
  for (let f = 0; f < entity.fields.length; f++) {
    if (lens.writes[f] && behind(entity, record, view, f)) fields.push(f);
  }
  return fields.length === 0 ? null : { op: 'update', fields };
}

function behind(entity: Entity, record: RecordState, view: SystemView, f: number): boolean {
  const value = record.values[f] ?? null;
  const held = view.values[f] ?? null;
  if (held === value) return false;
  if (view.represents !== null && view.represents[f] === value) return false;
  return !isHeld(entity, record, f);
}

function isHeld(entity: Entity, record: RecordState, f: number): boolean {
  if (record.held === null) return false;
  const unit = entity.units[entity.unitOf[f] ?? -1];
  return unit !== undefined && record.held[unit.name] !== undefined;
}

/**
 * A record that nobody has any longer is written again where it was not deleted for good: the
 * delete lost a conflict, or was undone. What no system ever told is left to column defaults.
 */
function insertNeed(entity: Entity, lens: Lens, record: RecordState): Need | null {
  const views = Object.values(record.views);
  if (views.length > 0 && views.every(({ status }) => status === 'unlinked')) return null;
  const fields: number[] = [];
  for (let f = 0; f < entity.fields.length; f++) {
    const told = record.stamps[f] != null;
    if (told && lens.writes[f] && !isHeld(entity, record, f)) fields.push(f);
  }
  if (fields.length === 0 || isNameHeld(entity, lens, record)) return null;
  const written = writeCells(entity, lens, only(record.values, fields));
  // What cannot be spelled for the system is wanted there all the same; planning parks it.
  const isWanted = 'fault' in written || lens.admits(written.cells);
  return isWanted ? { op: 'insert', fields, written } : null;
}

/**
 * A row without what a person has yet to decide would be no row of its record: it cannot be read
 * back without a required field, and without its match keys neither a guard nor an echo knows it,
 * so that it would be inserted again and again (invariant 4).
 */
function isNameHeld(entity: Entity, { writes }: Lens, record: RecordState): boolean {
  if (record.held === null) return false;
  const held = (f: number): boolean => writes[f] === true && isHeld(entity, record, f);
  if (entity.fields.some(({ required }, f) => required && held(f))) return true;
  const names = entity.match.filter((fields) => fields.every((f) => record.values[f] != null));
  return names.length > 0 && names.every((fields) => fields.some(held));
}

/**
 * The columns that stand for `values`, references left out, or why a value cannot be spelled in
 * the system's form. Only what a lens says by `normalize.unwritable` is such a fault.
 */
export function writeCells(entity: Entity, lens: Lens, values: readonly Cell[]): Written {
  const plain = hasRefs(entity)
    ? values.map((value, f) => (entity.fields[f]?.ref == null ? value : undefined))
    : values;
  try {
    return { cells: lens.write(plain) };
  } catch (error) {
    if (!(error instanceof CarrickError) || error.disposition !== 'park') throw error;
    return { fault: error.message };
  }
}

export const hasRefs = ({ fields }: Entity): boolean => fields.some(({ ref }) => ref !== null);

/** The values of some fields; the others stay untold. */
export function only(values: readonly Cell[], fields: readonly number[]): Cell[] {
  const cells: Cell[] = new Array(values.length).fill(undefined);
  for (const f of fields) cells[f] = values[f];
  return cells;
}
