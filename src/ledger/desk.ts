import type { SQLOutputValue } from 'node:sqlite';
import type {
  JournalEntry,
  LedgerCounts,
  LedgerDesk,
  LinkKey,
  Parked,
  ParkedRow,
} from '../contract/ledger.ts';
import type { Micros } from '../model/value.ts';
import { decodeRecord } from './codec.ts';
import { bySystem } from './parked-counts.ts';
import type { Store } from './store.ts';

/** The desk's questions, answered at once; `sqlite.ts` makes the promises. */
export type Desk = {
  [Q in Exclude<keyof LedgerDesk, 'outbox'>]: (
    ...asked: Parameters<LedgerDesk[Q]>
  ) => Awaited<ReturnType<LedgerDesk[Q]>>;
};

export function openDesk(store: Store): Desk {
  const { db, names, vault } = store;
  const conflict = db.prepare(`SELECT ${JOURNAL} FROM journal WHERE id = ?`);
  const history = db.prepare(
    `SELECT ${JOURNAL} FROM journal WHERE record = ? AND +entity = ? ORDER BY id DESC LIMIT ?`,
  );
  const parkedOne = db.prepare(`SELECT ${PARKED} FROM parked WHERE id = ?`);
  const waiting = db.prepare(
    `SELECT ${PARKED} FROM parked WHERE system = ? AND waits_entity = ? AND waits_key = ?
     ORDER BY id DESC`,
  );
  const code = (name: string) => names.known(name) ?? -1;
  const closed = db.prepare(`SELECT ${JOURNAL} FROM journal WHERE state = ? ORDER BY id LIMIT ?`);
  const list = openList(store);
  const entries = (rows: Rows): JournalEntry[] => rows.map((row) => entryOf(store, row));
  const items = (rows: Rows): Parked[] => rows.map((row) => itemOf(store, row));
  return {
    conflicts: ({ state, ...filter }) => entries(list('journal', 'state', state, filter)),
    parked: ({ reason, ...filter }) => items(list('parked', 'reason', reason, filter)),
    conflict: (id) => entries(conflict.all(id))[0] ?? null,
    parkedOne: (id) => items(parkedOne.all(id))[0] ?? null,
    history: (entity, record, limit) => entries(history.all(record, code(entity), limit)),
    waitingFor({ system, entity, key }: LinkKey) {
      const stored = vault.rowKey(system, entity, key);
      return items(waiting.all(code(system), code(entity), stored)) as ParkedRow[];
    },
    oldestClosed(limit) {
      const rows = ['settled', 'resolved'].flatMap((state) => closed.all(state, limit));
      return entries(rows)
        .sort((a, b) => a.id - b.id)
        .slice(0, limit);
    },
    usedBytes: () => usedBytes(db),
    linked: openLinked(store),
    counts: openCounts(store),
  };
}

type Rows = readonly Record<string, SQLOutputValue>[];

const JOURNAL = 'id, entity, record, state, data';
const PARKED = 'id, entity, data';

/** Closing an entry changes its column only. */
function entryOf({ names, vault }: Store, row: Rows[number]): JournalEntry {
  const id = `${row.id}/${row.record}`;
  const text = vault.open('journal', names.name(Number(row.entity)), id, String(row.data));
  const state = row.state as JournalEntry['state'];
  return { ...(JSON.parse(text) as JournalEntry), state };
}

function itemOf({ names, vault }: Store, row: Rows[number]): Parked {
  const entity = names.name(Number(row.entity));
  return JSON.parse(vault.open('parked', entity, Number(row.id), String(row.data))) as Parked;
}

function usedBytes(db: Store['db']): number {
  const pragma = (name: string) => Number(Object.values(db.prepare(`PRAGMA ${name}`).get()!)[0]);
  return (pragma('page_count') - pragma('freelist_count')) * pragma('page_size');
}

function openLinked({ db, names, vault }: Store): Desk['linked'] {
  const inKeyOrder = (from: string) =>
    db.prepare(
      `SELECT records.id, records.entity, records.data
       FROM links JOIN records ON records.id = links.record
       WHERE links.system = ? AND links.entity = ? AND ${from} ORDER BY links.key LIMIT ?`,
    );
  const first = inKeyOrder('true');
  const next = inKeyOrder('links.key > ?');
  return (system, entity, afterKey, limit) => {
    const codes = [names.known(system) ?? -1, names.known(entity) ?? -1] as const;
    const rows =
      afterKey === null
        ? first.all(...codes, limit)
        : next.all(...codes, vault.rowKey(system, entity, afterKey), limit);
    return rows.map(({ id, entity: code, data }) => {
      const name = names.name(Number(code));
      const text = vault.open('record', name, Number(id), String(data));
      return decodeRecord(Number(id), name, text, names);
    });
  };
}

interface Page {
  readonly entity?: string;
  readonly before?: number;
  readonly limit: number;
}

/** Newest first, by id, filtered by what is given: an index serves each filter. */
function openList({ db, names }: Store) {
  return (
    table: 'journal' | 'parked',
    column: 'state' | 'reason',
    wanted: string | undefined,
    { entity, before, limit }: Page,
  ): Rows => {
    const conditions = ['id < ?'];
    const values: (number | string)[] = [before ?? Number.MAX_SAFE_INTEGER];
    if (wanted !== undefined) {
      conditions.push(`${column} = ?`);
      values.push(wanted);
    }
    if (entity !== undefined) {
      conditions.push('entity = ?');
      values.push(names.known(entity) ?? -1);
    }
    const where = conditions.join(' AND ');
    const columns = table === 'journal' ? JOURNAL : PARKED;
    const sql = `SELECT ${columns} FROM ${table} WHERE ${where} ORDER BY id DESC LIMIT ?`;
    return db.prepare(sql).all(...values, limit);
  };
}

function openCounts({ db, names, tallies, oldest: from }: Store): () => LedgerCounts {
  const oldest = db.prepare(
    'SELECT seq, since FROM outbox WHERE system = ? AND seq >= ? ORDER BY seq LIMIT 1',
  );
  return () => {
    const outbox: Record<string, { depth: number; oldest: Micros | null }> = {};
    for (const [system, depth] of Object.entries(tallies.all('outbox'))) {
      const row = oldest.get(names.code(system), from.get(system) ?? 0);
      if (row !== undefined) from.set(system, Number(row.seq));
      outbox[system] = { depth, oldest: row === undefined ? null : Number(row.since) };
    }
    return {
      records: tallies.all('records'),
      outbox,
      openConflicts: tallies.all('open'),
      parked: bySystem(tallies.all('parked')),
    };
  };
}
