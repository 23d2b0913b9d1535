import type { Deletion, Lens } from '../contract/entity.ts';
import type { Cell, Micros, Value } from '../model/value.ts';
import { Broken } from './broken.ts';
import { microsOf } from './calendar.ts';
import { celFits, columnTarget, computation } from './cel-value.ts';
import { type ColumnType, conversion } from './convert.ts';
import { plainType } from './field-type.ts';
import { overColumns, type Place } from './lens-parts.ts';
import type { Constant, SystemValue } from './mapping.ts';
import type { Path } from './report.ts';
import { isZone } from './zone.ts';

/** What a system's mapping says of rows as a whole. */
export interface RowRules {
  /** Null when a column that it needs is not known. */
  where(cells: readonly Cell[]): boolean | null | Broken;
  readonly whereColumns: readonly number[];
  readonly deletion: Deletion;
  readonly onInsert: Lens['onInsert'];
  writtenAt(row: readonly Cell[]): Micros | null;
}

export function compileRowRules(value: SystemValue, place: Place): RowRules {
  return {
    ...compileWhere(value.where, place),
    deletion: compileDeletion(value, place),
    onInsert: Object.entries(value.on_insert ?? {}).map(([name, constant]) => {
      const path = [...place.path, 'on_insert', name];
      return columnConstant(name, constant, path, place);
    }),
    writtenAt: compileWrittenAt(value.written_at, place),
  };
}

/**
 * As in SQL, a row is only admitted where the condition holds: not where it cannot be computed
 * because something it reads is NULL.
 */
function compileWhere(
  text: string | undefined,
  place: Place,
): Pick<RowRules, 'where' | 'whereColumns'> {
  const path = [...place.path, 'where'];
  const compiled = text === undefined ? null : overColumns(text, path, place);
  if (compiled === null) return { where: () => true, whereColumns: [] };
  const { expression, inputs } = compiled;
  if (!celFits(expression.type, plainType('boolean')) || expression.type === 'int') {
    place.report(path, `"where" must be a condition, but gives ${expression.type}`);
  }
  const condition = computation({ ...expression, handlesNull: true }, inputs, (result) =>
    result === null || typeof result === 'boolean'
      ? String(result === true)
      : new Broken('is no condition'),
  );
  return {
    where: (cells) => {
      const result = condition.compute(cells);
      if (result instanceof Broken) return result;
      return result === undefined ? null : result === 'true';
    },
    whereColumns: condition.inputs,
  };
}

/** What a live row holds is what our inserts put there, else the opposite of a yes or no. */
function compileDeletion(
  { delete: value, on_insert: onInsert }: SystemValue,
  place: Place,
): Deletion {
  if (value === undefined) return { kind: 'propagate' };
  if (typeof value === 'string') return { kind: value };
  const path = [...place.path, 'delete', 'soft'];
  const [first, ...more] = Object.entries(value.soft);
  if (first === undefined || more.length > 0) {
    place.report(path, 'a soft delete sets one column', { expected: '{soft: {COLUMN: VALUE}}' });
    return { kind: 'propagate' };
  }
  const [name, constant] = first;
  const deleted = columnConstant(name, constant, [...path, name], place);
  const made = onInsert?.[name];
  if (made !== undefined) {
    const { value: alive } = columnConstant(name, made, [...place.path, 'on_insert', name], place);
    return { kind: 'soft', ...deleted, alive };
  }
  const alive = OPPOSITES.get(deleted.value ?? '');
  return { kind: 'soft', ...deleted, ...(alive === undefined ? {} : { alive }) };
}

const OPPOSITES: ReadonlyMap<string, string> = new Map([
  ['true', 'false'],
  ['false', 'true'],
  ['1', '0'],
  ['0', '1'],
]);

/** A constant in the spelling of its column: `true` is `1` for a column of integers. */
function columnConstant(
  name: string,
  constant: Constant,
  path: Path,
  { columns, report }: Place,
): { readonly column: number; readonly value: Value } {
  const column = columns.use(name, path, true);
  if (constant === null) return { column, value: null };
  const text = String(constant);
  const type = columns.typeOf(column);
  const spelled = type === null ? text : spell(text, typeof constant === 'boolean', type);
  if (spelled instanceof Broken || spelled === null) {
    report(path, `column ${name} cannot hold this value`, {
      expected: `a value of kind ${type?.kind}`,
    });
    return { column, value: text };
  }
  return { column, value: spelled };
}

function spell(text: string, isBoolean: boolean, type: ColumnType): Value | Broken {
  const target = columnTarget(type);
  const from = isBoolean && type.kind === 'integer' ? 'boolean' : target.kind;
  // A code such as 1 in a boolean column stands for true.
  if (type.kind === 'boolean' && (text === '0' || text === '1')) return String(text === '1');
  const kind = from === 'enum' || from === 'ref' ? 'string' : from;
  const found = conversion({ kind, scale: null }, target, { zone: null, round: false });
  return found === null ? text : found.read(text);
}

function compileWrittenAt(value: SystemValue['written_at'], place: Place): RowRules['writtenAt'] {
  if (value === undefined) return () => null;
  const path = [...place.path, 'written_at'];
  const { column: name, zone = null } = typeof value === 'string' ? { column: value } : value;
  const at = typeof value === 'string' ? path : [...path, 'column'];
  const column = place.columns.use(name, at, false);
  if (zone !== null && !isZone(zone)) {
    place.report([...path, 'zone'], `unknown time zone "${zone}"`);
    return () => null;
  }
  const kind = place.columns.typeOf(column) ?? {
    kind: zone === null ? ('timestamp' as const) : ('datetime' as const),
    scale: null,
  };
  const found = conversion(kind, plainType('timestamp'), { zone, round: false });
  if (found === null) {
    const expected =
      kind.kind === 'datetime' ? '{column: …, zone: …}' : 'a column of kind timestamp or datetime';
    place.report(at, `column ${name} of kind ${kind.kind} tells no instant`, { expected });
    return () => null;
  }
  return (row) => {
    const cell = row[column];
    if (cell === undefined || cell === null) return null;
    const instant = found.read(cell);
    return typeof instant === 'string' ? microsOf(instant) : null;
  };
}
