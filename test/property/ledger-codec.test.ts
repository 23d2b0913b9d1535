import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeRecord, decodeSent, encodeRecord, encodeSent } from '../../src/ledger/codec.ts';
import { states } from './ledger-states.ts';

/** Codes as `names.ts` gives them. */
function coding() {
  const names: string[] = [];
  return {
    name: (code: number) => names[code - 1]!,
    code: (name: string) => names.indexOf(name) + 1 || names.push(name),
  };
}

test('a record reads back as it was written', () => {
  fc.assert(
    fc.property(states(7, 'customer'), (state) => {
      const codes = coding();
      const data = encodeRecord(state, codes);
      expect(decodeRecord(7, 'customer', data, codes)).toStrictEqual(state);
    }),
    { numRuns: 1_000 },
  );
});

test('what was sent reads back as it was written', () => {
  const cell = fc.option(fc.option(fc.string(), { nil: null }), { nil: undefined });
  const op = fc.constantFrom('insert' as const, 'update' as const, 'delete' as const);
  const over = fc.dictionary(fc.nat(40).map(String), fc.option(fc.string(), { nil: null }), {
    noNullPrototype: true,
  });
  const sents = fc.record(
    { op, values: fc.array(cell), over },
    { requiredKeys: ['op', 'values'], noNullPrototype: true },
  );
  fc.assert(
    fc.property(sents, (sent) => {
      expect(decodeSent(encodeSent(sent))).toStrictEqual(sent);
    }),
  );
  expect(decodeSent(encodeSent(null))).toBeNull();
});

test('a view that holds what the record holds takes no room of its own', () => {
  const values = ['a'.repeat(1_000), null];
  const view = { status: 'linked', key: '1', values: [...values], raw: null, represents: null };
  const alone = { id: 1, entity: 'e', values, stamps: [null, null], deleted: null, views: {} };
  const state = { ...alone, outbox: {}, held: null, flips: null };
  const seen = { ...state, views: { crm: { ...view, status: 'linked' as const } } };
  const grown = encodeRecord(seen, coding()).length - encodeRecord(state, coding()).length;
  expect(grown).toBeLessThan(12);
});
