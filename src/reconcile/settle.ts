import type { Entity, Unit } from '../contract/entity.ts';
import type { JournalEntry, Sent } from '../contract/ledger.ts';
import type { Patch } from '../contract/patch.ts';
import { RECORD_UNIT, type RecordId, type RecordState, type SystemView } from '../model/record.ts';
import { type Stamp, stampAfter } from '../model/stamp.ts';
import type { Cell, Micros, Value } from '../model/value.ts';
import { countFlip, isFlipping } from './flip.ts';
import { decide, type Verdict } from './policies.ts';
import { moveView, newView, openView, seen, without } from './view.ts';

export interface Settled {
  readonly record: RecordState;
  readonly journal: readonly JournalEntry[];
  /** Open journal entries that this settled by itself, because the sides agree again. */
  readonly agreed: readonly number[];
}

/** A working copy of one record while one row is settled into it. Never leaves this module. */
interface Draft {
  values: Value[];
  stamps: (Stamp | null)[];
  deleted: Stamp | null;
  held: Record<string, number> | null;
  flips: RecordState['flips'];
  readonly journal: JournalEntry[];
  readonly agreed: number[];
  readonly firstCase: number;
}

const draftOf = (record: RecordState, firstCase: number): Draft => ({
  values: [...record.values],
  stamps: [...record.stamps],
  deleted: record.deleted,
  held: record.held,
  flips: record.flips,
  journal: [],
  agreed: [],
  firstCase,
});

const finish = (record: RecordState, draft: Draft, views: RecordState['views']): Settled => ({
  record: {
    ...record,
    values: draft.values,
    stamps: draft.stamps,
    deleted: draft.deleted,
    held: draft.held,
    flips: draft.flips,
    views,
  },
  journal: draft.journal,
  agreed: draft.agreed,
});

/** A record that nobody knew, as its first row tells it. */
export function createRecord(id: RecordId, patch: Patch): RecordState {
  const { entity, lens } = patch;
  const told = (f: number): Value => patch.values[f] ?? null;
  const stamp: Stamp = { wall: patch.at, counter: 0, system: lens.system };
  return {
    id,
    entity: entity.name,
    values: entity.fields.map((_, f) => told(f)),
    stamps: entity.fields.map((_, f) => (patch.values[f] === undefined ? null : stamp)),
    deleted: null,
    views: { [lens.system]: newView(patch) },
    outbox: {},
    held: null,
    flips: null,
  };
}

/**
 * A user's change of a row that is linked: three-way detection in log order, the view as the base
 * (DESIGN.md, Detecting conflicts). Pure: the same arguments give the same result.
 */
export function settleChange(record: RecordState, patch: Patch, firstCase: number): Settled {
  const view = openView(record, patch.lens.system);
  const draft = draftOf(record, firstCase);
  const changed = patch.entity.units.filter((unit) => unitChanged(unit, patch.values, view));
  if (changed.length > 0 && !reviveOrBury(draft, record, patch)) {
    return finish(record, draft, moved(record, patch, view));
  }
  for (const unit of changed) settleUnit(draft, record, patch, view, unit);
  return finish(record, draft, moved(record, patch, view));
}

/**
 * Our own write as the system's log shows it. Written fields only move the view, and where the
 * system stores them differently that is remembered, not sent on (invariant 5). Fields that we did
 * not write but that changed inside our transaction are the system's own change (a trigger).
 */
export function settleEcho(
  record: RecordState,
  patch: Patch,
  sent: Sent,
  firstCase: number,
): Settled {
  const before = record.views[patch.lens.system];
  const view = before ?? newView({ ...patch, values: patch.values.map(echoBase(record, sent)) });
  const draft = draftOf(record, firstCase);
  const foreign = patch.values.map((v, f) => (sent.values[f] === undefined ? v : undefined));
  for (const unit of patch.entity.units) {
    if (!unitChanged(unit, foreign, view)) continue;
    settleUnit(draft, record, { ...patch, values: foreign }, view, unit);
    // A chain of writes that only triggers keep alive must end: each counts as a flip.
    draft.flips = countFlip(draft.flips, patch.at);
    if (isFlipping(draft.flips)) hold(draft, record, patch, unit, 'flipping');
  }
  const next = moveView(view, patch);
  const represents: Record<number, Value> = { ...next.represents };
  patch.values.forEach((value, f) => {
    const wrote = sent.values[f];
    if (wrote === undefined || value === undefined) return;
    if (value === wrote) delete represents[f];
    else represents[f] = wrote;
  });
  const kept = Object.keys(represents).length > 0 ? represents : null;
  return finish(record, draft, {
    ...record.views,
    [patch.lens.system]: { ...next, represents: kept },
  });
}

