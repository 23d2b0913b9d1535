import type { DatabaseSync } from 'node:sqlite';
import type { RecordState } from '../model/record.ts';
import { type Cache, createCache } from './cache.ts';
import { type Fresh, openFresh } from './fresh.ts';
import { type Head, openHead } from './head.ts';
import { openKeyring } from './keyring.ts';
import { type LinkGuesses, openLinkGuesses } from './link-guesses.ts';
import { type Names, openNames } from './names.ts';
import type { Privacy } from './privacy.ts';
import { openTallies, type Tallies } from './tallies.ts';
import { openVault, type Vault } from './vault.ts';

/** Weights are estimated heap bytes; SQLite's own cache (`schema.ts`) comes on top. */
const RECORD_CACHE_BYTES = 8 * 1024 * 1024;
/** For each system. */
const FRESH_BYTES = 4 * 1024 * 1024;

/** What reading, writing and the desk share. */
export interface Store {
  readonly db: DatabaseSync;
  readonly names: Names;
  readonly tallies: Tallies;
  readonly vault: Vault;
  readonly head: Head;
  readonly fresh: Fresh;
  /** Decoded records as they are on disk. */
  readonly records: Cache<number, RecordState>;
  readonly links: LinkGuesses;
  /** Links that erasing records removed in the commit under way. */
  readonly unlinked: Parameters<LinkGuesses['delete']>[];
  /** By system: no outbox entry has a lower seq, so looking for the oldest starts there. */
  readonly oldest: Map<string, number>;
}

export function openStore(db: DatabaseSync, path: string, privacy: Privacy): Store {
  const names = openNames(db);
  const tallies = openTallies(db);
  const vault = openVault(path, openKeyring(db, path, privacy.keys));
  const head = openHead(db, { names, tallies, vault });
  // What was not sent is left out aloud: else the index of what was is not used, and all is read.
  const newest = db.prepare(
    'SELECT max(batch) AS batch FROM outbox WHERE system = ? AND batch IS NOT NULL',
  );
  const highest = (system: string) => Number(newest.get(names.known(system) ?? -1)?.batch ?? 0);
  return {
    db,
    names,
    tallies,
    vault,
    head,
    fresh: openFresh(FRESH_BYTES, () => tallies.get('next', 'seq'), highest),
    records: createCache(RECORD_CACHE_BYTES, weighRecord),
    links: openLinkGuesses(),
    unlinked: [],
    oldest: new Map(),
  };
}

/** Forgets what another process may have changed: for a read-only ledger, before each read. */
export function refresh(store: Store): void {
  store.names.reload();
  store.tallies.reload();
  store.vault.keyring.disk.reload();
  store.head.forget();
  store.fresh.forget();
  store.records.clear();
  store.links.clear();
  store.oldest.clear();
}

/** Estimated heap bytes; views share what they have in common with the record. */
function weighRecord(_id: number, state: RecordState): number {
  let weight = 400;
  for (const value of state.values) weight += 60 + (value?.length ?? 0);
  for (const system in state.views) {
    const { values, raw } = state.views[system]!;
    weight += 300;
    if (values !== state.values) {
      for (const value of values) weight += 10 + (value?.length ?? 0);
    }
    for (const column in raw) weight += 80 + (raw[column]?.length ?? 0);
  }
  return weight;
}
