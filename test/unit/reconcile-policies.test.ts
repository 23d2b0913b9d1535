/** Each policy as a small table: what comes in, what stands, what is decided. */
import { describe, expect, test } from 'vitest';
import type { FieldKind, Policy } from '../../src/contract/entity.ts';
import type { Value } from '../../src/model/value.ts';
import { type Contest, decide } from '../../src/reconcile/policies.ts';

interface Sketch {
  readonly incoming: Value;
  readonly standing: Value;
  readonly base?: Value;
  readonly kind?: FieldKind;
  /** When the CRM wrote what comes in, and the ERP what stands. */
  readonly at?: number;
  readonly stood?: number;
  readonly oa?: Value;
}

function contest({ incoming, standing, base = null, kind = 'string', ...more }: Sketch): Contest {
  const { at = 2000, stood = 1000, oa } = more;
  const scale = kind === 'decimal' ? 2 : 0;
  const systems = { crm: [incoming], erp: [standing], ...(oa === undefined ? {} : { oa: [oa] }) };
  return {
    fields: [0],
    kinds: [{ name: 'f', kind, required: false, pii: false, scale, ref: null }],
    system: 'crm',
    at,
    base: [base],
    incoming: [incoming],
    standing: [standing],
    stamp: { wall: stood, counter: 0, system: 'erp' },
    sides: { record: [standing], systems },
  };
}

const says = (policy: Policy, sketch: Sketch) => {
  const verdict = decide([policy], contest(sketch));
  return verdict.kind === 'values' ? verdict.values[0] : verdict.kind;
};
const sides = { incoming: 'a', standing: 'b' };

test.each([
  ['last_writer', 3000, 1000, 'incoming'],
  ['last_writer', 1000, 3000, 'standing'],
  ['last_writer', 1500, 1000, 'park'],
  ['last_writer', 0, 1000, 'park'],
  ['last_writer', 9000, 0, 'park'],
  ['first_writer', 3000, 1000, 'standing'],
  ['first_writer', 1000, 3000, 'incoming'],
  ['first_writer', 1000, 1500, 'park'],
] as const)('%s: written at %i against %i: %s', (kind, at, stood, expected) => {
  expect(says({ kind, tolerance: 500 }, { ...sides, at, stood })).toBe(expected);
});

describe('prefer and take', () => {
  test.each([
    ['crm', undefined, 'incoming'],
    ['erp', undefined, 'standing'],
    ['oa', 'c', 'c'],
    ['oa', undefined, 'park'],
  ] as const)('%s, when oa holds %s: %s', (system, oa, expected) => {
    expect(says({ kind: 'prefer', system }, oa === undefined ? sides : { ...sides, oa })).toBe(
      expected,
    );
  });

  test('a third system is named as the winner', () => {
    const verdict = decide([{ kind: 'prefer', system: 'oa' }], contest({ ...sides, oa: 'c' }));
    expect(verdict).toEqual({ kind: 'values', policy: 'prefer: oa', values: ['c'], of: 'oa' });
  });

  test.each([
    [true, 'computed'],
    [false, 'park'],
  ])('a rule that is %s: %s', (holds, expected) => {
    const take = { value: () => 'computed' };
    expect(says({ kind: 'rule', text: 'r', when: () => holds, take }, sides)).toBe(expected);
  });
});

test.each([
  ['max', 'integer', '9', '10', '10'],
  ['min', 'integer', '9', '10', '9'],
  ['max', 'decimal', '-1.10', '-1.20', '-1.10'],
  ['max', 'integer', '90071992547409930', '90071992547409931', '90071992547409931'],
  ['max', 'float', '1e21', '9', '1e21'],
  ['max', 'timestamp', '2026-01-01T00:00:00Z', '2026-01-01T00:00:00.5Z', '2026-01-01T00:00:00.5Z'],
  ['min', 'date', '2026-01-10', '2026-01-09', '2026-01-09'],
  ['max', 'integer', null, '3', '3'],
  ['min', 'integer', '3', null, '3'],
] as const)('%s of %ss %s and %s is %s', (kind, field, incoming, standing, expected) => {
  expect(says({ kind }, { incoming, standing, kind: field })).toBe(expected);
});

test.each([
  ['integer', '10', '9', '8', '7'],
  ['integer', '10', '15', '12', '17'],
  ['integer', '0', '-5', '5', '0'],
  ['decimal', '1.00', '1.10', '0.90', '1.00'],
  ['decimal', '0.00', '-0.10', '0.10', '0.00'],
  ['integer', null, '4', '3', '7'],
  ['integer', '9007199254740993', '9007199254740994', '9007199254740995', '9007199254740996'],
] as const)('sum_of_deltas: %s %s became %s and %s: %s', (kind, base, incoming, standing, sum) => {
  expect(says({ kind: 'sum_of_deltas' }, { base, incoming, standing, kind })).toBe(sum);
});

test.each([
  ['["a","c"]', '["b","c"]', '["a","b","c"]'],
  [null, '["b"]', '["b"]'],
  ['[]', '[]', '[]'],
])('union of %s and %s: %s', (incoming, standing, expected) => {
  expect(says({ kind: 'union' }, { incoming, standing, kind: 'set' })).toBe(expected);
});

describe('a chain', () => {
  const near: Policy = { kind: 'last_writer', tolerance: 1_000_000 };

  test('asks the next policy where one does not decide', () => {
    const verdict = decide([near, { kind: 'prefer', system: 'erp' }], contest(sides));
    expect(verdict).toEqual({ kind: 'standing', policy: 'prefer: erp' });
  });

  test('asks nobody after the first that decides', () => {
    const chain: Policy[] = [{ kind: 'park' }, { kind: 'prefer', system: 'erp' }];
    expect(decide(chain, contest(sides))).toEqual({ kind: 'park', policy: 'park' });
  });

  test('that comes to no end leaves it to a person', () => {
    expect(decide([near], contest(sides))).toEqual({ kind: 'park', policy: 'undecided' });
  });
});
