import type { DatabaseSync } from 'node:sqlite';

/**
 * `next`: the next free record, seq and case; `paused`: since when, µs, by kind and name;
 * `wipe`: rewritings of the file that are owed; the others count what is there.
 */
export type TallyKind = 'next' | 'records' | 'outbox' | 'open' | 'parked' | 'paused' | 'wipe';

/**
 * Numbers that are kept along with every commit, so that no start and no scrape scans for them.
 * Changes are seen at once by `get` and undone by `rollback`.
 */
export interface Tallies {
  get(kind: TallyKind, name: string): number;
  add(kind: TallyKind, name: string, by: number): void;
  /** Raises a number to at least `to`. */
  raise(kind: TallyKind, name: string, to: number): void;
  /** All of a kind that are not zero. */
  all(kind: TallyKind): Record<string, number>;
  reload(): void;
  /** Writes what changed, inside the transaction. */
  flush(): void;
  settled(): void;
  rollback(): void;
}

export function openTallies(db: DatabaseSync): Tallies {
  const select = db.prepare('SELECT kind, name, value FROM tallies');
  const upsert = db.prepare('INSERT OR REPLACE INTO tallies (kind, name, value) VALUES (?, ?, ?)');
  const kinds = new Map<string, Map<string, number>>();
  /** Values before this transaction. */
  const before = new Map<string, [TallyKind, string, number]>();
  const of = (kind: string) => {
    const tallies = kinds.get(kind) ?? new Map<string, number>();
    kinds.set(kind, tallies);
    return tallies;
  };
  const get = (kind: TallyKind, name: string) => of(kind).get(name) ?? 0;
  const set = (kind: TallyKind, name: string, value: number) => {
    const id = `${kind} ${name}`;
    if (!before.has(id)) before.set(id, [kind, name, get(kind, name)]);
    of(kind).set(name, value);
  };
  const reload = () => {
    kinds.clear();
    for (const row of select.all()) {
      of(String(row.kind)).set(String(row.name), Number(row.value));
    }
  };
  reload();
  return {
    get,
    add: (kind, name, by) => set(kind, name, get(kind, name) + by),
    raise(kind, name, to) {
      if (to > get(kind, name)) set(kind, name, to);
    },
    all: (kind) => Object.fromEntries([...of(kind)].filter(([, value]) => value !== 0)),
    reload,
    flush() {
      for (const [kind, name] of before.values()) upsert.run(kind, name, get(kind, name));
    },
    settled: () => before.clear(),
    rollback() {
      for (const [kind, name, value] of before.values()) of(kind).set(name, value);
      before.clear();
    },
  };
}
