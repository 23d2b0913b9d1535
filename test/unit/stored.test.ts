/** What a column only holds otherwise is told from what somebody else wrote there. */
import { expect, test } from 'vitest';
import type { ColumnKind } from '../../src/model/value.ts';
import { storesIn } from '../../src/normalize/stored.ts';

/** Of a column of this type: what was given, what it shows, and whether that is the same. */
const CASES: readonly (readonly [ColumnKind, string, string, string, boolean])[] = [
  ['decimal', 'decimal(10,2)', '1.1256', '1.13', true],
  ['decimal', 'decimal(10,2)', '-1.125', '-1.13', true],
  ['decimal', 'decimal(10,2)', '1.1256', '1.12', false],
  ['decimal', 'numeric', '1.5', '1.50', true],
  ['decimal', 'numeric', '1.24', '1.2', false],
  ['decimal', 'numeric', 'NaN', '1', false],
  ['float', 'real', '0.1', '0.10000000149011612', true],
  ['float', 'double', '0.1', '0.10000000149011612', false],
  ['float', 'float(7,2)', '1.256', '1.26', true],
  ['timestamp', 'timestamp', '2026-01-01T00:00:00.75Z', '2026-01-01T00:00:00Z', true],
  ['timestamp', 'timestamp', '2026-01-01T00:00:00.75Z', '2026-01-01T00:00:01Z', true],
  ['timestamp', 'timestamp', '2026-01-01T00:00:00.25Z', '2026-01-01T00:00:01Z', false],
  ['datetime', 'datetime(3)', '9999-12-31T23:59:59.9996', '9999-12-31T23:59:59.999', true],
  [
    'timestamp',
    'timestamp with time zone',
    '2026-01-01T00:00:00.1Z',
    '2026-01-01T00:00:00Z',
    false,
  ],
  ['datetime', 'datetime', '0000-00-00T00:00:00', '2026-01-01T00:00:00', false],
  ['time', 'time', '10:00:59.6', '10:01:00', true],
  ['time', 'time', '-10:00:00.2', '-10:00:00', false],
  ['string', 'char(5)', 'ab ', 'ab', true],
  ['string', 'character varying(5)', 'ab ', 'ab', false],
  ['bytes', 'binary(4)', 'ab', 'ab000000', true],
  ['bytes', 'varbinary(4)', 'ab', 'ab00', false],
  ['json', 'jsonb', '{"a":1e2}', '{"a":100}', true],
  ['json', 'jsonb', '{"a":1}', '{"a":2}', false],
  ['integer', 'int', '1', '2', false],
];

test.each(CASES)('%s %s given %s shows %s: %s', (kind, nativeType, given, shown, same) => {
  const stores = storesIn({ kind, nativeType });
  expect([stores(given, shown), stores(given, given)]).toEqual([same, true]);
});
