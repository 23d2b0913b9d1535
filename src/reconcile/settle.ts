import type { Sent } from '../contract/ledger.ts';
import type { Patch } from '../contract/patch.ts';
import type { RecordId, RecordState, SystemView } from '../model/record.ts';
import type { Value } from '../model/value.ts';
import { type Draft, draftFor, finish, type Occasion, type Settled } from './draft.ts';
import { calmed, countFlip } from './flip.ts';
import { chainOf, settleRepair } from './repair.ts';
import { reviveOrBury } from './settle-delete.ts';
import {
  accept,
  agrees,
  changedUnits,
  flipsOf,
  holdIfFlipping,
  keepAside,
  settleContest,
  settleUnit,
  toldOf,
} from './settle-unit.ts';
import { confirmView, moveView, newView, openView, UNLINKED } from './view.ts';

/** A record that nobody knew, as its first row tells it. */
export function createRecord(id: RecordId, patch: Patch): RecordState {
  const { entity, lens, values, at } = patch;
  const stamp = { wall: at, counter: 0, system: lens.system };
  return {
    id,
    entity: entity.name,
    values: values.map((told): Value => told ?? null),
    stamps: values.map((told) => (told === undefined ? null : stamp)),
    deleted: null,
    views: { [lens.system]: newView(patch) },
    outbox: {},
    held: null,
    flips: null,
  };
}

/**
 * A user's change of a row that is linked. Pure, like all of these: the same arguments give the
 * same result. A field that the system tells for the first time (a mapping that grew) has no base
 * that it could have changed from: it is a first contact of its own.
 */
export function settleChange(record: RecordState, patch: Patch, occasion: Occasion): Settled {
  const view = openView(record, patch.lens.system);
  const draft = draftFor(record, patch, occasion);
  const isFirst = (f: number): boolean =>
    patch.values[f] !== undefined && view.values[f] === undefined;
  const grown = patch.values.some((_, f) => isFirst(f));
  const known = grown
    ? { ...patch, values: patch.values.map((told, f) => (isFirst(f) ? undefined : told)) }
    : patch;
  const units = changedUnits(known, view);
  if (occasion.repair !== undefined && record.deleted === null) {
    settleRepair(draft, known, view, occasion.repair);
  } else if (units.length > 0) {
    reviveOrBury(draft, known);
    for (const unit of units) settleUnit(draft, known, view, unit);
    draft.flips = calmed(record.flips, draft.flips);
  }
  if (grown) meet(draft, patch, isFirst);
  return finish(draft, moveView(view, patch));
}

/**
 * Our own write as the system's log shows it: first what we wrote, which only moves the view, then
 * what else changed inside our transaction, which is the system's own change (a trigger's work).
 */
export function settleEcho(
  record: RecordState,
  patch: Patch,
  sent: Sent,
  occasion: Occasion,
): Settled {
  const before = record.views[patch.lens.system];
  const known = before?.status === 'linked' ? before : insertedView(record, patch, sent);
  const view = confirmView(known, patch, sent);
  const values = patch.values.map((v, f) => (sent.values[f] === undefined ? v : undefined));
  const theirs = { ...patch, values };
  const draft = draftFor(record, patch, occasion);
  const units = changedUnits(theirs, view);
  if (units.length > 0) reviveOrBury(draft, theirs);
  for (const unit of units) {
    settleUnit(draft, theirs, view, unit);
    // A chain of writes that only triggers keep alive must end (invariant 5).
    const before = flipsOf(draft);
    draft.flips = countFlip(draft.flips, occasion.at);
    holdIfFlipping(draft, toldOf(theirs, view, unit), before);
  }
  return finish(draft, moveView(view, theirs));
}

/**
 * Our own write in a row that was parked for something else in it: only what we wrote is taken, or
 * it would be its users' change once the row is mended (invariant 5).
 */
export function settleUnsoundEcho(
  record: RecordState,
  patch: Patch,
  sent: Sent,
  occasion: Occasion,
): Settled {
  const { lens, raw } = patch;
  const view = openView(record, lens.system);
  const ours = new Set(sent.values.flatMap((v, f) => (v === undefined ? [] : lens.columnsOf[f])));
  const isOurs = (column: string): boolean => ours.has(lens.table.columns.indexOf(column));
  const kept = [
    ...Object.entries(view.raw ?? {}).filter(([column]) => !isOurs(column)),
    ...Object.entries(raw ?? {}).filter(([column]) => isOurs(column)),
  ];
  const moved = { ...view, raw: kept.length === 0 ? null : Object.fromEntries(kept) };
  return finish(draftFor(record, patch, occasion), confirmView(moved, patch, sent));
}

/**
 * Of a row that our insert made, fields that we did not write count as changed only where the
 * record has nothing yet: a column default is no user's opinion.
 */
function insertedView(record: RecordState, patch: Patch, sent: Sent): SystemView {
  const values = patch.values.map((told, f) => {
    const unwritten = sent.values[f] === undefined && record.values[f] === null;
    return unwritten && told !== undefined ? null : told;
  });
  return newView({ ...patch, values });
}

/**
 * A row meets a record for the first time. What only one side knows is taken; what differs goes
 * through the entity's `first_contact` chain and is journalled. A record that was being deleted is
 * wanted again, as the new row tells it: nobody stands for values that were deleted knowingly.
 */
export function settleFirstContact(record: RecordState, patch: Patch, occasion: Occasion): Settled {
  const draft = draftFor(record, patch, occasion);
  draft.deleted = null;
  meet(draft, patch, () => true);
  return finish(draft, newView(patch));
}

function meet(draft: Draft, patch: Patch, isFirst: (field: number) => boolean): void {
  const { record } = draft;
  const { entity, lens } = patch;
  const values = patch.values.map((told, f) => (isFirst(f) ? told : undefined));
  for (const unit of entity.units) {
    const told = toldOf({ ...patch, values }, UNLINKED, unit);
    const silent = told.incoming.every((value) => value === null);
    if ((silent && record.deleted === null) || agrees(draft, told)) continue;
    const own = told.fields.every((f) => isOwn(record, lens.system, f));
    if (draft.held?.[unit.name] !== undefined) keepAside(draft, told, 'first_contact');
    else if (own || record.deleted !== null) accept(draft, told);
    else {
      const { repair } = draft.occasion;
      const chain = chainOf(entity.firstContact, repair);
      const kind = repair === undefined ? 'first_contact' : 'repair';
      settleContest(draft, patch, UNLINKED, told, chain, kind);
    }
  }
}

/** Nobody else has an opinion: a row that comes back has seen what it once said itself. */
const isOwn = ({ values, stamps }: RecordState, system: string, f: number): boolean =>
  (values[f] ?? null) === null || stamps[f]?.system === system;
