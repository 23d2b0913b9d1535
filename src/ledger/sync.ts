import { type FileHandle, open } from 'node:fs/promises';
import { halt } from '../errors.ts';

const round = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export interface Sync {
  /** Something was written that is not on disk yet. */
  written(): void;
  /**
   * Resolves when all that was written before the call is on disk; calls share syncs. One for
   * `later` begins when somebody else asks, or after a while.
   */
  synced(later?: 'later'): Promise<void>;
  close(): Promise<void>;
}

/** So long a sync that nobody waits for is put off. */
const LATER_MS = 20;

interface Planned {
  readonly ended: Promise<void>;
  /** Begins it once those before have ended. */
  begin(): void;
}

/**
 * Syncs the write-ahead log of a database beside the event loop: fdatasync(2) covers the file,
 * whichever descriptor wrote it. SQLite takes no lock on that file, so that closing a descriptor of
 * it drops none, and keeps it as long as a connection is open (https://www.sqlite.org/walformat.html).
 */
export function openSync(path: string, onSync?: (seconds: number) => void): Sync {
  let log: Promise<FileHandle> | null = null;
  let running: Promise<void> = Promise.resolve();
  let next: Planned | null = null;
  let isDirty = false;
  const sync = async (): Promise<void> => {
    // What wakes by this commit commits within two rounds of the event loop, and shares the sync.
    await round();
    await round();
    next = null;
    isDirty = false;
    try {
      log ??= open(`${path}-wal`, 'r+');
      const opened = await log;
      const started = performance.now();
      await opened.datasync();
      onSync?.((performance.now() - started) / 1000);
    } catch (error) {
      throw unsynced(path, error);
    }
  };
  const plan = (): Planned => {
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    const before = running;
    // One that is running may have begun before the last write. After a failure none succeeds:
    // the kernel may have dropped what it could not write.
    running = Promise.all([before, begun]).then(sync);
    return { ended: running, begin };
  };
  return {
    written() {
      isDirty = true;
    },
    synced(later) {
      if (next === null && !isDirty) return running;
      next ??= plan();
      if (later === undefined) next.begin();
      else setTimeout(next.begin, LATER_MS);
      return next.ended;
    },
    async close() {
      next?.begin();
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
