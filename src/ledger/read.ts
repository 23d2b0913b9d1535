import type { SQLOutputValue, StatementSync } from 'node:sqlite';
import type {
  IdentityKey,
  LedgerFound,
  LedgerHead,
  LedgerQuery,
  LinkKey,
  OutboxEntry,
  ParkedRow,
  Pause,
  SourceState,
} from '../contract/ledger.ts';
import type { Position } from '../model/position.ts';
import type { RecordId, RecordState } from '../model/record.ts';
import { decodeRecord, decodeSent } from './codec.ts';
import { linkId, type Store } from './store.ts';

export interface Reader {
  head(): LedgerHead;
  find(query: LedgerQuery): LedgerFound;
  ready(system: string, afterSeq: number, limit: number, except?: readonly string[]): OutboxEntry[];
  sent(system: string, batch: number | null, afterSeq: number, limit: number): OutboxEntry[];
  outbox(seqs: readonly number[]): OutboxEntry[];
}

type Columns = SQLOutputValue[];

export function openReader(store: Store): Reader {
  const find = openFind(store);
  const outbox = openOutbox(store);
  return { head: openHead(store), find, ...outbox };
}

/** A statement whose rows come as arrays, which are cheaper than objects. */
function rows(store: Store, sql: string): StatementSync {
  const statement = store.db.prepare(sql);
  statement.setReturnArrays(true);
  return statement;
}

const getRow = (statement: StatementSync, ...values: (number | string)[]) =>
  statement.get(...values) as unknown as Columns | undefined;

const allRows = (statement: StatementSync, ...values: (number | string)[]) =>
  statement.all(...values) as unknown as Columns[];

function openHead(store: Store): () => LedgerHead {
  const sources = rows(store, 'SELECT system, position, open, snapshots FROM sources');
  const batches = rows(store, 'SELECT system, batch FROM batches');
  return () => {
    const positions: Record<string, SourceState> = {};
    for (const [system, position, open, snapshots] of allRows(sources)) {
      positions[store.names.name(system as number)] = {
        position: position as Position,
        openTransaction: open as string | null,
        snapshots: progressOf(store, system as number, snapshots as string),
      };
    }
    const handedOut: Record<string, number> = {};
    for (const [system, batch] of allRows(batches)) {
      handedOut[store.names.name(system as number)] = batch as number;
    }
    return {
      positions,
      batches: handedOut,
      nextRecord: store.tallies.get('next', 'record') || 1,
      nextSeq: store.tallies.get('next', 'seq') || 1,
      nextCase: store.tallies.get('next', 'case') || 1,
      paused: Object.entries(store.tallies.all('paused')).map(([text, since]) => {
        const [kind, name] = text.split(' ') as [Pause['kind'], string];
        return { kind, name, since };
      }),
    };
  };
}

function progressOf({ names, vault }: Store, system: number, stored: string) {
  return JSON.parse(
    vault.open('progress', names.name(system), '', stored),
  ) as SourceState['snapshots'];
}

function openFind(store: Store): (query: LedgerQuery) => LedgerFound {
  const parked = rows(
    store,
    `SELECT id, data FROM parked WHERE system = ? AND entity = ? AND key = ?
     ORDER BY id DESC LIMIT 1`,
  );
  const findLinks = openFindLinks(store);
  const findIdentities = openFindIdentities(store);
  const findRecords = openFindRecords(store);
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
    const links = findLinks(query.links ?? []);
    const identities = findIdentities(query.identities ?? []);
    const ids = query.records ?? [];
    const found = findRecords([...links, ...identities.flat(), ...ids]);
    const record = (id: RecordId | undefined) => (id === undefined ? undefined : found.get(id));
    return {
      links: links.map((id) => record(id) ?? null),
      identities: identities.map((list) => list.map(record).filter((state) => state !== undefined)),
      records: ids.map((id) => record(id) ?? null),
      parkedRows: (query.parkedRows ?? []).map(anythingParked() ? parkedRow : () => null),
    };
  };
}

/** Record ids by link; read in key order, because neighbours share a page. */
function openFindLinks(store: Store): (links: readonly LinkKey[]) => (RecordId | undefined)[] {
  const select = rows(
    store,
    'SELECT record FROM links WHERE system = ? AND entity = ? AND key = ?',
  );
  return (links) => {
    const ids = new Array<RecordId | undefined>(links.length).fill(undefined);
    const missed: number[] = [];
    for (let i = 0; i < links.length; i++) {
      const { system, entity, key } = links[i]!;
      const codes = [store.names.known(system), store.names.known(entity)] as const;
      if (codes[0] === undefined || codes[1] === undefined) continue;
      ids[i] = store.links.get(linkId(codes[0], codes[1], key));
      if (ids[i] === undefined) missed.push(i);
    }
    missed.sort((a, b) => (links[a]!.key < links[b]!.key ? -1 : 1));
    for (const i of missed) {
      const { system, entity, key } = links[i]!;
      const codes = [store.names.code(system), store.names.code(entity)] as const;
      const row = getRow(select, ...codes, store.vault.rowKey(system, entity, key));
      if (row === undefined) continue;
      ids[i] = row[0] as number;
      store.links.set(linkId(...codes, key), ids[i]!);
    }
    return ids;
  };
}

