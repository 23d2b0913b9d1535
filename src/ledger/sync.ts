import { type FileHandle, open } from 'node:fs/promises';
import { halt } from '../errors.ts';

const round = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export interface Sync {
  /** Something was written that is not on disk yet. */
  written(): void;
  /** Resolves when all that was written before the call is on disk; calls share syncs. */
  synced(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Syncs the write-ahead log of a database beside the event loop: fdatasync(2) covers the file,
 * whichever descriptor wrote it. SQLite takes no lock on that file, so that closing a descriptor of
 * it drops none, and keeps it as long as a connection is open (https://www.sqlite.org/walformat.html).
 */
export function openSync(path: string): Sync {
  let log: Promise<FileHandle> | null = null;
  let running: Promise<void> = Promise.resolve();
  let next: Promise<void> | null = null;
  let isDirty = false;
  const sync = async (): Promise<void> => {
    // What wakes by this commit commits within two rounds of the event loop, and shares the sync.
    await round();
    await round();
    next = null;
    isDirty = false;
    try {
      log ??= open(`${path}-wal`, 'r+');
      await (await log).datasync();
    } catch (error) {
      throw unsynced(path, error);
    }
  };
  return {
    written() {
      isDirty = true;
    },
    synced() {
      if (next === null && !isDirty) return running;
      // One that is running may have begun before the last write. After a failure none succeeds:
      // the kernel may have dropped what it could not write.
      next ??= running = running.then(sync);
      return next;
    },
    async close() {
      // Nobody is told: SQLite syncs it once more before it closes the file.
      await running.catch(() => undefined);
      await (await log?.catch(() => null))?.close();
    },
  };
}

function unsynced(path: string, cause: unknown): Error {
  return halt(
    'ledger.unsynced',
    `The disk of the ledger ${path} did not take what was written to it.`,
    'Look into the system log for errors of the disk, then start the daemon again: it goes on ' +
      'from what is on disk.',
    cause,
  );
}
