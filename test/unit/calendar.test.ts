import { expect, test } from 'vitest';
import { isDate, isDatetime, isTimestamp } from '../../src/normalize/calendar.ts';

const OUTSIDE = [
  '2023-02-29',
  '2024-02-30',
  '2024-13-01',
  '2024-00-01',
  '2024-01-00',
  '0000-01-01',
];

test.each(['2024-02-29', '0001-01-01', '9999-12-31', '1900-02-28'])('%s is a day', (day) => {
  expect(isDate(day)).toBe(true);
  expect(isDatetime(`${day}T00:00:00`)).toBe(true);
  expect(isTimestamp(`${day}T23:59:59.999999Z`)).toBe(true);
});

test.each([...OUTSIDE, '1900-02-29', '2024-1-01', '2024/01/01', '2024-01-01\n', '٢٠٢٤-01-01', ''])(
  '%j is none',
  (day) => {
    expect(isDate(day)).toBe(false);
    expect(isTimestamp(`${day}T00:00:00Z`)).toBe(false);
  },
);

test.each([
  ...['24:00:00', '23:60:00', '23:59:60', '1:00:00', '00:00', '00:00:00.', '00:00:00.1234567'],
  ...['00.00:00', '00:00.00', '00:00:00,5', '00:00:00.5\n', '00:00:00 ', '0a:00:00', ''],
])('%j is no time of a day', (clock) => {
  expect(isDatetime(`2024-05-06T${clock}`)).toBe(false);
  expect(isTimestamp(`2024-05-06T${clock}Z`)).toBe(false);
});

test('an instant ends with Z, a wall clock does not, and neither has a space', () => {
  expect(isTimestamp('2024-05-06T07:08:09')).toBe(false);
  expect(isDatetime('2024-05-06T07:08:09Z')).toBe(false);
  expect(isDatetime('2024-05-06 07:08:09')).toBe(false);
  expect(isDatetime('2024-05-06T07:08:09.123456')).toBe(true);
});
