import type { Entity } from '../contract/entity.ts';
import type { Cell } from '../model/value.ts';
import { celType, toCel } from './cel-value.ts';
import { compileExpression, type VariableType } from './expression.ts';

/** Whether a record with these values, by field ordinal, is meant. */
export type Condition = (values: readonly Cell[]) => boolean;

/**
 * A condition of an operator in CEL over an entity's fields, as `when` of a policy has it. Fields
 * marked `pii` cannot be named, because the condition is kept in the ledger in plain text, nor
 * references, because each system has other keys. True where a field that it names is not told;
 * false where it cannot be computed.
 */
export function compileCondition(
  { fields }: Entity,
  text: string,
): { readonly ok: true; readonly holds: Condition } | { readonly ok: false; why: string } {
  const named = new Map(
    fields.flatMap(({ name, kind, pii }, at) =>
      pii || kind === 'ref' ? [] : [[name, { at, convert: toCel(kind), type: celType(kind) }]],
    ) as [string, { at: number; convert: ReturnType<typeof toCel>; type: VariableType }][],
  );
  const types = new Map([...named].map(([name, { type }]) => [name, type]));
  const compiled = compileExpression(text, types);
  if (!compiled.ok) {
    const faults = compiled.faults.map(({ message, expected }) =>
      expected === undefined ? message : `${message}, expected ${expected}`,
    );
    return { ok: false, why: faults.join('; ') };
  }
  const { expression } = compiled;
  if (expression.type !== 'bool' && expression.type !== 'dyn') {
    return { ok: false, why: `it gives ${expression.type}, not true or false` };
  }
  const used = expression.names.flatMap((name) => {
    const field = named.get(name);
    return field === undefined ? [] : [{ name, ...field }];
  });
  const holds = (values: readonly Cell[]): boolean => {
    const scope: Record<string, unknown> = {};
    for (const { name, at, convert } of used) {
      const value = values[at];
      if (value === undefined) return true;
      scope[name] = convert(value);
    }
    return expression.run(scope) === true;
  };
  return {
    ok: true,
    holds(values) {
      try {
        return holds(values);
      } catch {
        return false;
      }
    },
  };
}
