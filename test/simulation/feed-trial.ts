import type { FeedMutation } from './feed-mutations.ts';
import { type FeedOutcome, playFeed } from './feed-play.ts';
import { drawFeedScenario, type FeedScenario } from './feed-scenario.ts';
import { shrinkParts } from './trial.ts';

export const feedTrialOf = (seed: number, mutation?: FeedMutation): Promise<FeedOutcome> =>
  playFeed(drawFeedScenario(seed), mutation ?? null);

/** The least of a scenario in which the same check still fails. */
export const shrinkFeed = (scenario: FeedScenario, check: string): Promise<FeedScenario> =>
  shrinkParts(scenario, ['acts', 'faults', 'users', 'before'], async (smaller) =>
    (await playFeed(smaller)).violations.some((violation) => violation.check === check),
  );
