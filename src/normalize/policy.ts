import type { DeleteConflict, FieldKind, Policy, Unit } from '../contract/entity.ts';
import type { FieldPlan } from './fields.ts';
import type { ConflictValue, PolicyValue } from './mapping.ts';
import type { PolicyInput } from './policy-input.ts';
import type { Path, Report } from './report.ts';
import { compileRule } from './rule.ts';

export interface Policies {
  readonly units: readonly Unit[];
  readonly unitOf: readonly number[];
  readonly deleteConflict: DeleteConflict;
  readonly firstContact: readonly Policy[];
}

interface Group {
  readonly name: string;
  readonly fields: readonly number[];
}

export function compilePolicies(input: PolicyInput): Policies {
  const groups = groupFields(input);
  const chains = chainsOf(input, groups);
  const units = groups.map((group, index): Unit => ({ ...group, chain: chains[index]! }));
  const deletes = (input.value.conflicts ?? []).filter((entry) => typeof entry !== 'string');
  return {
    units,
    unitOf: input.fields.map((_, field) => units.findIndex((unit) => unit.fields.includes(field))),
    deleteConflict: deletes.find((entry) => entry.delete !== undefined)?.delete ?? 'update_wins',
    firstContact: firstContact(input, groups),
  };
}

/** Declared groups, and every other field by itself, in the order of their first fields. */
function groupFields({ value, fields, report }: PolicyInput): Group[] {
  const grouped = new Map<number, string>();
  const groups = Object.entries(value.groups ?? {}).map(([name, members]): Group => {
    if (value.fields[name] !== undefined) {
      report(['groups', name], `"${name}" is a field already`, { key: true });
    }
    const ordinals = members.flatMap((member, index) => {
      const path = ['groups', name, index];
      const field = ordinalOf(member, fields, path, report);
      if (field === null) return [];
      const other = grouped.get(field);
      if (other !== undefined) report(path, `${member} is in group ${other} already`);
      grouped.set(field, name);
      return other === undefined ? [field] : [];
    });
    return { name, fields: ordinals };
  });
  const single = fields.flatMap(({ name }, field) =>
    grouped.has(field) ? [] : [{ name, fields: [field] }],
  );
  return [...groups, ...single]
    .filter((group) => group.fields.length > 0)
    .toSorted((a, b) => Math.min(...a.fields) - Math.min(...b.fields));
}

export function ordinalOf(
  name: string,
  fields: readonly FieldPlan[],
  path: Path,
  report: Report,
): number | null {
  const found = fields.findIndex((field) => field.mapped && field.name === name);
  if (found >= 0) return found;
  const names = fields.filter((field) => field.mapped).map((field) => field.name);
  report(path, `unknown field "${name}"`, {
    expected: `one of ${names.join(', ')}`,
    near: [name, names],
  });
  return null;
}

/** A unit's chain: all entries that name it, in order; then the bare ones; then the default. */
function chainsOf(input: PolicyInput, groups: readonly Group[]): Policy[][] {
  const { value, tolerance, report } = input;
  const named: Policy[][] = groups.map(() => []);
  const bare: Policy[][] = groups.map(() => []);
  for (const [index, entry] of (value.conflicts ?? []).entries()) {
    const path = ['conflicts', index];
    const fields = typeof entry === 'string' ? undefined : entry.fields;
    if (fields === undefined) {
      if (onlyDeletes(entry)) continue;
      const policy = compilePolicy(entry, groups, path, input);
      if (policy !== null) for (const chain of bare) chain.push(policy);
      continue;
    }
    const units = fields.flatMap((name, at) => {
      const unit = unitNamed(name, groups, input, [...path, 'fields', at]);
      return unit === null ? [] : [unit];
    });
    if (typeof entry !== 'string' && entry.delete !== undefined) {
      report([...path, 'delete'], 'a delete is of all fields', {
        key: true,
        expected: 'no "fields"',
      });
    }
    const policy = compilePolicy(entry, units, path, input);
    if (policy !== null) for (const unit of units) named[groups.indexOf(unit)]!.push(policy);
  }
  return groups.map((_, index) => {
    const chain = [...named[index]!, ...bare[index]!];
    const last = chain.at(-1)?.kind;
    const open = last === undefined || last === 'rule' || last === 'prefer';
    return open ? [...chain, { kind: 'last_writer', tolerance }] : chain;
  });
}

function onlyDeletes(entry: ConflictValue): boolean {
  return typeof entry !== 'string' && entry.delete !== undefined && Object.keys(entry).length === 1;
}

