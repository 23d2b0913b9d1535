import type { Entity, Lens } from '../contract/entity.ts';
import type { EntityPlan, FieldPlan, RowsPlan, WritesPlan } from '../contract/first-contact.ts';
import type { ParkedRow } from '../contract/ledger.ts';
import type { Decisions } from '../decide/decisions.ts';
import { everyParked } from '../decide/parked.ts';
import { type Need, needOf, only, writeCells } from '../deliver/need.ts';
import { parentsOf, plan } from '../deliver/plan.ts';
import type { TextSet } from '../ledger/text-set.ts';
import type { RecordId, RecordState, SystemView } from '../model/record.ts';
import type { Cell, Value } from '../model/value.ts';
import { identityOf } from '../reconcile/identity.ts';

const PAGE = 1000;

export interface Forecast {
  readonly decisions: Decisions;
  /** Insert guards of rows that are no record's. */
  readonly unlinked: Pick<TextSet, 'has'>;
  /** How many examples of each kind. */
  readonly samples: number;
}

/** What an insert's guards would look for, of a row with these cells. */
export const guardTexts = (entity: Entity, lens: Lens, cells: readonly Cell[]): string[] =>
  lens.guards.flatMap((guard, i) => {
    const tuple = guard.map((column) => cells[column] ?? null);
    return tuple.includes(null) ? [] : [JSON.stringify([lens.system, entity.name, i, ...tuple])];
  });

/** Counts what a ledger says that was never delivered from; one page at a time. */
export async function planOf(
  forecast: Forecast,
  entity: Entity,
  rows: ReadonlyMap<string, number>,
): Promise<EntityPlan> {
  const { decisions, samples } = forecast;
  const records = countRecords(entity, samples);
  const parked = await parkedRows(decisions, entity, samples);
  const systems: RowsPlan[] = [];
  const writes: WritesPlan[] = [];
  for (const system of entity.lenses.keys()) {
    const linked = await eachLinked(decisions, entity, system, records.add);
    const read = rows.get(`${system} ${entity.name}`) ?? 0;
    const apart = parked.filter((one) => one.system === system);
    const outside = read - linked - apart.reduce((sum, one) => sum + one.rows, 0);
    systems.push({
      system,
      rows: read,
      outside,
      parked: apart.map(({ system: _, ...one }) => one),
    });
    writes.push(await writesTo(forecast, entity, system));
  }
  return { entity: entity.name, systems, ...records.sum(), writes };
}

async function eachLinked(
  { ledger }: Decisions,
  entity: Entity,
  system: string,
  tell: (record: RecordState) => void,
): Promise<number> {
  let linked = 0;
  for (let after: string | null = null; ; ) {
    const page: RecordState[] = await ledger.desk.linked(system, entity.name, after, PAGE);
    linked += page.length;
    // Each record once: with the first of its systems.
    for (const record of page) if (rowsOf(entity, record)[0]?.[0] === system) tell(record);
    if (page.length < PAGE) return linked;
    after = page.at(-1)?.views[system]?.key ?? null;
  }
}

const rowsOf = (entity: Entity, { views }: RecordState): [string, SystemView][] =>
  [...entity.lenses.keys()].flatMap((system): [string, SystemView][] => {
    const view = views[system];
    return view?.status === 'linked' ? [[system, view]] : [];
  });

function countRecords(entity: Entity, limit: number) {
  const matched = entity.match.map(() => 0);
  const only: Record<string, number> = {};
  const fields = entity.fields.map(() => ({
    filled: 0,
    differ: 0,
    winners: {} as Record<string, number>,
    samples: [] as FieldPlan['samples'][number][],
  }));
  let alike = 0;
  return {
    add(record: RecordState): void {
      const rows = rowsOf(entity, record);
      const [first, second] = rows;
      if (first === undefined) return;
      if (second === undefined) {
        only[first[0]] = (only[first[0]] ?? 0) + 1;
        return;
      }
      const by = alternativeOf(entity, first[1], second[1]);
      matched[by] = (matched[by] ?? 0) + 1;
      let same = true;
      for (const [f, field] of fields.entries()) {
        const kind = compareField(rows, f);
        if (kind === 'same') continue;
        same = false;
        field[kind] += 1;
        if (kind === 'filled') continue;
        const winner = winnerOf(entity, record, rows, f);
        field.winners[winner] = (field.winners[winner] ?? 0) + 1;
        if (field.samples.length < limit) field.samples.push(sampleOf(rows, f, winner));
      }
      if (same) alike += 1;
    },
    sum: (): Pick<EntityPlan, 'matched' | 'alike' | 'only' | 'fields'> => ({
      matched: entity.match.map((by, i) => ({
        by: by.map((f) => entity.fields[f]?.name ?? ''),
        records: matched[i] ?? 0,
      })),
      alike,
      only,
      fields: entity.fields.flatMap(({ name, pii }, f) => {
        const found = fields[f];
        const shown = found !== undefined && found.filled + found.differ > 0;
        return shown ? [{ name, pii, ...found }] : [];
      }),
    }),
  };
}

/** Alternatives are tried in order: the first that both rows share has joined them. */
function alternativeOf(entity: Entity, a: SystemView, b: SystemView): number {
  const found = entity.match.findIndex((_, alternative) => {
    const value = identityOf(entity, alternative, a.values);
    return value !== null && value === identityOf(entity, alternative, b.values);
  });
  return Math.max(found, 0);
}

function compareField(rows: readonly [string, SystemView][], f: number) {
  const told = rows.flatMap(([, { values }]) => (values[f] === undefined ? [] : [values[f]]));
  const values = new Set<Value>(told);
  if (values.size < 2) return 'same';
  return values.size === 2 && values.has(null) ? 'filled' : 'differ';
}

