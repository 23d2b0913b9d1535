import type { FeedRule, Lens, Straight } from '../contract/entity.ts';
import type { FieldPlan } from './fields.ts';
import type { MappingValue, SystemFieldValue, SystemValue } from './mapping.ts';
import type { Report } from './report.ts';
import { type Parted, straight } from './straight.ts';

/** What settles conflicts, or writes back: a feed has nothing to settle. */
const NOT_FOR_FEEDS = ['conflicts', 'first_contact', 'groups', 'skew_tolerance'] as const;
const NOT_FOR_TARGETS = ['where', 'on_insert', 'written_at'] as const;
const NOT_FOR_SOURCES = ['on_insert', 'written_at'] as const;

const written = (field: string | SystemFieldValue): SystemFieldValue =>
  typeof field === 'string' ? { column: field } : field;

const keysOf = ({ key }: SystemValue): readonly string[] => (typeof key === 'string' ? [key] : key);

/** Each side's part as a lens takes it: the source is only read, the others are only written. */
export function feedPart(value: MappingValue, system: string, report: Report): SystemValue {
  const part = value.systems[system]!;
  if (value.feed === undefined) return part;
  const isSource = system === value.feed;
  const direction = isSource ? 'in' : 'out';
  const fields: Record<string, SystemFieldValue> = {};
  for (const [name, field] of Object.entries(part.fields)) {
    const spec = written(field);
    if (spec.direction !== undefined && spec.direction !== direction) {
      const message = `a feed only ${isSource ? 'reads' : 'writes'} the fields of ${system}`;
      report(['systems', system, 'fields', name, 'direction'], message, {
        expected: `"direction: ${direction}", or none`,
      });
    }
    fields[name] = { ...spec, direction };
  }
  return { ...part, fields };
}

/** The fields of the key alone: what an image tells that has nothing but the key. */
export function keyPart(value: MappingValue, system: string): SystemValue {
  const { table, key, fields } = value.systems[system]!;
  const [match = []] = value.match;
  const named = match.flatMap((name) => {
    const field = fields[name];
    return field === undefined ? [] : [[name, { ...written(field), direction: 'both' }] as const];
  });
  return { table, key, fields: Object.fromEntries(named) };
}

export function feedRule(
  from: string,
  { systems }: MappingValue,
  parted: ReadonlyMap<string, Parted>,
  fields: readonly FieldPlan[],
  keyOf: (system: string) => Parted | null,
): FeedRule {
  const keys = new Map<string, Lens>();
  const ways = new Map<string, Straight>();
  const source = parted.get(from);
  const everyRow = systems[from]?.where === undefined;
  for (const [system, target] of parted) {
    const key = keyOf(system);
    if (key !== null) keys.set(system, key.lens);
    if (source === undefined || system === from) continue;
    const way = straight(source, target, fields, everyRow);
    if (way !== null) ways.set(system, way);
  }
  return { from, keys, straight: ways };
}

/**
 * Rows of a feed are told apart by the match fields alone, in every system: no link is kept. So
 * these are copied as they are, and what the source's log tells of a deleted row is enough.
 */
export function checkFeed(
  value: MappingValue,
  fields: readonly FieldPlan[],
  lenses: ReadonlyMap<string, Lens>,
  report: Report,
): void {
  const { feed: from, systems, match } = value;
  if (from === undefined) return;
  for (const key of NOT_FOR_FEEDS) {
    if (value[key] === undefined) continue;
    report([key], `a feed settles nothing: only ${from} writes ${value.entity}`, { key: true });
  }
  const names = Object.keys(systems);
  const source = systems[from];
  if (source === undefined) {
    const expected = `one of ${names.join(', ')}`;
    report(['feed'], `unknown system "${from}"`, { expected, near: [from, names] });
    return;
  }
  if (names.length < 2) report(['systems'], 'a feed needs a system to write to', { key: true });
  if (match.length > 1) report(['match', 1], 'a feed has one way to tell rows apart');
  for (const { name, type, mapped } of fields) {
    if (!mapped || type.kind !== 'ref') continue;
    const expected = 'the type of the key that it holds, in place of "ref"';
    report(['fields', name], 'a feed keeps no links', { key: true, expected });
  }
  checkSource(from, source, match[0] ?? [], report);
  for (const [system, part] of Object.entries(systems)) {
    if (system !== from) checkTarget(system, part, lenses.get(system), match[0] ?? [], report);
  }
}

function checkSource(
  from: string,
  part: SystemValue,
  match: readonly string[],
  report: Report,
): void {
  unwanted(NOT_FOR_SOURCES, from, part, report);
  for (const name of match) {
    const field = part.fields[name];
    if (field === undefined) continue;
    const spec = written(field);
    for (const key of ['clean', 'values', 'get'] as const) {
      if (spec[key] === undefined) continue;
      const message = `${name} tells rows apart: a feed copies it as it is`;
      report(['systems', from, 'fields', name, key], message, { key: true });
    }
  }
  const told = match.map((name) => written(part.fields[name] ?? {}).column);
  const keys = keysOf(part);
  if (told.length === keys.length && keys.every((column) => told.includes(column))) return;
  report(['systems', from, 'key'], `the match fields must be the key columns of ${from}`, {
    expected: `${told.filter((one) => one !== undefined).join(', ')}, or a match on ${keys}`,
  });
}

function checkTarget(
  system: string,
  part: SystemValue,
  lens: Lens | undefined,
  match: readonly string[],
  report: Report,
): void {
  unwanted(NOT_FOR_TARGETS, system, part, report);
  for (const name of match) {
    const { column, privacy } = written(part.fields[name] ?? {});
    if (column !== undefined && privacy === undefined) continue;
    const path = ['systems', system, 'fields', ...(part.fields[name] === undefined ? [] : [name])];
    report(path, `${name} tells rows apart: it must be a column of ${system}`, { key: true });
  }
  const { deletion } = lens ?? {};
  if (deletion?.kind !== 'soft' || deletion.alive !== undefined) return;
  const message = 'what a row holds there that is not deleted is not known';
  report(['systems', system, 'delete'], message, { expected: 'a column of yes and no' });
}

function unwanted(
  keys: readonly (keyof SystemValue)[],
  system: string,
  part: SystemValue,
  report: Report,
): void {
  for (const key of keys) {
    if (part[key] === undefined) continue;
    report(['systems', system, key], `"${key}" has no place in a feed`, { key: true });
  }
}
