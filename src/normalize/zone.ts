import { Temporal } from 'temporal-polyfill';
import { Broken, type Convert } from './broken.ts';
import { datetimeAt, fractionOf, isDatetime, isTimestamp, secondsOf } from './calendar.ts';

/**
 * A wall-clock time becomes an instant. Of a time that happens twice (clocks put back) the earlier
 * instant is meant; a time that never happens (clocks put forward) is broken.
 */
export function localToInstant(zone: string): Convert {
  const invalid = new Broken('not a calendar date and time');
  if (zone === 'UTC') return (text) => (isDatetime(text) ? `${text}Z` : invalid);
  const offset = offsets(zone);
  const gap = new Broken(`there is no such time in ${zone}`);
  return (text) => {
    if (!isDatetime(text)) return invalid;
    const local = secondsOf(text);
    // At most one transition lies within a day to either side, so these are all candidates.
    const before = local - offset(local - DAY);
    const after = local - offset(local + DAY);
    const earlier = Math.min(before, after);
    const later = Math.max(before, after);
    const meant =
      earlier + offset(earlier) === local
        ? earlier
        : later + offset(later) === local
          ? later
          : null;
    if (meant === null) return gap;
    const datetime = datetimeAt(meant, fractionOf(text));
    return datetime === null ? invalid : `${datetime}Z`;
  };
}

/** An instant as the wall clocks of the zone showed it. */
export function instantToLocal(zone: string): Convert {
  const invalid = new Broken('not an instant');
  if (zone === 'UTC') return (text) => (isTimestamp(text) ? text.slice(0, -1) : invalid);
  const offset = offsets(zone);
  return (text) => {
    if (!isTimestamp(text)) return invalid;
    const seconds = secondsOf(text);
    return datetimeAt(seconds + offset(seconds), fractionOf(text)) ?? invalid;
  };
}

export function isZone(zone: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: zone }) !== null;
  } catch {
    return false;
  }
}

const DAY = 86_400;
/** Every transition since 1973 falls on a quarter of an hour (UTC); earlier ones need not. */
const QUARTER = 900;
const SINCE_1973 = 94_694_400;
const MOST_CACHED = 100_000;

/** Seconds that the zone is ahead of UTC at an instant (seconds since 1970); cached. */
function offsets(zone: string): (seconds: number) => number {
  const cache = new Map<number, number>();
  const exact = (seconds: number): number =>
    Temporal.Instant.fromEpochMilliseconds(seconds * 1000).toZonedDateTimeISO(zone)
      .offsetNanoseconds / 1e9;
  return (seconds) => {
    if (seconds < SINCE_1973) return exact(seconds);
    const quarter = Math.floor(seconds / QUARTER);
    const known = cache.get(quarter);
    if (known !== undefined) return known;
    if (cache.size >= MOST_CACHED) cache.clear();
    const found = exact(quarter * QUARTER);
    cache.set(quarter, found);
    return found;
  };
}
