import type { Progress, Sweep } from '../capture/progress.ts';
import type { KnownRows } from '../capture/reader.ts';
import type { Parked } from '../contract/ledger.ts';
import type { TableSpec } from '../model/change.ts';
import { type Cell, rowKeyValues } from '../model/value.ts';
import { type Condition, compileCondition } from '../normalize/condition.ts';
import { pick, type Routes } from '../reconcile/row-event.ts';
import type { Decisions } from './decisions.ts';
import type { MappedTables } from './tables.ts';

const PAGE = 1000;

/** What a resync of some rows is for. */
export interface Selection {
  readonly entity: string;
  /** Of the canonical values that a system holds. */
  readonly holds: Condition;
}

/**
 * The selection of a pass over a table; null: all rows. A condition that the mapping does not bear
 * any longer selects all: reading more than was asked for does no harm.
 */
export function selectionOf(
  table: TableSpec,
  { where }: Progress,
  routes: Routes,
): (Selection & { row(cells: readonly Cell[]): boolean }) | null {
  const route = (routes.get(table) ?? []).find(({ entity }) => entity.name === where?.entity);
  if (where === undefined || route === undefined) return null;
  const compiled = compileCondition(route.entity, where.text);
  if (!compiled.ok) return null;
  const { holds } = compiled;
  return {
    entity: where.entity,
    holds,
    row(cells) {
      const read = route.lens.read(pick(cells, route.pick), () => undefined);
      return read.kind !== 'row' || holds(read.values);
    },
  };
}

interface KnownQuery {
  readonly table: TableSpec;
  readonly from: Sweep;
  readonly limit: number;
  /** Only records of this entity that are known to hold what is asked for; null: all. */
  readonly only: Selection | null;
}

/**
 * Rows of a table that a resync has to ask for: linked ones, then those that are parked, of which
 * the log may have withheld that they went. Besides linked rows those that are parked as
 * duplicates: the row that stands in their way may be the one that is found to be gone.
 */
export async function knownRows(
  decisions: Decisions,
  { system, routes }: MappedTables,
  { table, from, limit, only }: KnownQuery,
): Promise<KnownRows> {
  const entities = (routes.get(table) ?? [])
    .map(({ entity }) => entity.name)
    .filter((name) => only === null || name === only.entity)
    .sort();
  const at = entities.findIndex((name) => name >= from.entity);
  const entity = entities[at];
  if (entity === undefined) return { keys: [], besides: [], next: null };
  const valuesOf = (text: string) => rowKeyValues(text, table.key.length);
  const following = entities[at + 1];
  const behind = following === undefined ? null : { entity: following, after: null };
  if (entity === from.entity && from.parked !== undefined) {
    const { keys, next } = await parkedRows(decisions, system, entity, from.parked);
    return { keys: keys.map(valuesOf), besides: [], next: next ?? behind };
  }
  const { desk } = decisions.ledger;
  const records = await desk.linked(system, entity, from.after, limit);
  const texts = records.map(({ views }) => views[system]?.key ?? '');
  const last = texts.at(-1);
  const parked = only === null ? { entity, after: null, parked: null } : behind;
  const next = last === undefined || texts.length < limit ? parked : { entity, after: last };
  const duplicates = await desk.parked({ entity, reason: 'duplicate', limit: PAGE });
  const besides = rowsOf(duplicates, system);
  const keys = records.flatMap(({ views: { [system]: view } }) =>
    view !== undefined && (only === null || only.holds(view.values)) ? [valuesOf(view.key)] : [],
  );
  return { keys, besides: besides.map(valuesOf), next };
}

/** One page of an entity's parked rows, the newest first; `next` null: there are no more. */
export async function parkedRows(
  { ledger: { desk } }: Decisions,
  system: string,
  entity: string,
  before: number | null = null,
): Promise<{ readonly keys: readonly string[]; readonly next: Sweep | null }> {
  const items = await desk.parked({ entity, limit: PAGE, ...(before === null ? {} : { before }) });
  const last = items.length < PAGE ? undefined : items.at(-1);
  const next = last === undefined ? null : { entity, after: null, parked: last.id };
  return { keys: rowsOf(items, system), next };
}

const rowsOf = (items: readonly Parked[], system: string): string[] =>
  items.flatMap((item) => (item.kind === 'row' && item.system === system ? [item.key] : []));
