import type { DatabaseSync } from 'node:sqlite';
import type { Parked } from '../contract/ledger.ts';
import { retry } from '../errors.ts';
import { decodeRecord } from './codec.ts';
import { corrupt } from './faults.ts';
import { keyless } from './keyring.ts';
import type { Guard, Privacy } from './privacy.ts';
import type { Store } from './store.ts';
import { transact } from './transaction.ts';
import type { Vault } from './vault.ts';

const PAGE = 1000;

/**
 * Brings a ledger to what is personal now and to the key that is written with: at the first start
 * with a key, when a mapping marks other fields, and when the key was changed. All of it is one
 * transaction, so a crash leaves the ledger as it was; then the file is rewritten, so that nothing
 * of the old form stays in free pages or in the log. Errors: `ledger.key` (halt) when a key is
 * missing, before anything is changed.
 */
export function conform(store: Store, path: string, mapped: Privacy['guards']): void {
  const { vault } = store;
  const stored = storedGuards(store);
  const guards = wantedGuards(stored, mapped);
  checkKeys(path, vault, guards.size > 0);
  const isRekeyed = vault.keyring.hasOthers();
  const entities = [...new Set([...stored.keys(), ...guards.keys()])];
  const changed = entities.filter(
    (entity) => isRekeyed || text(stored.get(entity)) !== text(guards.get(entity)),
  );
  vault.guard(guards, changed.length === 0);
  if (changed.length > 0) {
    const matchOf = (entity: string) => (guards.get(entity) ?? stored.get(entity))?.match ?? [];
    transact(store, () => rewrite(store, path, changed, matchOf));
    vault.guard(guards, true);
  }
  if (store.tallies.get('wipe', '') > 0) compact(store, path);
}

/** For reading beside a writer: the ledger is read as that has written it. */
export function adopt(store: Store, path: string): void {
  checkKeys(path, store.vault, false);
  store.vault.guard(storedGuards(store), true);
}

/**
 * Rewrites the file without what was deleted. Until it is done it is owed, and done at the next
 * start. Nothing else is read or written meanwhile; the disk needs room for a second copy.
 */
export function compact(store: Store, path: string): void {
  const { db, tallies } = store;
  db.exec('VACUUM');
  // With TRUNCATE the log is empty afterwards: https://www.sqlite.org/pragma.html#pragma_wal_checkpoint
  const [busy] = Object.values(db.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get() ?? {});
  if (busy !== 0) {
    throw retry(
      'ledger.busy',
      `The ledger ${path} was kept open by another program while it was to be rewritten.`,
      'End sqlite3 shells and backups that hold the ledger open, then try again.',
    );
  }
  transact(store, () => tallies.add('wipe', '', -tallies.get('wipe', '')));
}

const text = (guard: Guard | undefined): string => JSON.stringify(guard ?? null);

function storedGuards({ db, names }: Store): Map<string, Guard> {
  const rows = db.prepare('SELECT entity, guard FROM guards').all();
  return new Map(
    rows.map((row) => [names.name(Number(row.entity)), JSON.parse(String(row.guard)) as Guard]),
  );
}

/** Entities that are no longer mapped stay as they are. */
function wantedGuards(
  stored: ReadonlyMap<string, Guard>,
  mapped: Privacy['guards'],
): Map<string, Guard> {
  const guards = new Map([...stored].filter(([entity]) => !mapped.has(entity)));
  for (const [entity, guard] of mapped) if (guard !== null) guards.set(entity, guard);
  return guards;
}

/** Nothing is written before every key that is needed is there. */
function checkKeys(path: string, { keyring }: Vault, isNeeded: boolean): void {
  if (isNeeded && keyring.mainId === null) throw keyless(path);
  const missing = keyring.missing();
  if (missing !== null) throw keyless(path, missing);
}

function rewrite(
  store: Store,
  path: string,
  changed: readonly string[],
  matchOf: (entity: string) => Guard['match'],
): void {
  const { db, names, tallies, vault } = store;
  for (const entity of changed) {
    rewriteRecords(store, path, entity, matchOf(entity));
    const code = names.code(entity);
    rewriteTexts(db, 'outbox', 'seq', 'record', 'sent', code, (seq, _, stored) =>
      vault.seal('sent', entity, seq, vault.open('sent', entity, seq, stored)),
    );
    rewriteTexts(db, 'journal', 'id', 'record', 'data', code, (case_, record, stored) => {
      const id = `${case_}/${record}`;
      return vault.seal('journal', entity, id, vault.open('journal', entity, id, stored));
    });
  }
  rewriteParked(store);
  rewriteProgress(store);
  vault.keyring.retire(vault.guards().size > 0);
  db.exec('DELETE FROM guards');
  const insert = db.prepare('INSERT INTO guards (entity, guard) VALUES (?, ?)');
  for (const [entity, guard] of vault.guards()) {
    insert.run(names.code(entity), JSON.stringify(guard));
  }
  tallies.add('wipe', '', 1);
}

