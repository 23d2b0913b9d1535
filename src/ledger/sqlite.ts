import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import type { Ledger } from '../contract/ledger.ts';
import { halt } from '../errors.ts';
import { adopt, compact, conform } from './conform.ts';
import { openDesk } from './desk.ts';
import { ledgerFault } from './faults.ts';
import { type Group, openGroup } from './group.ts';
import { takeOwnership } from './owner.ts';
import { NO_PRIVACY, type Privacy } from './privacy.ts';
import { openReader } from './read.ts';
import { openDatabase } from './schema.ts';
import { openStore, refresh, type Store } from './store.ts';

/**
 * A ledger in one SQLite file (WAL, synced at every commit). Opened for writing it takes the
 * ownership and brings the schema up to date; opened `readOnly` it reads beside a running daemon.
 *
 * Commits that are called before the event loop has been round share a transaction. When it fails
 * all of them reject, because a later one may build on an earlier one (a source's next position
 * must not be saved without its last batch). Transactions that end while the disk is busy share
 * its next sync, for which nobody waits but who asks for it.
 *
 * What `privacy` calls personal is sealed and hashed; the ledger is brought to that, and to the
 * first of its keys, before anything else.
 *
 * Errors: `ledger.owned` `ledger.newer` `ledger.older` `ledger.corrupt` `ledger.missing`
 * `ledger.unusable` `ledger.key` `ledger.unsynced` (halt), `ledger.full` `ledger.io`
 * `ledger.busy` (retry).
 */
export async function openSqliteLedger(
  path: string,
  options: {
    readonly readOnly?: boolean;
    readonly privacy?: Privacy;
    /** Told how long each sync took. */
    readonly onSync?: (seconds: number) => void;
  } = {},
): Promise<SqliteLedger> {
  const { readOnly = false, privacy = NO_PRIVACY, onSync } = options;
  const release = readOnly ? () => {} : takeOwnership(path);
  try {
    const db = openDatabase(path, readOnly);
    try {
      const store = openStore(db, path, privacy);
      if (readOnly) adopt(store, path);
      else conform(store, path, privacy.guards);
      return serve(store, path, readOnly ? null : openGroup(path, store, onSync), release);
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
    const ledger = serve(store, path, openGroup(path, store), () => undefined);
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

function serve(store: Store, path: string, group: Group | null, release: () => void): SqliteLedger {
  const { db } = store;
  const reader = openReader(store);
  const desk = openDesk(store);
  const refreshed = () => {
    refresh(store);
    adopt(store, path);
  };
  const run = openTurn(db, path, group === null ? refreshed : null);
  const writable = () => {
    if (!db.isOpen) throw closed(path);
    if (group === null) throw new TypeError('This ledger was opened read-only.');
    return group;
  };
  const ask =
    <A extends unknown[], R>(question: (...asked: A) => R) =>
    async (...asked: A): Promise<R> =>
      run(() => question(...asked));
  return {
    head: () => run(reader.head),
    ordinals: async (entity, names) => writable().ordinals(entity, names),
    find: ask(reader.find),
    async commit(changes) {
      await writable().commit(changes);
      if (changes.forgotten === undefined) return;
      await writable().alone(() => run(() => compact(store, path)));
    },
    synced: async (later) => writable().synced(later),
    ready: ask(reader.ready),
    sent: ask(reader.sent),
    protect: async (guards) => writable().alone(() => run(() => conform(store, path, guards))),
    desk: {
      conflicts: ask(desk.conflicts),
      conflict: ask(desk.conflict),
      history: ask(desk.history),
      parked: ask(desk.parked),
      parkedOne: ask(desk.parkedOne),
      waitingFor: ask(desk.waitingFor),
      outbox: ask(reader.outbox),
      linked: ask(desk.linked),
      oldestClosed: ask(desk.oldestClosed),
      usedBytes: ask(desk.usedBytes),
      counts: ask(desk.counts),
    },
    async [Symbol.asyncDispose]() {
      await group?.close();
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

function closed(path: string): Error {
  return halt(
    'ledger.closed',
    `The ledger ${path} is closed.`,
    'Start the daemon again; if it was not being stopped, report this.',
  );
}
