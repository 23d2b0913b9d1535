/**
 * What only one system writes ends alike, whether it is fed or settled: the copies of what counts
 * in the source. What is different by design is named in README's Feeds.
 */
import { expect, test } from 'vitest';
import { rowKey } from '../../src/model/value.ts';
import { playFeed } from './feed-play.ts';
import { drawFeedScenario, type FeedScenario } from './feed-scenario.ts';
import { type Way, waysOf } from './feed-setup.ts';
import { playSettled } from './settled.ts';
import type { Cells, SimulatedSystem } from './system.ts';

const SEEDS = { first: 1, count: 100 };

/**
 * One history: who waits for a lock writes other numbers behind it, and a row that left a filter
 * and comes back meets its copy anew where it is settled.
 */
function quiet(scenario: FeedScenario): FeedScenario {
  const setup = { ...scenario.setup, flood: false, late: false, special: false };
  const users = scenario.users.map((actions) =>
    actions.map((one) => (one.kind === 'toggle' ? { ...one, kind: 'update' as const } : one)),
  );
  return { ...scenario, setup, users, faults: [], acts: [] };
}

type Systems = ReadonlyMap<string, SimulatedSystem>;

const keyOf = (row: Cells, key: readonly string[]): string =>
  rowKey(key.map((column) => row[column] ?? null));

/** Copies of rows that count in the source; of others one keeps what the other does not. */
function copiesIn(systems: Systems, { source, target, to, project, copyKey }: Way): string[] {
  const wanted = new Set<string>();
  for (const { cells } of systems.get('crm')?.visible(source) ?? []) {
    const copy = project(cells);
    if (copy !== null) wanted.add(keyOf(copy, copyKey));
  }
  const rows =
    systems
      .get(to)
      ?.visible(target)
      .map(({ cells }) => cells) ?? [];
  return rows
    .filter((row) => wanted.has(keyOf(row, copyKey)))
    .map(({ nr: _, ...row }) => JSON.stringify(row))
    .sort();
}

const TITLE = `seeds ${SEEDS.first} to ${SEEDS.first + SEEDS.count - 1} end alike`;

test(TITLE, { timeout: 600_000 }, async () => {
  const different: string[] = [];
  let compared = 0;
  for (let seed = SEEDS.first; seed < SEEDS.first + SEEDS.count; seed++) {
    const scenario = quiet(drawFeedScenario(seed));
    const fed = await playFeed(scenario);
    const settled = await playSettled(scenario);
    for (const { message } of [...fed.violations, ...settled.violations]) {
      different.push(`${seed} ${message}`);
    }
    const parked = new Set(settled.parked.map(({ entity, system }) => `${entity} ${system}`));
    for (const way of waysOf(scenario.setup)) {
      // Keys that change hands wait for a person where they are settled.
      if (parked.has(`${way.entity} ${way.to}`)) continue;
      compared += 1;
      const [copied, written] = [fed.world.systems, settled.systems].map((one) =>
        copiesIn(one, way),
      );
      if (copied?.join() !== written?.join()) different.push(`${seed} ${way.entity} ${way.to}`);
    }
  }
  expect(different).toEqual([]);
  expect(compared).toBeGreaterThan(2 * SEEDS.count);
});
