import type { Policy } from '../contract/entity.ts';
import type { Patch, Repair } from '../contract/patch.ts';
import { RECORD_UNIT, type RecordState, type SystemView } from '../model/record.ts';
import { stampAfter } from '../model/stamp.ts';
import {
  type Draft,
  draftFor,
  finish,
  journal,
  latest,
  type Occasion,
  repairedBy,
  type Settled,
  stampOf,
} from './draft.ts';
import { agrees, changedUnits, settleContest, settleUnit, toldOf } from './settle-unit.ts';
import { newView } from './view.ts';

/** The chain that decides: what a person prefers comes first. */
export const chainOf = (chain: readonly Policy[], repair: Repair | undefined): readonly Policy[] =>
  repair?.from == null ? chain : [{ kind: 'prefer', system: repair.from }, ...chain];

/**
 * A row that was changed where no log told of it. Nobody can say who had seen what, so whatever
 * differs is contested; the loser's value is kept with the person's act as the reason.
 */
export function settleRepair(draft: Draft, patch: Patch, view: SystemView, repair: Repair): void {
  const own = repair.from === patch.lens.system;
  for (const unit of own ? patch.entity.units : changedUnits(patch, view)) {
    const told = toldOf(patch, view, unit);
    if (agrees(draft, told)) continue;
    if (draft.held?.[unit.name] !== undefined) settleUnit(draft, patch, view, unit);
    else settleContest(draft, patch, view, told, chainOf(unit.chain, repair), 'repair');
  }
}

/** A row that no record knows, while the system that a person prefers has none like it. */
export const isUnwanted = (repair: Repair | undefined, { entity, lens }: Patch): boolean =>
  repair?.from != null &&
  repair.from !== lens.system &&
  entity.lenses.has(repair.from) &&
  (lens.deletion.kind === 'propagate' || lens.deletion.kind === 'soft');

/** It is deleted where it is; what it held stays in the journal (invariant 2). */
export function settleUnwanted(
  created: RecordState,
  patch: Patch,
  from: string,
  occasion: Occasion,
): Settled {
  const draft = draftFor(created, patch, occasion);
  draft.deleted = stampAfter(latest(created.stamps), patch.at, from);
  journal(draft, {
    unit: RECORD_UNIT,
    kind: 'repair',
    policy: repairedBy(`prefer: ${from}`),
    winner: from,
    incoming: { system: patch.lens.system, values: [...created.values], stamp: stampOf(draft) },
    standing: { system: from, values: null, stamp: null },
    outcome: null,
  });
  return finish(draft, newView(patch));
}