/**
 * For a row that our insert made, fields that we did not write count as changed only where the
 * record has nothing yet: a column default is no user's opinion.
 */
const echoBase =
  (record: RecordState, sent: Sent) =>
  (value: Cell, f: number): Cell =>
    sent.values[f] === undefined && record.values[f] === null && value !== undefined ? null : value;

/**
 * A row meets a record for the first time. What only one side knows is taken; what differs goes
 * through the entity's `first_contact` chain and is journalled.
 */
export function settleFirstContact(record: RecordState, patch: Patch, firstCase: number): Settled {
  const { entity, lens } = patch;
  const draft = draftOf(record, firstCase);
  if (record.deleted !== null) draft.deleted = null;
  for (const unit of entity.units) {
    const fields = unit.fields.filter((f) => patch.values[f] !== undefined);
    if (fields.every((f) => patch.values[f] === record.values[f])) continue;
    if (fields.every((f) => patch.values[f] === null)) continue;
    if (fields.every((f) => record.values[f] === null)) {
      accept(draft, record, patch, fields);
      continue;
    }
    const base = fields.map(() => null);
    const verdict = decide(entity.firstContact, contest(record, patch, unit, fields, base));
    applyVerdict(draft, record, patch, unit, fields, verdict, 'first_contact');
  }
  return finish(record, draft, { ...record.views, [lens.system]: newView(patch) });
}

/**
 * The row is gone from `system`: deleted, soft-deleted or out of the filter (`left`). A delete by
 * someone who had not seen what another system wrote is a conflict.
 */
export function settleDelete(
  entity: Entity,
  record: RecordState,
  system: string,
  at: Micros,
  left: boolean,
  firstCase: number,
): Settled {
  const lens = entity.lenses.get(system);
  const view = record.views[system];
  const draft = draftOf(record, firstCase);
  const views = without(record.views, system);
  if (left || lens?.deletion.kind === 'unlink') {
    const unlinked = { status: 'unlinked', key: '', values: [], raw: null, represents: null };
    return finish(record, draft, { ...views, [system]: unlinked as SystemView });
  }
  if (lens === undefined || view === undefined || lens.deletion.kind === 'ignore') {
    return finish(record, draft, views);
  }
  if (record.deleted !== null) return finish(record, draft, views);
  const unseen = record.values.flatMap((_, f) => (seen(record, view, f) ? [] : [f]));
  const newest = latest(record.stamps);
  if (unseen.length === 0) {
    draft.deleted = stampAfter(newest, at, system);
    return finish(record, draft, views);
  }
  const standing = latest(unseen.map((f) => record.stamps[f] ?? null));
  const wins = deleteWins(entity, at, standing);
  const entry = journalDelete(draft, entity, record, {
    deleter: { system, values: null, stamp: stampAfter(null, at, system) },
    keeper: { system: standing?.system ?? '', values: [...record.values], stamp: standing },
    wins,
    incomingIsDelete: true,
    at,
  });
  if (wins === true) draft.deleted = stampAfter(newest, at, system);
  if (wins === null) draft.held = { ...draft.held, [RECORD_UNIT]: entry.id };
  return finish(record, draft, views);
}

/** Our own delete as the log shows it. */
export function settleDeleteEcho(record: RecordState, system: string): RecordState {
  return { ...record, views: without(record.views, system) };
}

/**
 * A user changed a row of a record that another system deleted. Returns false when the delete
 * stands and the change is only journalled.
 */
function reviveOrBury(draft: Draft, record: RecordState, patch: Patch): boolean {
  if (record.deleted === null) return true;
  const { entity, lens, at } = patch;
  const wins = deleteWins(entity, record.deleted.wall, {
    wall: at,
    counter: 0,
    system: lens.system,
  });
  const entry = journalDelete(draft, entity, record, {
    deleter: { system: record.deleted.system, values: null, stamp: record.deleted },
    keeper: {
      system: lens.system,
      values: record.values.map((value, f) => patch.values[f] ?? value),
      stamp: { wall: at, counter: 0, system: lens.system },
    },
    wins,
    incomingIsDelete: false,
    at,
  });
  if (wins === true) return false;
  draft.deleted = null;
  if (wins === null) draft.held = { ...draft.held, [RECORD_UNIT]: entry.id };
  return true;
}

