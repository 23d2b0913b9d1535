import type { LinkKey } from '../contract/ledger.ts';
import { parkedEvent } from '../reconcile/row-event.ts';
import type { Decided, Decisions } from './decisions.ts';
import type { Unit } from './pass.ts';

/** Rows that waited for a row that is linked now; they may in turn be waited for. */
export async function releaseWaiting(
  decisions: Decisions,
  due: readonly LinkKey[],
  tell: (decided: Decided) => void,
): Promise<void> {
  for (let next = due; next.length > 0; ) {
    const units: Unit[] = [];
    for (const link of next) {
      for (const row of await decisions.ledger.desk.waitingFor(link)) {
        const event = parkedEvent(row, decisions.entities);
        if (event === null) continue;
        const { system, since: at } = row;
        const transaction = `parked:${row.id}`;
        const again = { system, transaction, at, origin: 'reading' } as const;
        units.push({ ...again, events: [event], echo: null, complete: true });
      }
    }
    const decided = await decisions.decide(units);
    tell(decided);
    next = decided.due;
  }
}
