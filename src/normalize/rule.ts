import type { Policy, Sides } from '../contract/entity.ts';
import type { Cell, Value } from '../model/value.ts';
import { Broken } from './broken.ts';
import { celFits, celType, fromCel, toCel } from './cel-value.ts';
import { compileExpression, type Expression, type VariableType } from './expression.ts';
import type { FieldPlan } from './fields.ts';
import type { PolicyInput } from './policy-input.ts';
import type { Path } from './report.ts';

interface RuleEntry {
  readonly when?: string | undefined;
  readonly take?: string | undefined;
  readonly value?: string | undefined;
}

/**
 * `when` with `take` or `value`: CEL over the system names and `record`, each an object with the
 * canonical fields. A rule that cannot be computed does not apply: the next policy decides.
 */
export function compileRule(
  { when, take, value }: RuleEntry,
  units: readonly { readonly name: string; readonly fields: readonly number[] }[],
  path: Path,
  input: PolicyInput,
): Policy | null {
  const { report, fields } = input;
  if (when === undefined) {
    const instead = take === undefined ? '"when"' : `"when", or "prefer: ${take}"`;
    report(path, 'a rule without a condition', { expected: instead });
    return null;
  }
  if ((take === undefined) === (value === undefined)) {
    report(path, 'a rule decides one thing', { expected: '"take: SYSTEM" or "value: …"' });
    return null;
  }
  const condition = overSides(when, [...path, 'when'], input);
  if (condition === null) return null;
  if (!['bool', 'dyn'].includes(condition.expression.type)) {
    report([...path, 'when'], `"when" must be a condition, but gives ${condition.expression.type}`);
  }
  const holds = (sides: Sides): boolean => condition.run(sides) === true;
  if (take !== undefined) return { kind: 'rule', text: when, when: holds, take: { system: take } };
  return valueRule(when, value!, holds, { units, path, input, fields });
}

function valueRule(
  text: string,
  value: string,
  holds: (sides: Sides) => boolean,
  {
    units,
    path,
    input,
    fields,
  }: {
    readonly units: readonly { readonly name: string; readonly fields: readonly number[] }[];
    readonly path: Path;
    readonly input: PolicyInput;
    readonly fields: readonly FieldPlan[];
  },
): Policy | null {
  const at = [...path, 'value'];
  const [unit, ...others] = units;
  const field =
    unit?.fields.length === 1 && others.length === 0 ? fields[unit.fields[0]!] : undefined;
  if (field === undefined) {
    input.report(at, 'a value is for one field', { key: true, expected: '"fields: [FIELD]"' });
    return null;
  }
  const compiled = overSides(value, at, input);
  if (compiled === null) return null;
  if (!celFits(compiled.expression.type, field.type)) {
    const gives = compiled.expression.type;
    input.report(at, `${field.name} is ${field.type.kind}, but the expression gives ${gives}`);
    return null;
  }
  const convert = fromCel(field.type);
  const decide = (sides: Sides): Value | Broken => convert(compiled.run(sides));
  return {
    kind: 'rule',
    text: `${text} → ${value}`,
    when: (sides) => holds(sides) && !(decide(sides) instanceof Broken),
    take: {
      value: (sides) => {
        const decided = decide(sides);
        return decided instanceof Broken ? null : decided;
      },
    },
  };
}

const FAILED = Symbol('failed');

function overSides(
  text: string,
  path: Path,
  { fields, told, report }: PolicyInput,
): { readonly expression: Expression; run(sides: Sides): unknown } | null {
  const members = (ordinals: (field: number) => boolean): VariableType => ({
    fields: new Map(
      fields.flatMap(({ name, type, mapped }, field): [string, VariableType][] =>
        mapped && ordinals(field) ? [[name, celType(type.kind)]] : [],
      ),
    ),
  });
  const variables = new Map<string, VariableType>([['record', members(() => true)]]);
  for (const [system, tells] of told)
    variables.set(
      system,
      members((field) => tells.has(field)),
    );
  const compiled = compileExpression(text, variables);
  if (!compiled.ok) {
    for (const { message, ...more } of compiled.faults) report(path, message, more);
    return null;
  }
  const { expression } = compiled;
  const converters = fields.map(({ type }) => toCel(type.kind));
  const object = (values: readonly Cell[]): Record<string, unknown> =>
    Object.fromEntries(
      fields.map(({ name }, field) => [name, converters[field]!(values[field] ?? null)]),
    );
  const run = (sides: Sides): unknown => {
    try {
      const scope: Record<string, unknown> = {};
      for (const name of expression.names) {
        scope[name] = object(name === 'record' ? sides.record : (sides.systems[name] ?? []));
      }
      return expression.run(scope);
    } catch {
      return FAILED;
    }
  };
  return { expression, run };
}
