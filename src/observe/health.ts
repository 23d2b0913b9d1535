/** How the loops of one system do, from memory alone: asking must not depend on the ledger. */
export interface Vital {
  readonly system: string;
  /** See `SystemStatus.source` and `.target`. */
  readonly source: string;
  readonly target: string;
  /** Null before the first byte. */
  readonly lastByteAgeSeconds: number | null;
  /** Since the loop last went round. A loop that waits goes round at least every 10 s. */
  readonly sourceMovedSeconds: number;
  readonly targetMovedSeconds: number;
}

export interface Health {
  readonly ok: boolean;
  readonly systems: Readonly<Record<string, Vital & { readonly faults: readonly string[] }>>;
}

/** Longer than any pause that is in order: sources send a heartbeat every 10 s, loops go round. */
export const SILENCE_SECONDS = 60;

/**
 * Alive means moving (invariant 11): bytes have come from every source and every loop has gone
 * round lately, and nothing is halted. `upSeconds` stands in where no byte has come yet.
 */
export function health(vitals: readonly Vital[], upSeconds: number): Health {
  return judge(vitals, (vital) => {
    const faults: string[] = [];
    if (vital.source === 'halted') faults.push('source halted');
    if (vital.target === 'halted') faults.push('target halted');
    const age = vital.lastByteAgeSeconds ?? upSeconds;
    if (age > SILENCE_SECONDS) faults.push(`source silent for ${Math.round(age)} s`);
    for (const loop of ['source', 'target'] as const) {
      const still = loop === 'source' ? vital.sourceMovedSeconds : vital.targetMovedSeconds;
      if (still > SILENCE_SECONDS) faults.push(`${loop} loop stuck for ${Math.round(still)} s`);
    }
    return faults;
  });
}

const TAKING: ReadonlySet<string> = new Set(['idle', 'delivering', 'waiting']);

/** Ready: every source is connected and every target takes writes, as far as is known. */
export function readiness(vitals: readonly Vital[]): Health {
  return judge(vitals, ({ source, target, lastByteAgeSeconds }) => {
    const faults: string[] = [];
    if (source !== 'following' && source !== 'snapshot') faults.push(`source ${source}`);
    else if (lastByteAgeSeconds === null) faults.push('nothing read yet');
    if (!TAKING.has(target)) faults.push(`target ${target}`);
    return faults;
  });
}

function judge(vitals: readonly Vital[], faultsOf: (vital: Vital) => string[]): Health {
  const systems: Record<string, Vital & { faults: string[] }> = {};
  for (const vital of vitals) systems[vital.system] = { ...vital, faults: faultsOf(vital) };
  return { ok: Object.values(systems).every(({ faults }) => faults.length === 0), systems };
}
