import type { Entity, Lens, Read } from '../contract/entity.ts';
import type { Cell, Value } from '../model/value.ts';
import { spellSet } from './json.ts';
import type { Constant } from './mapping.ts';

type Content = Readonly<Record<string, Constant | readonly string[]>>;

/** An example of what a mapping does; see the cases files beside the mappings. */
export interface Case {
  readonly name?: string | undefined;
  readonly system: string;
  readonly row?: Content | undefined;
  readonly record?: Content | undefined;
  readonly outcome?: 'outside' | 'deleted' | 'invalid' | undefined;
  readonly faults?: readonly string[] | undefined;
  readonly writes?: Content | undefined;
}

export interface CaseResult {
  readonly file: string;
  readonly name: string;
  /** What came out otherwise than the case says, one line each; empty: passed. */
  readonly faults: readonly string[];
}

/** Runs the cases of one file: rows are read, records are written, and compared. */
export function runCases(
  entity: Entity,
  { file, cases }: { readonly file: string; readonly cases: readonly Case[] },
): CaseResult[] {
  return cases.map((one, index) => ({
    file,
    name: one.name ?? `${index + 1} (${one.system})`,
    faults: runCase(entity, one),
  }));
}

function runCase(entity: Entity, one: Case): string[] {
  const lens = entity.lenses.get(one.system);
  if (lens === undefined) return [`${entity.name} has no system ${one.system}`];
  const fields = entity.fields.map(({ name }) => name);
  const { columns } = lens.table;
  const strangers = [
    ...unknown('column', one.row, columns),
    ...unknown('column', one.writes, columns),
    ...unknown('field', one.record, fields),
  ];
  if (strangers.length > 0) return strangers;
  if (one.row !== undefined) return readFaults(one, lens, fields, one.row);
  if (one.record === undefined || one.writes === undefined) {
    return ['a case has a row and what it reads as, or a record and what it writes'];
  }
  const cells = lens.write(contentsOf(one.record, fields, undefined));
  return differences(one.writes, columns, cells);
}

function readFaults(one: Case, lens: Lens, fields: readonly string[], row: Content): string[] {
  const read = lens.read(contentsOf(row, lens.table.columns, null), () => null);
  const wanted = one.outcome ?? (one.faults === undefined ? 'row' : 'invalid');
  if (read.kind !== wanted) return [`expected ${wanted}, came out ${described(read)}`];
  if (read.kind === 'row') return differences(one.record ?? {}, fields, read.values);
  if (read.kind !== 'invalid' || one.faults === undefined) return [];
  const found = read.faults.map(({ place }) => place).sort();
  const same = JSON.stringify(found) === JSON.stringify([...one.faults].sort());
  return same ? [] : [`expected faults in ${one.faults.join(', ')}, came out ${described(read)}`];
}

function described(read: Read): string {
  if (read.kind !== 'invalid') return read.kind;
  return `invalid: ${read.faults.map(({ place, message }) => `${place}: ${message}`).join('; ')}`;
}

function unknown(what: string, content: Content | undefined, known: readonly string[]): string[] {
  return Object.keys(content ?? {})
    .filter((name) => !known.includes(name))
    .map((name) => `the mapping uses no ${what} ${name}`);
}

function contentsOf(content: Content, names: readonly string[], missing: Cell): Cell[] {
  return names.map((name) => {
    const value = content[name];
    return value === undefined ? missing : textOf(value);
  });
}

function textOf(value: Constant | readonly string[]): Value {
  if (typeof value !== 'object') return String(value);
  return value === null ? null : spellSet(value);
}

function differences(wanted: Content, names: readonly string[], came: readonly Cell[]): string[] {
  return Object.entries(wanted).flatMap(([name, value]) => {
    const text = textOf(value);
    const found = came[names.indexOf(name)];
    if (found === text) return [];
    return [
      `${name}: expected ${JSON.stringify(text)}, came out ${JSON.stringify(found) ?? 'nothing'}`,
    ];
  });
}
