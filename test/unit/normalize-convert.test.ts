/** Every pair of column kind and field kind at its extremes; see the table in convert.ts. */
import { describe, expect, test } from 'vitest';
import { problemsOf, readOne, single, singleLens, table, writeOne } from './mapping-fixture.ts';

const FAULT = expect.stringMatching(/^fault: /);
const HUGE = '9223372036854775808000000000000000000001';

/** field type, mapping of the field, column kind, column content, field value, written back. */
type Sample = readonly [string, string, string, string, unknown, unknown?];
const READS: readonly Sample[] = [
  ['string', 'c', 'string', 'żółć 𝄞', 'żółć 𝄞'],
  ['string(2)', 'c', 'string', '𝄞𝄞', '𝄞𝄞'],
  ['string(2)', 'c', 'string', '𝄞𝄞x', FAULT],
  ['string(2)', 'c', 'string', 'abc', FAULT],
  ['string', 'c', 'integer', HUGE, HUGE],
  ['boolean', 'c', 'boolean', 'true', 'true'],
  ['boolean', 'c', 'integer', '1', 'true'],
  ['boolean', 'c', 'integer', '2', FAULT],
  ['boolean', 'c', 'decimal decimal(1,0)', '0', 'false'],
  ['boolean', '{column: c, values: {Y: true, N: false}}', 'string', 'Y', 'true'],
  ['boolean', '{column: c, values: {Y: true, N: false}}', 'string', 'y', FAULT],
  ['integer', 'c', 'integer', HUGE, HUGE],
  ['integer', 'c', 'decimal numeric(12,2)', '-7.00', '-7'],
  ['integer', 'c', 'decimal numeric(12,2)', '-0.00', '0', '0.00'],
  ['integer', 'c', 'decimal numeric(12,2)', '7.01', FAULT],
  ['integer', 'c', 'string', '007', FAULT],
  ['integer', 'c', 'string', '7', '7'],
  ['integer', 'c', 'float', '1e+21', '1000000000000000000000'],
  ['integer', 'c', 'float', '0.5', FAULT],
  ['integer', 'c', 'boolean', 'true', '1'],
  ['decimal(12,2)', 'c', 'decimal numeric(14,4)', '1.1000', '1.10', '1.1000'],
  ['decimal(12,2)', 'c', 'decimal numeric', '1.1', '1.10', '1.10'],
  ['decimal(12,2)', 'c', 'decimal numeric', '-0.00', '0.00', '0.00'],
  ['decimal(12,2)', 'c', 'decimal numeric', '1.005', FAULT],
  ['decimal(12,2)', '{column: c, clean: [round]}', 'decimal numeric', '1.005', '1.01', '1.01'],
  ['decimal(12,2)', '{column: c, clean: [round]}', 'decimal numeric', '-1.005', '-1.01', '-1.01'],
  ['decimal(12,2)', '{column: c, clean: [round]}', 'decimal numeric', '-0.004', '0.00', '0.00'],
  ['decimal(4,2)', 'c', 'decimal numeric', '99.99', '99.99'],
  ['decimal(4,2)', 'c', 'decimal numeric', '100.00', FAULT],
  ['decimal(4,2)', '{column: c, clean: [round]}', 'decimal numeric', '99.995', FAULT],
  ['decimal(2,2)', 'c', 'decimal numeric', '0.99', '0.99'],
  ['decimal(2,2)', 'c', 'decimal numeric', '1.00', FAULT],
  [
    'decimal(60,20)',
    'c',
    'decimal numeric',
    `${HUGE}.5`,
    `${HUGE}.50000000000000000000`,
    `${HUGE}.50000000000000000000`,
  ],
  ['decimal(12,2)', 'c', 'decimal numeric', 'NaN', FAULT],
  ['decimal(12,0)', 'c', 'decimal numeric(12,2)', '12.00', '12', '12.00'],
  ['decimal(12,2)', 'c', 'integer', '5', '5.00'],
  ['decimal(12,2)', 'c', 'float', '0.1', '0.10'],
  ['decimal(12,2)', 'c', 'float', '0.30000000000000004', FAULT],
  ['decimal(12,2)', 'c', 'float', 'NaN', FAULT],
  ['decimal(12,2)', 'c', 'string', '12,5', FAULT],
  ['float', 'c', 'float', '5e-324', '5e-324'],
  ['float', 'c', 'float', '-Infinity', '-Infinity'],
  ['float', 'c', 'integer', '9007199254740992', '9007199254740992'],
  ['float', 'c', 'integer', '9007199254740993', FAULT],
  ['float', 'c', 'decimal numeric(4,2)', '0.10', '0.1', '0.10'],
  ['date', 'c', 'date', '2024-02-29', '2024-02-29'],
  ['date', 'c', 'date', '2023-02-29', FAULT],
  ['date', 'c', 'date', '0000-00-00', FAULT],
  ['date', '{column: c, clean: [zero_date_to_null]}', 'date', '0000-00-00', null, null],
  ['date', 'c', 'date', 'infinity', FAULT],
  ['date', 'c', 'datetime', '2024-05-01T00:00:00', '2024-05-01'],
  ['date', 'c', 'datetime', '2024-05-01T00:00:00.000001', FAULT],
  ['datetime', 'c', 'date', '2024-05-01', '2024-05-01T00:00:00'],
  ['time', 'c', 'time', '-838:59:59.999999', '-838:59:59.999999'],
  ['timestamp', 'c', 'timestamp', '2024-05-01T10:00:00.123456Z', '2024-05-01T10:00:00.123456Z'],
  ['timestamp', 'c', 'timestamp', 'infinity', FAULT],
  [
    'uuid',
    'c',
    'uuid',
    '00000000-0000-4000-8000-0000000000ff',
    '00000000-0000-4000-8000-0000000000ff',
  ],
  [
    'uuid',
    'c',
    'bytes',
    '000000000000400080000000000000ff',
    '00000000-0000-4000-8000-0000000000ff',
  ],
  [
    'uuid',
    'c',
    'string',
    '00000000-0000-4000-8000-0000000000FF',
    '00000000-0000-4000-8000-0000000000ff',
    '00000000-0000-4000-8000-0000000000ff',
  ],
  [
    'json',
    'c',
    'string',
    '{"b": 1.10, "a": [1e2, "\\u00e9"], "10": 0, "9": 12345678901234567890}',
    '{"10":0,"9":12345678901234567890,"a":[1e2,"é"],"b":1.10}',
    '{"10":0,"9":12345678901234567890,"a":[1e2,"é"],"b":1.10}',
  ],
  ['json', 'c', 'string', '{', FAULT],
  ['set', 'c', 'set', '["a","b"]', '["a","b"]'],
  ['set', 'c', 'json', '[1]', FAULT],
  ['{type: enum, values: [a, b]}', 'c', 'string', 'b', 'b'],
  ['{type: enum, values: [a, b]}', 'c', 'string', 'B', FAULT],
  [
    '{type: enum, values: [a, b]}',
    '{column: c, values: {1: a, 2: b, 3: b}}',
    'integer',
    '3',
    'b',
    '2',
  ],
];

