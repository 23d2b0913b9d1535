import type { LedgerCommit, OutboxEntry } from '../contract/ledger.ts';
import { encodeSent } from './codec.ts';
import { allRows, getRow, rows } from './rows.ts';
import type { Store } from './store.ts';

export function openOutboxWrites(store: Store): (commit: LedgerCommit) => void {
  const { db, names, tallies, oldest, fresh } = store;
  const add = openAdd(store);
  const remove = openRemove(store);
  const release = db.prepare('UPDATE outbox SET waits = NULL WHERE system = ? AND waits = ?');
  const wait = rows(
    store,
    `UPDATE outbox SET waits = (SELECT id FROM records WHERE id = ?) WHERE seq = ?
     RETURNING system, waits`,
  );
  const send = db.prepare('UPDATE outbox SET batch = ?, sent = ?, attempts = ? WHERE seq = ?');
  return ({ outbox }) => {
    if (outbox === undefined) return;
    for (const entry of outbox.add) {
      const known = entry.seq < tallies.get('next', 'seq');
      tallies.raise('next', 'seq', entry.seq + 1);
      if (entry.seq < (oldest.get(entry.system) ?? 0)) oldest.set(entry.system, entry.seq);
      if (add(entry, known)) tallies.add('outbox', entry.system, 1);
      if (entry.batch === null) fresh.add(entry);
      else fresh.send(entry);
    }
    for (const { system, record } of outbox.release) {
      if (release.run(names.code(system), record).changes > 0) fresh.freed(system);
    }
    for (const { seq, waits } of outbox.wait) {
      const row = getRow(wait, waits, seq);
      if (row === undefined) continue;
      const system = names.name(row[0] as number);
      if (row[1] === null) fresh.freed(system, seq);
      else fresh.wait(system, seq);
    }
    for (const entry of outbox.send) {
      const { changes } = send.run(entry.batch, sentText(store, entry), entry.attempts, entry.seq);
      if (changes > 0) fresh.send(entry);
    }
    remove(outbox.remove);
  };
}

/** Entries that follow one another, as most do, go with one statement. */
function openRemove(store: Store): (seqs: readonly number[]) => void {
  const { names, tallies, fresh } = store;
  const remove = rows(store, 'DELETE FROM outbox WHERE seq BETWEEN ? AND ? RETURNING system, seq');
  return (seqs) => {
    const ordered = [...seqs].sort((a, b) => a - b);
    for (let from = 0; from < ordered.length; ) {
      let to = from;
      while (to + 1 < ordered.length && ordered[to + 1]! <= ordered[to]! + 1) to += 1;
      for (const [code, seq] of allRows(remove, ordered[from]!, ordered[to]!)) {
        const system = names.name(code as number);
        tallies.add('outbox', system, -1);
        fresh.remove(system, seq as number);
      }
      from = to + 1;
    }
  };
}
function sentText({ vault }: Store, { entity, seq, sent }: OutboxEntry): string | null {
  const text = encodeSent(sent);
  return text === null ? null : vault.seal('sent', entity, seq, text);
}

/** Adds or replaces an entry; true when it is new. */
function openAdd(store: Store): (entry: OutboxEntry, known: boolean) => boolean {
  const { db, names } = store;
  const insert = db.prepare(
    `INSERT INTO outbox (record, since, origin, txn, batch, attempts, sent, seq, system, entity)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const update = db.prepare(
    `UPDATE outbox SET record = ?, since = ?, origin = ?, txn = ?, batch = ?, attempts = ?,
       sent = ?, waits = NULL WHERE seq = ?`,
  );
  return (entry, known) => {
    const { record, since, transaction, batch, attempts, seq } = entry;
    const origin = names.code(entry.origin);
    const sent = sentText(store, entry);
    if (known) {
      const done = update.run(record, since, origin, transaction, batch, attempts, sent, seq);
      if (done.changes === 1) return false;
    }
    const owner = [names.code(entry.system), names.code(entry.entity)] as const;
    insert.run(record, since, origin, transaction, batch, attempts, sent, seq, ...owner);
    return true;
  };
}
