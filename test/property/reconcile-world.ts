/**
 * A small world: one record and a few systems, each a row and a log. Users write rows; what the
 * logs say is settled, and what the record needs is delivered by compare-and-set and comes back in
 * the log. Everything that Carrick decides in it is decided by reconcile and deliver themselves.
 */
import type { Entity, Lens } from '../../src/contract/entity.ts';
import type { JournalEntry, Sent } from '../../src/contract/ledger.ts';
import { needOf, only } from '../../src/deliver/need.ts';
import { RECORD_UNIT, type RecordState } from '../../src/model/record.ts';
import { compareStamps } from '../../src/model/stamp.ts';
import type { Cell, Value } from '../../src/model/value.ts';
import type { Settled } from '../../src/reconcile/draft.ts';
import {
  createRecord,
  settleChange,
  settleEcho,
  settleFirstContact,
} from '../../src/reconcile/settle.ts';
import { settleDelete, settleDeleteEcho } from '../../src/reconcile/settle-delete.ts';
import { holds } from '../../src/reconcile/view.ts';

interface Logged {
  /** Null: the row is gone. */
  readonly cells: readonly Cell[] | null;
  readonly sent: Sent | null;
  readonly at: number;
}

interface Side {
  readonly lens: Lens;
  row: Value[] | null;
  readonly log: Logged[];
}

export interface Nature {
  readonly entity: Entity;
  /** µs by which each system's clock is ahead. */
  readonly skew: Readonly<Record<string, number>>;
  /** How a system spells what it is given. */
  readonly spell?: (system: string, value: Value) => Value;
  /** What a system's triggers make of a row that was written. */
  readonly trigger?: (system: string, row: Value[]) => void;
  /** Images carry changed columns only. */
  readonly partial?: boolean;
}

export interface World {
  readonly nature: Nature;
  readonly sides: ReadonlyMap<string, Side>;
  record: RecordState | null;
  readonly journal: JournalEntry[];
  readonly agreed: number[];
  /** Values that users wrote, and those that users overwrote or deleted in a row before them. */
  readonly written: Set<string>;
  readonly replaced: Set<string>;
  clock: number;
  cases: number;
}

export type Step =
  | { readonly do: 'write'; readonly system: string; readonly changes: readonly Cell[] }
  | { readonly do: 'remove' | 'read' | 'deliver'; readonly system: string };

export function openWorld(nature: Nature, first: readonly Value[]): World {
  const lenses = [...nature.entity.lenses.values()];
  const world: World = {
    nature,
    sides: new Map(lenses.map((lens) => [lens.system, { lens, row: null, log: [] }])),
    record: null,
    journal: [],
    agreed: [],
    written: new Set(),
    replaced: new Set(),
    clock: 1_000_000,
    cases: 1,
  };
  step(world, { do: 'write', system: lenses[0]!.system, changes: first });
  settleDown(world);
  return world;
}

export function step(world: World, { do: verb, system, ...more }: Step): void {
  const side = world.sides.get(system)!;
  world.clock += 1000;
  if (verb === 'write' && 'changes' in more) userWrites(world, side, more.changes);
  else if (verb === 'remove') userRemoves(world, side);
  else if (verb === 'read') read(world, side);
  else if (verb === 'deliver') deliver(world, side);
}

/** Reads and delivers until nothing moves; returns how many rounds that took. */
export function settleDown(world: World): number {
  for (let round = 1; round < 500; round++) {
    let moved = false;
    for (const side of world.sides.values()) {
      while (side.log.length > 0) {
        read(world, side);
        moved = true;
      }
    }
    for (const side of world.sides.values()) if (deliver(world, side)) moved = true;
    if (!moved) return round;
  }
  throw new Error('writes never stop');
}

const stored = ({ nature }: World, { lens }: Side, value: Value): Value =>
  nature.spell?.(lens.system, value) ?? value;

function userWrites(world: World, side: Side, changes: readonly Cell[]): void {
  const before = side.row;
  const row: Value[] = before === null ? changes.map((cell) => cell ?? null) : [...before];
  for (const [f, cell] of changes.entries()) {
    if (cell === undefined || !side.lens.reads[f]) continue;
    const value = stored(world, side, cell);
    if (before !== null && before[f] !== value) world.replaced.add(`${f} ${before[f]}`);
    if (value !== null) world.written.add(`${f} ${value}`);
    row[f] = value;
  }
  put(world, side, row, null);
}

function userRemoves(world: World, side: Side): void {
  if (side.row === null) return;
  for (const [f, value] of side.row.entries()) world.replaced.add(`${f} ${value}`);
  side.row = null;
  side.log.push({ cells: null, sent: null, at: timeIn(world, side) });
}

const timeIn = ({ clock, nature }: World, { lens }: Side): number =>
  clock + (nature.skew[lens.system] ?? 0);

function put(world: World, side: Side, row: Value[], sent: Sent | null): void {
  const before = side.row;
  world.nature.trigger?.(side.lens.system, row);
  side.row = row;
  const partial = world.nature.partial === true && before !== null;
  const cells = row.map((value, f) =>
    !side.lens.reads[f] || (partial && value === before[f]) ? undefined : value,
  );
  side.log.push({ cells, sent, at: timeIn(world, side) });
}

