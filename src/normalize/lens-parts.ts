import type { Convert } from './broken.ts';
import {
  type Computation,
  celFits,
  celType,
  columnTarget,
  computation,
  fromCel,
} from './cel-value.ts';
import type { Columns } from './columns.ts';
import { type Compiled, compileExpression, type VariableType } from './expression.ts';
import { plainType } from './field-type.ts';
import type { FieldPlan } from './fields.ts';
import type { SystemFieldValue, SystemValue } from './mapping.ts';
import { plainConversion } from './plain.ts';
import { type HashKey, privacyConversion } from './privacy.ts';
import type { Path, Report } from './report.ts';

/** A field that is one column; `read` or `write` is null where the direction leaves it out. */
export interface PlainPart {
  readonly field: number;
  readonly column: number;
  readonly read: Convert | null;
  readonly write: Convert | null;
  /** write(read(text)) = text. */
  readonly exact: boolean;
}

/** A field computed from columns. */
export interface GetPart {
  readonly field: number;
  readonly computation: Computation;
}

/** A column computed from fields; `field` is the one whose mapping says so. */
export interface SetPart {
  readonly field: number;
  readonly column: number;
  readonly computation: Computation;
}

export interface Parts {
  readonly plain: readonly PlainPart[];
  readonly gets: readonly GetPart[];
  readonly sets: readonly SetPart[];
}

/** Everything that the parts of one system's mapping are compiled from. */
export interface Place {
  readonly fields: readonly FieldPlan[];
  readonly columns: Columns;
  /** Whether the table's columns are known. */
  readonly described: boolean;
  readonly hashKey: HashKey;
  readonly path: Path;
  readonly report: Report;
}

export function compileParts(value: SystemValue, place: Place): Parts {
  const plain: PlainPart[] = [];
  const gets: GetPart[] = [];
  const sets: SetPart[] = [];
  for (const [name, written] of Object.entries(value.fields)) {
    const path = [...place.path, 'fields', name];
    const field = place.fields.findIndex((one) => one.mapped && one.name === name);
    if (field < 0) {
      const names = place.fields.filter((one) => one.mapped).map((one) => one.name);
      place.report(path, `unknown field "${name}"`, {
        key: true,
        expected: `one of ${names.join(', ')}`,
        near: [name, names],
      });
      continue;
    }
    const spec: SystemFieldValue = typeof written === 'string' ? { column: written } : written;
    if (!formFits(spec, path, place.report)) continue;
    if (spec.column !== undefined) {
      const at = typeof written === 'string' ? path : [...path, 'column'];
      const part = plainPart(spec, spec.column, field, path, at, place);
      if (part !== null) plain.push(part);
      continue;
    }
    if (spec.get !== undefined && spec.direction !== 'out') {
      const part = getPart(spec.get, field, [...path, 'get'], place);
      if (part !== null) gets.push(part);
    }
    if (spec.set !== undefined && spec.direction !== 'in') {
      for (const [column, text] of Object.entries(spec.set)) {
        const part = setPart(text, column, field, [...path, 'set', column], place);
        if (part !== null) sets.push(part);
      }
    }
  }
  onceEach(value, { plain, sets, gets }, place);
  return { plain, gets, sets };
}

/** Either a column, or get and set; and what the direction needs. */
function formFits(spec: SystemFieldValue, path: Path, report: Report): boolean {
  const { column, get, set, direction } = spec;
  if (column === undefined && get === undefined && set === undefined) {
    report(path, 'no column', { key: true, expected: '"column", or "get" and "set"' });
    return false;
  }
  if (column !== undefined && (get !== undefined || set !== undefined)) {
    report([...path, 'column'], 'both a column and an expression', { key: true });
    return false;
  }
  if (column === undefined) {
    for (const key of ['clean', 'values', 'zone', 'privacy'] as const) {
      if (spec[key] === undefined) continue;
      report([...path, key], `"${key}" goes with "column"; use functions in "get"`, { key: true });
      return false;
    }
    if (get === undefined && direction !== 'out') {
      report(path, 'no "get"', { key: true, expected: '"get" or "direction: out"' });
      return false;
    }
    if (set === undefined && (direction === 'both' || direction === 'out')) {
      report(path, 'no "set"', { key: true, expected: '"set" or "direction: in"' });
      return false;
    }
  }
  return true;
}

