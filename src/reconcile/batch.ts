import type { Entity } from '../contract/entity.ts';
import type { LinkKey, OutboxEntry, ParkedRow } from '../contract/ledger.ts';
import type { Patch } from '../contract/patch.ts';
import { RECORD_UNIT, type RecordId, type RecordState } from '../model/record.ts';
import type { Cell, Value } from '../model/value.ts';
import { claim, type Echo } from './echo.ts';
import type { FloodGauge } from './flood.ts';
import { identityOf } from './identity.ts';
import type { RowEvent } from './row-event.ts';
import {
  createRecord,
  type Settled,
  settleChange,
  settleDelete,
  settleDeleteEcho,
  settleEcho,
  settleFirstContact,
} from './settle.ts';
import {
  eraseIfGone,
  parkedRow,
  parkRow,
  putRecord,
  recordByLink,
  recordsByIdentity,
  setLink,
  unparkRow,
  type Working,
} from './working.ts';

/**
 * Decides rows one after the other, in log order, into the working set. Pure but for the working
 * set it is given. Every row ends in the record, in the journal or parked (invariant 2); one bad
 * row stops nothing.
 */
export function decideRows(
  w: Working,
  events: readonly RowEvent[],
  echo: Echo | null,
  flood: FloodGauge,
): void {
  for (const event of events) {
    const link = linkOf(event, event.oldKey);
    const record = recordByLink(w, link);
    const parked = parkedRow(w, link);
    if (record === undefined || parked === undefined) continue;
    if (event.cells === null) gone(w, event, record, parked, echo, flood);
    else present(w, event, event.cells, record, parked, echo, flood);
  }
}

const linkOf = (event: RowEvent, key: string): LinkKey => ({
  system: event.lens.system,
  entity: event.entity.name,
  key,
});

function present(
  w: Working,
  event: RowEvent,
  cells: readonly Cell[],
  record: RecordState | null,
  parked: ParkedRow | null,
  echo: Echo | null,
  flood: FloodGauge,
): void {
  if (record !== null && event.oldKey !== event.key) {
    setLink(w, linkOf(event, event.oldKey), null);
    setLink(w, linkOf(event, event.key), record.id);
  }
  const read = event.read ?? readRow(event, cells, record, parked);
  if (read.kind === 'invalid') {
    const detail = read.faults.map((fault) => `${fault.place}: ${fault.message}`).join('; ');
    park(w, event, cells, parked, 'invalid', detail, null);
    return;
  }
  if (read.kind === 'outside' || read.kind === 'deleted') {
    const left = read.kind === 'outside';
    gone(w, event, record, parked, echo, flood, left);
    return;
  }
  const values = translateRefs(w, event, read.values);
  if (values === undefined) return;
  if ('waits' in values) {
    park(w, event, cells, parked, 'waiting', values.detail, values.waits);
    return;
  }
  const known = event.origin === 'log' ? event.at : 0;
  const at = read.writtenAt ?? known;
  const { entity, lens, key } = event;
  const patch: Patch = { entity, lens, key, values: values.values, raw: read.raw, at };
  if (record === null) introduce(w, event, cells, patch, parked, echo);
  else {
    settleLinked(w, record, patch, echo);
    if (parked !== null) unparkRow(w, parked);
  }
}

function settleLinked(w: Working, record: RecordState, patch: Patch, echo: Echo | null): void {
  const ours = echo === null ? null : claim(echo, record.id);
  const firstCase = w.numbers.case;
  const settled =
    ours?.sent == null
      ? settleChange(record, patch, firstCase)
      : settleEcho(record, patch, ours.sent, firstCase);
  take(w, patch, ours === null ? settled : confirmed(settled, patch.lens.system, ours));
}

const confirmed = (settled: Settled, system: string, entry: OutboxEntry): Settled => {
  const { [system]: _, ...outbox } = settled.record.outbox;
  return settled.record.outbox[system] === entry.seq
    ? { ...settled, record: { ...settled.record, outbox } }
    : settled;
};

function take(w: Working, patch: Pick<Patch, 'entity'>, settled: Settled): void {
  w.journal.push(...settled.journal);
  w.closed.push(...settled.agreed);
  w.numbers.case += settled.journal.length;
  putRecord(w, patch.entity, settled.record);
  eraseIfGone(w, settled.record.id);
}

/** A row without a link: our own insert, a record that is known by its match keys, or a new one. */
function introduce(
  w: Working,
  event: RowEvent,
  cells: readonly Cell[],
  patch: Patch,
  parked: ParkedRow | null,
  echo: Echo | null,
): void {
  const system = patch.lens.system;
  const ours = echo?.insertedBy(patch) ?? null;
  if (ours !== null) {
    const record = w.touched.get(ours.record) ?? w.loaded.records.get(ours.record);
    if (record === undefined) {
      w.missing.records.add(ours.record);
      return;
    }
    if (record !== null && ours.sent !== null && record.views[system]?.status !== 'linked') {
      setLink(w, linkOf(event, event.key), record.id);
      echo?.take(ours);
      const settled = settleEcho(record, patch, ours.sent, w.numbers.case);
      take(w, patch, confirmed(settled, system, ours));
      return;
    }
  }
  const match = matchRecord(w, patch);
  if (match === undefined) return;
  if (match === 'ambiguous') {
    const detail = 'the match keys fit more than one record';
    park(w, event, cells, parked, 'ambiguous', detail, null);
    return;
  }
  if (match !== null && match.views[system]?.status === 'linked') {
    const detail = `another row of ${system} is already this record`;
    park(w, event, cells, parked, 'duplicate', detail, null);
    return;
  }
  if (parked !== null) unparkRow(w, parked);
  setLink(w, linkOf(event, event.key), match?.id ?? w.numbers.record);
  if (match === null) {
    putRecord(w, patch.entity, createRecord(w.numbers.record, patch));
    w.numbers.record += 1;
  } else {
    take(w, patch, settleFirstContact(match, patch, w.numbers.case));
  }
}

