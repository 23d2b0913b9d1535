import type { Sent } from '../contract/ledger.ts';
import type { Patch } from '../contract/patch.ts';
import type { RecordState, SystemView } from '../model/record.ts';
import type { Cell, Value } from '../model/value.ts';

/** The first view of a system: exactly what its row holds. */
export const newView = ({ key, values, raw }: Patch): SystemView => ({
  status: 'linked',
  key,
  values,
  raw,
  represents: null,
});

export const UNLINKED: SystemView = {
  status: 'unlinked',
  key: '',
  values: [],
  raw: null,
  represents: null,
};

/**
 * The view after a row of that system's log: what the image left out stays. Only rows read from
 * the log (or fenced into it) move a view.
 */
export function moveView(view: SystemView, { key, values, raw }: Patch): SystemView {
  const represents: Record<number, Value> = {};
  for (const [f, value] of Object.entries(view.represents ?? {})) {
    if (!changed(view, Number(f), values[Number(f)])) represents[Number(f)] = value;
  }
  return {
    status: 'linked',
    key,
    values: values.map((told, f) => (told === undefined ? view.values[f] : told)),
    raw,
    represents: someOf(represents),
  };
}

/**
 * The view after our own write came back. What the system stores differently (rounded, trimmed)
 * stands for what we wrote and is no difference (invariant 5); a field that it does not tell, or
 * that its image left out as unchanged, is known from what was sent. Of a row that was there before
 * without our knowledge what was left out may be spelled otherwise: see {@link seenFirst}.
 */
export function confirmView(view: SystemView, patch: Patch, sent: Sent): SystemView {
  const values = [...view.values];
  const represents: Record<number, Value> = { ...view.represents };
  for (const [f, wrote] of sent.values.entries()) {
    if (wrote === undefined) continue;
    const told = patch.values[f] === undefined ? view.values[f] : patch.values[f];
    const stored = told === undefined || !patch.lens.reads[f] ? wrote : told;
    const unseen = told === undefined && patch.lens.reads[f] === true;
    values[f] = stored;
    if (stored === wrote && !unseen) delete represents[f];
    else represents[f] = wrote;
  }
  return { ...view, values, represents: someOf(represents) };
}

/**
 * A reading of a row of which our write was not seen as a whole: what it holds where the view only
 * repeats what was sent is how the system stores it. A change of it since would be in the log.
 */
export function seenFirst(record: RecordState, { lens, values: told }: Patch): RecordState {
  const view = record.views[lens.system];
  if (view?.represents == null) return record;
  const values = [...view.values];
  const represents = { ...view.represents };
  for (const [at, wrote] of Object.entries(view.represents)) {
    const f = Number(at);
    if (view.values[f] !== wrote || told[f] === undefined) continue;
    values[f] = told[f];
    if (told[f] === wrote) delete represents[f];
  }
  const seen = { ...view, values, represents: someOf(represents) };
  return { ...record, views: { ...record.views, [lens.system]: seen } };
}

/** What a system's value stands for: what we wrote, where it spells that differently. */
export function meaning(view: SystemView, f: number): Cell {
  const wrote = view.represents?.[f];
  return wrote === undefined ? view.values[f] : wrote;
}

/**
 * The target says that its row holds what was sent already, and its log has been read this far:
 * where the view still differs, that is how the system stores it.
 */
export function storedAlready(record: RecordState, system: string, sent: Sent): RecordState {
  const view = record.views[system];
  if (view?.status !== 'linked') return record;
  const represents: Record<number, Value> = { ...view.represents };
  for (const [f, wrote] of sent.values.entries()) {
    if (wrote !== undefined && wrote !== view.values[f]) represents[f] = wrote;
  }
  return {
    ...record,
    views: { ...record.views, [system]: { ...view, represents: someOf(represents) } },
  };
}

export const changed = (view: SystemView, f: number, told: Cell): boolean =>
  told !== undefined && told !== view.values[f];

/** Whether a system holds a value, however spelled; true where its mapping has no such field. */
export function holds(view: SystemView, f: number, value: Cell): boolean {
  const held = view.values[f];
  return held === undefined || held === value || view.represents?.[f] === value;
}

export function openView(record: RecordState, system: string): SystemView {
  const view = record.views[system];
  if (view === undefined) throw new Error(`record ${record.id} has no view of ${system}`);
  return view;
}

const someOf = <T extends object>(entries: T): T | null =>
  Object.keys(entries).length > 0 ? entries : null;
