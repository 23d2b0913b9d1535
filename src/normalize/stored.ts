import Big from 'big.js';
import type { Column } from '../model/change.ts';
import { fractionOf, isDatetime, secondsOf } from './calendar.ts';
import { scaleOf } from './columns.ts';
import { canonicalJson } from './json.ts';

/** Whether a column that was given the first text may show the second one. Both canonical. */
export type Stores = (given: string, shown: string) => boolean;

/**
 * A column rounds, cuts and pads what it is given, as its type says: PostgreSQL's manual, "Data
 * Types"; MariaDB's and MySQL's, on fixed-point types and on fractional seconds.
 */
export function storesIn(column: Pick<Column, 'kind' | 'nativeType'>): Stores {
  const stores = storesOf(column);
  return (given, shown) => given === shown || stores(given, shown);
}

function storesOf(column: Pick<Column, 'kind' | 'nativeType'>): Stores {
  const type = column.nativeType.toLowerCase();
  switch (column.kind) {
    case 'decimal':
      return rounded(scaleOf(column));
    case 'float':
      return floating(type);
    case 'datetime':
    case 'timestamp':
      return clocked(digitsOf(type), instantOf);
    case 'time':
      return clocked(digitsOf(type), timeOf);
    case 'string':
      return /^(char|character)\(/.test(type) ? padded(/ +$/) : never;
    case 'bytes':
      return /^binary\(/.test(type) ? padded(/(00)+$/) : never;
    case 'json':
      return (given, shown) => spelledAnew(given) === spelledAnew(shown);
    default:
      return never;
  }
}

const never: Stores = () => false;

const NUMBER = /^-?\d+(\.\d+)?(e[+-]?\d+)?$/;

/** Half away from zero, on every engine. */
const rounded =
  (scale: number | null): Stores =>
  (given, shown) => {
    if (!NUMBER.test(given) || !NUMBER.test(shown)) return false;
    const wanted = new Big(given);
    return (scale === null ? wanted : wanted.round(scale, Big.roundHalfUp)).eq(shown);
  };

/** `float(7,2)` rounds to digits, four bytes to the nearest that they hold. */
function floating(type: string): Stores {
  const [, scale] = /\(\d+,\s*(\d+)\)/.exec(type) ?? [];
  if (scale !== undefined) return rounded(Number(scale));
  const held = /^(real|float)/.test(type) ? Math.fround : (n: number) => n;
  return (given, shown) => held(Number(given)) === held(Number(shown));
}

/** Of seconds: PostgreSQL keeps six where the type does not say, the others none. */
function digitsOf(type: string): number {
  const [, digits] = /\((\d)\)/.exec(type) ?? [];
  return digits === undefined ? (type.includes(' zone') ? 6 : 0) : Number(digits);
}

interface Clock {
  readonly seconds: number;
  readonly micros: number;
}

/** MariaDB cuts, PostgreSQL and MySQL round. */
const clocked =
  (digits: number, read: (text: string) => Clock | null): Stores =>
  (given, shown) => {
    const [wanted, held] = [read(given), read(shown)];
    if (wanted === null || held === null) return false;
    const unit = 10 ** (6 - digits);
    const rest = wanted.micros % unit;
    const apart = (held.seconds - wanted.seconds) * 1e6 + held.micros - wanted.micros;
    return apart === -rest || (rest * 2 >= unit && apart === unit - rest);
  };

const microsOf = (fraction: string): number => Number(fraction.slice(1).padEnd(6, '0'));

function instantOf(text: string): Clock | null {
  const local = text.replace(/Z$/, '');
  if (!isDatetime(local)) return null;
  return { seconds: secondsOf(local), micros: microsOf(fractionOf(local)) };
}

const TIME = /^(\d+):(\d\d):(\d\d)(\.\d{1,6})?$/;

/** Null: what is before zero is compared as it stands. */
function timeOf(text: string): Clock | null {
  const [, h, m, s, fraction = ''] = TIME.exec(text) ?? [];
  if (h === undefined) return null;
  return { seconds: Number(h) * 3600 + Number(m) * 60 + Number(s), micros: microsOf(fraction) };
}

const padded =
  (filling: RegExp): Stores =>
  (given, shown) =>
    given.replace(filling, '') === shown.replace(filling, '');

/** `jsonb` and MySQL's type keep numbers, not their spelling. */
function spelledAnew(text: string): string | null {
  const plain = canonicalJson(text);
  return plain === null ? text : canonicalJson(JSON.stringify(JSON.parse(plain)));
}
