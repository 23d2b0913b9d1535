/**
 * `npm run explore`: every order of a few user operations with everything that Carrick does, for
 * all policies, first between two systems, then between three. `--operations N --faults N
 * --systems N --policy P --deletes D` explores one bound; a counterexample is a shortest one.
 */
import { parseArgs } from 'node:util';
import { explore } from './search.ts';
import type { Bound } from './world.ts';

const POLICIES = ['last_writer', 'prefer', 'park'] as const;
const DELETES = ['update_wins', 'delete_wins', 'last_writer', 'park'] as const;
const NAMES = ['crm', 'erp', 'oa'];

const { values } = parseArgs({
  options: {
    operations: { type: 'string' },
    faults: { type: 'string', default: '0' },
    systems: { type: 'string', default: '2' },
    policy: { type: 'string', default: 'last_writer' },
    deletes: { type: 'string', default: 'update_wins' },
    empty: { type: 'boolean', default: false },
    skew: { type: 'string', default: '0' },
  },
});

function bounds(): Bound[] {
  const policy = POLICIES.find((name) => name === values.policy);
  const deletes = DELETES.find((name) => name === values.deletes);
  if (policy === undefined) throw new Error(`--policy is one of ${POLICIES.join(', ')}`);
  if (deletes === undefined) throw new Error(`--deletes is one of ${DELETES.join(', ')}`);
  const one: Bound = {
    systems: NAMES.slice(0, Number(values.systems)),
    operations: Number(values.operations ?? 3),
    faults: Number(values.faults),
    linked: !values.empty,
    policy,
    deletes,
    skew: Number(values.skew),
  };
  if (values.operations !== undefined) return [one];
  const three = { ...one, systems: NAMES };
  return [
    ...POLICIES.flatMap((chain) =>
      DELETES.map((mode) => ({ ...one, policy: chain, deletes: mode })),
    ),
    { ...one, skew: -5000, deletes: 'last_writer' },
    { ...one, faults: 1 },
    { ...one, linked: false, faults: 1 },
    { ...one, linked: false, operations: 4 },
    { ...three, operations: 2, faults: 1 },
    { ...three, operations: 2, linked: false, faults: 1 },
    { ...one, operations: 4 },
  ];
}

let failed = false;
const total = { states: 0, moves: 0, quiet: 0 };
for (const bound of bounds()) {
  const started = performance.now();
  const { states, moves, quiet, counterexamples } = await explore(bound);
  total.states += states;
  total.moves += moves;
  total.quiet += quiet;
  const { systems, operations, faults, linked, policy, deletes, skew } = bound;
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  process.stdout.write(
    `${systems.length} systems, ${linked ? 'linked' : 'empty'}, ${operations} operations, ` +
      `${faults} faults, ${policy}, ${deletes}, skew ${skew}: ${states} states, ${moves} moves, ` +
      `${quiet} quiet, ${counterexamples.length} counterexamples, ${seconds} s\n`,
  );
  for (const { violations, path } of counterexamples) {
    failed = true;
    process.stdout.write(`  ${violations.join('\n  ')}\n    ${path.join('\n    ')}\n`);
  }
}
process.stdout.write(`${JSON.stringify(total)}\n`);
process.exitCode = failed ? 1 : 0;
