import type { Entity, Read } from '../contract/entity.ts';
import type { OutboxEntry, ParkedRow } from '../contract/ledger.ts';
import type { Patch } from '../contract/patch.ts';
import type { RecordState } from '../model/record.ts';
import { type Cell, rowKeyValues } from '../model/value.ts';
import type { Occasion, Settled } from './draft.ts';
import { claim, type Echo } from './echo.ts';
import type { FloodGauge } from './flood.ts';
import { identityOf } from './identity.ts';
import { isUnwanted, settleUnwanted } from './repair.ts';
import { knownRefs, linkOf, type Row, readRow, translateRefs } from './row.ts';
import { asParkedNow, type RowEvent } from './row-event.ts';
import { FORGOTTEN, holdDelete, park, passOver } from './set-aside.ts';
import {
  createRecord,
  settleChange,
  settleEcho,
  settleFirstContact,
  settleUnsoundEcho,
} from './settle.ts';
import { settleDelete, settleDeleteEcho } from './settle-delete.ts';
import { seenFirst } from './view.ts';
import {
  eraseIfGone,
  linkText,
  parkedRow,
  putRecord,
  recordById,
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
  for (const told of events) {
    const link = linkOf(told, told.oldKey);
    const record = recordByLink(w, link);
    const parked = parkedRow(w, link);
    if (record === undefined || parked === undefined) continue;
    const event = asParkedNow(told, parked);
    if (event === null) continue;
    const row: Row = { event, record, parked };
    if (parked?.reason === FORGOTTEN) passOver(w, event, parked);
    else if (event.cells === null) gone(w, row, echo, flood, false);
    else present(w, row, event.cells, echo, flood);
  }
}

function present(
  w: Working,
  row: Row,
  cells: readonly Cell[],
  echo: Echo | null,
  flood: FloodGauge,
): void {
  const { event, record, parked } = row;
  const { entity, lens, key } = event;
  if (record !== null && event.oldKey !== key) {
    setLink(w, linkOf(event, event.oldKey), null);
    setLink(w, linkOf(event, key), record.id);
  }
  const partial = record === null && parked === null && isPartial(event);
  if (partial) readLater(w, event);
  // What revived a row shows what it changed: enough to know our own by, no more.
  if (partial && echo === null) return;
  const read = event.read ?? readRow(row, cells);
  if (partial && read.kind !== 'row') return;
  if (read.kind === 'invalid') {
    const detail = read.faults.map((fault) => `${fault.place}: ${fault.message}`).join('; ');
    if (record !== null) confirmUnsound(w, event, record, read, echo);
    park(w, row, cells, { reason: 'invalid', detail });
    return;
  }
  if (read.kind !== 'row') {
    gone(w, row, echo, flood, read.kind === 'outside');
    return;
  }
  const translated = translateRefs(w, event, read.values);
  if (translated === undefined) return;
  if ('waits' in translated) {
    if (record !== null) confirmUnsound(w, event, record, read, echo);
    park(w, row, cells, { reason: 'waiting', ...translated });
    return;
  }
  const at = read.writtenAt ?? loggedAt(event);
  const patch: Patch = { entity, lens, key, values: translated.values, raw: read.raw, at };
  if (record === null) introduce(w, row, cells, patch, { echo, partial, flood });
  else {
    const ours = echo === null ? null : claim(echo, record, 'there');
    const seen = event.origin === 'reading' ? seenFirst(record, patch) : record;
    settleLinked(w, seen, patch, ours, occasionOf(w, event));
    if (parked !== null) unparkRow(w, parked);
  }
}

/** Our own write came back in a row that cannot be taken as a whole: what we wrote is there. */
function confirmUnsound(
  w: Working,
  event: RowEvent,
  record: RecordState,
  { values, raw }: Extract<Read, { kind: 'invalid' | 'row' }>,
  echo: Echo | null,
): void {
  const { entity, lens, key, at } = event;
  const ours =
    echo === null || record.views[lens.system] === undefined ? null : claim(echo, record, 'there');
  if (ours?.sent == null) return;
  const patch: Patch = { entity, lens, key, values: knownRefs(w, event, values), raw, at };
  const settled = settleUnsoundEcho(record, patch, ours.sent, occasionOf(w, event));
  take(w, entity, confirmed(settled, ours));
}

/**
 * A row that is unknown here (not loaded yet, or outside of `where` until now) cannot be judged by
 * an image that shows only what changed.
 */
const isPartial = ({ origin, cells }: RowEvent): boolean =>
  origin === 'log' && cells !== null && cells.includes(undefined);

function readLater(w: Working, event: RowEvent): void {
  const { table } = event.lens;
  const key = rowKeyValues(event.key, table.key.length);
  w.unread.set(linkText(linkOf(event, event.key)), { table, key });
}

/** When the log says that it happened; 0: it was only read, the time is unknown. */
const loggedAt = ({ origin, at }: RowEvent) => (origin === 'log' ? at : 0);

const occasionOf = (w: Working, { at, repair }: RowEvent): Occasion => ({
  at,
  firstCase: w.numbers.case,
  repair,
});

function settleLinked(
  w: Working,
  record: RecordState,
  patch: Patch,
  ours: OutboxEntry | null,
  occasion: Occasion,
): void {
  const settled =
    ours?.sent == null
      ? settleChange(record, patch, occasion)
      : settleEcho(record, patch, ours.sent, occasion);
  take(w, patch.entity, confirmed(settled, ours));
}

