import type { Fault, Lens, Read } from '../contract/entity.ts';
import { CarrickError } from '../errors.ts';
import type { TableSchema } from '../model/change.ts';
import type { Cell, Value } from '../model/value.ts';
import { Broken } from './broken.ts';
import { columnsOf } from './columns.ts';
import { digestOf } from './digest.ts';
import type { FieldPlan } from './fields.ts';
import { compileParts, type Parts, type Place } from './lens-parts.ts';
import type { SystemValue } from './mapping.ts';
import type { HashKey } from './privacy.ts';
import type { Report } from './report.ts';
import { compileRowRules, type RowRules } from './row-rules.ts';

export interface LensInput {
  readonly system: string;
  readonly value: SystemValue;
  readonly fields: readonly FieldPlan[];
  readonly match: readonly (readonly number[])[];
  /** Null when the system has not been asked: columns are then not checked. */
  readonly schema: TableSchema | null;
  readonly hashKey: HashKey;
  readonly report: Report;
}

/** Compiles one system's part of a mapping; mistakes go to `report`, and the lens is then void. */
export function compileLens(input: LensInput): { readonly lens: Lens; readonly parts: Parts } {
  const { system, value, fields, match, schema, hashKey, report } = input;
  const columns = columnsOf(schema, report);
  const path = ['systems', system];
  const place: Place = { fields, columns, described: schema !== null, hashKey, path, report };
  const key = typeof value.key === 'string' ? [value.key] : value.key;
  for (const [index, name] of key.entries()) {
    columns.use(name, [...path, 'key', ...(typeof value.key === 'string' ? [] : [index])], false);
  }
  const parts = compileParts(value, place);
  const rules = compileRowRules(value, place);
  const names = columns.names;
  const writes = fields.map((_, field) =>
    [...parts.plain.filter((part) => part.write !== null), ...parts.sets].some(
      (part) => part.field === field,
    ),
  );
  const columnsByField = fields.map((_, field) => (writes[field] ? settingOf(parts, field) : []));
  const lens: Lens = {
    system,
    table: { name: value.table, key, columns: names },
    reads: fields.map((_, field) =>
      [...parts.plain.filter((part) => part.read !== null), ...parts.gets].some(
        (part) => part.field === field,
      ),
    ),
    writes,
    columnsOf: columnsByField,
    digest: digestOf(value, parts, fields),
    personal: personalColumns(parts, fields, names.length),
    deletion: rules.deletion,
    onInsert: rules.onInsert,
    guards: match.map((fieldsOf) => guard(parts, fieldsOf)).filter((found) => found !== null),
    read: reader(parts, rules, fields, names, key),
    write: writer(parts, fields, names),
    admits: (cells) => rules.where(cells) !== false,
  };
  return { lens, parts };
}

/** The columns that writing a field sets: its own, and those whose expressions read it. */
function settingOf({ plain, sets }: Parts, field: number): number[] {
  const own = plain.filter((part) => part.write !== null && part.field === field);
  const computed = sets.filter(
    (part) => part.field === field || part.computation.inputs.includes(field),
  );
  return [...new Set([...own, ...computed].map(({ column }) => column))];
}

function personalColumns(
  { plain, gets, sets }: Parts,
  fields: readonly FieldPlan[],
  width: number,
): boolean[] {
  const isPersonal = (field: number): boolean => fields[field]!.pii;
  const told = [...plain, ...sets].filter(({ field }) => isPersonal(field));
  const composed = sets.filter(({ computation }) => computation.inputs.some(isPersonal));
  const read = gets.filter(({ field }) => isPersonal(field));
  const columns = new Set([
    ...[...told, ...composed].map(({ column }) => column),
    ...read.flatMap(({ computation }) => computation.inputs),
  ]);
  return Array.from({ length: width }, (_, column) => columns.has(column));
}

function guard({ plain }: Parts, alternative: readonly number[]): readonly number[] | null {
  const columns = alternative.map(
    (field) => plain.find((part) => part.field === field && part.write !== null)?.column,
  );
  return columns.every((column) => column !== undefined) ? columns : null;
}

