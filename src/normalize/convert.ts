import Big from 'big.js';
import type { FieldKind } from '../contract/entity.ts';
import type { ColumnKind, Value } from '../model/value.ts';
import { Broken, type Convert } from './broken.ts';
import { isDate, isDatetime, isTime, isTimestamp } from './calendar.ts';
import { isFixed, isInteger } from './digits.ts';
import type { FieldType } from './field-type.ts';
import { canonicalJson, canonicalSet } from './json.ts';
import { instantToLocal, localToInstant } from './zone.ts';

/** Both directions between a column and a field. */
export interface Conversion {
  readonly read: Convert;
  readonly write: Convert;
  /** write(read(text)) is text for every text that read takes. */
  readonly exact: boolean;
}

export interface ColumnType {
  readonly kind: ColumnKind;
  /** decimal: the fraction digits that the database shows; null: not known. */
  readonly scale: number | null;
}

export interface ConversionOptions {
  /** IANA zone of the side that is a wall-clock time. */
  readonly zone: string | null;
  /** Excess fraction digits are rounded, half away from zero, instead of refused. */
  readonly round: boolean;
}

/**
 * How a column's text becomes a field's and back, or null where the two kinds do not fit. All the
 * pairs that fit are in `TABLE`; whatever a pair cannot carry without loss is `Broken`.
 */
export function conversion(
  column: ColumnType,
  field: FieldType,
  options: ConversionOptions,
): Conversion | null {
  if (field.kind === 'enum') return enumOf(column, field);
  return TABLE[field.kind]?.[column.kind]?.(field, column, options) ?? null;
}

/** The column kinds that a field of this kind fits. */
export function fittingKinds(kind: FieldKind): readonly string[] {
  return Object.keys(TABLE[kind] ?? {});
}

type Pair = (field: FieldType, column: ColumnType, options: ConversionOptions) => Conversion | null;

const identity: Convert = (text) => text;
const guard =
  (accepts: (text: string) => boolean, message: string): Convert =>
  (text) =>
    accepts(text) ? text : new Broken(message);
const both = (convert: Convert): Pair => {
  const pair = { read: convert, write: convert, exact: true };
  return () => pair;
};
const pair =
  (read: Convert, write: Convert, exact: boolean): Pair =>
  () => ({ read, write, exact });

const NUMBER = /^-?\d+(?:\.\d+)?$/;
const FLOAT = /^-?\d+(?:\.\d+)?(?:e[+-]?\d+)?$/;
const NO_DIGITS = /^(?:NaN|-?Infinity)$/;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

const integer = guard(isInteger, 'not an integer');
const boolean = guard((text) => text === 'true' || text === 'false', 'neither true nor false');
const uuid = guard((text) => UUID.test(text), 'not a UUID');
const date = guard(isDate, 'not a calendar date');
const time = guard(isTime, 'not a time');
const datetime = guard(isDatetime, 'not a calendar date and time');
const timestamp = guard(isTimestamp, 'not an instant');

/** What every value of a field of this kind passes, as its conversions have made it. */
const OWN: { readonly [F in FieldKind]?: Convert } = {
  ...{ integer, boolean, uuid, date, time, datetime, timestamp },
};

/** Writing a field's value so makes nothing of it and refuses none. */
export const isOwnCheck = (kind: FieldKind, write: Convert): boolean => write === OWN[kind];

/** A text of at most `length` code points. */
const string: Pair = ({ length }) => {
  if (length === null) return { read: identity, write: identity, exact: true };
  const broken = new Broken(`longer than ${length} characters`);
  const read: Convert = (text) => (fits(text, length) ? text : broken);
  return { read, write: identity, exact: true };
};

function fits(text: string, length: number): boolean {
  if (text.length <= length) return true;
  // A code point is one or two code units.
  return text.length <= 2 * length && [...text].length <= length;
}

const stringOver =
  (write: Convert): Pair =>
  (field, column, options) => ({ read: string(field, column, options)!.read, write, exact: true });

const decimalOver =
  (
    toText: Convert,
    fromText: (text: string, column: ColumnType) => Value | Broken,
    exact: boolean,
  ): Pair =>
  (field, column, options) => ({
    read: (text) => {
      const plain = toText(text);
      return typeof plain === 'string' ? toScale(plain, field, options.round) : plain;
    },
    write: (text) => fromText(text, column),
    exact: exact && !options.round && showsAtLeast(column, field),
  });

