import type { Ledger, Pause } from '../contract/ledger.ts';
import type { Decisions } from './decisions.ts';

export const isPaused = (ledger: Ledger, kind: Pause['kind'], name: string): boolean =>
  ledger.head().paused.some((pause) => pause.kind === kind && pause.name === name);

/** Puts pauses into the ledger and takes them out; who could go on is woken. */
export function changePauses(
  { ledger, exclusively, bells }: Decisions,
  change: { readonly add: readonly Pause[]; readonly remove: readonly Pause[] },
): Promise<readonly Pause[]> {
  return exclusively(async () => {
    await ledger.commit({ paused: change });
    await ledger.synced();
    for (const bell of bells.values()) bell.ring();
    return ledger.head().paused;
  });
}
