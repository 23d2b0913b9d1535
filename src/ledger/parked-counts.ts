import type { LedgerCounts } from '../contract/ledger.ts';

/** Counts by `system reason` as counts by system and reason. */
export function bySystem(counts: Readonly<Record<string, number>>): LedgerCounts['parked'] {
  const systems: Record<string, Record<string, number>> = {};
  for (const [name, count] of Object.entries(counts)) {
    const [system = '', reason = ''] = name.split(' ');
    systems[system] = { ...systems[system], [reason]: count };
  }
  return systems;
}
