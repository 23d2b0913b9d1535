import type { Ledger, LedgerCommit } from '../contract/ledger.ts';
import { type CarrickError, halt } from '../errors.ts';
import { applyCommit, copyDisk, type Disk, emptyDisk, fieldOrdinals } from './memory-disk.ts';
import { headOf, memoryReader } from './memory-read.ts';

/** A ledger whose disk is a few maps: for simulations and as the model of the others in tests. */
export interface MemoryLedger extends Ledger {
  /**
   * What a start after a power loss finds: everything that was synced, nothing else. This ledger is
   * dead from now on: its calls reject with `ledger.closed`, those that are under way included.
   */
  crash(): MemoryLedger;
}

/** What stands for the device: a commit fails with `write`, and with it all called meanwhile. */
export interface MemoryDevice {
  write(): Promise<void>;
  sync(): Promise<void>;
}

const FAST: MemoryDevice = { write: async () => {}, sync: async () => {} };

/** Opens a ledger on what was synced to `safe`. */
export function openMemoryLedger(
  device: Partial<MemoryDevice> = {},
  safe: Disk = emptyDisk(),
): MemoryLedger {
  const { write, sync } = { ...FAST, ...device };
  const disk = copyDisk(safe);
  /** With what is on its way to `disk`. */
  let ahead = copyDisk(safe);
  /** Committed and not yet synced. */
  let loose: LedgerCommit[] = [];
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
  const keep = () => {
    for (const commit of loose) applyCommit(safe, commit);
    loose = [];
  };
  return {
    ...memoryReader(disk, inTurn),
    head() {
      check();
      return headOf(ahead);
    },
    ordinals: (entity, names) =>
      inTurn(() => {
        fieldOrdinals(safe, entity, names);
        return fieldOrdinals(disk, entity, names);
      }),
    async commit(changes) {
      check();
      const before = failure;
      applyCommit(ahead, changes);
      await inTurn(async () => {
        // Called before an earlier one had failed, on which it may build.
        if (failure !== before) throw failure?.error;
        try {
          await write();
        } catch (error) {
          failure = { error };
          ahead = copyDisk(disk);
          throw error;
        }
        check();
        applyCommit(disk, changes);
        loose.push(changes);
      });
    },
    async synced() {
      check();
      await sync();
      check();
      keep();
    },
    crash() {
      alive = false;
      return openMemoryLedger(device, safe);
    },
    async [Symbol.asyncDispose]() {
      await last;
      if (alive) keep();
      alive = false;
    },
  };
}

function closed(): CarrickError {
  return halt('ledger.closed', 'The ledger in memory is closed.', 'Open it anew.');
}
