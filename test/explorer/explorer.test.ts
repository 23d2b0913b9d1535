/** The protocol itself, in every order of a few operations; `npm run explore` goes further. */
import { expect, test } from 'vitest';
import type { Defect } from './moves.ts';
import { explore } from './search.ts';
import type { Bound } from './world.ts';

const TWO: Bound = {
  systems: ['crm', 'erp'],
  operations: 2,
  faults: 1,
  linked: true,
  policy: 'last_writer',
  deletes: 'update_wins',
  skew: 0,
};

test.each<Partial<Bound>>([
  {},
  { policy: 'prefer', deletes: 'delete_wins' },
  { policy: 'park', deletes: 'park' },
  { deletes: 'last_writer', skew: -5000 },
  { linked: false },
  { linked: false, operations: 3, faults: 0 },
  { systems: ['crm', 'erp', 'oa'], operations: 1 },
])('nothing is lost, doubled or decided wrongly: %o', async (bound) => {
  const { counterexamples, states, quiet } = await explore({ ...TWO, ...bound });
  expect(counterexamples).toEqual([]);
  expect(quiet).toBeGreaterThan(1);
  expect(states).toBeGreaterThan(quiet);
});

/** A defect that is not found would mean that nothing is. */
test.each<[Defect, string]>([
  ['blind writes', 'blind write'],
  ['echoes are changes', 'deliveries are left'],
  ['nothing is taken back', 'deliveries are left'],
])('found: %s', async (defect, told) => {
  const { counterexamples } = await explore(TWO, { defect });
  expect(counterexamples[0]?.violations.join('\n')).toContain(told);
});