/** The delivery showed in the log: its outbox entry is done with. */
function confirmed(settled: Settled, entry: OutboxEntry | null): Settled {
  const { record } = settled;
  if (entry === null || record.outbox[entry.system] !== entry.seq) return settled;
  const { [entry.system]: _, ...outbox } = record.outbox;
  return { ...settled, record: { ...record, outbox } };
}

function take(w: Working, entity: Entity, settled: Settled): void {
  takeCases(w, settled);
  takeRecord(w, entity, settled.record);
}

function takeCases(w: Working, { journal, agreed }: Settled): void {
  w.journal.push(...journal);
  w.closed.push(...agreed);
  w.numbers.case += journal.length;
}

function takeRecord(w: Working, entity: Entity, record: RecordState): void {
  putRecord(w, entity, record);
  eraseIfGone(w, record.id);
}

/** A row without a link: our own insert, a record that is known by its match keys, or a new one. */
function introduce(
  w: Working,
  row: Row,
  cells: readonly Cell[],
  patch: Patch,
  how: { readonly echo: Echo | null; readonly partial: boolean; readonly flood: FloodGauge },
): void {
  const { event, parked } = row;
  const { echo, partial, flood } = how;
  const { system } = patch.lens;
  const ours = echo?.insertedBy(patch) ?? null;
  if (echo !== null && ours !== null) {
    const record = recordById(w, ours.record);
    if (record === undefined) return;
    const other = record?.views[system];
    if (other?.status === 'linked') {
      parkCopy(w, row, cells, { entity: patch.entity.name, key: other.key });
      return;
    }
    if (record !== null) {
      setLink(w, linkOf(event, event.key), record.id);
      echo.take(ours);
      settleLinked(w, record, patch, ours, occasionOf(w, event));
      return;
    }
  }
  if (partial) return;
  const copied = copyOf(w, row);
  if (copied === undefined) return;
  if (copied !== null) {
    parkCopy(w, row, cells, copied);
    return;
  }
  const match = matchRecord(w, patch);
  if (match === undefined) return;
  if (match === 'ambiguous') {
    const detail = 'the match keys fit more than one record';
    park(w, row, cells, { reason: 'ambiguous', detail });
    return;
  }
  if (match?.views[system]?.status === 'linked') {
    const detail = `another row of ${system} is already this record`;
    park(w, row, cells, { reason: 'duplicate', detail });
    return;
  }
  if (parked !== null) unparkRow(w, parked);
  setLink(w, linkOf(event, event.key), match?.id ?? w.numbers.record);
  if (match === null) {
    bear(w, event, patch, flood);
  } else {
    take(w, patch.entity, settleFirstContact(match, patch, occasionOf(w, event)));
  }
}

/** Somebody made the same there meanwhile and renamed it: ours must not become another record. */
function parkCopy(w: Working, row: Row, cells: readonly Cell[], waits: ParkedRow['waits']): void {
  const { system } = row.event.lens;
  const detail = `another row of ${system} became this record while this one was inserted`;
  park(w, row, cells, { reason: 'duplicate', detail, waits });
}

/**
 * The row that took the place of a copy of ours: while that is there, only a user's change of the
 * copy makes it something of its own, not that it is looked at again.
 */
function copyOf(w: Working, { event, parked }: Row): ParkedRow['waits'] | undefined {
  if (parked?.reason !== 'duplicate' || parked.waits === null) return null;
  if (event.origin === 'log' && event.parkedAs === undefined) return null;
  const other = recordByLink(w, { system: event.lens.system, ...parked.waits });
  return other == null ? other : parked.waits;
}

/** A new record; where a person wants none like it, only until its row is deleted. */
function bear(w: Working, event: RowEvent, patch: Patch, flood: FloodGauge): void {
  const { entity } = patch;
  const created = createRecord(w.numbers.record, patch);
  const from = event.repair?.from ?? null;
  w.numbers.record += 1;
  if (from === null || !isUnwanted(event.repair, patch)) {
    putRecord(w, entity, created);
    return;
  }
  const settled = settleUnwanted(created, patch, from, occasionOf(w, event));
  takeCases(w, settled);
  const held = flood.holds(entity, patch.lens.system, event.at);
  takeRecord(w, entity, held ? holdDelete(w, event, settled.record) : settled.record);
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

/** The row is gone, or (`left`) is none of ours any longer. */
function gone(w: Working, row: Row, echo: Echo | null, flood: FloodGauge, left: boolean): void {
  const { event, record, parked } = row;
  const { entity, lens } = event;
  if (parked !== null) unparkRow(w, parked);
  if (record === null) return;
  setLink(w, linkOf(event, event.key), null);
  const { decided } = event;
  if (decided?.restore) {
    const { [lens.system]: _, ...views } = record.views;
    takeRecord(w, entity, { ...record, views });
    return;
  }
  const ours = echo === null ? null : claim(echo, record, 'gone');
  const goneRow = { entity, lens, at: decided?.at ?? loggedAt(event) };
  const occasion = occasionOf(w, event);
  const settled = confirmed(
    ours?.sent?.op === 'delete'
      ? settleDeleteEcho(record, goneRow, occasion)
      : settleDelete(record, goneRow, left, occasion),
    ours,
  );
  takeCases(w, settled);
  const spreads = settled.record.deleted !== null && record.deleted === null;
  const held = spreads && decided === undefined && flood.holds(entity, lens.system, event.at);
  takeRecord(w, entity, held ? holdDelete(w, event, settled.record) : settled.record);
}
