import { formatProblems, type Problem } from '../../src/config/problem.ts';
import { readMapping } from '../../src/config/read-mapping.ts';
import type { Entity, Lens } from '../../src/contract/entity.ts';
import type { Column, TableSchema } from '../../src/model/change.ts';
import type { ColumnKind } from '../../src/model/value.ts';
import { compileEntities } from '../../src/normalize/compile.ts';
import type { HashKey } from '../../src/normalize/privacy.ts';
import type { Schemas } from '../../src/normalize/schemas.ts';

export const FILE = 'entity.yaml';

/** Everything wrong with the mapping, as `line:column message (expected) (nearest)`. */
export function problemsOf(texts: string | readonly string[], schemas?: Schemas): string[] {
  const result = compileAll(texts, schemas);
  return result.ok ? [] : result.problems.map(shown);
}

/** Without what was expected, for long lists. */
export const brief = ({ line, column, message, nearest }: Problem): string =>
  `${line}:${column} ${message}${nearest ? ` ~${nearest}` : ''}`;

export const shown = ({ line, column, message, expected, nearest }: Problem): string =>
  `${line}:${column} ${message}${expected ? ` (${expected})` : ''}${nearest ? ` ~${nearest}` : ''}`;

export function entityOf(texts: string | readonly string[], schemas?: Schemas): Entity {
  const result = compileAll(texts, schemas);
  if (!result.ok) throw new Error(formatProblems(result.problems, () => [texts].flat()[0]!));
  return result.value[0]!;
}

export function compileAll(
  texts: string | readonly string[],
  schemas?: Schemas,
  order?: readonly string[],
  hashKey?: HashKey,
) {
  const mappings = [texts].flat().map((text) => {
    const read = readMapping(FILE, text);
    if (!read.ok) throw new Error(formatProblems(read.problems, () => text));
    return read.value;
  });
  return compileEntities(mappings, (_, names) => order ?? names, schemas, hashKey);
}

export function lensOf(entity: Entity, system: string): Lens {
  const lens = entity.lenses.get(system);
  if (lens === undefined) throw new Error(`no lens ${system}`);
  return lens;
}

/** A table with these columns: `name: kind`, or `name: kind nativeType`, `!` for read-only. */
export function table(name: string, columns: Readonly<Record<string, string>>): TableSchema {
  return {
    name,
    primaryKey: [Object.keys(columns)[0]!],
    columns: Object.entries(columns).map(([column, text]): Column => {
      const [kind, nativeType] = text.replace('!', '').split(' ');
      return {
        name: column,
        kind: kind as ColumnKind,
        nativeType: nativeType ?? kind!,
        nullable: true,
        hasDefault: false,
        readOnly: text.endsWith('!'),
      };
    }),
  };
}

/** One field over one column of a given kind: the smallest mapping there is. */
export function single(type: string, part: string): string {
  return `entity: thing
match: [[f]]
fields:
  f: ${type}
systems:
  a:
    table: t
    key: id
    fields:
      f: ${part}
`;
}

export function singleLens(type: string, part: string, kind: string): Lens {
  const schemas = new Map([['a', [table('t', { id: 'integer', c: kind })]]]);
  return lensOf(entityOf(single(type, part), schemas), 'a');
}

/** What the field reads for a content of the column, or `fault: …`. */
export function readOne(lens: Lens, cell: string | null): string | null | undefined {
  const at = lens.table.columns.indexOf('c');
  const row = lens.table.columns.map((_, index) => (index === at ? cell : '1'));
  const read = lens.read(row, () => undefined);
  if (read.kind === 'row') return read.values[0];
  return read.kind === 'invalid' ? `fault: ${read.faults[0]!.message}` : read.kind;
}

/** What writing the field puts into the column, or `fault`. */
export function writeOne(lens: Lens, value: string | null): string | null | undefined {
  try {
    return lens.write([value])[lens.table.columns.indexOf('c')];
  } catch {
    return 'fault';
  }
}
