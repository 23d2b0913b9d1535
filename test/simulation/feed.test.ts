/** Feeds under the seeded scheduler; see feed-play.ts and feed-oracle.ts. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { FEED_MUTATIONS } from './feed-mutations.ts';
import { playFeed } from './feed-play.ts';
import type { FeedScenario } from './feed-scenario.ts';
import { feedTrialOf } from './feed-trial.ts';

/** Scenarios of bugs that the simulation found. */
const kept = JSON.parse(
  readFileSync(new URL('feed-seeds.json', import.meta.url), 'utf8'),
) as readonly { readonly bug: string; readonly scenario: FeedScenario }[];

/** A failure is repeated and shrunk by `npm run simulate -- --only feed --show SEED`. */
const SEEDS = { first: 1, count: 100 };
/** Every mutation has to be found within so many seeds. */
const MUTATION_SEEDS = 150;
/** A test that is given up goes on, with the clock of the next one in its hands. */
const UNHURRIED = { timeout: 1_800_000 };

const messages = (found: readonly Error[]): string[] => found.map(({ message }) => message);

test.each(kept)('stays mended: $bug', async ({ scenario }) => {
  expect(messages((await playFeed(scenario)).violations)).toEqual([]);
});

test(
  `feed seeds ${SEEDS.first} to ${SEEDS.first + SEEDS.count - 1} hold all invariants`,
  UNHURRIED,
  async () => {
    const failed: Record<number, string[]> = {};
    for (let seed = SEEDS.first; seed < SEEDS.first + SEEDS.count; seed++) {
      const { violations } = await feedTrialOf(seed);
      if (violations.length > 0) failed[seed] = messages(violations);
    }
    expect(failed).toEqual({});
  },
);

test.each(FEED_MUTATIONS)('finds "$name"', UNHURRIED, async (mutation) => {
  for (let seed = 1; seed <= MUTATION_SEEDS; seed++) {
    if ((await feedTrialOf(seed, mutation)).violations.length > 0) return;
  }
  expect.unreachable(`not found within ${MUTATION_SEEDS} seeds`);
});