function unitNamed(
  name: string,
  groups: readonly Group[],
  { fields, value, report }: PolicyInput,
  path: Path,
): Group | null {
  const group = groups.find((one) => one.name === name);
  if (group !== undefined) return group;
  const field = fields.findIndex((one) => one.mapped && one.name === name);
  const around = groups.find((one) => one.fields.includes(field));
  if (around !== undefined) {
    report(path, `${name} is settled with its group`, { expected: `"${around.name}"` });
    return null;
  }
  // A group without sound members has been reported where it is declared.
  if (value.groups?.[name] !== undefined) return null;
  const names = [...Object.keys(value.fields), ...Object.keys(value.groups ?? {})];
  report(path, `unknown field or group "${name}"`, {
    expected: `one of ${names.join(', ')}`,
    near: [name, names],
  });
  return null;
}

const ORDERED: readonly FieldKind[] = [
  'integer',
  'decimal',
  'float',
  'date',
  'time',
  'datetime',
  'timestamp',
];
const FITTING = {
  max: ORDERED,
  min: ORDERED,
  sum_of_deltas: ['integer', 'decimal'],
  union: ['set'],
} as const satisfies Readonly<Record<string, readonly FieldKind[]>>;

const WORDS = [
  'last_writer',
  'first_writer',
  'max',
  'min',
  'sum_of_deltas',
  'union',
  'park',
] as const;

/** One policy as written, checked against the units that it is for. */
function compilePolicy(
  written: ConflictValue | PolicyValue,
  units: readonly Group[],
  path: Path,
  input: PolicyInput,
): Policy | null {
  const entry = typeof written === 'string' ? { [written]: true as const } : written;
  const words = WORDS.filter((word) => entry[word] === true);
  const forms = [
    ...words,
    ...(entry.prefer === undefined ? [] : ['prefer']),
    ...(entry.when === undefined && entry.take === undefined && entry.value === undefined
      ? []
      : ['when']),
  ];
  const [form] = forms;
  if (forms.length !== 1 || form === undefined) {
    const message = form === undefined ? 'no policy' : `several policies: ${forms.join(', ')}`;
    const expected = `one of ${[...WORDS, 'prefer', 'when'].join(', ')}`;
    input.report(path, message, { expected });
    return null;
  }
  if (entry.prefer !== undefined) {
    checkSystem(entry.prefer, units, [...path, 'prefer'], input);
    return { kind: 'prefer', system: entry.prefer };
  }
  if (form === 'when') {
    if (entry.take !== undefined) checkSystem(entry.take, units, [...path, 'take'], input);
    return compileRule(entry, units, path, input);
  }
  const [kind] = words;
  if (kind === 'last_writer' || kind === 'first_writer')
    return { kind, tolerance: input.tolerance };
  if (kind !== undefined && kind in FITTING)
    checkKinds(kind as keyof typeof FITTING, units, path, input);
  return kind === undefined ? null : { kind };
}

function checkSystem(
  system: string,
  units: readonly Group[],
  path: Path,
  { told, fields, report }: PolicyInput,
): void {
  const tells = told.get(system);
  if (tells === undefined) {
    report(path, `unknown system "${system}"`, {
      expected: `one of ${[...told.keys()].join(', ')}`,
      near: [system, told.keys()],
    });
    return;
  }
  // A default may name a system that lacks some of the fields; an entry for one field may not.
  if (units.length !== 1) return;
  const missing = units[0]!.fields.find((field) => !tells.has(field));
  if (missing !== undefined) report(path, `${system} does not tell ${fields[missing]!.name}`);
}

function checkKinds(
  policy: keyof typeof FITTING,
  units: readonly Group[],
  path: Path,
  { fields, report }: PolicyInput,
): void {
  const fitting: readonly FieldKind[] = FITTING[policy];
  const expected = `fields of type ${fitting.join(', ')}`;
  for (const { name, fields: members } of units) {
    const wrong = members.find((field) => !fitting.includes(fields[field]!.type.kind));
    if (members.length > 1) {
      report(path, `${policy} cannot settle the group ${name} as a whole`, { expected });
    } else if (wrong !== undefined && fields[wrong]!.mapped) {
      report(path, `${policy} does not fit ${name}, which is ${fields[wrong]!.type.kind}`, {
        expected,
      });
    }
  }
}

function firstContact(input: PolicyInput, groups: readonly Group[]): Policy[] {
  const written = input.value.first_contact;
  const { tolerance } = input;
  if (written === undefined) {
    const [first] = input.told.keys();
    const preferred: Policy[] = first === undefined ? [] : [{ kind: 'prefer', system: first }];
    return [{ kind: 'last_writer', tolerance }, ...preferred];
  }
  const entries = Array.isArray(written) ? written : [written];
  return entries.flatMap((entry, index) => {
    const path = ['first_contact', ...(Array.isArray(written) ? [index] : [])];
    if (entry === 'sum_of_deltas' || (typeof entry === 'object' && entry.sum_of_deltas === true)) {
      input.report(path, 'rows that meet for the first time have no common base to add to');
      return [];
    }
    const policy = compilePolicy(entry, groups, path, input);
    return policy === null ? [] : [policy];
  });
}
