/**
 * Temporal values in row images (MySQL source documentation, "Date and Time Data Type
 * Representation"; `my_datetime_packed_to_binary` and friends). Fractions are written without
 * trailing zeros, so that DATETIME(0) and DATETIME(6) spell one moment alike.
 */
import { type Cursor, take } from './cursor.ts';

const TWO = Array.from({ length: 100 }, (_, n) => String(n).padStart(2, '0'));

const year4 = (n: number): string => (n >= 1000 ? String(n) : String(n).padStart(4, '0'));

function ymd(year: number, month: number, day: number): string {
  return `${year4(year)}-${TWO[month] ?? month}-${TWO[day]!}`;
}

function hms(hour: number, minute: number, second: number): string {
  return `${TWO[hour] ?? hour}:${TWO[minute]!}:${TWO[second]!}`;
}

/** `.f…` of a number of microseconds, nothing for zero. */
function fraction(micros: number): string {
  if (micros === 0) return '';
  let digits = String(micros).padStart(6, '0');
  let end = 6;
  while (digits.charCodeAt(end - 1) === 48) end--;
  if (end < 6) digits = digits.slice(0, end);
  return `.${digits}`;
}

const FRACTION_BYTES = [0, 1, 1, 2, 2, 3, 3] as const;
const FRACTION_UNIT = [1, 10_000, 10_000, 100, 100, 1, 1] as const;

export const fractionBytes = (precision: number): number => FRACTION_BYTES[precision]!;

function micros(buf: Buffer, at: number, precision: number): number {
  const length = FRACTION_BYTES[precision]!;
  return length === 0 ? 0 : buf.readUIntBE(at, length) * FRACTION_UNIT[precision]!;
}

/** DATE: three bytes, little-endian: day 5 bits, month 4, year 15. */
export function readDate(c: Cursor): string {
  const { buf } = c;
  const at = take(c, 3);
  const packed = buf[at]! | (buf[at + 1]! << 8) | (buf[at + 2]! << 16);
  return ymd(packed >> 9, (packed >> 5) & 15, packed & 31);
}

/** DATETIME2: 1 sign, 17 year×13+month, 5 day, 5 hour, 6 minute, 6 second bits; fraction. */
export function datetime2Reader(precision: number): (c: Cursor) => string {
  const extra = FRACTION_BYTES[precision]!;
  return (c) => {
    const { buf } = c;
    const at = take(c, 5 + extra);
    const high = ((buf[at]! & 0x7f) << 16) | (buf[at + 1]! << 8) | buf[at + 2]!;
    const low = (buf[at + 3]! << 8) | buf[at + 4]!;
    const months = high >> 6;
    const hour = ((high & 1) << 4) | (low >> 12);
    return (
      `${ymd(Math.trunc(months / 13), months % 13, (high >> 1) & 31)}T` +
      hms(hour, (low >> 6) & 63, low & 63) +
      fraction(micros(buf, at + 5, precision))
    );
  };
}

const DAY = 86_400;
let lastDay = -1;
let lastDate = '';

/** The UTC date of a day number; consecutive rows mostly fall on one day. */
function dateOfDay(day: number): string {
  if (day !== lastDay) {
    lastDate = new Date(day * DAY * 1000).toISOString().slice(0, 10);
    lastDay = day;
  }
  return lastDate;
}

/** An instant from seconds and microseconds since 1970; second 0 is the zero timestamp. */
export function instant(seconds: number, micro: number): string {
  if (seconds === 0 && micro === 0) return '0000-00-00T00:00:00Z';
  const day = Math.trunc(seconds / DAY);
  const rest = seconds - day * DAY;
  const minutes = Math.trunc(rest / 60);
  const time = hms(Math.trunc(minutes / 60), minutes % 60, rest % 60);
  return `${dateOfDay(day)}T${time}${fraction(micro)}Z`;
}

/** TIMESTAMP2: four bytes of seconds, big-endian, unsigned (MariaDB reaches 2106); fraction. */
export function timestamp2Reader(precision: number): (c: Cursor) => string {
  const extra = FRACTION_BYTES[precision]!;
  return (c) => {
    const at = take(c, 4 + extra);
    return instant(c.buf.readUInt32BE(at), micros(c.buf, at + 4, precision));
  };
}

/** TIME2: an offset-binary number of 1 sign, 1 unused, 10 hour, 6 minute, 6 second bits. */
export function time2Reader(precision: number): (c: Cursor) => string {
  const extra = FRACTION_BYTES[precision]!;
  const scale = 256 ** extra;
  return (c) => {
    const packed = c.buf.readUIntBE(take(c, 3 + extra), 3 + extra) - 0x800000 * scale;
    const size = Math.abs(packed);
    const whole = Math.trunc(size / scale);
    const micro = (size - whole * scale) * FRACTION_UNIT[precision]!;
    const text = hms((whole >> 12) & 1023, (whole >> 6) & 63, whole & 63) + fraction(micro);
    return packed < 0 ? `-${text}` : text;
  };
}

/** The formats before MySQL 5.6, still written for columns made then: decimal digits. */
export function readOldDatetime(c: Cursor): string {
  const packed = Number(c.buf.readBigUInt64LE(take(c, 8)));
  const date = Math.trunc(packed / 1_000_000);
  const time = packed % 1_000_000;
  return `${oldDate(date)}T${oldTime(time)}`;
}

export function readOldTime(c: Cursor): string {
  const packed = c.buf.readIntLE(take(c, 3), 3);
  return packed < 0 ? `-${oldTime(-packed)}` : oldTime(packed);
}

export function readOldTimestamp(c: Cursor): string {
  return instant(c.buf.readUInt32LE(take(c, 4)), 0);
}

const oldDate = (n: number): string =>
  ymd(Math.trunc(n / 10_000), Math.trunc(n / 100) % 100, n % 100);
const oldTime = (n: number): string =>
  hms(Math.trunc(n / 10_000), Math.trunc(n / 100) % 100, n % 100);

/** A DATE, TIME or DATETIME packed into 64 bits, as binary JSON holds them, the server's way. */
export function packedTemporal(type: 'date' | 'time' | 'datetime', packed: bigint): string {
  const size = packed < 0n ? -packed : packed;
  const micro = String(size & 0xff_ffffn).padStart(6, '0');
  const whole = Number(size >> 24n);
  const sign = packed < 0n ? '-' : '';
  if (type === 'time') {
    return `${sign}${hms((whole >> 12) & 1023, (whole >> 6) & 63, whole & 63)}.${micro}`;
  }
  const days = Math.trunc(whole / 0x20000);
  const months = Math.trunc(days / 32);
  const date = ymd(Math.trunc(months / 13), months % 13, days % 32);
  const clock = whole % 0x20000;
  if (type === 'date') return date;
  return `${date} ${hms(clock >> 12, (clock >> 6) & 63, clock & 63)}.${micro}`;
}
