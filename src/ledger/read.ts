import type { StatementSync } from 'node:sqlite';
import type {
  IdentityKey,
  LedgerFound,
  LedgerHead,
  LedgerQuery,
  LinkKey,
  ParkedRow,
} from '../contract/ledger.ts';
import type { RecordId, RecordState } from '../model/record.ts';
import { decodeRecord } from './codec.ts';
import { type OutboxReader, openOutbox } from './outbox-read.ts';
import { allRows, getRow, rows } from './rows.ts';
import type { Store } from './store.ts';

export interface Reader extends OutboxReader {
  head(): LedgerHead;
  find(query: LedgerQuery): LedgerFound;
}

export function openReader(store: Store): Reader {
  const find = openFind(store);
  return { head: store.head.get, find, ...openOutbox(store) };
}

function openFind(store: Store): (query: LedgerQuery) => LedgerFound {
  const parked = rows(
    store,
    `SELECT id, data FROM parked WHERE system = ? AND entity = ? AND key = ?
     ORDER BY id DESC LIMIT 1`,
  );
  const load = openLoad(store);
  const findLinks = openFindLinks(store, load);
  const findIdentities = openFindIdentities(store);
  const parkedRow = ({ system, entity, key }: LinkKey): ParkedRow | null => {
    const row = getRow(
      parked,
      store.names.known(system) ?? -1,
      store.names.known(entity) ?? -1,
      store.vault.rowKey(system, entity, key),
    );
    if (row === undefined) return null;
    const [id, data] = row as [number, string];
    return JSON.parse(store.vault.open('parked', entity, id, data)) as ParkedRow;
  };
  // Every row of every batch is asked for, and hardly ever is any parked.
  const anythingParked = () => Object.keys(store.tallies.all('parked')).length > 0;
  return (query) => {
    const found: Found = new Map();
    const links = findLinks(query.links ?? [], found);
    const identities = findIdentities(query.identities ?? []);
    const ids = query.records ?? [];
    load(found, [...identities.flat(), ...ids]);
    const record = (id: RecordId | undefined) => (id === undefined ? undefined : found.get(id));
    return {
      links: links.map((id) => record(id) ?? null),
      identities: identities.map((list) => list.map(record).filter((state) => state !== undefined)),
      records: ids.map((id) => record(id) ?? null),
      parkedRows: (query.parkedRows ?? []).map(anythingParked() ? parkedRow : () => null),
    };
  };
}

/** A key as it is stored, and which of those that were asked for it is. */
interface Wanted {
  readonly at: number;
  readonly key: string;
}

/**
 * The records of many keys in one statement, which costs a quarter of one a key; in key order,
 * because neighbours share a page.
 */
function recordsOf(statement: StatementSync, wanted: Wanted[], ...codes: number[]) {
  wanted.sort((a, b) => (a.key < b.key ? -1 : 1));
  // As they are bound when they are written: half of a surrogate pair has no UTF-8.
  const keys = JSON.stringify(wanted.map(({ key }) => key.toWellFormed()));
  return allRows(statement, keys, ...codes).map(([i, record]) => {
    return { at: wanted[i as number]!.at, record: record as RecordId };
  });
}

/** Finds the ids of linked records, and loads these. */
function openFindLinks(store: Store, load: ReturnType<typeof openLoad>) {
  const lookUp = openLookUp(store);
  const { names, links: guesses } = store;
  const guess = ({ system, entity, key }: LinkKey): RecordId | undefined => {
    const codes = [names.known(system), names.known(entity)] as const;
    if (codes[0] === undefined || codes[1] === undefined) return undefined;
    return guesses.get(codes[0], codes[1], key);
  };
  return (links: readonly LinkKey[], found: Found): (RecordId | undefined)[] => {
    const guessed = links.map(guess);
    const ids = [...guessed];
    lookUp(links, ids);
    load(found, ids);
    let isWrong = false;
    for (const [at, id] of guessed.entries()) {
      if (id === undefined || leadsTo(links[at]!, found.get(id))) continue;
      ids[at] = undefined;
      isWrong = true;
    }
    if (isWrong) {
      lookUp(links, ids);
      load(found, ids);
    }
    return ids;
  };
}