/** Whether the delete beats the update; null: a person decides. */
function deleteWins(entity: Entity, deletedAt: Micros, updated: Stamp | null): boolean | null {
  switch (entity.deleteConflict) {
    case 'delete_wins':
      return true;
    case 'update_wins':
      return false;
    case 'park':
      return null;
    case 'last_writer': {
      const gap = deletedAt - (updated?.wall ?? 0);
      return Math.abs(gap) <= toleranceOf(entity) || updated?.wall === 0 ? null : gap > 0;
    }
  }
}

/** The clock tolerance that the entity's own last-writer policies use. */
function toleranceOf(entity: Entity): Micros {
  for (const unit of entity.units) {
    for (const policy of unit.chain) if (policy.kind === 'last_writer') return policy.tolerance;
  }
  return 1_000_000;
}

function journalDelete(
  draft: Draft,
  entity: Entity,
  record: RecordState,
  sides: {
    deleter: JournalEntry['incoming'];
    keeper: JournalEntry['incoming'];
    wins: boolean | null;
    incomingIsDelete: boolean;
    at: Micros;
  },
): JournalEntry {
  const { deleter, keeper, wins } = sides;
  const entry: JournalEntry = {
    id: draft.firstCase + draft.journal.length,
    at: sides.at,
    entity: entity.name,
    record: record.id,
    unit: RECORD_UNIT,
    kind: 'delete',
    state: wins === null ? 'open' : 'settled',
    policy: entity.deleteConflict,
    winner: wins === null ? null : wins ? deleter.system : keeper.system,
    incoming: sides.incomingIsDelete ? deleter : keeper,
    standing: sides.incomingIsDelete ? keeper : deleter,
    outcome: wins === false ? keeper.values : null,
  };
  draft.journal.push(entry);
  return entry;
}

const unitChanged = (unit: Unit, values: readonly Cell[], view: SystemView): boolean =>
  unit.fields.some((f) => values[f] !== undefined && values[f] !== view.values[f]);

function settleUnit(
  draft: Draft,
  record: RecordState,
  patch: Patch,
  view: SystemView,
  unit: Unit,
): void {
  const fields = unit.fields.filter((f) => patch.values[f] !== undefined);
  if (fields.every((f) => record.values[f] === patch.values[f])) {
    // 2. Both sides agree. An open conflict over the unit has settled itself.
    const open = draft.held?.[unit.name];
    if (open !== undefined) {
      draft.agreed.push(open);
      draft.held = withoutUnit(draft.held, unit.name);
    }
    return;
  }
  if (draft.held?.[unit.name] !== undefined) {
    // An open conflict: a system that holds the standing value may go on changing it, what the
    // other one writes stays in its view until a person decides.
    if (fields.every((f) => seen(record, view, f))) accept(draft, record, patch, fields);
    return;
  }
  if (unit.fields.every((f) => view.values[f] === undefined || seen(record, view, f))) {
    // 3. Up to date: accepted.
    const changed = fields.filter((f) => patch.values[f] !== view.values[f]);
    accept(draft, record, patch, changed);
    if (isFlipping(draft.flips)) hold(draft, record, patch, unit, 'flipping');
    return;
  }
  // 4. It had not seen what another system wrote.
  const base = fields.map((f) => view.values[f] ?? null);
  const verdict = decide(unit.chain, contest(record, patch, unit, fields, base));
  applyVerdict(draft, record, patch, unit, fields, verdict, 'conflict');
}

function accept(draft: Draft, record: RecordState, patch: Patch, fields: readonly number[]): void {
  for (const f of fields) write(draft, record, patch, f, patch.values[f] ?? null);
}

function write(draft: Draft, record: RecordState, patch: Patch, f: number, value: Value): void {
  const previous = record.values[f] ?? null;
  const stamp = record.stamps[f] ?? null;
  if (stamp !== null && stamp.system !== patch.lens.system) {
    const was = draft.flips?.was[f];
    if (was !== undefined && was === value) draft.flips = countFlip(draft.flips, patch.at);
    const kept = draft.flips ?? { count: 0, since: patch.at, was: {} };
    draft.flips = { ...kept, was: { ...kept.was, [f]: previous } };
  }
  draft.values[f] = value;
  draft.stamps[f] = stampAfter(stamp, patch.at, patch.lens.system);
}

