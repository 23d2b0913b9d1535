import type { Store } from './store.ts';

export const begin = ({ db }: Store): void => db.exec('BEGIN IMMEDIATE');

/** Ends the transaction: atomic, and on disk once the log of the database was synced. */
export function end({ db, names, tallies, vault }: Store): void {
  names.flush();
  tallies.flush();
  vault.keyring.disk.flush();
  db.exec('COMMIT');
  names.settled();
  tallies.settled();
  vault.keyring.disk.settled();
}

/** Leaves nothing of the transaction behind, on disk or in memory. */
export function undo({ db, tallies, head, fresh, records, links, oldest }: Store): void {
  tallies.rollback();
  head.forget();
  fresh.forget();
  records.clear();
  links.clear();
  oldest.clear();
  // SQLite may have rolled back by itself: https://www.sqlite.org/lang_transaction.html
  if (db.isTransaction) db.exec('ROLLBACK');
}

/** Runs `work` in a transaction of its own, undone when it throws. */
export function transact<T>(store: Store, work: () => T): T {
  try {
    begin(store);
    const result = work();
    end(store);
    return result;
  } catch (error) {
    undo(store);
    throw error;
  }
}
