/** What is looked at in place says the same as the plain way to ask it. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { FieldKind } from '../../src/contract/entity.ts';
import { COLUMN_KINDS } from '../../src/model/value.ts';
import { conversion, fittingKinds, isOwnCheck } from '../../src/normalize/convert.ts';
import { isFixed, isInteger } from '../../src/normalize/digits.ts';
import { plainType } from '../../src/normalize/field-type.ts';
import { instantToLocal, localToInstant } from '../../src/normalize/zone.ts';

const digit = fc.constantFrom(...'0000123456789', '-', '.', ' ', '\n', 'e', '٣');
const number = fc.string({ unit: digit, maxLength: 8 });

test('an integer', () => {
  fc.assert(
    fc.property(number, (text) => {
      expect(isInteger(text)).toBe(/^(?:0|-?[1-9][0-9]*)$/.test(text) && !text.endsWith('\n'));
    }),
    { examples: [['-'], ['-0'], ['0'], ['00'], ['-10'], ['']], numRuns: 2000 },
  );
});

test('a number with just so many digits', () => {
  fc.assert(
    fc.property(number, fc.integer({ min: 1, max: 3 }), fc.nat(4), (text, scale, most) => {
      const [whole = '', ...rest] = text.split('.');
      const isAlike = /^[1-9][0-9]*$/.test(whole) && rest.length === 1;
      const isFull = /^[0-9]*$/.test(rest[0] ?? '') && rest[0]?.length === scale;
      expect(isFixed(text, most, scale)).toBe(isAlike && isFull && whole.length <= most);
    }),
    {
      examples: [
        ['1.50', 2, 1],
        ['11.50', 2, 1],
        ['0.50', 2, 1],
        ['150', 2, 3],
      ],
      numRuns: 5000,
    },
  );
});

const two = (most: number) => fc.nat(most).map((n) => String(n).padStart(2, '0'));
const datetime = fc
  .tuple(fc.integer({ min: 0, max: 9999 }), two(13), two(32), two(24), two(60), two(60), number)
  .map(([year, month, day, h, m, s, end]) => {
    const date = `${String(year).padStart(4, '0')}-${month}-${day}`;
    return `${date}T${h}:${m}:${s}${end === '' ? '' : `.${end}`}`;
  });

test('UTC is a zone like another one', () => {
  fc.assert(
    fc.property(datetime, (text) => {
      expect(localToInstant('UTC')(text)).toEqual(localToInstant('Etc/UTC')(text));
      const instant = `${text}Z`;
      expect(instantToLocal('UTC')(instant)).toEqual(instantToLocal('Etc/UTC')(instant));
    }),
    { examples: [['2024-02-29T23:59:59.5'], ['0001-01-01T00:00:00']], numRuns: 500 },
  );
});

const KINDS: readonly FieldKind[] = [
  ...(['integer', 'boolean', 'uuid', 'date', 'time', 'datetime', 'timestamp'] as const),
];
const content = fc.oneof(
  ...[number, datetime, datetime.map((text) => `${text}Z`), datetime.map((t) => t.slice(0, 10))],
  fc.tuple(two(25), two(60), two(60)).map((parts) => parts.join(':')),
  fc.constantFrom('true', 'false', '1', '0', '7.00', '1e3'),
  fc.uuid(),
  fc.uuid().map((text) => text.toUpperCase()),
  fc.uuid().map((text) => text.replaceAll('-', '')),
  datetime.map((text) => `${text.slice(0, 10)}T00:00:00`),
);

test.each(KINDS)('what a %s is read from, its own check has nothing against it', (kind) => {
  const options = { zone: 'UTC', round: false };
  const of = (column: (typeof COLUMN_KINDS)[number]) =>
    conversion({ kind: column, scale: 2 }, plainType(kind), options);
  const own = of(COLUMN_KINDS.find((column) => column === kind)!)!.write;
  expect(isOwnCheck(kind, own)).toBe(true);
  const reads = COLUMN_KINDS.filter((column) => fittingKinds(kind).includes(column)).map(
    (column) => of(column)!.read,
  );
  let met = 0;
  fc.assert(
    fc.property(content, (text) => {
      for (const read of reads) {
        const value = read(text);
        if (typeof value !== 'string') continue;
        met += 1;
        expect(own(value)).toBe(value);
      }
    }),
    { numRuns: 3000 },
  );
  expect(met).toBeGreaterThan(0);
});
