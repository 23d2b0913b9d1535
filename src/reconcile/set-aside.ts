import type { ParkedRow } from '../contract/ledger.ts';
import { RECORD_UNIT, type RecordId, type RecordState } from '../model/record.ts';
import type { Cell, Value } from '../model/value.ts';
import { linkOf, type Row } from './row.ts';
import type { RowEvent } from './row-event.ts';
import { parkRow, unparkRow, type Working } from './working.ts';

/** Why a row waits: a stable code, words without values, and the row it waits for, if any. */
export interface ParkCause {
  readonly reason: 'invalid' | 'waiting' | 'ambiguous' | 'duplicate';
  readonly detail: string;
  readonly waits?: ParkedRow['waits'];
}

/** Stands for a row of a forgotten record: nothing of it is read until it is deleted. */
export const FORGOTTEN = 'forgotten';

export function passOver(w: Working, event: RowEvent, parked: ParkedRow): void {
  if (event.cells !== null && event.oldKey === event.key) return;
  unparkRow(w, parked);
  if (event.cells === null) return;
  parkRow(w, { ...parked, ...linkOf(event, event.key), id: w.numbers.case++ });
}

/** Parks a row as it is known now: what its image left out stays from before (invariant 2). */
export function park(w: Working, { event, parked }: Row, cells: readonly Cell[], cause: ParkCause) {
  const merged: Record<string, Value> = { ...parked?.cells };
  for (const [i, column] of event.lens.table.columns.entries()) {
    const cell = cells[i];
    if (cell !== undefined) merged[column] = cell;
  }
  const moved = parked !== null && event.oldKey !== event.key;
  if (moved) unparkRow(w, parked);
  const same = moved ? null : parked;
  const id = same?.id ?? w.numbers.case++;
  const since = same?.since ?? event.at;
  const { reason, detail, waits = null } = cause;
  const link = linkOf(event, event.key);
  parkRow(w, { ...link, kind: 'row', id, since, reason, detail, cells: merged, waits });
}

/**
 * Invariant 10: the row is gone, the record stays and is written nowhere until a person decides.
 * The deletes of one batch share one hold.
 */
export function holdDelete(w: Working, event: RowEvent, record: RecordState): RecordState {
  const { entity, lens, at } = event;
  const name = `${entity.name}\u0000${lens.system}`;
  let hold = w.holds.get(name);
  if (hold === undefined) {
    const records: RecordId[] = [];
    hold = { id: w.numbers.case++, records };
    w.holds.set(name, hold);
    w.parked.set(hold.id, {
      id: hold.id,
      kind: 'hold',
      system: lens.system,
      entity: entity.name,
      since: at,
      reason: 'flood',
      detail: 'deletes wait: parked retry carries them out, discard undoes them',
      records,
    });
  }
  hold.records.push(record.id);
  return { ...record, deleted: null, held: { ...record.held, [RECORD_UNIT]: hold.id } };
}