function leadsTo({ system, entity, key }: LinkKey, state: RecordState | undefined): boolean {
  const view = state?.views[system];
  return state?.entity === entity && view?.status === 'linked' && view.key === key;
}

/** Fills in the ids that are not known. */
function openLookUp(store: Store) {
  const { names, vault } = store;
  const select = rows(
    store,
    `SELECT wanted.key, links.record FROM json_each(?) AS wanted
     CROSS JOIN links ON system = ? AND entity = ? AND links.key = wanted.value`,
  );
  return (links: readonly LinkKey[], ids: (RecordId | undefined)[]): void => {
    const missed = new Map<string, Wanted[]>();
    for (const [at, { system, entity, key }] of links.entries()) {
      if (ids[at] !== undefined) continue;
      if (names.known(system) === undefined || names.known(entity) === undefined) continue;
      const table = `${system}/${entity}`;
      const wanted = missed.get(table);
      const one = { at, key: vault.rowKey(system, entity, key) };
      if (wanted === undefined) missed.set(table, [one]);
      else wanted.push(one);
    }
    for (const wanted of missed.values()) {
      const { system, entity } = links[wanted[0]!.at]!;
      const codes = [names.code(system), names.code(entity)] as const;
      for (const { at, record } of recordsOf(select, wanted, ...codes)) {
        ids[at] = record;
        store.links.set(...codes, links[at]!.key, record);
      }
    }
  };
}

function openFindIdentities(store: Store): (keys: readonly IdentityKey[]) => RecordId[][] {
  const { names, vault } = store;
  const select = rows(
    store,
    `SELECT wanted.key, record FROM json_each(?) AS wanted
     CROSS JOIN identities ON entity = ? AND alternative = ? AND identities.value = wanted.value
     ORDER BY record`,
  );
  return (keys) => {
    const ids: RecordId[][] = keys.map(() => []);
    const groups = new Map<string, Wanted[]>();
    for (const [at, { entity, alternative, value }] of keys.entries()) {
      if (names.known(entity) === undefined) continue;
      const group = `${alternative}/${entity}`;
      const one = { at, key: vault.identity(entity, alternative, value) };
      const wanted = groups.get(group);
      if (wanted === undefined) groups.set(group, [one]);
      else wanted.push(one);
    }
    for (const wanted of groups.values()) {
      const { entity, alternative } = keys[wanted[0]!.at]!;
      const found = recordsOf(select, wanted, names.code(entity), alternative);
      for (const { at, record } of found) ids[at]!.push(record);
    }
    return ids;
  };
}

type Found = Map<RecordId, RecordState>;

/** Adds records by id, each decoded once; absent ones are left out. */
function openLoad(store: Store): (found: Found, ids: readonly (RecordId | undefined)[]) => void {
  const select = rows(
    store,
    `SELECT records.id, entity, data FROM json_each(?) AS wanted
     CROSS JOIN records ON records.id = wanted.value`,
  );
  return (found, ids) => {
    const missed = new Set<RecordId>();
    for (const id of ids) {
      if (id === undefined || found.has(id)) continue;
      const state = store.records.get(id);
      if (state === undefined) missed.add(id);
      else found.set(id, state);
    }
    if (missed.size === 0) return;
    const ordered = [...missed].sort((a, b) => a - b);
    for (const [id, code, stored] of allRows(select, JSON.stringify(ordered))) {
      const entity = store.names.name(code as number);
      const data = store.vault.open('record', entity, id as number, stored as string);
      const state = decodeRecord(id as number, entity, data, store.names);
      found.set(state.id, state);
      store.records.set(state.id, state);
    }
  };
}
