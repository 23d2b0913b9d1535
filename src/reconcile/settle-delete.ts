import type { Entity } from '../contract/entity.ts';
import type { JournalSide } from '../contract/ledger.ts';
import type { Patch, Repair } from '../contract/patch.ts';
import { RECORD_UNIT, type RecordState, type SystemView } from '../model/record.ts';
import { stampAfter } from '../model/stamp.ts';
import type { Micros, Value } from '../model/value.ts';
import {
  type Draft,
  draftOf,
  finish,
  journal,
  latest,
  type Occasion,
  release,
  repairedBy,
  type Settled,
  stampOf,
} from './draft.ts';
import { holds, UNLINKED } from './view.ts';

/** The row that is gone: whose it was, and when it went, µs; 0: unknown. */
export type GoneRow = Pick<Patch, 'entity' | 'lens' | 'at'>;

/**
 * A row is gone from its system: deleted, soft-deleted or out of the filter (`left`). A delete by
 * someone who had not seen what another system wrote is a conflict.
 */
export function settleDelete(
  record: RecordState,
  { entity, lens, at }: GoneRow,
  left: boolean,
  occasion: Occasion,
): Settled {
  const { system, deletion, writes } = lens;
  const view = record.views[system];
  const draft = draftOf(record, system, at, occasion);
  const others = otherRows(record, system);
  releaseAgreed(draft, entity, others);
  const { repair } = occasion;
  const kept = repair?.from != null && record.views[repair.from]?.status === 'linked';
  const restored = kept && repair.from !== system && record.deleted === null;
  if (left || (deletion.kind === 'unlink' && !restored)) return finish(draft, UNLINKED);
  if (view === undefined || deletion.kind === 'ignore' || record.deleted !== null) {
    return finish(draft, null);
  }
  // A field that is never written to the system cannot be seen there, and is no reason to object.
  const unseen = record.values.flatMap((value, f) =>
    writes[f] && !holds(view, f, value) ? [f] : [],
  );
  const contested = repair === undefined ? unseen : record.values.map((_, f) => f);
  if (others.length === 0 || contested.length === 0) bury(draft);
  else {
    const stamp = latest(contested.map((f) => record.stamps[f] ?? null));
    const by = restored ? repair.from : stamp?.system;
    const keeper = { system: by ?? '', values: [...record.values], stamp };
    const deleter = { system, values: null, stamp: stampOf(draft) };
    const wins = repair?.from == null ? deleteWins(entity, at, stamp?.wall ?? 0) : !restored;
    settleCase(draft, entity, { incoming: deleter, standing: keeper }, wins);
    if (wins === true) bury(draft);
  }
  return finish(draft, null);
}

/** Our own delete as the log shows it. */
export const settleDeleteEcho = (
  record: RecordState,
  { entity, lens, at }: GoneRow,
  occasion: Occasion,
): Settled => {
  const draft = draftOf(record, lens.system, at, occasion);
  releaseAgreed(draft, entity, otherRows(record, lens.system));
  return finish(draft, null);
};

/**
 * A user changed a row of a record that another system deleted: the record is alive again, or the
 * delete stands. Its values are settled either way, because no view may move past its record: who
 * revives it later would clash with what the loser, or he himself, wrote before.
 */
export function reviveOrBury(draft: Draft, { entity, values }: Patch): void {
  const { record, system, writtenAt } = draft;
  const { deleted } = record;
  if (deleted === null) return;
  const kept = record.values.map(
    (value, f): Value => (values[f] === undefined ? value : values[f]),
  );
  const keeper = { system, values: kept, stamp: stampOf(draft) };
  const deleter = { system: deleted.system, values: null, stamp: deleted };
  const wins = deleteWins(entity, deleted.wall, writtenAt);
  settleCase(draft, entity, { incoming: keeper, standing: deleter }, wins);
  if (wins !== true) draft.deleted = null;
}

function bury(draft: Draft): void {
  const { record, writtenAt, system } = draft;
  draft.deleted = stampAfter(latest(record.stamps), writtenAt, system);
}

const otherRows = ({ views }: RecordState, system: string): SystemView[] =>
  Object.entries(views).flatMap(([name, view]) =>
    name !== system && view.status === 'linked' ? [view] : [],
  );

/** With a row its opinion is gone: what all others hold alike, or nobody holds, is settled. */
function releaseAgreed(draft: Draft, { units }: Entity, others: readonly SystemView[]): void {
  if (draft.held === null) return;
  for (const { name, fields } of units) {
    const alike = others.every((view) => fields.every((f) => holds(view, f, draft.values[f])));
    if (alike) release(draft, name);
  }
  if (others.length === 0) release(draft, RECORD_UNIT);
}

/** Whether the delete beats the update; null: a person decides. Times in µs, 0: unknown. */
function deleteWins(entity: Entity, deletedAt: Micros, updatedAt: Micros): boolean | null {
  switch (entity.deleteConflict) {
    case 'delete_wins':
      return true;
    case 'update_wins':
      return false;
    case 'park':
      return null;
    case 'last_writer': {
      if (deletedAt === 0 || updatedAt === 0) return null;
      const lead = deletedAt - updatedAt;
      return Math.abs(lead) <= toleranceOf(entity) ? null : lead > 0;
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

function settleCase(
  draft: Draft,
  entity: Entity,
  sides: { readonly incoming: JournalSide; readonly standing: JournalSide },
  deleteWon: boolean | null,
): void {
  const { incoming, standing } = sides;
  const [deleter, keeper] = incoming.values === null ? [incoming, standing] : [standing, incoming];
  const winner = deleteWon === null ? null : deleteWon ? deleter : keeper;
  journal(draft, {
    ...sides,
    unit: RECORD_UNIT,
    ...reasonOf(entity, draft.occasion.repair),
    winner: winner?.system ?? null,
    outcome: winner === null ? undefined : winner.values,
  });
}

function reasonOf({ deleteConflict }: Entity, repair: Repair | undefined) {
  if (repair === undefined) return { kind: 'delete', policy: deleteConflict } as const;
  const policy = repair.from === null ? deleteConflict : `prefer: ${repair.from}`;
  return { kind: 'repair', policy: repairedBy(policy) } as const;
}