/** The column shows all fraction digits of the field, so padding is all that writing does. */
function showsAtLeast(column: ColumnType, field: FieldType): boolean {
  if (column.kind === 'integer') return true;
  return column.scale !== null && field.scale !== null && column.scale >= field.scale;
}

const NOT_DECIMAL = new Broken('not a decimal number');
const OVERFLOW = new Broken('too many digits before the point');
const EXCESS = new Broken(
  'more fraction digits than the type has (the clean step "round" allows it)',
);

/** Exactly `scale` fraction digits, and no more before the point than the precision leaves. */
function toScale(text: string, type: FieldType, round: boolean): string | Broken {
  const { precision, scale } = type;
  const most = precision > 0 ? precision - (scale ?? 0) : Number.POSITIVE_INFINITY;
  // As nearly all are.
  if (scale !== null && scale > 0 && isFixed(text, most, scale)) return text;
  if (!NUMBER.test(text)) return NOT_DECIMAL;
  if (scale === null) return text;
  const point = text.indexOf('.');
  const digits = point < 0 ? 0 : text.length - point - 1;
  let fixed = text;
  if (digits < scale) fixed = `${text}${digits === 0 ? '.' : ''}${'0'.repeat(scale - digits)}`;
  if (digits > scale) {
    const excess = text.slice(point + 1 + scale);
    if (/[1-9]/.test(excess)) {
      if (!round) return EXCESS;
      fixed = new Big(text).toFixed(scale, Big.roundHalfUp);
    } else {
      fixed = text.slice(0, scale === 0 ? point : point + 1 + scale);
    }
  }
  if (fixed.startsWith('-') && !/[1-9]/.test(fixed)) fixed = fixed.slice(1);
  const start = fixed.startsWith('-') ? 1 : 0;
  const whole = scale === 0 ? fixed.length - start : fixed.length - start - scale - 1;
  const leading = /^-?(0*)/.exec(fixed)![1]!.length;
  if (precision > 0 && whole - leading > precision - scale) return OVERFLOW;
  return leading > 0 && whole > 1 ? stripZeros(fixed) : fixed;
}

function stripZeros(text: string): string {
  return text.replace(/^(-?)0+(?=\d)/, '$1');
}

/** As the column shows it, so that it compares equal to what is read back. */
function toColumnScale(text: string, { scale }: ColumnType): string {
  const point = text.indexOf('.');
  const digits = point < 0 ? 0 : text.length - point - 1;
  if (scale === null || digits >= scale) return text;
  return `${text}${point < 0 ? '.' : ''}${'0'.repeat(scale - digits)}`;
}

/** A number with nothing but zeros after the point, as an integer. */
const whole: Convert = (text) => {
  if (!NUMBER.test(text)) return NOT_DECIMAL;
  const point = text.indexOf('.');
  if (point >= 0 && /[1-9]/.test(text.slice(point))) return new Broken('not a whole number');
  const digits = stripZeros(point < 0 ? text : text.slice(0, point));
  return digits === '-0' ? '0' : digits;
};

/** A float as a decimal number: its shortest spelling, written out. */
const floatToDecimal: Convert = (text) => {
  if (!FLOAT.test(text) || !Number.isFinite(Number(text))) return NOT_DECIMAL;
  return new Big(text).toFixed();
};

/** A decimal number as a float whose shortest spelling is the same number. */
const decimalToFloat: Convert = (text) => {
  if (!NUMBER.test(text)) return NOT_DECIMAL;
  const number = Number(text);
  if (!Number.isFinite(number) || !new Big(String(number)).eq(text)) {
    return new Broken('more digits than a float holds');
  }
  return number === 0 ? '0' : String(number);
};

const floatToInteger: Convert = (text) => {
  const plain = floatToDecimal(text);
  return typeof plain === 'string' ? whole(plain) : plain;
};

const float = guard((text) => FLOAT.test(text) || NO_DIGITS.test(text), 'not a number');

const booleanToInteger: Convert = (text) => {
  const checked = boolean(text);
  return checked instanceof Broken ? checked : text === 'true' ? '1' : '0';
};
const integerToBoolean: Convert = (text) =>
  text === '1' ? 'true' : text === '0' ? 'false' : new Broken('neither 1 nor 0');