/** The record that the match keys name: alternatives in order, the first that finds any. */
function matchRecord(w: Working, patch: Patch): RecordState | null | 'ambiguous' | undefined {
  for (let alternative = 0; alternative < patch.entity.match.length; alternative++) {
    const value = identityOf(patch.entity, alternative, patch.values);
    if (value === null) continue;
    const records = recordsByIdentity(w, patch.entity, alternative, value);
    if (records === undefined) return undefined;
    if (records.length > 1) return 'ambiguous';
    if (records[0] !== undefined) return records[0];
  }
  return null;
}

function readRow(
  event: RowEvent,
  cells: readonly Cell[],
  record: RecordState | null,
  parked: ParkedRow | null,
) {
  const { lens } = event;
  const view = record?.views[lens.system];
  const columns = lens.table.columns;
  let written: Cell[] | null = null;
  const held = (column: number): Cell => {
    const name = columns[column] ?? '';
    const kept = parked?.cells?.[name];
    if (kept !== undefined) return kept;
    if (view?.status !== 'linked') return undefined;
    const raw = view.raw?.[name];
    if (raw !== undefined) return raw;
    // A reference that the image leaves out is unchanged; the view has record ids, not row keys.
    written ??= lens.write(withoutRefs(event.entity, view.values));
    return written[column];
  };
  const read = lens.read(cells, held);
  if (!cells.includes(undefined)) event.read = read;
  return read;
}

const withoutRefs = (entity: Entity, values: readonly Cell[]): readonly Cell[] =>
  values.map((value, f) => (entity.fields[f]?.ref == null ? value : undefined));

type Translated =
  | { readonly values: Cell[] }
  | { readonly waits: { entity: string; key: string }; readonly detail: string };

/** Row keys of referenced rows become record ids; a reference to an unknown row has to wait. */
function translateRefs(
  w: Working,
  event: RowEvent,
  values: readonly Cell[],
): Translated | undefined {
  const result = [...values];
  let known = true;
  for (const [f, field] of event.entity.fields.entries()) {
    const key = values[f];
    if (field.ref === null || key === undefined || key === null) continue;
    const parent = recordByLink(w, { system: event.lens.system, entity: field.ref, key });
    if (parent === undefined) known = false;
    else if (parent === null) {
      const waits = { entity: field.ref, key };
      return { waits, detail: `${field.name}: no ${field.ref} row with that key is known yet` };
    } else result[f] = String(parent.id);
  }
  return known ? { values: result } : undefined;
}

function park(
  w: Working,
  event: RowEvent,
  cells: readonly Cell[],
  parked: ParkedRow | null,
  reason: string,
  detail: string,
  waits: ParkedRow['waits'],
): void {
  const merged: Record<string, Value> = { ...parked?.cells };
  event.lens.table.columns.forEach((column, i) => {
    const cell = cells[i];
    if (cell !== undefined) merged[column] = cell;
  });
  if (parked !== null && event.oldKey !== event.key) unparkRow(w, parked);
  const same = parked !== null && event.oldKey === event.key;
  const id = same ? parked.id : w.numbers.case++;
  const link = linkOf(event, event.key);
  const since = same ? parked.since : event.at;
  parkRow(w, { ...link, kind: 'row', id, since, reason, detail, cells: merged, waits });
}

function gone(
  w: Working,
  event: RowEvent,
  record: RecordState | null,
  parked: ParkedRow | null,
  echo: Echo | null,
  flood: FloodGauge,
  left = false,
): void {
  const { entity, lens } = event;
  if (parked !== null) unparkRow(w, parked);
  if (record === null) return;
  setLink(w, linkOf(event, event.key), null);
  const ours = echo === null ? null : claim(echo, record.id);
  if (ours?.sent?.op === 'delete') {
    const settled = { record: settleDeleteEcho(record, lens.system), journal: [], agreed: [] };
    take(w, { entity }, confirmed(settled, lens.system, ours));
    return;
  }
  const settled = settleDelete(entity, record, lens.system, event.at, left, w.numbers.case);
  const spreads = settled.record.deleted !== null && record.deleted === null;
  if (spreads && flood.holds(entity, lens.system, event.at)) {
    holdDelete(w, event, settled.record, 'flood');
  } else take(w, { entity }, settled);
}

/** Invariant 10: the row is gone, the record stays and is written nowhere until a person decides. */
export function holdDelete(
  w: Working,
  event: Pick<RowEvent, 'entity' | 'lens' | 'at'>,
  record: RecordState,
  reason: 'flood' | 'truncate',
): void {
  const { entity, lens, at } = event;
  const open = [...w.parked.values()].find(
    (parked) =>
      parked.kind === 'hold' &&
      parked.reason === reason &&
      parked.entity === entity.name &&
      parked.system === lens.system,
  );
  const records: RecordId[] = open?.kind === 'hold' ? [...open.records, record.id] : [record.id];
  const id = open?.id ?? w.numbers.case++;
  const detail = `${records.length} deletes wait: parked retry carries them out, discard undoes them`;
  const base = { id, system: lens.system, entity: entity.name, since: open?.since ?? at };
  w.parked.set(id, { ...base, kind: 'hold', reason, detail, records });
  const held = { ...record.held, [RECORD_UNIT]: id };
  putRecord(w, entity, { ...record, deleted: null, held });
}
