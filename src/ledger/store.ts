import type { DatabaseSync } from 'node:sqlite';
import type { RecordState } from '../model/record.ts';
import { type Cache, createCache } from './cache.ts';
import { type Names, openNames } from './names.ts';
import { openTallies, type Tallies } from './tallies.ts';

/** Weights are estimated heap bytes; with SQLite's own cache the ledger stays under 200 MiB. */
const RECORD_CACHE_BYTES = 64 * 1024 * 1024;
const LINK_CACHE_BYTES = 32 * 1024 * 1024;

/** What reading, writing and the desk share. */
export interface Store {
  readonly db: DatabaseSync;
  readonly names: Names;
  readonly tallies: Tallies;
  /** Decoded records as they are on disk. */
  readonly records: Cache<number, RecordState>;
  /** Record ids by {@link linkId}. */
  readonly links: Cache<string, number>;
  /** By system: no outbox entry has a lower seq, so looking for the oldest starts there. */
  readonly oldest: Map<string, number>;
}

export function openStore(db: DatabaseSync): Store {
  return {
    db,
    names: openNames(db),
    tallies: openTallies(db),
    records: createCache(RECORD_CACHE_BYTES),
    links: createCache(LINK_CACHE_BYTES),
    oldest: new Map(),
  };
}

/** Forgets what another process may have changed: for a read-only ledger, before each read. */
export function refresh(store: Store): void {
  store.names.reload();
  store.tallies.reload();
  store.records.clear();
  store.links.clear();
  store.oldest.clear();
}

export function linkId(system: number, entity: number, key: string): string {
  return `${system}/${entity}/${key}`;
}

export function keepLink(store: Store, id: string, record: number): void {
  store.links.set(id, record, 120 + id.length);
}

export function keepRecord(store: Store, state: RecordState): void {
  let weight = 400 + 80 * state.values.length;
  for (const value of state.values) weight += value?.length ?? 0;
  for (const system in state.views) {
    const view = state.views[system]!;
    weight += 300 + view.key.length + (view.values === state.values ? 0 : 8 * view.values.length);
    for (let i = 0; i < view.values.length; i++) {
      const value = view.values[i];
      if (value !== state.values[i]) weight += value?.length ?? 0;
    }
    for (const column in view.raw) weight += 40 + (view.raw[column]?.length ?? 0);
  }
  store.records.set(state.id, state, weight);
}
