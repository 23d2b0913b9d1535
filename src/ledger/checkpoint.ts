import { statfsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';

/** So many pages that are in the log alone are worth a pass: few and large ones write less. */
const PASS_PAGES = 8_192;
/** A log of so many pages is to begin anew. */
const LONG_PAGES = 24_576;
/** So many pages the event loop may write itself; more are worth another pass first. */
const FEW_PAGES = 4_096;
/** No log gets much longer: commits wait, or SQLite checkpoints inside of them. */
export const BOUND_PAGES = 49_152;
/** However full a disk is, its log may have so many before anything is done about it. */
const LEAST_PAGES = 64;

/**
 * In a string, because the bundle has no file for it; a connection of its own is all there is. A
 * pass that fails is tried again with the next commit.
 */
const WORKER = `
  const { parentPort, workerData } = require('node:worker_threads');
  const { DatabaseSync } = require('node:sqlite');
  const db = new DatabaseSync(workerData);
  db.exec('PRAGMA cache_size = -64');
  const pass = db.prepare('PRAGMA wal_checkpoint(PASSIVE)');
  parentPort.on('message', (what) => {
    if (what === 'end') {
      db.close();
      return parentPort.close();
    }
    try {
      pass.get();
    } catch {}
    parentPort.postMessage('passed');
  });
`;

/**
 * Older ones can lose pages where two connections checkpoint and write at one time
 * (https://www.sqlite.org/wal.html#walresetbug). Node brings its own.
 */
const SAFE = [3, 51, 3] as const;

export function isSafeBeside(version: string): boolean {
  const parts = version.split('.').map(Number);
  const apart = SAFE.findIndex((part, i) => parts[i] !== part);
  return apart < 0 || (parts[apart] ?? 0) > SAFE[apart]!;
}

export interface Checkpoint {
  /** A transaction ended; resolves when there is room for the next. */
  written(): Promise<void>;
  /** The disk was full: resolves when the log is brought in, as far as there is room for it. */
  relieved(): Promise<void>;
  /** The end of the pass that is under way; none begins but by these two. */
  pass(): Promise<void> | undefined;
  close(): Promise<void>;
}

/**
 * Brings the log's pages into the database beside the event loop, with SQLite's own means: a
 * checkpoint by another connection hinders no writer
 * (https://www.sqlite.org/wal.html#checkpointing). While that goes on writing some pages stay
 * behind, and a log begins anew only when none do: once it is long, those few follow here, right
 * after a pass. The worker is started when there is something to do; many ledgers need none. One
 * that dies is not replaced, and with an older SQLite there is none: its own checkpoints
 * (`schema.ts`) do then.
 */
export function openCheckpoint(db: DatabaseSync, path: string): Checkpoint {
  const { version } = db.prepare('SELECT sqlite_version() AS version').get()!;
  const limits = openLimits(db, path);
  const size = db.prepare('PRAGMA wal_checkpoint(NOOP)');
  const rest = db.prepare('PRAGMA wal_checkpoint(PASSIVE)');
  let worker: Worker | null = null;
  let pass: PromiseWithResolvers<void> | null = null;
  let hasPassed = false;
  let isAlone = !isSafeBeside(String(version));
  const passed = (): void => {
    hasPassed = true;
    // A program that is done waits for a pass, and for nothing else.
    worker?.unref();
    pass?.resolve();
    pass = null;
  };
  /** Or a log that was long once keeps what the database needs now; it is cut as it begins anew. */
  const shrink = (): void => db.exec(`PRAGMA journal_size_limit = ${limits().kept}`);
  const begin = (): void => {
    // A pass may bring in all there is, and then the log begins anew with the next commit.
    shrink();
    pass = Promise.withResolvers();
    worker ??= startWorker(path, passed, () => {
      isAlone = true;
      passed();
    });
    worker.ref();
    worker.postMessage('pass');
  };
  const finish = (): void => {
    try {
      shrink();
      rest.get();
    } catch {
      // As with SQLite's own: the pages stay in the log, and later ones try again.
    }
  };
  const measured = () => size.get() as { log: number; checkpointed: number };
  // A process that was killed leaves its log behind, and nothing may be left to add to it.
  if (measured().log >= limits().bound) finish();
  return {
    async written() {
      if (isAlone) return;
      const { log, checkpointed } = measured();
      const { worth, long, bound } = log < LEAST_PAGES ? AMPLE : limits();
      if (pass !== null) return log < bound ? undefined : pass.promise;
      const left = log - checkpointed;
      const isLong = log >= long;
      if (isLong && hasPassed && (left <= FEW_PAGES || log >= bound)) finish();
      else if (left >= (isLong ? 1 : worth)) begin();
      hasPassed = false;
    },
    async relieved() {
      if (pass === null && !isAlone) begin();
      await pass?.promise;
      finish();
    },
    pass: () => pass?.promise,
    async close() {
      await pass?.promise;
      if (worker === null || isAlone) return;
      const { promise: ended, resolve } = Promise.withResolvers<number>();
      worker.ref();
      worker.once('exit', resolve);
      worker.postMessage('end');
      await ended;
    },
  };
}

interface Limits {
  /** Pages of {@link PASS_PAGES}, {@link LONG_PAGES} and {@link BOUND_PAGES}. */
  readonly worth: number;
  readonly long: number;
  readonly bound: number;
  /** Bytes that the log's file may keep once it begins anew. */
  readonly kept: number;
}

const AMPLE = { worth: PASS_PAGES, long: LONG_PAGES, bound: BOUND_PAGES };

/**
 * On a small disk the bounds are shares of what database and log have left of it, so that whatever
 * is in the log alone finds room in the database: a log that had filled the disk could never be
 * brought in, and would stay for good.
 */
function openLimits(db: DatabaseSync, path: string): () => Limits {
  const { page_size } = db.prepare('PRAGMA page_size').get() as { page_size: number };
  return () => {
    const { bavail, bsize } = statfsSync(dirname(path));
    const taken = statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
    const most = Math.max(LEAST_PAGES, (taken + bavail * bsize) / page_size);
    const long = Math.min(LONG_PAGES, most / 4);
    return {
      worth: Math.min(PASS_PAGES, most / 8),
      long,
      bound: Math.min(BOUND_PAGES, most * 0.375),
      kept: Math.floor(long) * page_size,
    };
  };
}

function startWorker(path: string, passed: () => void, died: () => void): Worker {
  const worker = new Worker(WORKER, {
    eval: true,
    // Never makes a file: https://www.sqlite.org/uri.html
    workerData: `${pathToFileURL(path)}?mode=rw`,
    resourceLimits: { maxOldGenerationSizeMb: 8, maxYoungGenerationSizeMb: 1, stackSizeMb: 1 },
  });
  worker.on('message', passed);
  worker.on('error', died);
  worker.on('exit', died);
  return worker;
}
