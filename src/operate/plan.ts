import type { Entity } from '../contract/entity.ts';
import type { EntityPlan } from '../contract/first-contact.ts';
import type { Decisions } from '../decide/decisions.ts';
import { parentsFirst, routesOf } from '../decide/routes.ts';
import { releaseWaiting } from '../decide/waiting.ts';
import { retry } from '../errors.ts';
import type { TextSet } from '../ledger/text-set.ts';
import type { TableSpec } from '../model/change.ts';
import type { Value } from '../model/value.ts';
import { chunkEvents, type Routes } from '../reconcile/row-event.ts';
import { unknown } from './acts.ts';
import { notForFed } from './fed.ts';
import { guardTexts, planOf } from './forecast.ts';
import type { ReadRows } from './verify.ts';

export interface PlanRequest {
  /** Null: all. */
  readonly entity: string | null;
  /** How many examples of each kind. */
  readonly samples: number;
  readonly progress: (system: string, table: string, rows: number) => void;
  readonly stop: AbortSignal;
}

export interface PlanParts {
  /** Over an empty ledger. */
  readonly decisions: Decisions;
  readonly read: ReadRows;
  readonly systems: readonly string[];
  /** Gets the insert guards of rows that are no record's: see `guardTexts`. */
  readonly unlinked: TextSet;
}

const CHUNK_ROWS = 2000;

/** The entity asked for and all that it refers to: its rows are matched through theirs. */
export function plannedEntities(entities: readonly Entity[], name: string | null): Entity[] {
  const settled = entities.filter(({ feed }) => feed === undefined);
  if (name === null) return parentsFirst(settled);
  const from = entities.find((one) => one.name === name)?.feed?.from;
  if (from !== undefined) {
    const why = `only ${from} writes ${name}: nothing is matched, and nothing settled`;
    throw notForFed(why, `see \`carrick verify ${name}\` for what the others hold otherwise`);
  }
  const wanted = new Set<string>([name]);
  for (const entity of wanted) {
    const fields = settled.find((one) => one.name === entity)?.fields;
    if (fields === undefined) throw unknown(`no entity is called ${entity}`);
    for (const { ref } of fields) if (ref !== null) wanted.add(ref);
  }
  return parentsFirst(settled).filter((entity) => wanted.has(entity.name));
}

/**
 * The dry run of a first contact: reads all rows as a first load does and decides them for real,
 * into a ledger that is thrown away and that no applier serves. What was decided is then counted.
 */
export async function planFirstContact(
  { decisions, read, systems, unlinked }: PlanParts,
  request: PlanRequest,
): Promise<EntityPlan[]> {
  const entities = [...decisions.entities.values()];
  const rows = new Map<string, number>();
  for (const system of systems) {
    const { tables, routes } = routesOf(system, entities);
    for (const table of tables) {
      const reading = { decisions, read, unlinked, system, table, routes };
      const count = await readTable(reading, request);
      for (const { entity } of routes.get(table) ?? []) rows.set(`${system} ${entity.name}`, count);
    }
  }
  const shown = entities.filter(({ name }) => request.entity === null || name === request.entity);
  const plans: EntityPlan[] = [];
  const forecast = { decisions, unlinked, samples: request.samples };
  for (const entity of shown) plans.push(await planOf(forecast, entity, rows));
  return plans;
}

interface Reading extends Omit<PlanParts, 'systems'> {
  readonly system: string;
  readonly table: TableSpec;
  readonly routes: Routes;
}

async function readTable(
  { decisions, read, unlinked, system, table, routes }: Reading,
  { progress, stop }: PlanRequest,
): Promise<number> {
  let rows = 0;
  for (let after: readonly Value[] | null = null; ; ) {
    if (stop.aborted) throw stopped();
    const chunk = await read(system, { table, after, limit: CHUNK_ROWS });
    const at = Date.now() * 1000;
    const events = chunkEvents(table, chunk.rows, [], routes, at);
    const transaction = `plan:${table.name}:${rows}`;
    const unit = { system, transaction, at, origin: 'reading', events, echo: null } as const;
    const { due, parked } = await decisions.decide([{ ...unit, complete: true }]);
    await releaseWaiting(decisions, due, () => undefined);
    const apart = new Set(parked.map((item) => (item.kind === 'row' ? item.key : '')));
    for (const { entity, lens, key, cells, read: found } of events) {
      if (cells === null || (found?.kind === 'row' && !apart.has(key))) continue;
      // Such a row is brought back to life.
      const { deletion } = lens;
      const dead = found?.kind === 'deleted' && deletion.kind === 'soft';
      if (dead && deletion.alive !== undefined) continue;
      unlinked.add(guardTexts(entity, lens, cells));
    }
    rows += chunk.rows.length;
    progress(system, table.name, rows);
    if (chunk.next === null) return rows;
    after = chunk.next;
  }
}

const stopped = () =>
  retry('plan.stopped', 'stopped before all rows were read', 'run `carrick plan` again');
