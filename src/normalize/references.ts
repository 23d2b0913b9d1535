import type { Entity } from '../contract/entity.ts';
import type { ColumnKind } from '../model/value.ts';
import type { Mapping } from './mapping.ts';
import type { Detail, Path } from './report.ts';
import type { Schemas } from './schemas.ts';

type ReportIn<P> = (mapping: Mapping<P>, path: Path, message: string, detail?: Detail) => void;

/**
 * A system that has a `ref` field must have the entity referred to, with a key of one column whose
 * kind is the reference's own: the reference's text is that row's key, and personal as that is.
 */
export function checkReferences<P>(
  mappings: readonly Mapping<P>[],
  entities: readonly Entity[],
  schemas: Schemas | undefined,
  report: ReportIn<P>,
): void {
  const kindOf = (system: string, table: string, column: string): ColumnKind | undefined =>
    schemas
      ?.get(system)
      ?.find(({ name }) => name === table)
      ?.columns.find(({ name }) => name === column)?.kind;

  for (const [index, entity] of entities.entries()) {
    const mapping = mappings[index]!;
    for (const [system, part] of Object.entries(mapping.value.systems)) {
      for (const { name, ref, pii } of entity.fields) {
        const written = part.fields[name];
        if (ref === null || written === undefined) continue;
        const target = mappings.find(({ value }) => value.entity === ref)?.value.systems;
        if (target === undefined) continue;
        const path = ['systems', system, 'fields', name];
        const there = target[system];
        if (there === undefined) {
          report(mapping, path, `${system} has no ${ref}, to which ${name} refers`, { key: true });
          continue;
        }
        const key = typeof there.key === 'string' ? [there.key] : there.key;
        if (key.length !== 1) {
          const message = `${name} is one column, but the key of ${ref} in ${system} is not`;
          report(mapping, path, message, { key: true });
          continue;
        }
        const lens = entities.find((one) => one.name === ref)?.lenses.get(system);
        if (!pii && lens?.personal[lens.table.columns.indexOf(key[0]!)] === true) {
          const message = `${name} holds the key of ${ref} in ${system}, which is personal`;
          report(mapping, ['fields', name], message, { key: true, expected: '"pii: true"' });
        }
        const column = typeof written === 'string' ? written : written.column;
        const own = column === undefined ? undefined : kindOf(system, part.table, column);
        const theirs = kindOf(system, there.table, key[0]!);
        if (own !== undefined && theirs !== undefined && own !== theirs) {
          report(mapping, path, `${name} is ${own}, but the key of ${ref} is ${theirs}`, {
            key: true,
          });
        }
      }
    }
  }
}