/** Links and identities are made anew from the records, which know the clear text of both. */
function rewriteRecords(
  { db, names, vault }: Store,
  path: string,
  entity: string,
  match: Guard['match'],
): void {
  const code = names.code(entity);
  const count = (): unknown =>
    Object.values(db.prepare('SELECT count(*) FROM links WHERE entity = ?').get(code) ?? {})[0];
  const before = count();
  db.prepare('DELETE FROM links WHERE entity = ?').run(code);
  db.prepare('DELETE FROM identities WHERE entity = ?').run(code);
  const fields = db.prepare('SELECT name FROM fields WHERE entity = ? ORDER BY ordinal');
  const ordinals = fields.all(code).map((row) => String(row.name));
  const alternatives = match.map((one) => one.fields.map((name) => ordinals.indexOf(name)));
  const link = db.prepare(
    'INSERT OR REPLACE INTO links (system, entity, key, record) VALUES (?, ?, ?, ?)',
  );
  const identity = db.prepare(
    'INSERT INTO identities (entity, alternative, value, record) VALUES (?, ?, ?, ?)',
  );
  rewriteTexts(db, 'records', 'id', 'id', 'data', code, (id, _, stored) => {
    const data = vault.open('record', entity, id, stored);
    const { values, views } = decodeRecord(id, entity, data, names);
    for (const [system, { status, key }] of Object.entries(views)) {
      if (status === 'unlinked') continue;
      link.run(names.code(system), code, vault.rowKey(system, entity, key), id);
    }
    for (const [alternative, at] of alternatives.entries()) {
      const tuple = at.map((f) => values[f] ?? null);
      if (tuple.includes(null)) continue;
      const value = vault.identity(entity, alternative, JSON.stringify(tuple));
      identity.run(code, alternative, value, id);
    }
    return vault.seal('record', entity, id, data);
  });
  if (count() !== before) throw corrupt(path, `links of ${entity} and its records disagree`);
}

/** Every text of one column, for rows of one entity, in pages of ids. */
function rewriteTexts(
  db: DatabaseSync,
  table: 'records' | 'outbox' | 'journal',
  id: 'id' | 'seq',
  beside: 'id' | 'record',
  column: 'data' | 'sent',
  entity: number,
  rewritten: (id: number, beside: number, stored: string) => string,
): void {
  const page = db.prepare(
    `SELECT ${id} AS id, ${beside} AS beside, ${column} AS text FROM ${table}
     WHERE ${id} > ? AND entity = ? AND ${column} IS NOT NULL ORDER BY ${id} LIMIT ${PAGE}`,
  );
  const update = db.prepare(`UPDATE ${table} SET ${column} = ? WHERE ${id} = ?`);
  for (let after = -1; ; ) {
    const rows = page.all(after, entity);
    for (const row of rows) {
      after = Number(row.id);
      update.run(rewritten(after, Number(row.beside), String(row.text)), after);
    }
    if (rows.length < PAGE) return;
  }
}

/** Of all entities: a row may wait for one of another entity. */
function rewriteParked({ db, names, vault }: Store): void {
  const update = db.prepare('UPDATE parked SET key = ?, waits_key = ?, data = ? WHERE id = ?');
  for (const row of db.prepare('SELECT id, entity, data FROM parked').all()) {
    const id = Number(row.id);
    const entity = names.name(Number(row.entity));
    const data = vault.open('parked', entity, id, String(row.data));
    const item = JSON.parse(data) as Parked;
    const { system } = item;
    const key = item.kind === 'row' ? vault.rowKey(system, entity, item.key) : null;
    const waits = item.kind === 'row' ? item.waits : null;
    const awaited = waits === null ? null : vault.rowKey(system, waits.entity, waits.key);
    update.run(key, awaited, vault.seal('parked', entity, id, data), id);
  }
}

function rewriteProgress({ db, names, vault }: Store): void {
  const update = db.prepare('UPDATE snapshots SET progress = ? WHERE system = ?');
  for (const row of db.prepare('SELECT system, progress FROM snapshots').all()) {
    const system = names.name(Number(row.system));
    const data = vault.open('progress', system, '', String(row.progress));
    update.run(vault.seal('progress', system, '', data), Number(row.system));
  }
}