function openFindIdentities(store: Store): (keys: readonly IdentityKey[]) => RecordId[][] {
  const select = rows(
    store,
    `SELECT record FROM identities WHERE entity = ? AND alternative = ? AND value = ?
     ORDER BY record`,
  );
  return (keys) => {
    const ids: RecordId[][] = keys.map(() => []);
    const order = keys.map((_, i) => i);
    order.sort((a, b) => (keys[a]!.value < keys[b]!.value ? -1 : 1));
    for (const i of order) {
      const { entity, alternative, value } = keys[i]!;
      const code = store.names.known(entity);
      if (code === undefined) continue;
      const stored = store.vault.identity(entity, alternative, value);
      ids[i] = allRows(select, code, alternative, stored).map((row) => row[0] as number);
    }
    return ids;
  };
}

/** Records by id, each decoded once; absent ones are left out. */
function openFindRecords(
  store: Store,
): (ids: readonly (RecordId | undefined)[]) => Map<RecordId, RecordState> {
  const select = rows(store, 'SELECT entity, data FROM records WHERE id = ?');
  return (ids) => {
    const found = new Map<RecordId, RecordState>();
    const missed = new Set<RecordId>();
    for (const id of ids) {
      if (id === undefined || found.has(id)) continue;
      const state = store.records.get(id);
      if (state === undefined) missed.add(id);
      else found.set(id, state);
    }
    for (const id of [...missed].sort((a, b) => a - b)) {
      const row = getRow(select, id);
      if (row === undefined) continue;
      const entity = store.names.name(row[0] as number);
      const data = store.vault.open('record', entity, id, row[1] as string);
      const state = decodeRecord(id, entity, data, store.names);
      found.set(id, state);
      store.records.set(state.id, state);
    }
    return found;
  };
}

const OUTBOX = 'system, seq, record, entity, since, origin, txn, batch, attempts, sent';

function openOutbox(store: Store): Pick<Reader, 'ready' | 'sent' | 'outbox'> {
  // A transaction that is still open may bring more: its entries are sent together (invariant 7).
  const ready = rows(
    store,
    `SELECT ${OUTBOX} FROM outbox
     WHERE system = ? AND seq > ? AND batch IS NULL AND waits IS NULL
       AND entity NOT IN (SELECT value FROM json_each(?)) AND NOT EXISTS (
       SELECT 1 FROM sources WHERE sources.system = outbox.origin AND sources.open = outbox.txn
     )
     ORDER BY seq LIMIT ?`,
  );
  const sent = rows(
    store,
    `SELECT ${OUTBOX} FROM outbox WHERE system = ? AND batch = ? AND seq > ?
     ORDER BY seq LIMIT ?`,
  );
  const sentInAny = rows(
    store,
    `SELECT ${OUTBOX} FROM outbox WHERE system = ? AND batch IS NOT NULL AND seq > ?
     ORDER BY seq LIMIT ?`,
  );
  const one = rows(store, `SELECT ${OUTBOX} FROM outbox WHERE seq = ?`);
  const entries = (statement: StatementSync, system: string, ...rest: (number | string)[]) => {
    const code = store.names.known(system);
    if (code === undefined) return [];
    return allRows(statement, code, ...rest).map((row) => entryOf(store, row));
  };
  return {
    ready(system, afterSeq, limit, except = []) {
      const codes = except.flatMap((entity) => store.names.known(entity) ?? []);
      return entries(ready, system, afterSeq, JSON.stringify(codes), limit);
    },
    sent: (system, batch, afterSeq, limit) =>
      batch === null
        ? entries(sentInAny, system, afterSeq, limit)
        : entries(sent, system, batch, afterSeq, limit),
    outbox: (seqs) => seqs.flatMap((seq) => allRows(one, seq).map((row) => entryOf(store, row))),
  };
}

/** The columns of `OUTBOX`, in their order. */
function entryOf({ names, vault }: Store, row: Columns): OutboxEntry {
  const [system, seq, record, code, since, origin, transaction, batch, attempts, stored] = row;
  const entity = names.name(code as number);
  const sent = stored === null ? null : vault.open('sent', entity, seq as number, stored as string);
  return {
    seq: seq as number,
    system: names.name(system as number),
    record: record as number,
    entity,
    since: since as number,
    origin: names.name(origin as number),
    transaction: transaction as string,
    batch: batch as number | null,
    sent: decodeSent(sent),
    attempts: attempts as number,
  };
}
