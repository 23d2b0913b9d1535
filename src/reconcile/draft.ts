import type { Unit } from '../contract/entity.ts';
import type { JournalEntry, JournalSide } from '../contract/ledger.ts';
import type { Patch, Repair } from '../contract/patch.ts';
import type { RecordState, SystemView } from '../model/record.ts';
import { compareStamps, type Stamp, stampAfter } from '../model/stamp.ts';
import type { Micros, Value } from '../model/value.ts';
import { countFlip } from './flip.ts';

/** When something is decided: log time, and the number that its first journal entry gets. */
export interface Occasion {
  readonly at: Micros;
  readonly firstCase: number;
  /** Absent: nobody asked for a repair. */
  readonly repair?: Repair | undefined;
}

export interface Settled {
  readonly record: RecordState;
  readonly journal: readonly JournalEntry[];
  /** Open journal entries that this settled by itself, because the sides agree again. */
  readonly agreed: readonly number[];
}

/** A working copy of one record while one row is settled into it. Never leaves reconcile. */
export interface Draft {
  /** The record as it was. */
  readonly record: RecordState;
  /** Whose row is settled, and when it was written; 0: unknown. */
  readonly system: string;
  readonly writtenAt: Micros;
  readonly occasion: Occasion;
  values: Value[];
  stamps: (Stamp | null)[];
  deleted: Stamp | null;
  held: RecordState['held'];
  flips: RecordState['flips'];
  /** It brought back what another system had replaced. */
  undid: boolean;
  readonly journal: JournalEntry[];
  readonly agreed: number[];
}

export const draftOf = (
  record: RecordState,
  system: string,
  writtenAt: Micros,
  occasion: Occasion,
): Draft => ({
  record,
  system,
  writtenAt,
  occasion,
  values: [...record.values],
  stamps: [...record.stamps],
  deleted: record.deleted,
  held: record.held,
  flips: record.flips,
  undid: false,
  journal: [],
  agreed: [],
});

export const draftFor = (record: RecordState, patch: Patch, occasion: Occasion): Draft =>
  draftOf(record, patch.lens.system, patch.at, occasion);

/** The result; `view` is what the system holds from now on, null when it holds nothing. */
export function finish(draft: Draft, view: SystemView | null): Settled {
  const { record, system, values, stamps, deleted, held, flips, journal, agreed } = draft;
  const { [system]: _, ...others } = record.views;
  const views = view === null ? others : { ...others, [system]: view };
  return { record: { ...record, values, stamps, deleted, held, flips, views }, journal, agreed };
}

/** Writes what differs; each field's stamps only ever grow. `by`: whose value it is. */
export function write(draft: Draft, f: number, value: Value, by = draft.system): void {
  const { record, writtenAt, occasion } = draft;
  const previous = record.values[f] ?? null;
  if (value === previous) return;
  const stamp = record.stamps[f] ?? null;
  if (stamp !== null && stamp.system !== by) {
    // Once for all fields: who brings back a whole row has undone once.
    const undoes = !draft.undid && draft.flips?.was[f] === value;
    const flips = undoes ? countFlip(draft.flips, occasion.at) : draft.flips;
    draft.undid ||= undoes;
    draft.flips = {
      count: flips?.count ?? 0,
      since: flips?.since ?? occasion.at,
      was: { ...flips?.was, [f]: previous },
    };
  }
  draft.values[f] = value;
  draft.stamps[f] = stampAfter(stamp, writtenAt, by);
}

/** Two sides of one unit, for the journal: arrays run over the unit's fields. */
export interface Case {
  readonly unit: string;
  readonly kind: JournalEntry['kind'];
  readonly policy: string;
  readonly winner: string | null;
  readonly incoming: JournalSide;
  readonly standing: JournalSide;
  /** `undefined`: not decided, a person has to. */
  readonly outcome: readonly Value[] | null | undefined;
}

/** The policy of a journal entry that a person's repair is the reason for. */
export const repairedBy = (policy: string): string => `repair, ${policy}`;

/** Keeps both sides (invariant 2). A case that nobody decided holds its unit. */
export function journal(draft: Draft, { outcome, ...entry }: Case): void {
  const id = draft.occasion.firstCase + draft.journal.length;
  const open = outcome === undefined;
  const { id: record, entity } = draft.record;
  draft.journal.push({
    ...entry,
    id,
    at: draft.occasion.at,
    entity,
    record,
    state: open ? 'open' : 'settled',
    outcome: outcome ?? null,
  });
  if (open) draft.held = { ...draft.held, [entry.unit]: id };
}

/** The sides agree again: an open case of the unit is settled by that. */
export function release(draft: Draft, unit: string): void {
  const { [unit]: open, ...held } = draft.held ?? {};
  if (open === undefined) return;
  draft.agreed.push(open);
  draft.held = Object.keys(held).length > 0 ? held : null;
}

/** What the record holds of a unit, under the latest stamp among its fields. */
export function standingSide(record: RecordState, unit: Pick<Unit, 'fields'>): JournalSide {
  const stamp = latest(unit.fields.map((f) => record.stamps[f] ?? null));
  const values = unit.fields.map((f) => record.values[f] ?? null);
  return { system: stamp?.system ?? '', values, stamp };
}

export const stampOf = ({ writtenAt, system }: Draft): Stamp => ({
  wall: writtenAt,
  counter: 0,
  system,
});

export function latest(stamps: readonly (Stamp | null)[]): Stamp | null {
  let newest: Stamp | null = null;
  for (const stamp of stamps) {
    if (stamp !== null && (newest === null || compareStamps(stamp, newest) > 0)) newest = stamp;
  }
  return newest;
}
