/** Spellings of dates and times, see `model/value.ts`, read without Date: exact to the digit. */

import { areDigits, MINUS, POINT } from './digits.ts';

const TIME = /^-?\d{2,3}:[0-5]\d:[0-5]\d(\.\d{1,6})?$/;

/** A day of the Gregorian calendar, years 0001 to 9999. */
export const isDate = (text: string): boolean => text.length === 10 && isDay(text);

/** The first ten characters: of every row and each of its dates, so without a copy of them. */
function isDay(text: string): boolean {
  if (text.charCodeAt(4) !== MINUS || text.charCodeAt(7) !== MINUS) return false;
  if (!areDigits(text, 0, 4) || !areDigits(text, 5, 7) || !areDigits(text, 8, 10)) return false;
  const [year, month, day] = [number(text, 0, 4), number(text, 5, 7), number(text, 8, 10)];
  return year > 0 && month >= 1 && month <= 12 && day >= 1 && day <= daysIn(year, month);
}

/** Hours, minutes and seconds behind the `T`, and up to six digits of a fraction before `end`. */
function isClock(text: string, end: number): boolean {
  if (text.charCodeAt(13) !== COLON || text.charCodeAt(16) !== COLON) return false;
  if (!areDigits(text, 11, 13) || !areDigits(text, 14, 16) || !areDigits(text, 17, 19))
    return false;
  if (number(text, 11, 13) > 23 || number(text, 14, 16) > 59 || number(text, 17, 19) > 59) {
    return false;
  }
  if (end === 19) return true;
  return end > 20 && end <= 26 && text.charCodeAt(19) === POINT && areDigits(text, 20, end);
}

const isInstant = (text: string, end: number): boolean =>
  end >= 19 && text.charCodeAt(10) === T && isDay(text) && isClock(text, end);

const [COLON, T] = [...':T'].map((one) => one.charCodeAt(0));

export function isTime(text: string): boolean {
  return TIME.test(text);
}

export function isDatetime(text: string): boolean {
  return isInstant(text, text.length);
}

export function isTimestamp(text: string): boolean {
  return text.endsWith('Z') && isInstant(text, text.length - 1);
}

/** Seconds of a valid datetime since 1970, as if it were UTC; the fraction is not counted. */
export function secondsOf(datetime: string): number {
  const days = daysSinceEpoch(
    number(datetime, 0, 4),
    number(datetime, 5, 7),
    number(datetime, 8, 10),
  );
  const clock =
    number(datetime, 11, 13) * 3600 + number(datetime, 14, 16) * 60 + number(datetime, 17, 19);
  return days * DAY + clock;
}

/** The fraction of a datetime, with its point, or nothing. */
export function fractionOf(datetime: string): string {
  return datetime.length > 19 ? datetime.slice(19).replace('Z', '') : '';
}

/** The datetime (no zone) that lies `seconds` after 1970 began, with a fraction to append. */
export function datetimeAt(seconds: number, fraction: string): string | null {
  const day = Math.floor(seconds / DAY);
  const date = dateAt(day);
  if (date === null) return null;
  const clock = seconds - day * DAY;
  const [hour, minute] = [Math.floor(clock / 3600), Math.floor(clock / 60) % 60];
  return `${date}T${TWO[hour]}:${TWO[minute]}:${TWO[clock % 60]}${fraction}`;
}

const DAY = 86_400;
const TWO = Array.from({ length: 60 }, (_, value) => String(value).padStart(2, '0'));

/** Spelling a date takes ten times as long as all the rest, and days come again. */
const dates = new Map<number, string | null>();
const MOST_DATES = 50_000;

function dateAt(day: number): string | null {
  const known = dates.get(day);
  if (known !== undefined) return known;
  if (dates.size >= MOST_DATES) dates.clear();
  const iso = new Date(day * DAY * 1000).toISOString();
  // Years beyond 9999 are spelled with a sign.
  const date = iso.length === 24 && !iso.startsWith('0000') ? iso.slice(0, 10) : null;
  dates.set(day, date);
  return date;
}

/** Microseconds since 1970 of a valid timestamp. */
export function microsOf(timestamp: string): number {
  const fraction = fractionOf(timestamp).slice(1).padEnd(6, '0');
  return secondsOf(timestamp) * 1_000_000 + Number(fraction);
}

function daysIn(year: number, month: number): number {
  if (month !== 2) return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
}

/** Days from civil: years begin in March, so that the leap day comes last. */
function daysSinceEpoch(year: number, month: number, day: number): number {
  const shifted = month <= 2 ? year - 1 : year;
  const era = Math.floor(shifted / 400);
  const yearOfEra = shifted - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra =
    yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

function number(text: string, from: number, to: number): number {
  let value = 0;
  for (let i = from; i < to; i++) value = value * 10 + text.charCodeAt(i) - 48;
  return value;
}
