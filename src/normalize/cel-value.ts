import Big from 'big.js';
import type { FieldKind } from '../contract/entity.ts';
import type { Cell, ColumnKind, Value } from '../model/value.ts';
import { Broken } from './broken.ts';
import { type ColumnType, conversion } from './convert.ts';
import { Decimal } from './decimal.ts';
import type { Expression, VariableType } from './expression.ts';
import type { FieldType } from './field-type.ts';
import { spellSet } from './json.ts';

/** The CEL type of a column or a field; null: the kind is not known. Times are texts. */
export function celType(kind: ColumnKind | FieldKind | null): VariableType {
  switch (kind) {
    case null:
      return 'dyn';
    case 'boolean':
      return 'bool';
    case 'integer':
      return 'int';
    case 'decimal':
      return 'Decimal';
    case 'float':
      return 'double';
    case 'set':
      return 'list<string>';
    default:
      return 'string';
  }
}

/** A value as an expression sees it. A text that its kind does not allow throws. */
export function toCel(kind: ColumnKind | FieldKind | null): (value: Value) => unknown {
  const convert = ofText(kind);
  return (value) => (value === null ? null : convert(value));
}

function ofText(kind: ColumnKind | FieldKind | null): (text: string) => unknown {
  switch (kind) {
    case null:
      return guess;
    case 'boolean':
      return (text) => text === 'true';
    case 'integer':
      return BigInt;
    case 'decimal':
      return (text) => new Decimal(new Big(text));
    case 'float':
      return Number;
    case 'set':
      return (text) => JSON.parse(text) as unknown;
    default:
      return (text) => text;
  }
}

/** Without a schema (cases that run offline) the spelling tells integers and booleans. */
function guess(text: string): unknown {
  if (text === 'true' || text === 'false') return text === 'true';
  return /^(?:0|-?[1-9]\d{0,17})$/.test(text) ? BigInt(text) : text;
}

/** A result as the canonical text of a field, or of a column. */
export function fromCel(target: FieldType): (result: unknown) => Value | Broken {
  const conversions = new Map<ColumnKind, ReturnType<typeof conversion>>();
  return (result) => {
    if (result === null) return null;
    const kind = kindOf(result);
    if (kind === null) return new Broken('the expression gives no value that a field can hold');
    let found = conversions.get(kind);
    if (found === undefined) {
      found = conversion({ kind, scale: null }, target, { zone: null, round: false });
      conversions.set(kind, found);
    }
    return found?.read(spell(result)) ?? new Broken(`the expression gives ${kind}`);
  };
}

/** Whether an expression of this CEL type can stand for the target. */
export function celFits(type: string, target: FieldType): boolean {
  const kind = KINDS[type];
  if (kind === undefined) return type === 'dyn' || type === 'null';
  return conversion({ kind, scale: null }, target, { zone: null, round: false }) !== null;
}

const KINDS: Readonly<Record<string, ColumnKind>> = {
  string: 'string',
  int: 'integer',
  double: 'float',
  bool: 'boolean',
  Decimal: 'decimal',
  list: 'set',
  'list<string>': 'set',
  'google.protobuf.Timestamp': 'timestamp',
};

function kindOf(result: unknown): ColumnKind | null {
  if (typeof result === 'string') return 'string';
  if (typeof result === 'bigint') return 'integer';
  if (typeof result === 'boolean') return 'boolean';
  if (typeof result === 'number') return 'float';
  if (result instanceof Decimal) return 'decimal';
  if (result instanceof Date) return 'timestamp';
  return Array.isArray(result) && result.every((item) => typeof item === 'string') ? 'set' : null;
}

function spell(result: unknown): string {
  if (result instanceof Decimal) return result.big.toFixed();
  if (result instanceof Date) return result.toISOString().replace(/\.?0*Z$/, 'Z');
  return Array.isArray(result) ? spellSet(result as string[]) : String(result);
}

/** What a column takes, as a type to convert a result to. */
export function columnTarget({ kind, scale }: ColumnType): FieldType {
  const field: FieldKind = kind === 'other' ? 'string' : kind;
  return { kind: field, length: null, precision: 0, scale, labels: [], ref: null };
}

/** An expression with its inputs: by index into the cells (or values) it is computed from. */
export interface Computation {
  readonly inputs: readonly number[];
  /** `undefined` when an input is; NULL as `run` says. */
  compute(cells: readonly Cell[]): Cell | Broken;
}

const FAILED = new Broken('the expression cannot be computed');

/**
 * Runs an expression over cells. It is NULL when everything it reads is NULL (unless it mentions
 * null or coalesce itself), and when it cannot be computed because something it reads is NULL.
 */
export function computation(
  expression: Expression,
  inputs: readonly { readonly index: number; readonly kind: ColumnKind | FieldKind | null }[],
  result: (value: unknown) => Value | Broken,
): Computation {
  const indexes = inputs.map(({ index }) => index);
  const converters = inputs.map(({ kind }) => toCel(kind));
  const { names } = expression;
  const shortCircuit = !expression.handlesNull && names.length > 0;
  const compute = (cells: readonly Cell[]): Cell | Broken => {
    const scope: Record<string, unknown> = {};
    let nulls = 0;
    try {
      for (let i = 0; i < indexes.length; i++) {
        const cell = cells[indexes[i]!];
        if (cell === undefined) return undefined;
        if (cell === null) nulls++;
        scope[names[i]!] = converters[i]!(cell);
      }
      if (shortCircuit && nulls === indexes.length) return null;
      return result(expression.run(scope));
    } catch {
      return nulls > 0 ? null : FAILED;
    }
  };
  return { inputs: indexes, compute };
}
