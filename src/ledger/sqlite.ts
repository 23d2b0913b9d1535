import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import type { Ledger, LedgerCommit } from '../contract/ledger.ts';
import { halt } from '../errors.ts';
import { adopt, conform } from './conform.ts';
import { openDesk } from './desk.ts';
import { ledgerFault } from './faults.ts';
import { takeOwnership } from './owner.ts';
import { NO_PRIVACY, type Privacy } from './privacy.ts';
import { openReader } from './read.ts';
import { openDatabase } from './schema.ts';
import { openStore, refresh, type Store } from './store.ts';
import { openWriter } from './write.ts';

/**
 * A ledger in one SQLite file (WAL, synced at every commit). Opened for writing it takes the
 * ownership and brings the schema up to date; opened `readOnly` it reads beside a running daemon.
 *
 * Calls take effect in the order in which they are made: a `find` after a `commit` sees that
 * commit, resolved or not. Commits that are called in one turn of the event loop share a
 * transaction and one sync of the disk; when it fails all of them reject, because a later one may
 * build on an earlier one (a source's next position must not be saved without its last batch).
 *
 * What `privacy` calls personal is sealed and hashed; the ledger is brought to that, and to the
 * first of its keys, before anything else.
 *
 * Errors: `ledger.owned` `ledger.newer` `ledger.older` `ledger.corrupt` `ledger.missing`
 * `ledger.unusable` `ledger.key` (halt), `ledger.full` `ledger.io` `ledger.busy` (retry).
 */
export async function openSqliteLedger(
  path: string,
  options: { readonly readOnly?: boolean; readonly privacy?: Privacy } = {},
): Promise<SqliteLedger> {
  const { readOnly = false, privacy = NO_PRIVACY } = options;
  const release = readOnly ? () => {} : takeOwnership(path);
  try {
    const db = openDatabase(path, readOnly);
    try {
      const store = openStore(db, path, privacy);
      if (readOnly) adopt(store, path);
      else conform(store, path, privacy.guards);
      return serve(store, path, readOnly, release);
    } catch (error) {
      db.close();
      throw error;
    }
  } catch (error) {
    release();
    throw ledgerFault(error, path);
  }
}

/**
 * An empty ledger for trying things out; its files are removed when it is closed. What an earlier
 * one left behind, because its process was killed, is removed first.
 */
export async function openScratchLedger(path: string, guards: Privacy['guards']): Promise<Ledger> {
  const release = takeOwnership(path);
  const remove = (): void => {
    for (const file of ['', '-wal', '-shm']) rmSync(`${path}${file}`, { force: true });
  };
  try {
    remove();
    // Sealed with a key that nobody else knows: what a crash leaves behind tells nothing.
    const store = openStore(openDatabase(path, false), path, { keys: [randomBytes(32)], guards });
    conform(store, path, guards);
    const ledger = serve(store, path, false, () => undefined);
    return {
      ...ledger,
      async [Symbol.asyncDispose]() {
        await ledger[Symbol.asyncDispose]();
        remove();
        release();
        rmSync(`${path}-owner`, { force: true });
      },
    };
  } catch (error) {
    release();
    throw ledgerFault(error, path);
  }
}

export interface SqliteLedger extends Ledger {
  /** Replaces what is personal, as a configuration that was read anew wants it. */
  protect(guards: Privacy['guards']): Promise<void>;
}

interface Pending {
  readonly changes: LedgerCommit;
  resolve(): void;
  reject(error: unknown): void;
}

function serve(store: Store, path: string, readOnly: boolean, release: () => void): SqliteLedger {
  const { db } = store;
  const reader = openReader(store);
  const desk = openDesk(store);
  const refreshed = () => {
    refresh(store);
    adopt(store, path);
  };
  const run = openTurn(db, path, readOnly ? refreshed : null);
  const group = openGroup(path, store, readOnly);
  const ask =
    <A extends unknown[], R>(question: (...asked: A) => R) =>
    async (...asked: A): Promise<R> => {
      await group.settled();
      return run(() => question(...asked));
    };
  return {
    head: () => run(reader.head),
    ordinals: ask(group.ordinals),
    find: ask(reader.find),
    commit: group.commit,
    ready: ask(reader.ready),
    sent: ask(reader.sent),
    protect: ask((guards: Privacy['guards']) => conform(store, path, guards)),
    desk: {
      conflicts: ask(desk.conflicts),
      conflict: ask(desk.conflict),
      history: ask(desk.history),
      parked: ask(desk.parked),
      parkedOne: ask(desk.parkedOne),
      waitingFor: ask(desk.waitingFor),
      outbox: ask(reader.outbox),
      linked: ask(desk.linked),
      counts: ask(desk.counts),
    },
    async [Symbol.asyncDispose]() {
      await group.settled();
      if (!db.isOpen) return;
      db.close();
      release();
    },
  };
}

/** How a question is run: with faults explained, and beside a writer in one snapshot. */
function openTurn(db: DatabaseSync, path: string, refreshed: (() => void) | null) {
  return <T>(work: () => T): T => {
    if (!db.isOpen) throw closed(path);
    try {
      if (refreshed === null) return work();
      db.exec('BEGIN');
      refreshed();
      return work();
    } catch (error) {
      throw ledgerFault(error, path);
    } finally {
      if (refreshed !== null && db.isTransaction) db.exec('COMMIT');
    }
  };
}

function openGroup(path: string, store: Store, readOnly: boolean) {
  const writer = readOnly ? null : openWriter(store);
  let pending: Pending[] = [];
  let flushed: Promise<void> = Promise.resolve();
  const write = () => {
    const group = pending;
    pending = [];
    try {
      writable().write(group.map((member) => member.changes));
      for (const member of group) member.resolve();
    } catch (error) {
      const fault = ledgerFault(error, path);
      for (const member of group) member.reject(fault);
    }
  };
  const writable = () => {
    if (!store.db.isOpen) throw closed(path);
    if (writer === null) throw new TypeError('This ledger was opened read-only.');
    return writer;
  };
  return {
    commit(changes: LedgerCommit): Promise<void> {
      if (pending.length === 0) {
        flushed = new Promise((resolve) => {
          setImmediate(() => {
            write();
            resolve();
          });
        });
      }
      return new Promise((resolve, reject) => pending.push({ changes, resolve, reject }));
    },
    ordinals: (entity: string, names: readonly string[]) => writable().ordinals(entity, names),
    /** Resolves when all commits that were called so far are decided. */
    settled: () => flushed,
  };
}

function closed(path: string): Error {
  return halt(
    'ledger.closed',
    `The ledger ${path} is closed.`,
    'Start the daemon again; if it was not being stopped, report this.',
  );
}
