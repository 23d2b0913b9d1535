import * as z from 'zod';
import type { YamlFile } from './yaml.ts';

/** An unquoted decimal(12,2) in a flow map `{…}` ends at its comma: the rest is another key. */
const NAME_RULE = 'letters, digits and _, no digit first (inside {…} quote "decimal(12,2)")';
const FIELD_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** A constant or a code: a text, however YAML would read it. */
const constant = z.union([z.string(), z.number(), z.boolean()]);
const nullable = z.union([z.string(), z.number(), z.boolean(), z.null()]);
const fieldName = z.string().regex(FIELD_NAME, NAME_RULE);
const amount = z.union([z.number(), z.string().regex(/^\d+(\.\d+)?$/)]);
const characters = z.union([
  z.int().min(0).max(100),
  z.string().regex(/^\d{1,2}$/, 'expected a number of characters'),
]);
const oneOrMore = z.union([z.string(), z.array(z.string()).min(1)]);

const fieldSchema = z.strictObject({
  type: z
    .string()
    .optional()
    .describe('string, string(n), decimal(p,s), integer, boolean, date, timestamp, enum, …'),
  values: z.array(constant).min(1).optional().describe('The values of an enum'),
  ref: z.string().optional().describe('The entity referred to, in place of a type'),
  required: z.boolean().optional(),
  pii: z.boolean().optional().describe('Masked wherever values are shown'),
});

const cleanSteps = [
  'nfc',
  'lower',
  'upper',
  'digits',
  'collapse_spaces',
  'trim',
  'empty_to_null',
  'zero_date_to_null',
  'round',
] as const;

const directions = ['in', 'out', 'both'] as const;

const systemFieldSchema = z.strictObject({
  column: z.string().optional(),
  clean: z.array(z.enum(cleanSteps)).optional().describe('Applied in their own fixed order'),
  values: z
    .record(z.string(), constant)
    .optional()
    .describe('Code in the column: value of the field. Of several codes the first is written'),
  zone: z.string().optional().describe('IANA zone of a wall-clock column or field'),
  get: z.string().optional().describe('CEL over the columns'),
  set: z.record(z.string(), z.string()).optional().describe('Column: CEL over the fields'),
  direction: z.enum(directions).optional(),
  privacy: z
    .union([
      z.enum(['hash', 'drop']),
      z.strictObject({ mask: characters.describe('How many of the last characters stay') }),
      z.strictObject({ redact: z.string().describe('The text in place of every value') }),
    ])
    .optional()
    .describe('What is written in place of the value, which is then never read back'),
});

const deleteSchema = z.union([
  z.enum(['propagate', 'unlink', 'ignore']),
  z.strictObject({ soft: z.record(z.string(), nullable) }),
]);

const systemSchema = z.strictObject({
  table: z.string().describe('table, or schema.table'),
  key: oneOrMore.describe('Key column or columns'),
  where: z.string().optional().describe('CEL over the columns: which rows are of this entity'),
  fields: z.record(z.string(), z.union([z.string(), systemFieldSchema])),
  delete: deleteSchema.optional(),
  on_insert: z.record(z.string(), nullable).optional(),
  written_at: z
    .union([z.string(), z.strictObject({ column: z.string(), zone: z.string().optional() })])
    .optional()
    .describe('Column that tells when the row was written; a wall-clock column needs its zone'),
});

const bare = [
  'last_writer',
  'first_writer',
  'max',
  'min',
  'sum_of_deltas',
  'union',
  'park',
] as const;
const deleteConflicts = ['update_wins', 'delete_wins', 'last_writer', 'park'] as const;
const yes = z.literal(true);

const policyKeys = {
  prefer: z.string().optional(),
  when: z.string().optional().describe('CEL over the system names and record'),
  take: z.string().optional(),
  value: z.string().optional(),
  last_writer: yes.optional(),
  first_writer: yes.optional(),
  max: yes.optional(),
  min: yes.optional(),
  sum_of_deltas: yes.optional(),
  union: yes.optional(),
  park: yes.optional(),
};

const conflictSchema = z.union([
  z.enum(bare),
  z.strictObject({
    fields: z.array(z.string()).min(1).optional().describe('Fields or groups'),
    ...policyKeys,
    delete: z
      .enum(deleteConflicts)
      .optional()
      .describe('When one side deleted what another changed'),
  }),
]);

const policySchema = z.union([z.enum(bare), z.strictObject(policyKeys)]);

export const mappingSchema = z.strictObject({
  entity: fieldName,
  feed: z
    .string()
    .optional()
    .describe('The one system that writes this entity; the others hold copies, by its log'),
  match: z.array(z.array(z.string()).min(1)).min(1).describe('Alternatives, in order'),
  fields: z.record(fieldName, z.union([z.string(), fieldSchema])),
  groups: z
    .record(fieldName, z.array(z.string()).min(1))
    .optional()
    .describe('Fields that are settled as a whole'),
  systems: z.record(z.string(), systemSchema),
  conflicts: z.array(conflictSchema).optional(),
  skew_tolerance: z.string().optional().describe('Duration, default 1s'),
  first_contact: z.union([policySchema, z.array(policySchema).min(1)]).optional(),
  flood: z
    .strictObject({
      share: amount.optional(),
      at_least: amount.optional(),
      within: z.string().optional(),
    })
    .optional(),
});

export type MappingValue = z.infer<typeof mappingSchema>;

/** A mapping file that has the right form; `normalize` gives it its meaning. */
export interface Mapping {
  readonly value: MappingValue;
  readonly yaml: YamlFile;
}
