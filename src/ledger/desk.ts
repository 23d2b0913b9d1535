import type { StatementSync } from 'node:sqlite';
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
import type { Store } from './store.ts';

/** The desk's questions, answered at once; `sqlite.ts` makes the promises. */
export type Desk = {
  [Q in Exclude<keyof LedgerDesk, 'outbox'>]: (
    ...asked: Parameters<LedgerDesk[Q]>
  ) => Awaited<ReturnType<LedgerDesk[Q]>>;
};

export function openDesk(store: Store): Desk {
  const { db, names } = store;
  const conflict = db.prepare('SELECT data FROM journal WHERE id = ?');
  const history = db.prepare(
    'SELECT data FROM journal WHERE record = ? AND entity = ? ORDER BY id DESC LIMIT ?',
  );
  const parkedOne = db.prepare('SELECT data FROM parked WHERE id = ?');
  const waiting = db.prepare(
    `SELECT data FROM parked WHERE system = ? AND waits_entity = ? AND waits_key = ?
     ORDER BY id DESC`,
  );
  const code = (name: string) => names.known(name) ?? -1;
  const list = openList(store);
  return {
    conflicts: ({ state, ...filter }) => list<JournalEntry>('journal', 'state', state, filter),
    parked: ({ reason, ...filter }) => list<Parked>('parked', 'reason', reason, filter),
    conflict: (id) => documents<JournalEntry>(conflict, id)[0] ?? null,
    parkedOne: (id) => documents<Parked>(parkedOne, id)[0] ?? null,
    history: (entity, record, limit) => documents(history, record, code(entity), limit),
    waitingFor: ({ system, entity, key }: LinkKey) =>
      documents<ParkedRow>(waiting, code(system), code(entity), key),
    linked: openLinked(store),
    counts: openCounts(store),
  };
}

function openLinked({ db, names }: Store): Desk['linked'] {
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
      afterKey === null ? first.all(...codes, limit) : next.all(...codes, afterKey, limit);
    return rows.map(({ id, entity: code, data }) =>
      decodeRecord(Number(id), names.name(Number(code)), String(data), names),
    );
  };
}

function documents<T>(statement: StatementSync, ...values: (number | string)[]): T[] {
  return statement.all(...values).map((row) => JSON.parse(String(row.data)) as T);
}

interface Page {
  readonly entity?: string;
  readonly before?: number;
  readonly limit: number;
}

/** Newest first, by id, filtered by what is given: an index serves each filter. */
function openList({ db, names }: Store) {
  return <T>(
    table: 'journal' | 'parked',
    column: 'state' | 'reason',
    wanted: string | undefined,
    { entity, before, limit }: Page,
  ): T[] => {
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
    const sql = `SELECT data FROM ${table} WHERE ${where} ORDER BY id DESC LIMIT ?`;
    return documents<T>(db.prepare(sql), ...values, limit);
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
      parked: tallies.all('parked'),
    };
  };
}
