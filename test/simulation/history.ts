import type { Micros, Value } from '../../src/model/value.ts';

/**
 * What really happened, told by the systems themselves: each write knows the write it replaced, so
 * "had its author seen that one?" needs no clock and no ledger.
 */
export interface Write {
  readonly system: string;
  readonly field: string;
  /** The real-world thing that was written about, whatever its rows are called. */
  readonly who: string;
  /** Canonical; no two writes of one field make the same value. */
  readonly value: Value;
  /** What the cell held when it was written. */
  readonly seen: Write | null;
  /** When it was committed, by the system's clock. */
  at: Micros;
  /** A trigger's work inside a transaction of Carrick. */
  readonly trigger: boolean;
  /** Made in a row that is soft-deleted, or outside of `where`. */
  readonly hidden: boolean;
}

/**
 * A user removed a row, or hid it: everything its cells descend from was seen. Or what had been
 * made in a hidden row was replaced there.
 */
export interface Removal {
  readonly system: string;
  readonly table: string;
  readonly who: string;
  readonly seen: readonly Write[];
  /** It went with the row that it referred to. */
  readonly cascaded?: boolean;
}

export interface History {
  /** Committed writes, in the order of their commits. */
  readonly writes: Write[];
  readonly removals: Removal[];
  commit(writes: readonly Write[], at: Micros): void;
  /** The latest write that made this value, if anyone did. */
  find(field: string, value: Value): Write | null;
  /** All of them: a trigger may make the same text of the same name twice. */
  all(field: string, value: Value): readonly Write[];
}

export function openHistory(): History {
  const writes: Write[] = [];
  const byValue = new Map<string, Write[]>();
  const all = (field: string, value: Value): readonly Write[] =>
    byValue.get(`${field}\u0000${value}`) ?? [];
  return {
    writes,
    removals: [],
    commit(made, at) {
      for (const write of made) {
        write.at = at;
        writes.push(write);
        const name = `${write.field}\u0000${write.value}`;
        byValue.set(name, [...(byValue.get(name) ?? []), write]);
      }
    },
    all,
    find: (field, value) => all(field, value).at(-1) ?? null,
  };
}

/** Whether the author of `later` had seen `earlier` (or is its author). */
export function descends(later: Write | null, earlier: Write): boolean {
  for (let at = later; at !== null; at = at.seen) if (at === earlier) return true;
  return false;
}
