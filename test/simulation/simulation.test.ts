import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { MUTATIONS } from './mutations.ts';
import type { Scenario } from './scenario.ts';
import { trial, trialOf } from './trial.ts';

/** Shrunk scenarios of bugs that the simulation found: see `--keep` in main.ts. */
interface Kept {
  readonly bug: string;
  readonly scenario: Scenario;
}

const kept = JSON.parse(
  readFileSync(new URL('seeds.json', import.meta.url), 'utf8'),
) as readonly Kept[];

/** A failure is repeated and shrunk by `npm run simulate -- --show SEED`. */
const SEEDS = { first: 1, count: 200 };
/** Every mutation has to be found within so many seeds. */
const MUTATION_SEEDS = 150;
/** A test that is given up goes on, with the clock of the next one in its hands. */
const UNHURRIED = { timeout: 1_800_000 };

const messages = (found: readonly Error[]): string[] => found.map(({ message }) => message);

test.each(kept)('stays mended: $bug', async ({ scenario }) => {
  expect(messages((await trial(scenario)).found)).toEqual([]);
});

test(
  `seeds ${SEEDS.first} to ${SEEDS.first + SEEDS.count - 1} hold all invariants`,
  UNHURRIED,
  async () => {
    const failed: Record<number, string[]> = {};
    for (let seed = SEEDS.first; seed < SEEDS.first + SEEDS.count; seed++) {
      const { found } = await trialOf(seed);
      if (found.length > 0) failed[seed] = messages(found);
    }
    expect(failed).toEqual({});
  },
);

test('the same seed replays exactly', async () => {
  const [one, two] = [await trialOf(7), await trialOf(7)];
  expect(two.figures).toEqual(one.figures);
  for (const [name, { log }] of one.outcome.systems) {
    expect(two.outcome.systems.get(name)?.log).toEqual(log);
  }
});

test.each(MUTATIONS)('finds "$name"', UNHURRIED, async (mutation) => {
  for (let seed = 1; seed <= MUTATION_SEEDS; seed++) {
    const { found } = await trialOf(seed, mutation);
    if (found.length > 0) return;
  }
  expect.unreachable(`not found within ${MUTATION_SEEDS} seeds`);
});
