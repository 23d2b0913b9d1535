import fc from 'fast-check';
import type { Flips, RecordState, SystemView } from '../../src/model/record.ts';
import type { Stamp } from '../../src/model/stamp.ts';
import type { Cell, Value } from '../../src/model/value.ts';

/** Objects as JSON.parse makes them. */
const PLAIN = { noNullPrototype: true } as const;
const SYSTEMS = ['crm', 'erp', 'oa'];
const system = fc.constantFrom(...SYSTEMS);
const micros = fc.integer({ min: 0, max: 9_000_000_000_000_000 });
/** Any UTF-16, lone surrogates and NUL included. */
const text = fc.oneof(
  fc.constantFrom('', 'a', '\0', '"', '\ud800', '0'),
  fc.string({ unit: 'binary' }),
);
const value: fc.Arbitrary<Value> = fc.option(text, { nil: null });
const cell: fc.Arbitrary<Cell> = fc.oneof(value, fc.constant(undefined));

export const stamps: fc.Arbitrary<Stamp> = fc.record(
  {
    wall: fc.oneof(fc.constantFrom(1, 2), micros),
    counter: fc.nat(3),
    system,
  },
  PLAIN,
);

const byOrdinal = fc.dictionary(fc.nat(5).map(String), value, PLAIN);

function views(values: readonly Value[]): fc.Arbitrary<SystemView> {
  // Mostly what the record holds, as it is once systems agree.
  const same = fc.constant<readonly Cell[]>(values);
  const near = fc
    .tuple(fc.nat(Math.max(0, values.length - 1)), cell)
    .map(([at, changed]) => values.map((held, i) => (i === at ? changed : held)));
  return fc
    .record(
      {
        status: fc.constantFrom('linked' as const, 'unlinked' as const),
        key: text,
        values: fc.oneof(same, near, fc.array(cell, { maxLength: 6 })),
        raw: fc.option(fc.dictionary(text, value, PLAIN), { nil: null }),
        represents: fc.option(byOrdinal, { nil: null }),
      },
      PLAIN,
    )
    .map((view) => (view.status === 'linked' ? view : { ...view, key: '' }));
}

const flips: fc.Arbitrary<Flips> = fc.record(
  { count: fc.nat(9), since: micros, was: byOrdinal },
  PLAIN,
);

/** Any state that the model allows; ids and entities are the caller's. */
export function states(id: number, entity: string): fc.Arbitrary<RecordState> {
  return fc.array(value, { maxLength: 6 }).chain((values) =>
    fc.record(
      {
        id: fc.constant(id),
        entity: fc.constant(entity),
        values: fc.constant(values),
        stamps: fc.array(fc.option(stamps, { nil: null }), { maxLength: 6 }),
        deleted: fc.option(stamps, { nil: null }),
        views: fc.dictionary(system, views(values), PLAIN),
        outbox: fc.dictionary(system, fc.nat(), PLAIN),
        held: fc.option(fc.dictionary(text, fc.nat(), PLAIN), { nil: null }),
        flips: fc.option(flips, { nil: null }),
      },
      PLAIN,
    ),
  );
}
