import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import * as z from 'zod';
import { check } from './check.ts';
import type { Mapping } from './mapping.ts';
import type { Checked, Problem } from './problem.ts';
import { parseYaml } from './yaml.ts';

const constant = z.union([z.string(), z.number(), z.boolean(), z.null()]);
const content = z.record(z.string(), z.union([constant, z.array(z.string())]));

/** One example: a row and the record it stands for, or a record and what it writes. */
const caseSchema = z.strictObject({
  name: z.string().optional(),
  system: z.string(),
  row: content.optional().describe('By column; columns left out are NULL'),
  record: content.optional().describe('By field; only the fields named are compared'),
  outcome: z.enum(['outside', 'deleted', 'invalid']).optional(),
  faults: z.array(z.string()).optional().describe('The fields at fault, where invalid'),
  writes: content.optional().describe('By column; only the columns named are compared'),
});

const casesSchema = z.array(caseSchema);

export interface CasesFile {
  readonly file: string;
  readonly entity: string;
  readonly cases: z.infer<typeof casesSchema>;
}

/** The cases files beside the mappings: `customer.cases.yaml` for `customer.yaml`. */
export function loadCases(mappings: readonly Mapping[]): Checked<readonly CasesFile[]> {
  const problems: Problem[] = [];
  const value = mappings.flatMap(({ value: { entity }, yaml: beside }): CasesFile[] => {
    const file = beside.file.replace(/(\.ya?ml)$/, '.cases$1');
    if (basename(file) === basename(beside.file) || !existsSync(file)) return [];
    const parsed = parseYaml(file, readFileSync(file, 'utf8'), { spelling: true, secret: false });
    problems.push(...parsed.problems);
    if (parsed.problems.length > 0) return [];
    const checked = check(casesSchema, parsed.yaml);
    if (checked.ok) return [{ file, entity, cases: checked.value }];
    problems.push(...checked.problems);
    return [];
  });
  return problems.length > 0 ? { ok: false, problems } : { ok: true, value };
}
