import type { Entity } from '../contract/entity.ts';
import type { Micros } from '../model/value.ts';

export interface FloodGauge {
  /** Counts one more delete at log time `at`; true when it is one too many and must be held. */
  holds(entity: Entity, system: string, at: Micros): boolean;
}

export type FloodCounts = Map<string, { since: Micros; count: number }>;

/**
 * Counts deletes by entity and system in windows of log time; the same log gives the same answers.
 * `population` is how many records the entity has.
 */
export function floodGauge(
  counts: FloodCounts,
  population: (entity: string) => number,
): FloodGauge {
  return {
    holds(entity, system, at) {
      const { share, atLeast, within } = entity.flood;
      const name = `${entity.name}\u0000${system}`;
      const window = counts.get(name);
      const fresh = window === undefined || at - window.since > within;
      const next = fresh
        ? { since: at, count: 1 }
        : { since: window.since, count: window.count + 1 };
      counts.set(name, next);
      return next.count > Math.max(atLeast, share * population(entity.name));
    },
  };
}