function plainPart(
  spec: SystemFieldValue,
  name: string,
  field: number,
  path: Path,
  at: Path,
  { fields, columns, hashKey, report }: Place,
): PlainPart | null {
  const { privacy } = spec;
  const direction = spec.direction ?? (privacy === undefined ? 'both' : 'out');
  const column = columns.use(name, at, direction !== 'in');
  if (privacy !== undefined) {
    const about = { key: hashKey, path, report };
    const type = columns.typeOf(column);
    const write = privacyConversion({ ...spec, privacy }, type, fields[field]!, about);
    return write === null ? null : { field, column, read: null, write, exact: false };
  }
  const converted = plainConversion(spec, columns.typeOf(column), fields[field]!, path, report);
  if (converted === null) return null;
  const { type } = fields[field]!;
  if (spec.values !== undefined && direction !== 'in') {
    const labels = type.kind === 'boolean' ? ['true', 'false'] : type.labels;
    const coded = new Set(Object.values(spec.values).map(String));
    for (const label of labels) {
      if (!coded.has(label)) report([...path, 'values'], `no code for "${label}"`, { key: true });
    }
  }
  return {
    field,
    column,
    read: direction === 'out' ? null : converted.read,
    write: direction === 'in' ? null : converted.write,
    exact: converted.exact,
  };
}

function getPart(text: string, field: number, path: Path, place: Place): GetPart | null {
  const { type, name } = place.fields[field]!;
  const compiled = overColumns(text, path, place);
  if (compiled === null) return null;
  const { expression, inputs } = compiled;
  if (!celFits(expression.type, type)) {
    place.report(path, `${name} is ${type.kind}, but the expression gives ${expression.type}`);
    return null;
  }
  return { field, computation: computation(expression, inputs, fromCel(type)) };
}

/** An expression over the columns of the table, as `get` and `where` have. */
export function overColumns(
  text: string,
  path: Path,
  { columns, described, report }: Place,
): {
  readonly expression: Extract<Compiled, { ok: true }>['expression'];
  readonly inputs: Parameters<typeof computation>[1];
} | null {
  const compiled = compileExpression(text, columns.variables, !described);
  if (!compiled.ok) {
    for (const { message, ...more } of compiled.faults) report(path, message, more);
    return null;
  }
  const { expression } = compiled;
  const inputs = expression.names.map((name) => {
    const index = columns.use(name, path, false);
    return { index, kind: columns.typeOf(index)?.kind ?? null };
  });
  return { expression, inputs };
}

function setPart(
  text: string,
  columnName: string,
  field: number,
  path: Path,
  { fields, columns, report }: Place,
): SetPart | null {
  const column = columns.use(columnName, path, true);
  const mapped = fields.filter((one) => one.mapped);
  const variables = new Map<string, VariableType>(
    mapped.map(({ name, type }) => [name, celType(type.kind)]),
  );
  const compiled = compileExpression(text, variables);
  if (!compiled.ok) {
    for (const { message, ...more } of compiled.faults) report(path, message, more);
    return null;
  }
  const { expression } = compiled;
  const columnType = columns.typeOf(column);
  const target = columnType === null ? plainType('string') : columnTarget(columnType);
  if (columnType !== null && !celFits(expression.type, target)) {
    report(path, `${columnName} is ${target.kind}, but the expression gives ${expression.type}`);
    return null;
  }
  const inputs = expression.names.map((name) => {
    const index = fields.findIndex((one) => one.name === name);
    return { index, kind: fields[index]!.type.kind };
  });
  return { field, column, computation: computation(expression, inputs, fromCel(target)) };
}

/** No column may be set by two fields: the second would undo the first. */
function onceEach(
  value: SystemValue,
  { plain, sets }: Parts,
  { columns, fields, path, report }: Place,
): void {
  const setters = new Map<number, number>();
  const writers = [...plain.filter((part) => part.write !== null), ...sets];
  for (const { column, field } of writers) {
    const first = setters.get(column);
    setters.set(column, first ?? field);
    if (first === undefined) continue;
    const [name, other] = [fields[field]!.name, fields[first]!.name];
    report(
      [...path, 'fields', name],
      `column ${columns.names[column]} of ${value.table} is set by both ${other} and ${name}`,
      { key: true, expected: '"direction: in" for one of them' },
    );
  }
}
