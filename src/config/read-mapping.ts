import { check } from './check.ts';
import { type Mapping, mappingSchema } from './mapping.ts';
import type { Problem } from './problem.ts';
import { type Salvaged, salvage } from './salvage.ts';
import { parseYaml } from './yaml.ts';

export type ReadMapping =
  | { readonly ok: true; readonly value: Mapping }
  | {
      readonly ok: false;
      readonly problems: readonly Problem[];
      /** Null: nothing of it can be looked at any further. */
      readonly rest: Salvaged | null;
    };

/** Checks the text of a mapping file; `file` names it in problems. */
export function readMapping(file: string, text: string): ReadMapping {
  const { yaml, problems } = parseYaml(file, text, { spelling: true, secret: false });
  if (problems.length > 0) return { ok: false, problems, rest: null };
  const checked = check(mappingSchema, yaml);
  if (checked.ok) return { ok: true, value: { value: checked.value, yaml } };
  return { ...checked, rest: salvage(yaml) };
}
