import type { Entity, Lens } from '../contract/entity.ts';
import { halt } from '../errors.ts';
import type { TableSpec } from '../model/change.ts';
import type { Route, Routes } from '../reconcile/row-event.ts';

export interface SystemRoutes {
  /** Parents before children, so that a first load meets every reference after what it names. */
  readonly tables: readonly (TableSpec & { readonly written: boolean })[];
  readonly routes: Routes;
}

/**
 * What one system has to tell: each table once, with the columns of all entities that map it.
 * Errors: `mapping.keys` (halt) when two entities name different keys for one table.
 */
export function routesOf(system: string, entities: readonly Entity[]): SystemRoutes {
  const byTable = new Map<string, { entity: Entity; lens: Lens }[]>();
  for (const entity of parentsFirst(entities)) {
    const lens = entity.lenses.get(system);
    if (lens === undefined) continue;
    const { name } = lens.table;
    byTable.set(name, [...(byTable.get(name) ?? []), { entity, lens }]);
  }
  const tables: (TableSpec & { written: boolean })[] = [];
  const routes = new Map<TableSpec, Route[]>();
  for (const [name, uses] of byTable) {
    const table = merged(
      name,
      uses.map(({ lens }) => lens.table),
    );
    const written = uses.some(({ lens }) => lens.writes.includes(true));
    const spec = { ...table, written };
    tables.push(spec);
    routes.set(
      spec,
      uses.map(({ entity, lens }) => ({
        entity,
        lens,
        pick: pickOf(lens.table.columns, spec.columns),
        keyAt: spec.key.map((column) => spec.columns.indexOf(column)),
      })),
    );
  }
  return { tables, routes };
}

function merged(name: string, specs: readonly TableSpec[]): TableSpec {
  const key = specs[0]?.key ?? [];
  if (specs.some((spec) => spec.key.join('\u0000') !== key.join('\u0000'))) {
    throw halt(
      'mapping.keys',
      `${name} is mapped by several entities with different keys`,
      'give the same `key` in each mapping of the table',
    );
  }
  return { name, key, columns: [...new Set(specs.flatMap((spec) => spec.columns))] };
}

function pickOf(wanted: readonly string[], given: readonly string[]): number[] | null {
  const same = wanted.length === given.length && wanted.every((name, i) => given[i] === name);
  return same ? null : wanted.map((name) => given.indexOf(name));
}

/** The tables before `table` to whose rows its rows refer: their links are needed first. */
export function parentTables(
  table: TableSpec,
  { tables, routes }: Pick<SystemRoutes, 'routes'> & { readonly tables: readonly TableSpec[] },
): TableSpec[] {
  const refs = new Set(
    (routes.get(table) ?? []).flatMap(({ entity, lens }) =>
      entity.fields.map(({ ref }, f) => (lens.reads[f] ? ref : null)),
    ),
  );
  return tables
    .slice(0, tables.indexOf(table))
    .filter((other) => routes.get(other)?.some(({ entity }) => refs.has(entity.name)));
}

/** Entities in the order of their references; a circle is left in the order of the files. */
export function parentsFirst(entities: readonly Entity[]): Entity[] {
  const byName = new Map(entities.map((entity) => [entity.name, entity]));
  const ordered = new Set<Entity>();
  const visit = (entity: Entity, trail: ReadonlySet<Entity>): void => {
    if (ordered.has(entity) || trail.has(entity)) return;
    for (const { ref } of entity.fields) {
      const parent = ref === null ? undefined : byName.get(ref);
      if (parent !== undefined) visit(parent, new Set([...trail, entity]));
    }
    ordered.add(entity);
  };
  for (const entity of entities) visit(entity, new Set());
  return [...ordered];
}
