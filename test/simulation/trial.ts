import type { Mutation } from './mutations.ts';
import { judge } from './oracle.ts';
import { play } from './play.ts';
import { drawScenario, type Scenario } from './scenario.ts';
import type { Figures, Outcome, Violation } from './world.ts';

export interface Trial {
  readonly seed: number;
  readonly found: readonly Violation[];
  readonly figures: Figures;
  readonly outcome: Outcome;
}

/** Plays and judges one scenario. */
export async function trial(scenario: Scenario, mutation?: Mutation): Promise<Trial> {
  const outcome = await play(scenario, mutation === undefined ? {} : { mutation });
  const found = await judge(outcome);
  return { seed: scenario.seed, found, figures: outcome.figures, outcome };
}

export const trialOf = (seed: number, mutation?: Mutation): Promise<Trial> =>
  trial(drawScenario(seed), mutation);

export const shrink = (scenario: Scenario, check: string): Promise<Scenario> =>
  shrinkParts(scenario, ['acts', 'faults', 'users', 'before'], async (smaller) =>
    (await trial(smaller)).found.some((violation) => violation.check === check),
  );

/**
 * Leaves out what users and faults do, in ever smaller pieces, as long as the same check fails
 * (delta debugging, Zeller and Hildebrandt 2002).
 */
export async function shrinkParts<S extends object>(
  scenario: S,
  parts: readonly (keyof S)[],
  fails: (smaller: S) => Promise<boolean>,
): Promise<S> {
  let best = scenario;
  for (let changed = true; changed; ) {
    changed = false;
    for (const part of parts) {
      const all = (): readonly unknown[] => (best[part] ?? []) as readonly unknown[];
      for (let size = Math.ceil(all().length / 2); size >= 1; size = Math.floor(size / 2)) {
        for (let at = 0; at < all().length; ) {
          const less = [...all().slice(0, at), ...all().slice(at + size)];
          const smaller: S = { ...best, [part]: less };
          if (await fails(smaller)) [best, changed] = [smaller, true];
          else at += size;
        }
      }
    }
  }
  return best;
}