const decimalToBoolean: Convert = (text) => {
  const digits = whole(text);
  return typeof digits === 'string' ? integerToBoolean(digits) : digits;
};

const midnight: Convert = (text) => {
  if (!isDatetime(text)) return new Broken('not a calendar date and time');
  return text.endsWith('T00:00:00') ? text.slice(0, 10) : new Broken('has a time of day');
};
const atMidnight: Convert = (text) => (isDate(text) ? `${text}T00:00:00` : date(text));

const uuidOfBytes: Convert = (text) =>
  /^[0-9a-f]{32}$/.test(text)
    ? text.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
    : new Broken('not 16 bytes');
const bytesOfUuid: Convert = (text) => {
  const checked = uuid(text);
  return checked instanceof Broken ? checked : text.replaceAll('-', '');
};
const lowerUuid: Convert = (text) => uuid(text.toLowerCase());

const json: Convert = (text) => canonicalJson(text) ?? new Broken('not JSON');
const set: Convert = (text) => canonicalSet(text) ?? new Broken('not a list of texts');

/** By field kind, then column kind. A pair that is not here is refused when a mapping loads. */
const TABLE: { readonly [F in FieldKind]?: { readonly [C in ColumnKind]?: Pair } } = {
  string: {
    string,
    other: string,
    integer: stringOver(integer),
    uuid: stringOver(uuid),
    json: string,
  },
  boolean: {
    boolean: both(boolean),
    integer: pair(integerToBoolean, booleanToInteger, true),
    decimal: pair(decimalToBoolean, booleanToInteger, false),
  },
  integer: {
    integer: both(integer),
    decimal: (_, column) => ({
      read: whole,
      write: (text) => toColumnScale(text, column),
      exact: column.scale !== null,
    }),
    float: pair(floatToInteger, decimalToFloat, false),
    boolean: pair(booleanToInteger, integerToBoolean, true),
    string: both(integer),
  },
  decimal: {
    decimal: decimalOver(identity, toColumnScale, true),
    integer: decimalOver(identity, (text) => whole(text), true),
    float: decimalOver(floatToDecimal, (text) => decimalToFloat(text), false),
    string: decimalOver(identity, (text) => text, false),
  },
  float: {
    float: both(float),
    integer: pair(decimalToFloat, floatToInteger, false),
    decimal: (_, column) => ({
      read: decimalToFloat,
      write: (text) => {
        const plain = floatToDecimal(text);
        return typeof plain === 'string' ? toColumnScale(plain, column) : plain;
      },
      exact: false,
    }),
  },
  date: {
    date: both(date),
    string: both(date),
    datetime: pair(midnight, atMidnight, true),
  },
  time: { time: both(time), string: both(time) },
  datetime: {
    datetime: both(datetime),
    string: both(datetime),
    date: pair(atMidnight, midnight, true),
    timestamp: (_field, _column, { zone }) =>
      zone === null
        ? null
        : { read: instantToLocal(zone), write: localToInstant(zone), exact: false },
  },
  timestamp: {
    timestamp: both(timestamp),
    string: both(timestamp),
    datetime: (_field, _column, { zone }) =>
      zone === null
        ? null
        : { read: localToInstant(zone), write: instantToLocal(zone), exact: true },
  },
  uuid: {
    uuid: both(uuid),
    string: pair(lowerUuid, identity, false),
    bytes: pair(uuidOfBytes, bytesOfUuid, true),
  },
  json: { json: both(identity), string: pair(json, identity, false) },
  bytes: { bytes: both(identity) },
  set: { set: both(set), json: both(set) },
  // The key text of the row referred to: the caller translates it through links.
  ref: {
    string: both(identity),
    integer: both(identity),
    decimal: both(identity),
    uuid: both(identity),
    bytes: both(identity),
    other: both(identity),
  },
};

function enumOf(column: ColumnType, { labels }: FieldType): Conversion | null {
  if (!['string', 'other', 'integer', 'boolean'].includes(column.kind)) return null;
  const known = new Set(labels);
  const read = guard((text) => known.has(text), 'not one of the values of the enum');
  return { read, write: read, exact: true };
}
