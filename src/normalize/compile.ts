import type { Entity } from '../contract/entity.ts';
import type { TableSchema } from '../model/change.ts';
import type { Micros } from '../model/value.ts';
import { parseDuration } from './duration.ts';
import { checkFeed, feedPart, feedRule, keyPart } from './feed.ts';
import { contractField, type FieldPlan, planFields } from './fields.ts';
import { compileLens } from './lens.ts';
import type { Mapping, MappingValue, SystemValue } from './mapping.ts';
import { compilePolicies, ordinalOf } from './policy.ts';
import type { HashKey } from './privacy.ts';
import { checkReferences } from './references.ts';
import type { Report } from './report.ts';
import type { Schemas } from './schemas.ts';
import type { Parted } from './straight.ts';

/** Every field name the entity ever had, by ordinal, `names` included: the ledger's memory. */
export type Ordinals = (entity: string, names: readonly string[]) => readonly string[];

/** `P` is what the reader of the files makes of a mistake. */
export type CompiledEntities<P> =
  | { readonly ok: true; readonly value: readonly Entity[] }
  | { readonly ok: false; readonly problems: readonly P[] };

/**
 * Compiles all mappings, or tells everything wrong with them. Without `schemas` what only the
 * systems know (columns, their kinds) is not checked, and columns are taken as the fields' kinds.
 */
export function compileEntities<P>(
  mappings: readonly Mapping<P>[],
  ordinals: Ordinals,
  schemas?: Schemas,
  hashKey?: HashKey,
): CompiledEntities<P> {
  const problems: P[] = [];
  const names = mappings.map(({ value }) => value.entity);
  const entities = mappings.map((mapping, index) => {
    const report: Report = (path, message, more) => {
      problems.push(mapping.yaml.problem(path, message, more));
    };
    const { entity } = mapping.value;
    const first = names.indexOf(entity);
    if (first !== index) {
      report(['entity'], `${entity} is mapped in ${mappings[first]!.yaml.file} already`);
    }
    return compileEntity(mapping, ordinals(entity, Object.keys(mapping.value.fields)), {
      names,
      schemas,
      hashKey,
      report,
    });
  });
  checkReferences(mappings, entities, schemas, (mapping, path, message, more) => {
    problems.push(mapping.yaml.problem(path, message, more));
  });
  return problems.length > 0 ? { ok: false, problems } : { ok: true, value: entities };
}

interface Surroundings {
  readonly names: readonly string[];
  readonly schemas: Schemas | undefined;
  readonly hashKey: HashKey;
  readonly report: Report;
}

function compileEntity(
  mapping: Mapping<unknown>,
  order: readonly string[],
  { names, schemas, hashKey, report }: Surroundings,
): Entity {
  const { value } = mapping;
  const fields = planFields(mapping, order, names, report);
  const match = value.match.map((alternative, index) =>
    alternative.flatMap((name, at) => ordinalOf(name, fields, ['match', index, at], report) ?? []),
  );
  const parted = new Map<string, Parted>();
  const partOf = (system: string, part: SystemValue, tell: Report): Parted | null => {
    const schema = describedTable(system, part.table, schemas, tell);
    if (schema === undefined) return null;
    return compileLens({ system, value: part, fields, match, schema, hashKey, report: tell });
  };
  for (const system of Object.keys(value.systems)) {
    const found = partOf(system, feedPart(value, system, report), report);
    if (found !== null) parted.set(system, found);
  }
  const lenses = new Map([...parted].map(([system, { lens }]) => [system, lens]));
  checkFeed(value, fields, lenses, report);
  everyFieldSomewhere(fields, value, report);
  const told = new Map(
    [...lenses].map(([system, { reads }]) => [
      system,
      new Set(fields.flatMap((_, field) => (reads[field] ? [field] : []))),
    ]),
  );
  const tolerance = duration(value.skew_tolerance, ['skew_tolerance'], 1_000_000, report);
  const within = duration(value.flood?.within, ['flood', 'within'], 600_000_000, report);
  const share = Number(value.flood?.share ?? 0.2);
  if (share > 1) report(['flood', 'share'], 'a share is at most 1');
  return {
    name: value.entity,
    fields: fields.map(contractField),
    match,
    lenses,
    ...compilePolicies({ value, fields, told, tolerance, report }),
    flood: { share, atLeast: Number(value.flood?.at_least ?? 100), within },
    ...(value.feed === undefined
      ? {}
      : {
          feed: feedRule(value.feed, value, parted, fields, (system) =>
            // What is wrong with these fields has been told.
            partOf(system, keyPart(value, system), () => undefined),
          ),
        }),
  };
}

/** Null when the system has not been asked; undefined, and reported, when it has no such table. */
function describedTable(
  system: string,
  table: string,
  schemas: Schemas | undefined,
  report: Report,
): TableSchema | null | undefined {
  const described = schemas?.get(system);
  if (described === undefined) return null;
  const found = described.find(({ name }) => name === table);
  if (found === undefined)
    report(['systems', system, 'table'], `${system} has no table "${table}"`);
  return found;
}

function everyFieldSomewhere(
  fields: readonly FieldPlan[],
  { systems }: MappingValue,
  report: Report,
): void {
  for (const { name, mapped } of fields) {
    const somewhere = Object.values(systems).some((system) => Object.hasOwn(system.fields, name));
    if (mapped && !somewhere) report(['fields', name], `no system has ${name}`, { key: true });
  }
}

function duration(
  text: string | undefined,
  path: readonly string[],
  otherwise: Micros,
  report: Report,
): Micros {
  if (text === undefined) return otherwise;
  const parsed = parseDuration(text);
  if (parsed === null)
    report(path, `"${text}" is no duration`, { expected: '500ms, 1s, 10m, 2h, 1d' });
  return parsed ?? otherwise;
}
