import type { Entity } from '../contract/entity.ts';
import type { JournalEntry, JournalSide, ParkedDelivery, ParkedHold } from '../contract/ledger.ts';
import type { Choice } from '../contract/operator.ts';
import { CarrickError, retry } from '../errors.ts';
import { RECORD_UNIT, type RecordState, type SystemView } from '../model/record.ts';
import { type Stamp, stampAfter } from '../model/stamp.ts';
import type { Cell, Micros, Value } from '../model/value.ts';
import { standingSide } from '../reconcile/draft.ts';
import { meaning } from '../reconcile/view.ts';
import { eraseIfGone, putRecord, recordById, type Working } from '../reconcile/working.ts';

/** The name under which a person's decisions are stamped. */
export const OPERATOR = 'operator';

const newest = (stamps: readonly (Stamp | null)[]): Stamp | null =>
  stamps.reduce<Stamp | null>(
    (a, b) => (a === null || (b !== null && b.wall > a.wall) ? b : a),
    null,
  );

const released = (record: RecordState, unit: string): RecordState['held'] => {
  const { [unit]: _, ...held } = record.held ?? {};
  return Object.keys(held).length === 0 ? null : held;
};

/** Settles an open conflict or restores a loser: the record gets what the person chose. */
export function resolveAct(
  entity: Entity,
  entry: JournalEntry,
  choice: Choice,
  at: Micros,
): (w: Working) => void {
  return (w) => {
    const record = recordById(w, entry.record);
    if (record === undefined) return;
    if (record === null) throw gone(entry);
    const chosen = chosenValues(entity, entry, choice, record);
    const next =
      chosen === null
        ? { ...record, deleted: stampAfter(newest(record.stamps), at, OPERATOR) }
        : withValues(record, chosen, at);
    putRecord(w, entity, { ...next, held: released(record, entry.unit), flips: null });
    if (entry.state === 'open') w.closed.push(entry.id);
    const sides = sidesNow(entity, entry, record, choice);
    const resolution: Omit<JournalEntry, 'id'> = {
      ...entry,
      ...sides,
      at,
      kind: 'resolution',
      state: 'resolved',
      policy: 'take' in choice ? `take: ${choice.take}` : 'values',
      winner: 'take' in choice ? choice.take : null,
      outcome: chosen === null ? null : chosen.map(({ value }) => value),
    };
    w.journal.push({ ...resolution, id: w.numbers.case++ });
    const third = besideSides(entity, entry, record, sides);
    if (third !== null) w.journal.push({ ...resolution, standing: third, id: w.numbers.case++ });
  };
}

type Sides = Pick<JournalEntry, 'incoming' | 'standing'>;

/**
 * A system that has no part in an open conflict may have gone on writing what the record holds: the
 * resolution writes over that too, and an entry of its own keeps it (invariant 2).
 */
function besideSides(
  entity: Entity,
  { unit: name }: JournalEntry,
  record: RecordState,
  { incoming, standing }: Sides,
): JournalSide | null {
  const unit = entity.units.find((one) => one.name === name);
  if (unit === undefined) return null;
  const now = standingSide(record, unit);
  const isKept = [incoming, standing].some(({ values }) =>
    now.values?.every((value, i) => values?.[i] === value),
  );
  return isKept ? null : now;
}

/**
 * The systems have gone on changing the fields since the conflict: what they hold now is what the
 * resolution writes over, so that is what its entry keeps (invariant 2). A loser that is restored
 * stays as it was written.
 */
function sidesNow(
  entity: Entity,
  { unit, state, incoming, standing }: JournalEntry,
  record: RecordState,
  choice: Choice,
): Sides {
  const fields = entity.units.find(({ name }) => name === unit)?.fields;
  const now = (side: JournalSide): JournalSide => {
    const view = record.views[side.system];
    const restored = state !== 'open' && 'take' in choice && choice.take === side.system;
    // A delete is of the whole record: what goes with it is what the record holds by now.
    if (unit === RECORD_UNIT && side.values !== null) return { ...side, values: record.values };
    if (restored || fields === undefined) return side;
    // Where nothing is open it is the record that a loser is written over.
    if (state !== 'open') return { ...side, values: fields.map((f) => record.values[f] ?? null) };
    if (view === undefined) return side;
    const values = fields.map((f, i) => heldBy(view, f, side.values?.[i]) ?? null);
    return { ...side, values };
  };
  return { incoming: now(incoming), standing: now(standing) };
}

