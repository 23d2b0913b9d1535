import type { LedgerCommit } from '../contract/ledger.ts';
import type { Store } from './store.ts';

/** What is left of forgotten records beside their own rows; see `LedgerCommit.forgotten`. */
export function openForget({ db, names, tallies, fresh }: Store): (commit: LedgerCommit) => void {
  const journal = db.prepare(
    'DELETE FROM journal WHERE record = ? AND +entity = ? RETURNING state',
  );
  const outbox = db.prepare('DELETE FROM outbox WHERE record = ? AND entity = ? RETURNING system');
  return ({ forgotten = [] }) => {
    for (const { entity, record } of forgotten) {
      const code = names.code(entity);
      for (const { state } of journal.all(record, code)) {
        if (state === 'open') tallies.add('open', entity, -1);
      }
      for (const { system } of outbox.all(record, code)) {
        tallies.add('outbox', names.name(Number(system)), -1);
      }
    }
    if (forgotten.length === 0) return;
    fresh.forget();
    tallies.add('wipe', '', 1);
  };
}
