import type { FieldKind } from '../contract/entity.ts';

/** A field's type in full: what the contract's `Field` keeps, and what only conversion needs. */
export interface FieldType {
  readonly kind: FieldKind;
  /** string(n): most characters (code points); null: any. */
  readonly length: number | null;
  /** decimal(p,s); a null scale takes any fraction (a column whose scale is not known). */
  readonly precision: number;
  readonly scale: number | null;
  /** enum: its values. */
  readonly labels: readonly string[];
  /** ref: the entity. */
  readonly ref: string | null;
}

const PLAIN = [
  'string',
  'boolean',
  'integer',
  'float',
  'date',
  'time',
  'datetime',
  'timestamp',
  'uuid',
  'json',
  'bytes',
  'set',
] as const;

export const TYPE_NAMES: readonly string[] = [...PLAIN, 'string(n)', 'decimal(p,s)', 'enum'];

export function plainType(kind: FieldKind): FieldType {
  return { kind, length: null, precision: 0, scale: null, labels: [], ref: null };
}

/** Parses `string(40)`, `decimal(12,2)`, `date` …; `enum` comes without its labels. */
export function parseFieldType(text: string): FieldType | null {
  const plain = PLAIN.find((kind) => kind === text);
  if (plain !== undefined) return plainType(plain);
  if (text === 'enum') return plainType('enum');
  const [, name, first, second] = /^(\w+)\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)$/.exec(text) ?? [];
  if (name === 'string' && first !== undefined && second === undefined) {
    return Number(first) > 0 ? { ...plainType('string'), length: Number(first) } : null;
  }
  if (name === 'decimal' && first !== undefined && second !== undefined) {
    const [precision, scale] = [Number(first), Number(second)];
    if (precision === 0 || scale > precision) return null;
    return { ...plainType('decimal'), precision, scale };
  }
  return null;
}
