/**
 * Values are text. Every value that Carrick stores, compares or sends is `string | null` in one
 * canonical spelling per kind, so equality is `===`, the ledger needs no codec per type, and
 * nothing passes through a double or a Date that would lose digits (invariant 9).
 *
 * Canonical spellings, for a column (what connectors emit and accept) and for a field alike:
 *
 * | kind      | spelling                                                                        |
 * | --------- | ------------------------------------------------------------------------------- |
 * | string    | the text itself; CHAR padding is not part of it                                  |
 * | boolean   | `true` `false`                                                                   |
 * | integer   | `-?` digits, no leading zeros, no `-0`                                           |
 * | decimal   | `-?` digits [`.` digits]; a column keeps the scale the database shows,           |
 * |           | a field `decimal(p,s)` always has exactly s fraction digits; no `-0`             |
 * | float     | ECMAScript shortest round trip (of the float32 for 4-byte columns), or `NaN`,    |
 * |           | `Infinity`, `-Infinity`                                                          |
 * | date      | `YYYY-MM-DD` (as the database spells it when it is no calendar date)             |
 * | time      | `HH:MM:SS[.f…]`, fraction without trailing zeros; may be negative or over 24 h    |
 * | datetime  | `YYYY-MM-DDTHH:MM:SS[.f…]`: a wall-clock time without a zone                     |
 * | timestamp | `YYYY-MM-DDTHH:MM:SS[.f…]Z`: an instant, microseconds at most                    |
 * | uuid      | lower case with dashes                                                           |
 * | json      | no white space, object keys sorted by code unit, numbers spelled as they came    |
 * | bytes     | lower-case hex                                                                   |
 * | set       | a JSON array of distinct strings, sorted by code unit                            |
 * | other     | the database's own text (ranges, intervals, geometry …)                          |
 */
export type Value = string | null;

/** A cell of a row image; `undefined`: the log left the column out, it is unchanged. */
export type Cell = Value | undefined;

export const COLUMN_KINDS = [
  'string',
  'boolean',
  'integer',
  'decimal',
  'float',
  'date',
  'time',
  'datetime',
  'timestamp',
  'uuid',
  'json',
  'bytes',
  'set',
  'other',
] as const;

export type ColumnKind = (typeof COLUMN_KINDS)[number];

/** Microseconds since 1970-01-01T00:00:00Z; exact in a double until the year 2255. */
export type Micros = number;

/**
 * The key of a row as one text: the value itself for one key column, a JSON array of the values
 * for several. Links, parked rows and messages use it.
 */
export function rowKey(values: readonly Value[]): string {
  const [only] = values;
  return values.length === 1 && typeof only === 'string' ? only : JSON.stringify(values);
}

/** The inverse of {@link rowKey} for a key of `width` columns. */
export function rowKeyValues(key: string, width: number): Value[] {
  return width === 1 ? [key] : (JSON.parse(key) as Value[]);
}
