import { setTimeout as sleep } from 'node:timers/promises';
import type { Applier } from '../contract/applier.ts';
import type { Transaction } from '../model/change.ts';
import type { Decisions } from './decisions.ts';

/** So long a caller is kept waiting, and so often it is looked whether the log has come by. */
const WAIT_MS = 10_000;
const LOOK_MS = 20;

/** Notes our own looks among transactions that were decided. */
export function noteLooks(
  { looked }: Decisions,
  { system, instance }: { readonly system: string; readonly instance: string },
  transactions: readonly Transaction[],
): void {
  for (const { mark } of transactions) {
    if (mark?.lane !== 'look' || mark.instance !== instance) continue;
    looked.set(system, Math.max(mark.batch, looked.get(system) ?? 0));
  }
}

export interface Looks extends AsyncDisposable {
  /**
   * True when all that was committed in these systems before this call has been decided, or of a
   * feed: copied; false when that takes too long. Writes a number into each log and waits until it
   * was read.
   */
  caughtUp(systems: readonly string[]): Promise<boolean>;
}

/** `appliers` by system, or by feed: of its source. */
export function openLooks(
  { looked }: Decisions,
  appliers: ReadonlyMap<string, () => Promise<Applier>>,
): Looks {
  const open = new Map<string, Promise<Applier>>();
  let last = 0;
  const fence = async (system: string, number: number): Promise<void> => {
    const applier = open.get(system) ?? appliers.get(system)?.();
    if (applier === undefined) return;
    open.set(system, applier);
    applier.catch(() => open.delete(system));
    await (await applier).fence(number, 'look');
  };
  return {
    async caughtUp(systems) {
      // Larger than any of an earlier run.
      last = Math.max(Date.now(), last + 1);
      const number = last;
      await Promise.all(systems.map((system) => fence(system, number)));
      const isPast = (system: string) => (looked.get(system) ?? 0) >= number;
      for (const end = Date.now() + WAIT_MS; Date.now() < end; await sleep(LOOK_MS)) {
        if (systems.every(isPast)) return true;
      }
      return false;
    },
    async [Symbol.asyncDispose]() {
      for (const applier of open.values()) {
        await (await applier.catch(() => null))?.[Symbol.asyncDispose]();
      }
    },
  };
}