function reader(
  { plain, gets, sets }: Parts,
  rules: RowRules,
  fields: readonly FieldPlan[],
  names: readonly string[],
  key: readonly string[],
): Lens['read'] {
  const reading = plain.filter((part) => part.read !== null);
  const required = [...reading, ...gets]
    .map(({ field }) => field)
    .filter((f) => fields[f]!.required);
  const rawOf = rawKeeper({ plain, gets, sets }, rules, names, key);
  return (row, held): Read => {
    const cells = completed(row, held, names.length);
    const admitted = rules.where(cells);
    if (admitted === false) return { kind: 'outside' };
    if (rules.deletion.kind === 'soft' && cells[rules.deletion.column] === rules.deletion.value) {
      return { kind: 'deleted' };
    }
    const values: Cell[] = new Array(fields.length).fill(undefined);
    let faults: Fault[] | null = admitted instanceof Broken ? [fault('where', admitted)] : null;
    const settle = (field: number, value: Cell | Broken): void => {
      if (value instanceof Broken) faults = [...(faults ?? []), fault(fields[field]!.name, value)];
      values[field] = value instanceof Broken ? undefined : value;
    };
    for (const { field, column, read } of reading) {
      const cell = cells[column];
      if (cell === undefined) continue;
      settle(field, cell === null ? null : read!(cell));
    }
    for (const { field, computation } of gets) settle(field, computation.compute(cells));
    for (const field of required) if (values[field] === null) settle(field, REQUIRED);
    const raw = rawOf(cells, values);
    if (faults !== null) return { kind: 'invalid', faults, values, raw };
    return { kind: 'row', values, raw, writtenAt: rules.writtenAt(row) };
  };
}

const REQUIRED = new Broken('is required');
const fault = (place: string, { message }: Broken): Fault => ({ place, message });

function completed(
  row: readonly Cell[],
  held: (column: number) => Cell,
  width: number,
): readonly Cell[] {
  if (row.length === width && !row.includes(undefined)) return row;
  const cells: Cell[] = [];
  for (let i = 0; i < width; i++) cells.push(row[i] === undefined ? held(i) : row[i]);
  return cells;
}

/**
 * What a view must keep beside the values: every column that we write, or that an expression reads,
 * where its content is not what writing the values would put there. Columns that are only read into
 * their own field are left out: when an image leaves them out, the field is unchanged. So is the
 * soft-delete column: of a row that a view stands for it is known.
 */
function rawKeeper(
  { plain, gets, sets }: Parts,
  { whereColumns }: RowRules,
  names: readonly string[],
  key: readonly string[],
): (cells: readonly Cell[], values: readonly Cell[]) => Record<string, Value> | null {
  const isKey = (column: number): boolean => key.includes(names[column]!);
  const lossy = plain.filter((part) => part.write !== null && part.read !== null && !part.exact);
  const writeOnly = plain.filter((part) => part.read === null).map(({ column }) => column);
  const reproduced = new Set([
    ...plain.filter((part) => part.write !== null && part.read !== null).map((part) => part.column),
    ...sets.map(({ column }) => column),
  ]);
  const needed = [
    ...whereColumns,
    ...gets.flatMap((part) => part.computation.inputs),
    ...writeOnly,
  ];
  const kept = [...new Set(needed)].filter((column) => !reproduced.has(column) && !isKey(column));
  const compared = [
    ...lossy.filter(({ column }) => !isKey(column)),
    ...sets.filter(({ column }) => !isKey(column)),
  ];
  return (cells, values) => {
    let raw: Record<string, Value> | null = null;
    const keep = (column: number): void => {
      const cell = cells[column];
      if (cell === undefined) return;
      raw ??= {};
      raw[names[column]!] = cell;
    };
    for (const part of compared) {
      const back = 'computation' in part ? part.computation.compute(values) : written(part, values);
      if (back !== cells[part.column]) keep(part.column);
    }
    for (const column of kept) keep(column);
    return raw;
  };
}

function written({ field, write }: Parts['plain'][number], values: readonly Cell[]): Cell | Broken {
  const value = values[field];
  return value === undefined || value === null ? value : write!(value);
}

function writer(
  { plain, sets }: Parts,
  fields: readonly FieldPlan[],
  names: readonly string[],
): Lens['write'] {
  const writing = plain.filter((part) => part.write !== null);
  return (values) => {
    const cells: Cell[] = new Array(names.length).fill(undefined);
    for (const part of writing) cells[part.column] = sound(part, written(part, values));
    for (const part of sets) cells[part.column] = sound(part, part.computation.compute(values));
    return cells;
  };
  function sound({ field, column }: { field: number; column: number }, cell: Cell | Broken): Cell {
    if (!(cell instanceof Broken)) return cell;
    throw new CarrickError(
      'normalize.unwritable',
      'park',
      `${fields[field]!.name} cannot be written to column ${names[column]}: ${cell.message}`,
      'Correct the value in the system it came from, or widen the mapping of this field.',
    );
  }
}
