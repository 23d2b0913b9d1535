import type { SQLOutputValue } from 'node:sqlite';
import type { JournalEntry, LedgerCommit, Parked, Pause } from '../contract/ledger.ts';
import type { RecordId } from '../model/record.ts';
import { decodeRecord, encodeRecord } from './codec.ts';
import { openForget } from './forget.ts';
import { openOrdinals } from './ordinals.ts';
import { openOutboxWrites } from './outbox-write.ts';
import { isSpent } from './spent.ts';
import type { Store } from './store.ts';

/** Writes into the open transaction; reads of the same connection see it. */
export interface Writer {
  put(commit: LedgerCommit): void;
  /** Gives field names their ordinals; see `Ledger.ordinals`. */
  ordinals(entity: string, wanted: readonly string[]): string[];
}

export function openWriter(store: Store): Writer {
  const lists = [openHeadWrites, openRecords, openKeys, openOutboxWrites, openDeskWrites].concat(
    openForget,
  );
  const applied = lists.map((open) => open(store));
  return {
    put(commit) {
      store.unlinked.length = 0;
      for (const apply of applied) apply(commit);
      remember(store, commit);
      for (const link of store.unlinked) store.links.delete(...link);
    },
    ordinals: openOrdinals(store),
  };
}

/** Brings the caches to what the transaction holds now. */
function remember(store: Store, commit: LedgerCommit): void {
  for (const state of commit.records ?? []) {
    if (isSpent(state)) store.records.delete(state.id);
    else store.records.set(state.id, state);
  }
  for (const id of commit.erased ?? []) store.records.delete(id);
  const { code } = store.names;
  const { add = [], remove = [] } = commit.links ?? {};
  for (const { system, entity, key } of remove) {
    store.links.delete(code(system), code(entity), key);
  }
  for (const { system, entity, key, record } of add) {
    store.links.set(code(system), code(entity), key, record);
  }
}

type Apply = (commit: LedgerCommit) => void;

function openHeadWrites({ head, tallies }: Store): Apply {
  return (commit) => {
    const pauses = commit.paused ?? { add: [], remove: [] };
    const since = ({ kind, name }: Pause, at: number) =>
      tallies.add('paused', `${kind} ${name}`, at - tallies.get('paused', `${kind} ${name}`));
    for (const pause of pauses.remove) since(pause, 0);
    for (const pause of pauses.add) since(pause, pause.since);
    head.put(commit);
  };
}

function openRecords(store: Store): Apply {
  const { db, names, tallies, vault } = store;
  const insert = db.prepare('INSERT INTO records (id, entity, data) VALUES (?, ?, ?)');
  const update = db.prepare('UPDATE records SET data = ? WHERE id = ?');
  const erase = openErase(store);
  return (commit) => {
    // Backwards: they were read in their order just now, and SQLite's cache may hold the last ones.
    const records = [...(commit.records ?? [])].sort((a, b) => b.id - a.id);
    for (const state of records) {
      const known = state.id < tallies.get('next', 'record');
      tallies.raise('next', 'record', state.id + 1);
      if (isSpent(state)) {
        erase(state.id);
        continue;
      }
      const text = encodeRecord(state, names);
      const data = vault.seal('record', state.entity, state.id, text);
      if (known && update.run(data, state.id).changes === 1) continue;
      insert.run(state.id, names.code(state.entity), data);
      tallies.add('records', state.entity, 1);
    }
    for (const id of commit.erased ?? []) erase(id);
  };
}

/** Removes a record with its identities, and the links and outbox entries that its row names. */
function openErase({ db, names, tallies, unlinked, vault, fresh }: Store): (id: RecordId) => void {
  const select = db.prepare('SELECT entity, data FROM records WHERE id = ?');
  const record = db.prepare('DELETE FROM records WHERE id = ?');
  const link = db.prepare(
    'DELETE FROM links WHERE system = ? AND entity = ? AND key = ? AND record = ?',
  );
  const identities = db.prepare('DELETE FROM identities WHERE record = ?');
  const outbox = db.prepare('DELETE FROM outbox WHERE seq = ? AND record = ?');
  const release = db.prepare('UPDATE outbox SET waits = NULL WHERE waits = ?');
  return (id) => {
    const row = select.get(id);
    identities.run(id);
    if (row === undefined) return;
    const entity = Number(row.entity);
    const name = names.name(entity);
    const data = vault.open('record', name, id, String(row.data));
    const state = decodeRecord(id, name, data, names);
    record.run(id);
    tallies.add('records', state.entity, -1);
    for (const [system, view] of Object.entries(state.views)) {
      if (view.status === 'unlinked') continue;
      link.run(names.code(system), entity, vault.rowKey(system, name, view.key), id);
      unlinked.push([names.code(system), entity, view.key]);
    }
    for (const [system, seq] of Object.entries(state.outbox)) {
      if (outbox.run(seq, id).changes === 0) continue;
      tallies.add('outbox', system, -1);
      fresh.remove(system, seq);
    }
    if (release.run(id).changes > 0) fresh.forget();
  };
}

