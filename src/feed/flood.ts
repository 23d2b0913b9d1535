import type { Entity } from '../contract/entity.ts';
import type { Micros } from '../model/value.ts';
import { type FloodCounts, floodGauge } from '../reconcile/flood.ts';

/** What a person said of a flood, for as long as its window lasts. */
interface Verdict {
  readonly until: Micros;
  readonly passes: boolean;
}

/** Invariant 10 for one feed: one delete too many holds the whole entity until a person decides. */
export interface Guard {
  /** What becomes of one more delete at log time `at`. */
  judge(entity: Entity, at: Micros): 'passes' | 'dropped' | 'held';
  decided(entity: Entity, at: Micros, passes: boolean): void;
}

export function openGuard(to: string, population: (entity: string) => number): Guard {
  const counts: FloodCounts = new Map();
  const gauge = floodGauge(counts, population);
  const verdicts = new Map<string, Verdict>();
  return {
    judge(entity, at) {
      const verdict = verdicts.get(entity.name);
      if (verdict !== undefined && at <= verdict.until)
        return verdict.passes ? 'passes' : 'dropped';
      return gauge.holds(entity, to, at) ? 'held' : 'passes';
    },
    decided(entity, at, passes) {
      counts.clear();
      verdicts.set(entity.name, { until: at + entity.flood.within, passes });
    },
  };
}
