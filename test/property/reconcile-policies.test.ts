/** Laws of the policies that compute a value. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { FieldKind, Policy } from '../../src/contract/entity.ts';
import type { Value } from '../../src/model/value.ts';
import { decide } from '../../src/reconcile/policies.ts';

function computed(policy: Policy, kind: FieldKind, incoming: Value, standing: Value, base: Value) {
  const verdict = decide([policy], {
    fields: [0],
    kinds: [{ name: 'f', kind, required: false, pii: false, scale: 2, ref: null }],
    system: 'crm',
    at: 1,
    base: [base],
    incoming: [incoming],
    standing: [standing],
    stamp: null,
    sides: { record: [standing], systems: {} },
  });
  if (verdict.kind !== 'values') throw new Error(`${verdict.kind} is no value`);
  return verdict.values[0] ?? null;
}

const cents = fc.bigInt({ min: -(10n ** 18n), max: 10n ** 18n });
const decimal = (value: bigint): string => {
  const digits = String(value < 0n ? -value : value).padStart(3, '0');
  return `${value < 0n ? '-' : ''}${digits.slice(0, -2)}.${digits.slice(-2)}`;
};
const amounts = fc.option(cents.map(decimal), { nil: null });
const sets = fc.option(
  fc.uniqueArray(fc.string()).map((members) => JSON.stringify(members.toSorted())),
  { nil: null },
);

describe.each([
  ['max', 'decimal', amounts],
  ['min', 'decimal', amounts],
  ['union', 'set', sets],
] as const)('%s', (kind, field, values: fc.Arbitrary<Value>) => {
  const of = (a: Value, b: Value) => computed({ kind }, field, a, b, null);

  test('is idempotent, commutative and associative', () => {
    fc.assert(
      fc.property(values, values, values, (a, b, c) => {
        expect(of(a, a)).toBe(a);
        expect(of(a, b)).toBe(of(b, a));
        expect(of(of(a, b), c)).toBe(of(a, of(b, c)));
      }),
    );
  });
});

test('sum_of_deltas adds what each side added, to the last digit', () => {
  fc.assert(
    fc.property(cents, cents, cents, (base, a, b) => {
      const sum = computed(
        { kind: 'sum_of_deltas' },
        'decimal',
        decimal(base + a),
        decimal(base + b),
        decimal(base),
      );
      expect(sum).toBe(decimal(base + a + b));
    }),
  );
});
