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
  /** The log is read again from the target's place: so is what was counted behind it. */
  begin(): void;
  /** All that was counted so far. */
  counted(): FloodCounts;
  /** What was counted so far is in the target. */
  keep(counted: FloodCounts): void;
  /** A person has said what becomes of the entity's deletes at log time `at`, or is to say it. */
  isAsked(entity: Entity, at: Micros): boolean;
  /** What becomes of one more delete at log time `at`. */
  judge(entity: Entity, at: Micros): 'passes' | 'dropped' | 'held';
  decided(entity: Entity, at: Micros, passes: boolean): void;
}

/** `held`: entities of which a person has not decided yet, from before this process. */
export function openGuard(
  to: string,
  population: (entity: string) => number,
  held: readonly string[],
): Guard {
  const counts: FloodCounts = new Map();
  let kept: FloodCounts = new Map();
  const undecided = new Set(held);
  const gauge = floodGauge(counts, population);
  const verdicts = new Map<string, Verdict>();
  const verdictOn = ({ name }: Entity, at: Micros): Verdict | null => {
    const verdict = verdicts.get(name);
    return verdict !== undefined && at <= verdict.until ? verdict : null;
  };
  return {
    begin() {
      counts.clear();
      for (const [name, count] of kept) counts.set(name, count);
    },
    counted: () => new Map(counts),
    keep(counted) {
      kept = counted;
    },
    isAsked: (entity, at) => undecided.has(entity.name) || verdictOn(entity, at) !== null,
    judge(entity, at) {
      if (undecided.has(entity.name)) return 'held';
      const verdict = verdictOn(entity, at);
      if (verdict !== null) return verdict.passes ? 'passes' : 'dropped';
      return gauge.holds(entity, to, at) ? 'held' : 'passes';
    },
    decided(entity, at, passes) {
      undecided.delete(entity.name);
      kept = new Map();
      verdicts.set(entity.name, { until: at + entity.flood.within, passes });
    },
  };
}
