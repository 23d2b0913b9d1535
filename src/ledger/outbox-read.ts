import type { StatementSync } from 'node:sqlite';
import type { OutboxEntry } from '../contract/ledger.ts';
import { decodeSent } from './codec.ts';
import { allRows, type Columns, rows } from './rows.ts';
import type { Store } from './store.ts';

const OUTBOX = 'system, seq, record, entity, since, origin, txn, batch, attempts, sent';

export interface OutboxReader {
  ready(system: string, afterSeq: number, limit: number, except?: readonly string[]): OutboxEntry[];
  sent(system: string, batch: number | null, afterSeq: number, limit: number): OutboxEntry[];
  outbox(seqs: readonly number[]): OutboxEntry[];
}

export function openOutbox(store: Store): OutboxReader {
  const { fresh } = store;
  const older = openOlder(store);
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
  const entries = (statement: StatementSync, system: string, ...rest: number[]) => {
    const code = store.names.known(system);
    if (code === undefined) return [];
    return allRows(statement, code, ...rest).map((row) => entryOf(store, row));
  };
  return {
    ready(system, afterSeq, limit, except = []) {
      const open = openTransactions(store);
      const before = older(system, afterSeq, limit, { except, open });
      if (before.length >= limit) return before;
      const waiting = fresh
        .ready(system)
        .filter(
          ({ seq, entity, origin, transaction }) =>
            seq > afterSeq && !except.includes(entity) && open.get(origin) !== transaction,
        );
      return [...before, ...waiting.slice(0, limit - before.length)];
    },
    sent(system, batch, afterSeq, limit) {
      if (batch === null) return entries(sentInAny, system, afterSeq, limit);
      const known = fresh.sent(system, batch);
      if (known === null) return entries(sent, system, batch, afterSeq, limit);
      return known.filter(({ seq }) => seq > afterSeq).slice(0, limit);
    },
    outbox: (seqs) => seqs.flatMap((seq) => allRows(one, seq).map((row) => entryOf(store, row))),
  };
}

/**
 * By source: a transaction that is still open may bring more, and its entries are sent together
 * (invariant 7).
 */
function openTransactions({ head }: Store): Map<string, string> {
  const open = new Map<string, string>();
  for (const [system, { openTransaction }] of Object.entries(head.get().positions)) {
    if (openTransaction !== null) open.set(system, openTransaction);
  }
  return open;
}

interface Left {
  readonly except: readonly string[];
  readonly open: ReadonlyMap<string, string>;
}

/** Entries that may be sent and are not among the fresh ones. */
function openOlder(store: Store) {
  const { fresh, names } = store;
  const statement = (condition: string): StatementSync =>
    rows(
      store,
      `SELECT ${OUTBOX} FROM outbox WHERE system = ? AND seq > ? AND seq < ?
       AND batch IS NULL AND waits IS NULL ${condition} ORDER BY seq LIMIT ?`,
    );
  const all = statement('');
  const some = statement(
    `AND entity NOT IN (SELECT value FROM json_each(?)) AND NOT EXISTS (
       SELECT 1 FROM sources WHERE sources.system = outbox.origin AND sources.open = outbox.txn)`,
  );
  return (
    system: string,
    afterSeq: number,
    limit: number,
    { except, open }: Left,
  ): OutboxEntry[] => {
    const code = names.known(system);
    const end = fresh.readyFrom(system);
    if (code === undefined || end <= afterSeq + 1) return [];
    const isWhole = except.length + open.size === 0;
    const left = JSON.stringify([except, [...open]]);
    const before = fresh.passed.get(system);
    const after = before?.left === left ? Math.max(afterSeq, before.seq) : afterSeq;
    const codes = JSON.stringify(except.flatMap((entity) => names.known(entity) ?? []));
    const found = isWhole
      ? allRows(all, code, after, end, limit)
      : allRows(some, code, after, end, codes, limit);
    if (found.length === 0 && afterSeq === 0) {
      if (isWhole) fresh.caughtUp(system);
      fresh.passed.set(system, { left, seq: end - 1 });
    }
    return found.map((row) => entryOf(store, row));
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