function winnerOf(
  entity: Entity,
  record: RecordState,
  rows: readonly [string, SystemView][],
  f: number,
): string {
  const unit = entity.units[entity.unitOf[f] ?? -1]?.name ?? '';
  if (record.held?.[unit] !== undefined) return 'person';
  return rows.find(([, { values }]) => values[f] === record.values[f])?.[0] ?? 'computed';
}

function sampleOf(rows: readonly [string, SystemView][], f: number, winner: string) {
  const keys = Object.fromEntries(rows.map(([system, { key }]) => [system, key]));
  const values = Object.fromEntries(
    rows.flatMap(([system, view]) => {
      const value = view.values[f];
      return value === undefined ? [] : [[system, value] as const];
    }),
  );
  return { keys, values, winner: winner === 'person' ? null : winner };
}

type ParkedCount = RowsPlan['parked'][number] & { readonly system: string };

async function parkedRows(
  { ledger }: Decisions,
  { name }: Entity,
  limit: number,
): Promise<ParkedCount[]> {
  const counts = new Map<string, { rows: number; first: ParkedRow; samples: ParkedRow[] }>();
  for await (const item of everyParked(ledger, name)) {
    if (item.kind !== 'row') continue;
    const text = `${item.system} ${item.reason}`;
    const count = counts.get(text) ?? { rows: 0, first: item, samples: [] };
    count.rows += 1;
    if (count.samples.length < limit) count.samples.push(item);
    counts.set(text, count);
  }
  return [...counts.values()].map(({ rows, first: { system, reason }, samples }) => ({
    system,
    reason,
    rows,
    samples: samples.map(({ key, detail }) => ({ key, detail })),
  }));
}

/** What the outbox says, planned as it would be for sending. */
async function writesTo(forecast: Forecast, entity: Entity, system: string): Promise<WritesPlan> {
  const { ledger, entities } = forecast.decisions;
  const except = [...entities.keys()].filter((name) => name !== entity.name);
  const ops = { insert: 0, update: 0, delete: 0 };
  const fields: Record<string, number> = {};
  let [waiting, blocked, unwritable] = [0, 0, 0];
  for (let after = 0; ; ) {
    const entries = await ledger.ready(system, after, PAGE, except);
    const { records } = await ledger.find({ records: entries.map(({ record }) => record) });
    const byId = new Map(records.map((record, i) => [entries[i]?.record, record] as const));
    const parents = records.flatMap((one) => (one === null ? [] : parentsOf(entity, one.values)));
    const rows = await withRows(forecast, system, parents);
    const planned = plan(
      entries,
      (id) => byId.get(id) ?? null,
      (name) => entities.get(name),
      // Only rows were read, no deletes: nothing is gone.
      { keyOf: (id) => (rows.has(id) ? '' : null), isGone: () => false },
    );
    for (const { need, lens, record } of planned.deliveries) {
      if (need.op === 'insert' && isBlocked(forecast, entity, lens, record, need)) {
        blocked += 1;
        continue;
      }
      ops[need.op] += 1;
      if (need.op !== 'update') continue;
      for (const f of need.fields) {
        const name = entity.fields[f]?.name ?? '';
        fields[name] = (fields[name] ?? 0) + 1;
      }
    }
    waiting += planned.blocked.length;
    unwritable += planned.unwritable.length;
    const last = entries.at(-1);
    if (last === undefined || entries.length < PAGE) break;
    after = last.seq;
  }
  const { insert: inserts, update: updates, delete: deletes } = ops;
  return { system, inserts, updates, deletes, fields, waiting, blocked, unwritable };
}

/** Those of the records that have a row in the system, or would get one after their parents. */
async function withRows(
  forecast: Forecast,
  system: string,
  ids: readonly RecordId[],
): Promise<Set<RecordId>> {
  const { decisions } = forecast;
  const rows = new Set<RecordId>();
  const inserted = new Map<RecordId, readonly RecordId[]>();
  const asked = new Set<RecordId>();
  for (let next = [...new Set(ids)]; next.length > 0; ) {
    for (const id of next) asked.add(id);
    const { records } = await decisions.ledger.find({ records: next });
    const above = new Set<RecordId>();
    for (const record of records) {
      const entity = record === null ? undefined : decisions.entities.get(record.entity);
      const lens = entity?.lenses.get(system);
      if (record === null || entity === undefined || lens === undefined) continue;
      if (record.views[system]?.status === 'linked') rows.add(record.id);
      else if (isInserted(forecast, entity, lens, record)) {
        const parents = parentsOf(entity, record.values);
        inserted.set(record.id, parents);
        for (const parent of parents) if (!asked.has(parent)) above.add(parent);
      }
    }
    next = [...above];
  }
  for (let before = -1; before !== rows.size; ) {
    before = rows.size;
    for (const [id, parents] of inserted) if (parents.every((one) => rows.has(one))) rows.add(id);
  }
  return rows;
}

function isInserted(f: Forecast, entity: Entity, lens: Lens, record: RecordState): boolean {
  const need = needOf(entity, lens, record);
  if (need?.op !== 'insert') return false;
  const fault = 'fault' in writeCells(entity, lens, only(record.values, need.fields));
  return !fault && !isBlocked(f, entity, lens, record, need);
}

/** The target would find that a row is there already, whose changes nobody will read. */
function isBlocked(
  { unlinked }: Forecast,
  entity: Entity,
  lens: Lens,
  record: RecordState,
  need: Need,
): boolean {
  const written = writeCells(entity, lens, only(record.values, need.fields));
  const cells = 'fault' in written ? [] : written.cells;
  return guardTexts(entity, lens, cells).some((text) => unlinked.has(text));
}
