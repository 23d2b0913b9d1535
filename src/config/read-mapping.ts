import { check } from './check.ts';
import { type Mapping, mappingSchema } from './mapping.ts';
import type { Checked } from './problem.ts';
import { parseYaml } from './yaml.ts';

/** Checks the text of a mapping file; `file` names it in problems. */
export function readMapping(file: string, text: string): Checked<Mapping> {
  const { yaml, problems } = parseYaml(file, text, { spelling: true, secret: false });
  if (problems.length > 0) return { ok: false, problems };
  const checked = check(mappingSchema, yaml);
  return checked.ok ? { ok: true, value: { value: checked.value, yaml } } : checked;
}
