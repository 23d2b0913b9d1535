import type { LedgerCommit } from '../contract/ledger.ts';
import { CarrickError } from '../errors.ts';
import { openCheckpoint } from './checkpoint.ts';
import { ledgerFault } from './faults.ts';
import type { Store } from './store.ts';
import { openSync } from './sync.ts';
import { begin as beginTransaction, end as endTransaction, undo } from './transaction.ts';
import { openWriter } from './write.ts';

export interface Group {
  commit(changes: LedgerCommit): Promise<void>;
  ordinals(entity: string, wanted: readonly string[]): Promise<string[]>;
  synced(later?: 'later'): Promise<void>;
  /** Runs what has a transaction of its own. */
  alone<T>(work: () => T): Promise<T>;
  /** Returns when all that was called so far is decided and on disk. */
  close(): Promise<void>;
}

/** The transaction that the commits of one turn of the event loop share. */
interface Turn {
  readonly ended: Promise<void>;
  /** Set once it failed: what is called in the same turn may build on it. */
  failure: { readonly error: unknown } | null;
}

/**
 * A commit is put into the open transaction at once, where reads see it; the transaction ends when
 * the event loop has been round.
 */
export function openGroup(path: string, store: Store, onSync?: (seconds: number) => void): Group {
  const writer = openWriter(store);
  const disk = openSync(path, onSync);
  const checkpoint = openCheckpoint(store.db, path);
  let turn: Turn | null = null;
  const fail = (of: Turn, error: unknown): void => {
    undo(store);
    of.failure = { error: ledgerFault(error, path) };
  };
  const end = async (of: Turn): Promise<void> => {
    turn = null;
    try {
      if (of.failure === null) {
        endTransaction(store);
        disk.written();
      }
    } catch (error) {
      fail(of, error);
    }
    if (of.failure === null) return checkpoint.written();
    const { error } = of.failure;
    if (error instanceof CarrickError && error.code === 'ledger.full') await checkpoint.relieved();
    throw error;
  };
  const begin = (): Turn => {
    const ended = new Promise<void>((resolve) => setImmediate(resolve)).then(() => end(opened));
    const opened: Turn = { ended, failure: null };
    ended.catch(() => undefined);
    return opened;
  };
  /** Work inside of this turn's transaction; the result counts once that has ended. */
  const join = async <T>(work: () => T): Promise<T> => {
    const isNew = turn === null;
    turn ??= begin();
    const joined = turn;
    let result: T | undefined;
    try {
      if (isNew) beginTransaction(store);
      if (joined.failure === null) result = work();
    } catch (error) {
      fail(joined, error);
    }
    await joined.ended;
    return result as T;
  };
  return {
    commit: (changes) => join(() => writer.put(changes)),
    ordinals: (entity, wanted) => join(() => writer.ordinals(entity, wanted)),
    synced: disk.synced,
    async alone(work) {
      const busy = () => turn?.ended.catch(() => undefined) ?? checkpoint.pass();
      for (let under = busy(); under !== undefined; under = busy()) await under;
      return work();
    },
    async close() {
      await turn?.ended.catch(() => undefined);
      await checkpoint.close();
      await disk.close();
    },
  };
}
