import type { CopyTable } from '../contract/copier.ts';
import type { Entity, Lens, Straight } from '../contract/entity.ts';
import { routesOf } from '../decide/routes.ts';
import type { TableSpec } from '../model/change.ts';

/** One system's rows on their way into one other: the work of one loop. */
export interface Feed {
  /** `crm>erp` */
  readonly name: string;
  readonly from: string;
  readonly to: string;
  /** Of the source, in the order of the mapping files. */
  readonly tables: readonly TableSpec[];
  readonly routes: ReadonlyMap<TableSpec, readonly FeedRoute[]>;
}

/** The way of one entity's rows from a table of the source into one of the target. */
export interface FeedRoute {
  readonly entity: Entity;
  readonly source: Lens;
  readonly target: Lens;
  /** For each column of the source's lens, and of the lens of its key: where the row has it. */
  readonly pick: readonly number[] | null;
  readonly pickKey: readonly number[];
  /** Null: rows go through both lenses. */
  readonly straight: Straight | null;
  readonly keyOf: { readonly source: Lens; readonly target: Lens };
  /** Indexes into the columns of `target.table`: what tells rows apart, and all that is written. */
  readonly key: readonly number[];
  readonly columns: readonly number[];
}

/** The feeds that the mappings ask for. */
export function feedsOf(entities: readonly Entity[]): Feed[] {
  const pairs = new Map<string, { from: string; to: string; entities: Entity[] }>();
  for (const entity of entities) {
    if (entity.feed === undefined) continue;
    const { from } = entity.feed;
    for (const to of entity.lenses.keys()) {
      if (to === from) continue;
      const name = `${from}>${to}`;
      const pair = pairs.get(name) ?? { from, to, entities: [] };
      pairs.set(name, pair);
      pair.entities.push(entity);
    }
  }
  return [...pairs].map(([name, { from, to, entities: fed }]) => {
    const { tables, routes } = routesOf(from, fed);
    const feedRoutes = new Map(
      [...routes].map(([table, some]) => [
        table,
        some.map(({ entity, pick }) => routeOf(entity, from, to, table, pick)),
      ]),
    );
    return { name, from, to, tables, routes: feedRoutes };
  });
}

function routeOf(
  entity: Entity,
  from: string,
  to: string,
  table: TableSpec,
  pick: FeedRoute['pick'],
): FeedRoute {
  const lens = (system: string): Lens => entity.lenses.get(system)!;
  const keys = (system: string): Lens => entity.feed!.keys.get(system)!;
  const target = lens(to);
  const soft = target.deletion.kind === 'soft' ? [target.deletion.column] : [];
  return {
    entity,
    source: lens(from),
    target,
    straight: entity.feed!.straight.get(to) ?? null,
    pick,
    pickKey: keys(from).table.columns.map((name) => table.columns.indexOf(name)),
    keyOf: { source: keys(from), target: keys(to) },
    key: target.guards[0] ?? [],
    columns: [...new Set([...target.columnsOf.flat(), ...soft])].sort((a, b) => a - b),
  };
}

export const entitiesOf = ({ routes }: Feed): Entity[] =>
  [...routes.values()].flat().map(({ entity }) => entity);

/** What the target has to be ready for. */
export const copyTables = ({ routes }: Feed): CopyTable[] =>
  [...routes.values()].flat().map(({ target, key, columns }) => ({
    name: target.table.name,
    key: key.map((i) => target.table.columns[i]!),
    columns: columns.map((i) => target.table.columns[i]!),
    removes: target.deletion.kind === 'propagate',
  }));