function openKeys({ db, names, vault }: Store): Apply {
  const addLink = db.prepare(
    'INSERT OR REPLACE INTO links (system, entity, key, record) VALUES (?, ?, ?, ?)',
  );
  const removeLink = db.prepare('DELETE FROM links WHERE system = ? AND entity = ? AND key = ?');
  const addIdentity = db.prepare(
    `INSERT OR IGNORE INTO identities (entity, alternative, value, record) VALUES (?, ?, ?, ?)`,
  );
  const removeIdentity = db.prepare(
    'DELETE FROM identities WHERE entity = ? AND alternative = ? AND value = ? AND record = ?',
  );
  return ({ links, identities }) => {
    for (const { system, entity, key } of links?.remove ?? []) {
      removeLink.run(names.code(system), names.code(entity), vault.rowKey(system, entity, key));
    }
    // In key order, because neighbours share a page; a key's last link stands.
    const added = [...(links?.add ?? [])].sort((a, b) => order(a.key, b.key));
    for (const { system, entity, key, record } of added) {
      const stored = vault.rowKey(system, entity, key);
      addLink.run(names.code(system), names.code(entity), stored, record);
    }
    for (const { entity, alternative, value, record } of identities?.remove ?? []) {
      const stored = vault.identity(entity, alternative, value);
      removeIdentity.run(names.code(entity), alternative, stored, record);
    }
    const known = [...(identities?.add ?? [])].sort((a, b) => order(a.value, b.value));
    for (const { entity, alternative, value, record } of known) {
      const stored = vault.identity(entity, alternative, value);
      addIdentity.run(names.code(entity), alternative, stored, record);
    }
  };
}

const order = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

function openDeskWrites(store: Store): Apply {
  const { db, names, tallies } = store;
  const putJournal = openJournalPut(store);
  const putParked = openParkedPut(store);
  const close = db.prepare(
    `UPDATE journal SET state = 'resolved' WHERE id = ? AND state = 'open' RETURNING entity`,
  );
  const removeParked = db.prepare('DELETE FROM parked WHERE id = ? RETURNING system, reason');
  const expire = db.prepare(`DELETE FROM journal WHERE id = ? AND state <> 'open'`);
  return ({ journal, closed, expired, parked }) => {
    for (const entry of journal ?? []) putJournal(entry);
    for (const id of expired ?? []) expire.run(id);
    for (const id of closed ?? []) {
      const row = close.get(id);
      if (row !== undefined) tallies.add('open', names.name(Number(row.entity)), -1);
    }
    for (const id of parked?.remove ?? []) {
      const row = removeParked.get(id);
      if (row !== undefined) tallies.add('parked', parkedName(names, row), -1);
    }
    for (const item of parked?.put ?? []) putParked(item);
  };
}

/** Under which a row of `parked` is counted. */
const parkedName = (names: Store['names'], row: Record<string, SQLOutputValue>): string =>
  `${names.name(Number(row.system))} ${row.reason}`;

function openJournalPut({ db, names, tallies, vault }: Store): (entry: JournalEntry) => void {
  const before = db.prepare(`SELECT entity FROM journal WHERE id = ? AND state = 'open'`);
  const put = db.prepare(
    'INSERT OR REPLACE INTO journal (id, entity, record, state, data) VALUES (?, ?, ?, ?, ?)',
  );
  return (entry) => {
    const { id, entity, record, state } = entry;
    const open = id < tallies.get('next', 'case') ? before.get(id) : undefined;
    if (open !== undefined) tallies.add('open', names.name(Number(open.entity)), -1);
    if (state === 'open') tallies.add('open', entity, 1);
    tallies.raise('next', 'case', id + 1);
    const data = vault.seal('journal', entity, `${id}/${record}`, JSON.stringify(entry));
    put.run(id, names.code(entity), record, state, data);
  };
}

function openParkedPut({ db, names, tallies, vault }: Store): (item: Parked) => void {
  const before = db.prepare('SELECT system, reason FROM parked WHERE id = ?');
  const put = db.prepare(
    `INSERT OR REPLACE INTO parked
       (id, system, entity, reason, key, waits_entity, waits_key, data)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  return (item) => {
    const old = item.id < tallies.get('next', 'case') ? before.get(item.id) : undefined;
    if (old !== undefined) tallies.add('parked', parkedName(names, old), -1);
    tallies.add('parked', `${item.system} ${item.reason}`, 1);
    tallies.raise('next', 'case', item.id + 1);
    const row = item.kind === 'row' ? item : null;
    put.run(
      item.id,
      names.code(item.system),
      names.code(item.entity),
      item.reason,
      row === null ? null : vault.rowKey(row.system, row.entity, row.key),
      row?.waits ? names.code(row.waits.entity) : null,
      row?.waits ? vault.rowKey(row.system, row.waits.entity, row.waits.key) : null,
      vault.seal('parked', item.entity, item.id, JSON.stringify(item)),
    );
  };
}
