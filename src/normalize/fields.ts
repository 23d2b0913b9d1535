import type { Field } from '../contract/entity.ts';
import { type FieldType, parseFieldType, plainType, TYPE_NAMES } from './field-type.ts';
import type { FieldValue, Mapping } from './mapping.ts';
import type { Report } from './report.ts';

/** A field at its ordinal. `mapped` is false for one that the mapping no longer has. */
export interface FieldPlan {
  readonly name: string;
  readonly type: FieldType;
  readonly required: boolean;
  readonly pii: boolean;
  readonly mapped: boolean;
}

/** The fields in the order of `names`, which the ledger keeps for as long as the entity lives. */
export function planFields(
  { value }: Mapping<unknown>,
  names: readonly string[],
  entities: readonly string[],
  report: Report,
): FieldPlan[] {
  const declared = Object.keys(value.fields);
  const order = [...names, ...declared.filter((name) => !names.includes(name))];
  return order.map((name): FieldPlan => {
    const written = value.fields[name];
    if (written === undefined) {
      return { name, type: plainType('string'), required: false, pii: false, mapped: false };
    }
    const field: FieldValue = typeof written === 'string' ? { type: written } : written;
    const at = typeof written === 'string' ? ['fields', name] : ['fields', name, 'type'];
    return {
      name,
      type: typeOf(field, name, at, entities, report),
      required: field.required ?? false,
      pii: field.pii ?? false,
      mapped: true,
    };
  });
}

function typeOf(
  field: FieldValue,
  name: string,
  at: readonly string[],
  entities: readonly string[],
  report: Report,
): FieldType {
  if (field.ref !== undefined) {
    if (field.type !== undefined) report(at, `${name} has both a type and a ref`);
    if (!entities.includes(field.ref)) {
      report(['fields', name, 'ref'], `unknown entity "${field.ref}"`, {
        expected: `one of ${entities.join(', ')}`,
        near: [field.ref, entities],
      });
    }
    return { ...plainType('ref'), ref: field.ref };
  }
  if (field.type === undefined) {
    report(['fields', name], `${name} has no type`, { key: true, expected: '"type" or "ref"' });
    return plainType('string');
  }
  const type = parseFieldType(field.type);
  if (type === null) {
    report(at, `unknown type "${field.type}"`, {
      expected: `one of ${TYPE_NAMES.join(', ')}`,
      near: [field.type, TYPE_NAMES],
    });
    return plainType('string');
  }
  if (type.kind === 'enum') {
    if (field.values === undefined) {
      report(['fields', name], `the enum ${name} has no values`, { expected: 'values: […]' });
    }
    return { ...type, labels: (field.values ?? []).map(String) };
  }
  if (field.values !== undefined) {
    report(['fields', name, 'values'], 'only an enum has values', { key: true });
  }
  return type;
}

export function contractField({ name, type, required, pii }: FieldPlan): Field {
  return { name, kind: type.kind, required, pii, scale: type.scale ?? 0, ref: type.ref };
}
