import type { DigestField, Lens } from '../contract/entity.ts';
import type { FieldPlan } from './fields.ts';
import type { Parts } from './lens-parts.ts';
import type { CleanStep, SystemFieldValue, SystemValue } from './mapping.ts';

const STEPS: ReadonlySet<CleanStep> = new Set<CleanStep>(['trim', 'lower', 'upper']);

/** See `Lens.digest`. What a database could spell otherwise than we do is never left to it. */
export function digestOf(
  value: SystemValue,
  { plain }: Parts,
  fields: readonly FieldPlan[],
): Lens['digest'] {
  if (value.where !== undefined) return { never: 'its rows are chosen by `where`' };
  if (typeof value.delete === 'object') return { never: 'its rows are soft-deleted' };
  const found: DigestField[] = [];
  for (const [f, { name, type, mapped }] of fields.entries()) {
    if (!mapped) continue;
    const written = value.fields[name];
    const spec: SystemFieldValue =
      typeof written === 'string' ? { column: written } : (written ?? {});
    const part = plain.find(({ field }) => field === f);
    if (type.kind === 'ref') return { never: `${name} refers to other rows` };
    if (written === undefined) return { never: `it has no ${name}` };
    if (part === undefined) return { never: `${name} is computed` };
    const { read, write } = part;
    if (read === null || write === null) return { never: `${name} goes one way` };
    const clean = (spec.clean ?? []).filter((step) => STEPS.has(step)) as DigestField['clean'];
    const coded = spec.values !== undefined;
    const cleaned = clean.length < (spec.clean?.length ?? 0) || (coded && clean.length > 0);
    if (cleaned || spec.zone !== undefined) return { never: `${name} is converted` };
    const codes = coded
      ? new Map(Object.keys(spec.values ?? {}).map((code) => [code, String(read(code))]))
      : null;
    const column = spec.column ?? '';
    found.push({ column, kind: type.kind, scale: type.scale ?? 0, codes, clean });
  }
  return found;
}
