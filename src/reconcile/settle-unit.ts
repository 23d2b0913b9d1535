import type { Policy, Unit } from '../contract/entity.ts';
import type { JournalEntry, JournalSide } from '../contract/ledger.ts';
import type { Patch } from '../contract/patch.ts';
import type { SystemView } from '../model/record.ts';
import type { Cell, Value } from '../model/value.ts';
import {
  type Draft,
  journal,
  latest,
  release,
  repairedBy,
  stampOf,
  standingSide,
  write,
} from './draft.ts';
import { isFlipping } from './flip.ts';
import { type Contest, decide } from './policies.ts';
import { changed, holds, meaning, moveView } from './view.ts';

/** What a system tells of one unit; arrays run over `fields`, those that it knows. */
export interface Told {
  readonly unit: Unit;
  readonly fields: readonly number[];
  readonly incoming: readonly Value[];
}

export const changedUnits = ({ entity, values }: Patch, view: SystemView): readonly Unit[] =>
  entity.units.filter((unit) => unit.fields.some((f) => changed(view, f, values[f])));

/**
 * A unit as a whole: fields that did not change count with what they stand for, so that a partial
 * image and a full one are settled alike.
 */
export function toldOf(patch: Patch, view: SystemView, unit: Unit): Told {
  const fields: number[] = [];
  const incoming: Value[] = [];
  for (const f of unit.fields) {
    const told = patch.values[f];
    const value = changed(view, f, told) ? told : meaning(view, f);
    if (value === undefined) continue;
    fields.push(f);
    incoming.push(value);
  }
  return { unit, fields, incoming };
}

/**
 * Three-way detection in log order (DESIGN.md, Detecting conflicts): the view is the base, the
 * record is what the others made of it.
 */
export function settleUnit(draft: Draft, patch: Patch, view: SystemView, unit: Unit): void {
  const { record } = draft;
  const told = toldOf(patch, view, unit);
  const flips = flipsOf(draft);
  const current = told.fields.every((f) => holds(view, f, record.values[f]));
  if (agrees(draft, told) && (current || !addsUp(draft, unit))) {
    // 2. Both sides agree: only the view moves.
  } else if (current) {
    // 3. The system was up to date: accepted. It may go on changing what an open conflict holds.
    accept(draft, told);
  } else if (draft.held?.[unit.name] !== undefined) {
    keepAside(draft, told, 'conflict');
  } else {
    // 4. It had not seen what another system wrote.
    settleContest(draft, patch, view, told, unit.chain, 'conflict');
  }
  holdIfFlipping(draft, told, flips);
  if (draft.held?.[unit.name] !== undefined && unanimous(draft, told)) release(draft, unit.name);
}

export const agrees = ({ record }: Draft, { fields, incoming }: Told): boolean =>
  fields.every((f, i) => incoming[i] === record.values[f]);

/**
 * Two people who each took one piece off the same stock write the same number and mean different
 * ones. What is only read (a snapshot's row) is no such change.
 */
const addsUp = ({ writtenAt }: Draft, { chain }: Unit): boolean =>
  writtenAt !== 0 && chain.some(({ kind }) => kind === 'sum_of_deltas');

/** Every system that has a row holds the same: an open conflict has settled itself. */
function unanimous({ record, system, values }: Draft, { unit, fields, incoming }: Told): boolean {
  return (
    fields.every((f, i) => incoming[i] === values[f]) &&
    Object.entries(record.views).every(
      ([name, view]) => name === system || unit.fields.every((f) => holds(view, f, values[f])),
    )
  );
}

export function accept(draft: Draft, { fields, incoming }: Told): void {
  for (const [i, f] of fields.entries()) write(draft, f, incoming[i] ?? null);
}

/** While a conflict is open nobody else's value is taken; it stays where it is, and is kept. */
export function keepAside(draft: Draft, told: Told, kind: JournalEntry['kind']): void {
  const { values, ...standing } = standingSide(draft.record, told.unit);
  journal(draft, {
    ...sidesOf(draft, told),
    kind,
    policy: 'held',
    winner: standing.system,
    outcome: values,
  });
}

/** Lets the chain choose among values that are known to be concurrent, and keeps the loser's. */
export function settleContest(
  draft: Draft,
  patch: Patch,
  view: SystemView,
  told: Told,
  chain: readonly Policy[],
  kind: JournalEntry['kind'],
): void {
  const { unit, fields } = told;
  const contest = contestOf(draft, patch, view, told);
  const verdict = decide(chain, contest);
  if (verdict.kind === 'incoming') accept(draft, told);
  if (verdict.kind === 'values') {
    const by = verdict.of ?? draft.system;
    for (const [i, f] of fields.entries()) write(draft, f, verdict.values[i] ?? null, by);
  }
  journal(draft, {
    ...sidesOf(draft, told),
    kind,
    policy: kind === 'repair' ? repairedBy(verdict.policy) : verdict.policy,
    winner: winnerOf(verdict, draft.system, contest),
    outcome: verdict.kind === 'park' ? undefined : unit.fields.map((f) => draft.values[f] ?? null),
  });
}

function winnerOf(
  verdict: ReturnType<typeof decide>,
  incoming: string,
  { stamp }: Contest,
): string | null {
  switch (verdict.kind) {
    case 'incoming':
      return incoming;
    case 'standing':
      return stamp?.system ?? null;
    case 'values':
      return verdict.of;
    case 'park':
      return null;
  }
}

function contestOf(draft: Draft, patch: Patch, view: SystemView, told: Told): Contest {
  const { record, system, writtenAt: at } = draft;
  const { fields, incoming, unit } = told;
  const systems: Record<string, readonly Cell[]> = {};
  for (const [name, other] of Object.entries(record.views)) {
    const { values } = other;
    systems[name] = other.represents === null ? values : values.map((_, f) => meaning(other, f));
  }
  systems[system] = moveView(view, patch).values;
  const stamp = latest(unit.fields.map((f) => record.stamps[f] ?? null));
  const standing = fields.map((f) => record.values[f] ?? null);
  if (stamp !== null && stamp.system !== system) {
    // It wrote what stands, and may have no row any more.
    const side = [...(systems[stamp.system] ?? [])];
    for (const [i, f] of fields.entries()) side[f] = standing[i];
    systems[stamp.system] = side;
  }
  return {
    fields,
    kinds: fields.map((f) => patch.entity.fields[f]),
    system,
    at,
    base: fields.map((f) => view.values[f] ?? null),
    incoming,
    standing,
    stamp,
    sides: { record: record.values, systems },
  };
}

export const flipsOf = ({ flips }: Draft): number => flips?.count ?? 0;

/**
 * Where the unit was undone once too often since the count was `before`, it waits for a person:
 * nothing is written for it until that is resolved (invariant 5).
 */
export function holdIfFlipping(draft: Draft, told: Told, before: number): void {
  if (flipsOf(draft) === before || !isFlipping(draft.flips)) return;
  if (draft.held?.[told.unit.name] !== undefined) return;
  journal(draft, {
    ...sidesOf(draft, told),
    kind: 'conflict',
    policy: 'flipping',
    winner: null,
    outcome: undefined,
  });
}

function sidesOf(draft: Draft, { unit, fields, incoming }: Told) {
  const { record, system } = draft;
  const values = unit.fields.map((f) => {
    const at = fields.indexOf(f);
    return (at < 0 ? record.values[f] : incoming[at]) ?? null;
  });
  const side: JournalSide = { system, values, stamp: stampOf(draft) };
  return { unit: unit.name, incoming: side, standing: standingSide(record, unit) };
}
