/** What reading tables still does after it was given up, or when nobody can be told. */
import { expect, test } from 'vitest';
import { openLanes } from '../../src/capture/lane.ts';
import { parseProgress } from '../../src/capture/progress.ts';
import { openSnapshot } from '../../src/capture/snapshot.ts';

const table = { name: 't', key: ['id'], columns: ['id'] };
const later = () => new Promise((resolve) => setImmediate(resolve));

test('opens no connection once it has ended, whatever it was waiting for', async () => {
  const estimate = Promise.withResolvers<number>();
  let opened = 0;
  const snapshot = openSnapshot({
    tables: [table],
    progress: () => ({}),
    held: () => false,
    contents: () => ['id'],
    known: async () => ({ keys: [], besides: [], next: null }),
    wanted: () => null,
    parents: () => [],
    instance: 'main',
    source: { estimate: () => estimate.promise, read: async () => ({ rows: [], next: null }) },
    async applier() {
      opened += 1;
      return { fence: async () => undefined };
    },
    firstFence: 1,
    loadShare: 1,
    clock: { now: () => 0, sleep: async () => {} },
  });
  snapshot.pump();
  snapshot.end();
  estimate.resolve(1);
  await later();
  expect(opened).toBe(0);
});

test('tells the next who asks what failed while a lane became free', async () => {
  const read = Promise.withResolvers<void>();
  const lanes = openLanes(
    () => read.promise,
    () => {
      throw new Error('the ledger is closed');
    },
  );
  lanes.start(table, parseProgress(undefined));
  lanes.drop({ table });
  read.resolve();
  await later();
  expect(() => lanes.check()).toThrow('the ledger is closed');
});