/** Compare-and-set, over the units of what is written. True when the row was written. */
function deliver(world: World, side: Side): boolean {
  const { record, nature } = world;
  const { lens, row } = side;
  // One delivery of a record is on its way to a system at a time.
  if (record === null || side.log.some(({ sent }) => sent !== null)) return false;
  const need = needOf(nature.entity, lens, record);
  if (need === null) return false;
  const view = record.views[lens.system];
  const sent: Sent = { op: need.op, values: only(record.values, need.fields) };
  if (need.op === 'insert') {
    if (row !== null) return false;
    put(
      world,
      side,
      written(
        world,
        side,
        nature.entity.fields.map(() => null),
        sent,
      ),
      sent,
    );
    return true;
  }
  const units = new Set(need.fields.map((f) => nature.entity.unitOf[f]));
  const compared = nature.entity.fields.flatMap((_, f) =>
    need.op === 'delete' || units.has(nature.entity.unitOf[f] ?? -1) ? [f] : [],
  );
  const untouched = (f: number) => !lens.reads[f] || row?.[f] === view?.values[f];
  if (row === null || !compared.every(untouched)) return false;
  if (need.op === 'update') put(world, side, written(world, side, row, sent), sent);
  else {
    side.row = null;
    side.log.push({ cells: null, sent, at: timeIn(world, side) });
  }
  return true;
}

const written = (world: World, side: Side, row: readonly Value[], sent: Sent): Value[] =>
  row.map((value, f) => {
    const wanted = sent.values[f];
    return wanted === undefined ? value : stored(world, side, wanted);
  });

function read(world: World, { lens, log }: Side): void {
  const news = log.shift();
  if (news === undefined) return;
  const { entity } = world.nature;
  const before = world.record;
  const occasion = { at: world.clock, firstCase: world.cases };
  const patch = {
    entity,
    lens,
    key: lens.system,
    values: news.cells ?? [],
    raw: null,
    at: news.at,
  };
  if (before === null) {
    world.record = news.cells === null ? null : createRecord(1, patch);
    return;
  }
  const linked = before.views[lens.system]?.status === 'linked';
  let settled: Settled;
  if (news.cells === null) {
    if (!linked) return;
    settled =
      news.sent === null
        ? settleDelete(before, patch, false, occasion)
        : settleDeleteEcho(before, patch, occasion);
  } else if (news.sent !== null) settled = settleEcho(before, patch, news.sent, occasion);
  else if (linked) settled = settleChange(before, patch, occasion);
  else settled = settleFirstContact(before, patch, occasion);
  keep(world, before, settled);
}

function keep(world: World, before: RecordState, { record, journal, agreed }: Settled): void {
  for (const [f, stamp] of before.stamps.entries()) {
    const now = record.stamps[f] ?? null;
    if (stamp !== null && (now === null || compareStamps(now, stamp) < 0)) {
      throw new Error(`stamp of field ${f} went back`);
    }
    if (record.values[f] !== before.values[f] && stamp !== null && now === stamp) {
      throw new Error(`field ${f} changed without a stamp`);
    }
  }
  world.journal.push(...journal);
  world.agreed.push(...agreed);
  world.cases += journal.length;
  const linked = Object.values(record.views).some(({ status }) => status === 'linked');
  const wanted = linked || record.held !== null || record.deleted === null;
  world.record = wanted ? record : null;
}

/** Values that users wrote and that are nowhere any more, though nobody replaced them knowingly. */
export function lost(world: World): string[] {
  const { record, journal, replaced, sides } = world;
  const kept = new Set(replaced);
  const keepAll = (fields: readonly number[], values: readonly Cell[] | null | undefined) => {
    for (const [i, f] of fields.entries()) kept.add(`${f} ${values?.[i]}`);
  };
  const all = world.nature.entity.fields.map((_, f) => f);
  keepAll(all, record?.values);
  for (const entry of journal) {
    const unit = world.nature.entity.units.find(({ name }) => name === entry.unit);
    const fields = unit?.fields ?? all;
    keepAll(fields, entry.incoming.values);
    keepAll(fields, entry.standing.values);
  }
  for (const side of sides.values()) keepAll(all, side.row);
  const folded = new Set([...kept].map((value) => value.toLowerCase()));
  return [...world.written].filter((value) => !folded.has(value.toLowerCase()));
}

/** Where a quiet world still disagrees, but for what waits for a person (invariant 6). */
export function disagreements({ nature, record, sides }: World): string[] {
  const found: string[] = [];
  if (record?.held?.[RECORD_UNIT] !== undefined) return found;
  const { units, unitOf, match } = nature.entity;
  const isHeld = (f: number) => record?.held?.[units[unitOf[f] ?? -1]?.name ?? ''] !== undefined;
  // A row is not inserted without what tells whose it is.
  const isNameless = match.every((fields) => fields.some(isHeld));
  for (const { lens, row } of sides.values()) {
    const view = record?.views[lens.system];
    if (row === null || view?.status !== 'linked') {
      if (row !== null) found.push(`${lens.system} has a row that nobody knows`);
      else if (record !== null && !isNameless) found.push(`${lens.system} has no row`);
      continue;
    }
    for (const { name, fields } of nature.entity.units) {
      if (record?.held?.[name] !== undefined) continue;
      for (const f of fields) {
        if (!lens.reads[f]) continue;
        if (view.values[f] !== row[f])
          found.push(`${lens.system}: the view of ${f} is not its row`);
        const writes = lens.writes[f] === true;
        if (writes && !holds(view, f, record?.values[f]))
          found.push(`${lens.system}: ${f} differs`);
      }
    }
  }
  return found;
}
