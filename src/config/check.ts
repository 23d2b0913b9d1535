import type { ZodType } from 'zod';
import { nearest } from './nearest.ts';
import type { Checked, Problem } from './problem.ts';
import { oneOf, type Path, type YamlFile } from './yaml.ts';

/** What zod tells of one mistake; its own issue types name it per kind. */
export interface Issue {
  readonly code?: string | undefined;
  readonly path: PropertyKey[];
  readonly message: string;
  readonly expected?: string;
  readonly keys?: readonly string[];
  readonly values?: readonly unknown[];
  readonly errors?: readonly (readonly Issue[])[];
  readonly issues?: readonly Issue[];
}

/** Checks a file's value against its schema; every mistake becomes a problem at its place. */
export function check<T>(schema: ZodType<T>, yaml: YamlFile): Checked<T> {
  const result = schema.safeParse(yaml.value);
  if (result.success) return { ok: true, value: result.data };
  const issues = result.error.issues as readonly Issue[];
  const problems = issues.flatMap((issue) => problemsOf(schema, yaml, issue, []));
  // A misspelled key is told once: as unknown, and not as missing as well.
  const places = problems.map(({ line, column, message }) => `${line}:${column} ${message}`);
  return { ok: false, problems: problems.filter((_, i) => places.indexOf(places[i]!) === i) };
}

function problemsOf(schema: ZodType, yaml: YamlFile, issue: Issue, base: Path): Problem[] {
  const path = [...base, ...(issue.path as (string | number)[])];
  if (issue.code === 'invalid_union' && issue.errors !== undefined) {
    const branch = fittingBranch(issue.errors);
    if (branch !== null) return branch.flatMap((inner) => problemsOf(schema, yaml, inner, path));
    const kinds = issue.errors.flatMap((errors) => errors.map((error) => expectation(error)));
    const expected = [...new Set(kinds.filter((kind) => kind !== undefined))].join(' or ');
    return [yaml.problem(path, `${name(path)} is not understood`, { expected })];
  }
  if (issue.code === 'unrecognized_keys' && issue.keys !== undefined) {
    return issue.keys.map((key) => unknownKey(schema, yaml, path, key));
  }
  if (issue.code === 'invalid_key') {
    const reason = issue.issues?.[0]?.message ?? issue.message;
    return [
      yaml.problem(path, `"${String(path.at(-1))}" cannot be a name here`, {
        key: true,
        expected: reason,
      }),
    ];
  }
  const written = valueAt(yaml.value, path);
  if (written === undefined && issue.code === 'invalid_type') {
    const [parent, key] = [path.slice(0, -1), String(path.at(-1))];
    const misspelled = misspelling(schema, yaml, parent, key);
    if (misspelled !== undefined) return [unknownKey(schema, yaml, parent, misspelled)];
    const missing = `missing key "${key}"`;
    return [yaml.problem(parent, missing, { key: true, expected: issue.expected })];
  }
  if (issue.code === 'invalid_value' && issue.values !== undefined) {
    return [
      yaml.problem(path, `${name(path)} cannot be ${brief(written)}`, {
        expected: expectation(issue),
        near: [String(written), issue.values.map(String)],
      }),
    ];
  }
  if (issue.code === 'invalid_type') {
    return [yaml.problem(path, `${name(path)} has the wrong type`, { expected: issue.expected })];
  }
  return [yaml.problem(path, `${name(path)}: ${issue.message}`)];
}

function unknownKey(schema: ZodType, yaml: YamlFile, path: Path, key: string): Problem {
  const known = keysAt(schema, path);
  const more = { key: true, ...oneOf(key, known) };
  return yaml.problem([...path, key], `unknown key "${key}"`, more);
}

/** A key at a place that is unknown there, and closer to `key` than to any other. */
function misspelling(schema: ZodType, yaml: YamlFile, path: Path, key: string): string | undefined {
  const known = keysAt(schema, path);
  const written = Object.keys(Object(valueAt(yaml.value, path)));
  return written.find((one) => !known.includes(one) && nearest(one, known) === key);
}

/** Of a union's branches the one that takes this kind of value, but found fault with it. */
export function fittingBranch(branches: readonly (readonly Issue[])[]): readonly Issue[] | null {
  const inside = ({ path, code }: Issue) => path.length > 0 || code === 'unrecognized_keys';
  const kind = (issue: Issue) => inside(issue) || issue.code !== 'invalid_type';
  for (const fits of [inside, kind]) {
    const fitting = branches.filter((issues) => issues.every(fits));
    if (fitting.length > 0) return fitting.reduce((a, b) => (b.length < a.length ? b : a));
  }
  return null;
}

function expectation(issue: Issue): string | undefined {
  if (issue.values === undefined) return issue.expected;
  return issue.values.length === 1 ? String(issue.values[0]) : `one of ${issue.values.join(', ')}`;
}

function name(path: Path): string {
  return path.length === 0 ? 'the file' : `"${path.join('.')}"`;
}

function brief(value: unknown): string {
  return typeof value === 'string' && value.length <= 40 ? `"${value}"` : 'this value';
}

function valueAt(value: unknown, path: Path): unknown {
  let at = value;
  for (const step of path) {
    if (typeof at !== 'object' || at === null) return undefined;
    at = (at as Record<string | number, unknown>)[step];
  }
  return at;
}

interface Definition {
  readonly shape?: Record<string, ZodType>;
  readonly valueType?: ZodType;
  readonly element?: ZodType;
  readonly options?: readonly ZodType[];
  readonly innerType?: ZodType;
  readonly in?: ZodType;
}

/** The keys that the schema knows at a place, over all branches of its unions. */
function keysAt(schema: ZodType, path: Path): string[] {
  const { shape, valueType, element, options, innerType, in: input } = schema.def as Definition;
  const through = [
    ...(options ?? []),
    ...(innerType ? [innerType] : []),
    ...(input ? [input] : []),
  ];
  const own = through.flatMap((inner) => keysAt(inner, path));
  const [step, ...rest] = path;
  if (step === undefined) return [...own, ...Object.keys(shape ?? {})];
  const next = shape?.[step] ?? valueType ?? element;
  return next === undefined ? own : [...own, ...keysAt(next, rest)];
}