/**
 * What a system holds now, and where its row does not show the field, what it held. Not as it
 * spells it: what it rounded stands for what we wrote, and who takes its side takes that.
 */
function heldBy(view: SystemView | undefined, f: number, written: Cell): Cell {
  const now = view === undefined ? undefined : meaning(view, f);
  return now === undefined ? written : now;
}

interface Chosen {
  readonly field: number;
  readonly value: Value;
}

/** Null: the record is to be deleted. */
function chosenValues(
  entity: Entity,
  entry: JournalEntry,
  choice: Choice,
  record: RecordState,
): Chosen[] | null {
  if ('values' in choice) {
    return Object.entries(choice.values).map(([name, value]) => {
      const field = entity.fields.findIndex((candidate) => candidate.name === name);
      if (field < 0) throw unknown(`${entity.name} has no field ${name}`);
      return { field, value };
    });
  }
  const unit = entity.units.find(({ name }) => name === entry.unit);
  const fields = unit?.fields ?? entity.fields.map((_, f) => f);
  const side = [entry.incoming, entry.standing].find(({ system }) => system === choice.take);
  const view = record.views[choice.take];
  if (side === undefined && view === undefined) {
    throw unknown(`${choice.take} has no part in conflict ${entry.id}`);
  }
  if (entry.unit === RECORD_UNIT && side?.values === null) return null;
  const held = (f: number, i: number): Cell =>
    entry.state === 'open' ? heldBy(view, f, side?.values?.[i]) : side?.values?.[i];
  return fields.flatMap((field, i) => {
    const value = held(field, i);
    return value === undefined ? [] : [{ field, value }];
  });
}

function withValues(record: RecordState, chosen: readonly Chosen[], at: Micros): RecordState {
  const values = [...record.values];
  const stamps = [...record.stamps];
  for (const { field, value } of chosen) {
    values[field] = value;
    stamps[field] = stampAfter(stamps[field] ?? null, at, OPERATOR);
  }
  return { ...record, values, stamps, deleted: null };
}

/** Sends a parked delivery once more: the record is looked at again. */
export const retryDelivery =
  (parked: ParkedDelivery) =>
  (w: Working): void => {
    if (recordById(w, parked.record) === undefined) return;
    w.recent.add(parked.record);
    w.unparked.add(parked.id);
  };

/** Carries held deletes out, or undoes them: the rows are written again where they are missing. */
export const endHold =
  (entity: Entity, parked: ParkedHold, carryOut: boolean, at: Micros) =>
  (w: Working): void => {
    for (const id of parked.records) {
      const record = recordById(w, id);
      if (record == null || record.held?.[RECORD_UNIT] === undefined) continue;
      const deleted = carryOut ? stampAfter(newest(record.stamps), at, OPERATOR) : record.deleted;
      if (carryOut) keepReleased(w, record, parked, at);
      putRecord(w, entity, { ...record, deleted, held: released(record, RECORD_UNIT) });
      eraseIfGone(w, id);
    }
    w.unparked.add(parked.id);
  };

/** Others went on changing the record while its delete was held: what goes with it is kept. */
function keepReleased(w: Working, record: RecordState, { system }: ParkedHold, at: Micros): void {
  const stamp = newest(record.stamps);
  w.journal.push({
    id: w.numbers.case++,
    at,
    entity: record.entity,
    record: record.id,
    unit: RECORD_UNIT,
    kind: 'resolution',
    state: 'resolved',
    policy: 'released',
    winner: system,
    incoming: { system, values: null, stamp: { wall: at, counter: 0, system: OPERATOR } },
    standing: { system: stamp?.system ?? '', values: record.values, stamp },
    outcome: null,
  });
}

export const noDaemon = (): CarrickError =>
  retry(
    'operator.unreachable',
    'no daemon is running, and only a daemon reads tables',
    'start it with `carrick run`, then try again',
  );

export const unknown = (message: string): CarrickError =>
  new CarrickError('operator.unknown', 'park', message, 'look at `carrick conflicts list`');

const gone = (entry: JournalEntry): CarrickError =>
  new CarrickError(
    'operator.gone',
    'park',
    `record ${entry.record} of conflict ${entry.id} is no longer there`,
    'write the values in one of the systems; the journal still shows them',
  );