function contest(
  record: RecordState,
  patch: Patch,
  unit: Unit,
  fields: readonly number[],
  base: readonly Value[],
) {
  const systems: Record<string, readonly Cell[]> = {};
  for (const [system, view] of Object.entries(record.views)) systems[system] = view.values;
  const incoming = record.values.map((_, f) => {
    const told = patch.values[f];
    return told === undefined ? record.views[patch.lens.system]?.values[f] : told;
  });
  systems[patch.lens.system] = incoming;
  return {
    fields,
    kinds: fields.map((f) => patch.entity.fields[f]),
    system: patch.lens.system,
    at: patch.at,
    base,
    incoming: fields.map((f) => patch.values[f] ?? null),
    standing: fields.map((f) => record.values[f] ?? null),
    stamp: latest(unit.fields.map((f) => record.stamps[f] ?? null)),
    sides: { record: record.values, systems },
  };
}

function applyVerdict(
  draft: Draft,
  record: RecordState,
  patch: Patch,
  unit: Unit,
  fields: readonly number[],
  verdict: Verdict,
  kind: JournalEntry['kind'],
): void {
  const standing = latest(unit.fields.map((f) => record.stamps[f] ?? null));
  if (verdict.kind === 'incoming') accept(draft, record, patch, fields);
  if (verdict.kind === 'values') {
    fields.forEach((f, i) => {
      const value = verdict.values[i] ?? null;
      if (value !== record.values[f]) write(draft, record, patch, f, value);
    });
  }
  const winner =
    verdict.kind === 'incoming'
      ? patch.lens.system
      : verdict.kind === 'standing'
        ? (standing?.system ?? null)
        : null;
  const entry = journal(draft, record, patch, unit, kind, verdict.policy, winner, verdict.kind);
  if (verdict.kind === 'park') draft.held = { ...draft.held, [unit.name]: entry.id };
  else if (isFlipping(draft.flips)) hold(draft, record, patch, unit, 'flipping');
}

function journal(
  draft: Draft,
  record: RecordState,
  patch: Patch,
  unit: Unit,
  kind: JournalEntry['kind'],
  policy: string,
  winner: string | null,
  verdict: Verdict['kind'],
): JournalEntry {
  const standing = latest(unit.fields.map((f) => record.stamps[f] ?? null));
  const view = record.views[patch.lens.system];
  const entry: JournalEntry = {
    id: draft.firstCase + draft.journal.length,
    at: patch.at,
    entity: patch.entity.name,
    record: record.id,
    unit: unit.name,
    kind,
    state: verdict === 'park' ? 'open' : 'settled',
    policy,
    winner,
    incoming: {
      system: patch.lens.system,
      values: unit.fields.map((f) => patch.values[f] ?? view?.values[f] ?? null),
      stamp: { wall: patch.at, counter: 0, system: patch.lens.system },
    },
    standing: {
      system: standing?.system ?? '',
      values: unit.fields.map((f) => record.values[f] ?? null),
      stamp: standing,
    },
    outcome: verdict === 'park' ? null : unit.fields.map((f) => draft.values[f] ?? null),
  };
  draft.journal.push(entry);
  return entry;
}

/** Sets a unit aside for a person: nothing is written for it until it is resolved. */
function hold(draft: Draft, record: RecordState, patch: Patch, unit: Unit, policy: string): void {
  if (draft.held?.[unit.name] !== undefined) return;
  const entry = journal(draft, record, patch, unit, 'conflict', policy, null, 'park');
  draft.held = { ...draft.held, [unit.name]: entry.id };
}

function moved(record: RecordState, patch: Patch, view: SystemView): RecordState['views'] {
  return { ...record.views, [patch.lens.system]: moveView(view, patch) };
}

function latest(stamps: readonly (Stamp | null)[]): Stamp | null {
  let newest: Stamp | null = null;
  for (const stamp of stamps) {
    if (stamp !== null && (newest === null || stamp.wall > newest.wall)) newest = stamp;
  }
  return newest;
}

function withoutUnit(held: Record<string, number> | null, unit: string) {
  const { [unit]: _, ...rest } = held ?? {};
  return Object.keys(rest).length > 0 ? rest : null;
}
