import type { Ledger, LedgerCommit } from '../../src/contract/ledger.ts';
import type { Line, Scheduler } from './scheduler.ts';

/** A ledger whose answers take their time, and whose effects keep their order. */
export function slowLedger(
  scheduler: Scheduler,
  line: Line,
  ledger: Ledger,
  committed: (changes: LedgerCommit) => void = () => {},
): Ledger {
  const slow = async <T>(label: string, result: Promise<T>): Promise<T> => {
    const value = await result;
    await scheduler.pause(line, label);
    return value;
  };
  return {
    ...ledger,
    find: (query) => slow('ledger find', ledger.find(query)),
    ready: (...asked) => slow('ledger ready', ledger.ready(...asked)),
    sent: (...asked) => slow('ledger sent', ledger.sent(...asked)),
    async commit(changes) {
      await ledger.commit(changes);
      committed(changes);
      await scheduler.pause(line, 'ledger committed');
    },
  };
}
