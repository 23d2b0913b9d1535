import type { Entity, Read } from '../contract/entity.ts';
import type { LinkKey, ParkedRow } from '../contract/ledger.ts';
import type { RecordState } from '../model/record.ts';
import type { Cell } from '../model/value.ts';
import type { RowEvent } from './row-event.ts';
import { recordByLink, type Working } from './working.ts';

/** News of one row, with what is known of it. */
export interface Row {
  readonly event: RowEvent;
  /** Null: the row has no link yet. */
  readonly record: RecordState | null;
  readonly parked: ParkedRow | null;
}

export const linkOf = ({ lens, entity }: RowEvent, key: string): LinkKey => ({
  system: lens.system,
  entity: entity.name,
  key,
});

/** Reads a row; what its image left out comes from the parked row, or from the view. */
export function readRow({ event, record, parked }: Row, cells: readonly Cell[]): Read {
  const { entity, lens } = event;
  const view = record?.views[lens.system];
  let written: Cell[] | null = null;
  const held = (column: number): Cell => {
    const name = lens.table.columns[column] ?? '';
    const kept = parked?.cells?.[name];
    if (kept !== undefined) return kept;
    if (view?.status !== 'linked') return undefined;
    const raw = view.raw?.[name];
    if (raw !== undefined) return raw;
    // A reference that the image leaves out is unchanged; the view has record ids, not row keys.
    written ??= lens.write(withoutRefs(entity, view.values));
    return written[column];
  };
  const read = lens.read(cells, held);
  if (!cells.includes(undefined)) event.read = read;
  return read;
}

const withoutRefs = (entity: Entity, values: readonly Cell[]): readonly Cell[] =>
  values.map((value, f) => (entity.fields[f]?.ref == null ? value : undefined));

type Translated =
  | { readonly values: readonly Cell[] }
  | { readonly waits: { entity: string; key: string }; readonly detail: string };

/** Row keys of referenced rows become record ids; a reference to an unknown row has to wait. */
export function translateRefs(
  w: Working,
  { entity, lens }: RowEvent,
  values: readonly Cell[],
): Translated | undefined {
  let result: Cell[] | null = null;
  let known = true;
  for (let f = 0; f < entity.fields.length; f++) {
    const ref = entity.fields[f]?.ref ?? null;
    const key = values[f];
    if (ref === null || key === undefined || key === null) continue;
    const parent = recordByLink(w, { system: lens.system, entity: ref, key });
    if (parent === undefined) known = false;
    else if (parent === null) {
      const detail = `${entity.fields[f]?.name}: no ${ref} row with that key is known yet`;
      return { waits: { entity: ref, key }, detail };
    } else {
      result ??= [...values];
      result[f] = String(parent.id);
    }
  }
  return known ? { values: result ?? values } : undefined;
}

/** The same of a row that cannot be taken as a whole: references that are not known are untold. */
export function knownRefs(
  w: Working,
  { entity, lens }: RowEvent,
  values: readonly Cell[],
): readonly Cell[] {
  return values.map((key, f) => {
    const ref = entity.fields[f]?.ref ?? null;
    if (ref === null || key === undefined || key === null) return key;
    const parent = recordByLink(w, { system: lens.system, entity: ref, key });
    return parent == null ? undefined : String(parent.id);
  });
}
