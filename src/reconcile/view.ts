import type { Patch } from '../contract/patch.ts';
import type { RecordState, SystemView } from '../model/record.ts';
import type { Value } from '../model/value.ts';

/** The first view of a system: exactly what its row holds. */
export function newView(patch: Patch): SystemView {
  return {
    status: 'linked',
    key: patch.key,
    values: patch.values,
    raw: patch.raw,
    represents: null,
  };
}

/**
 * The view after a row of that system's log: what the image left out stays. Only rows read from
 * the log (or fenced into it) move a view.
 */
export function moveView(view: SystemView, patch: Patch): SystemView {
  const represents: Record<number, Value> = {};
  for (const [f, value] of Object.entries(view.represents ?? {})) {
    const told = patch.values[Number(f)];
    if (told === undefined || told === view.values[Number(f)]) represents[Number(f)] = value;
  }
  return {
    status: 'linked',
    key: patch.key,
    values: patch.values.map((value, f) => (value === undefined ? view.values[f] : value)),
    raw: patch.raw,
    represents: Object.keys(represents).length > 0 ? represents : null,
  };
}

export function openView(record: RecordState, system: string): SystemView {
  const view = record.views[system];
  if (view === undefined) throw new Error(`record ${record.id} has no view of ${system}`);
  return view;
}

/** Whether the system's users had seen the record's value of field f when they last wrote. */
export function seen(record: RecordState, view: SystemView, f: number): boolean {
  const held = view.values[f];
  if (held === undefined) return true;
  if (held === record.values[f]) return true;
  return view.represents !== null && view.represents[f] === record.values[f];
}

export function without<T>(from: Readonly<Record<string, T>>, name: string): Record<string, T> {
  const { [name]: _, ...rest } = from;
  return rest;
}