for (const [type, part, kind, cell, value, back = cell] of READS) {
  test(`${type} over ${part} of kind ${kind} reads ${cell}`, () => {
    const lens = singleLens(type, part, kind);
    expect(readOne(lens, cell)).toEqual(value);
    if (value !== FAULT) expect(writeOne(lens, value as string | null)).toEqual(back);
    expect(readOne(lens, null)).toBeNull();
    expect(writeOne(lens, null)).toBeNull();
  });
}

describe('what a column cannot hold is refused, not bent', () => {
  test.each([
    ['string', 'integer', '00A'],
    ['decimal(12,2)', 'integer', '1.50'],
    ['decimal(20,18)', 'float', '0.100000000000000001'],
    ['float', 'integer', '1.5'],
    ['datetime', 'date', '2024-05-01T10:00:00'],
    ['boolean', 'integer', 'maybe'],
  ])('%s into %s', (type, kind, value) => {
    expect(writeOne(singleLens(type, 'c', kind), value)).toBe('fault');
  });
});

describe('zones', () => {
  const berlin = (type: string, kind: string) =>
    singleLens(type, '{column: c, zone: Europe/Berlin}', kind);

  test.each([
    ['2024-01-15T12:00:00.000001', '2024-01-15T11:00:00.000001Z'],
    ['2024-07-15T12:00:00', '2024-07-15T10:00:00Z'],
    // Put back at 03:00 summer time: 02:30 happens twice, the first is meant.
    ['2024-10-27T01:59:59', '2024-10-26T23:59:59Z'],
    ['2024-10-27T02:30:00', '2024-10-27T00:30:00Z'],
    ['2024-10-27T03:00:00', '2024-10-27T02:00:00Z'],
    ['2024-03-31T01:59:59.999999', '2024-03-31T00:59:59.999999Z'],
    ['2024-03-31T03:00:00', '2024-03-31T01:00:00Z'],
    ['1893-03-31T12:00:00', '1893-03-31T11:06:32Z'],
    ['0001-01-02T00:00:00', '0001-01-01T23:06:32Z'],
  ])('%s in Berlin is %s', (local: string, instant: string) => {
    const lens = berlin('timestamp', 'datetime');
    expect(readOne(lens, local)).toBe(instant);
    expect(writeOne(lens, instant)).toBe(local);
    const reversed = berlin('datetime', 'timestamp');
    expect(readOne(reversed, instant)).toBe(local);
    expect(writeOne(reversed, local)).toBe(instant);
  });

  test('a time that clocks skipped is a fault', () => {
    const fault = 'fault: there is no such time in Europe/Berlin';
    expect(readOne(berlin('timestamp', 'datetime'), '2024-03-31T02:30:00')).toBe(fault);
  });

  test('the second of two equal times is written as it was shown', () => {
    expect(writeOne(berlin('timestamp', 'datetime'), '2024-10-27T01:30:00Z')).toBe(
      '2024-10-27T02:30:00',
    );
  });

  test('half-hour transitions fall between quarters', () => {
    const lens = singleLens('timestamp', '{column: c, zone: Australia/Lord_Howe}', 'datetime');
    expect(readOne(lens, '2024-04-07T01:45:00')).toBe('2024-04-06T14:45:00Z');
    expect(readOne(lens, '2024-04-07T02:00:00')).toBe('2024-04-06T15:30:00Z');
    expect(readOne(lens, '2024-10-06T02:15:00')).toMatch(/no such time/);
  });

  test('none, or one that is not there, is a problem', () => {
    const schemas = new Map([['a', [table('t', { id: 'integer', c: 'datetime' })]]]);
    expect(problemsOf(single('timestamp', 'c'), schemas)).toEqual([
      '10:10 f: a datetime column and a timestamp field need a zone ("zone: …")',
    ]);
    expect(problemsOf(single('timestamp', '{column: c, zone: Europe/Berlln}'), schemas)).toEqual([
      '10:28 unknown time zone "Europe/Berlln" (an IANA name such as Europe/Madrid) ~Europe/Berlin',
    ]);
  });
});

test('clean steps run in their own order', () => {
  const lens = singleLens(
    'string',
    '{column: c, clean: [empty_to_null, trim, collapse_spaces, upper, nfc]}',
    'string',
  );
  expect(readOne(lens, '  e\u0301  x ')).toBe('É X');
  expect(readOne(lens, ' \t ')).toBeNull();
  expect(readOne(singleLens('string', '{column: c, clean: [digits]}', 'string'), '+49 (0)1')).toBe(
    '4901',
  );
});
