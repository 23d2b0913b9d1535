import { parseProgress, resyncOf } from '../capture/progress.ts';
import type { TableSpec } from '../model/change.ts';
import type { Position } from '../model/position.ts';
import type { Decisions } from './decisions.ts';
import { takeBack } from './deliveries.ts';

/**
 * Goes on with a system whose log is no longer there from our position on: follows it from
 * `position`, and has all its tables read again before anything is written to them. What differs
 * from what was known is then a change at an unknown time, settled like any other; what is gone
 * was deleted. The echoes of writes that were on their way may be in the missing part: they are
 * decided again. May be repeated; no loop of the system may run.
 */
export async function rejoin(
  decisions: Decisions,
  system: string,
  tables: readonly TableSpec[],
  position: Position,
): Promise<void> {
  await takeBack(decisions, system, null);
  await decisions.decide([], {
    system,
    state: () => {
      const known = decisions.ledger.head().positions[system]?.snapshots ?? {};
      const snapshots: Record<string, string> = { ...known };
      for (const { name } of tables) {
        if (known[name] === undefined) continue;
        const again = resyncOf(parseProgress(known[name]), { mends: true });
        snapshots[name] = JSON.stringify(again);
      }
      return { position, openTransaction: null, snapshots };
    },
  });
}
