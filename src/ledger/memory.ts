import type { Ledger } from '../contract/ledger.ts';
import { type CarrickError, halt } from '../errors.ts';
import { applyCommit, type Disk, emptyDisk, fieldOrdinals } from './memory-disk.ts';
import { memoryReader } from './memory-read.ts';

/** A ledger whose disk is a few maps: for simulations and as the model of the others in tests. */
export interface MemoryLedger extends Ledger {
  /**
   * What a start after kill -9 finds: everything committed, nothing else. This ledger is dead from
   * now on: its calls reject with `ledger.closed`, those that are under way included.
   */
  crash(): MemoryLedger;
}

/**
 * Opens a ledger on what `disk` holds. `sync` stands for the device: a commit takes effect when the
 * promise that it gives resolves, and fails, with all that were called in the meantime, when it
 * rejects.
 */
export function openMemoryLedger(
  sync: () => Promise<void> = async () => {},
  disk: Disk = emptyDisk(),
): MemoryLedger {
  let alive = true;
  let last: Promise<unknown> = Promise.resolve();
  let failure: { readonly error: unknown } | null = null;
  const check = () => {
    if (!alive) throw closed();
  };
  /** Calls take effect in the order in which they are made. */
  const inTurn = async <T>(work: () => T | Promise<T>): Promise<T> => {
    check();
    const turn = last.then(async () => {
      check();
      return work();
    });
    last = turn.catch(() => {});
    return turn;
  };
  const reader = memoryReader(disk, inTurn);
  return {
    ...reader,
    head() {
      check();
      return reader.head();
    },
    ordinals: (entity, names) => inTurn(() => fieldOrdinals(disk, entity, names)),
    async commit(changes) {
      const before = failure;
      await inTurn(async () => {
        // Called before an earlier one had failed, on which it may build.
        if (failure !== before) throw failure?.error;
        try {
          await sync();
        } catch (error) {
          failure = { error };
          throw error;
        }
        check();
        applyCommit(disk, changes);
      });
    },
    crash() {
      alive = false;
      return openMemoryLedger(sync, disk);
    },
    async [Symbol.asyncDispose]() {
      await last;
      alive = false;
    },
  };
}

function closed(): CarrickError {
  return halt('ledger.closed', 'The ledger in memory is closed.', 'Open it anew.');
}
