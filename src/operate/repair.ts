import { setTimeout as sleep } from 'node:timers/promises';
import type { Entity, Lens } from '../contract/entity.ts';
import type { Repaired, RepairRequest } from '../contract/operator.ts';
import type { Decisions } from '../decide/decisions.ts';
import type { Pass, Unit } from '../decide/pass.ts';
import { orderRepair, repairsOf } from '../decide/repairs.ts';
import { needOf } from '../deliver/need.ts';
import { CarrickError } from '../errors.ts';
import { type Cell, rowKey, rowKeyValues } from '../model/value.ts';
import type { RowEvent } from '../reconcile/row-event.ts';
import { unknown } from './acts.ts';
import type { ReadRows } from './verify.ts';

/** So long a caller is kept waiting for the repair; it goes on all the same. */
const WAIT_MS = 15_000;
const LOOK_MS = 50;

export interface RepairParts {
  readonly decisions: Decisions;
  readonly read: ReadRows;
  /** Makes an idle log move; see `Operator.caughtUp`. */
  readonly caughtUp: (entity: string) => Promise<boolean>;
}

/**
 * Settles rows that differ, and tells what that comes to: first in a rehearsal on the rows as they
 * are, then for real, on the rows as the log has them. What is written goes through the outbox.
 */
export async function repair(parts: RepairParts, request: RepairRequest): Promise<Repaired> {
  const { decisions } = parts;
  const { entity: name, system, from, dryRun } = request;
  const entity = decisions.entities.get(name);
  const lens = entity?.lenses.get(system);
  if (entity === undefined || lens === undefined) throw unknown(`${system} has no ${name}`);
  if (from !== null && !entity.lenses.has(from)) throw unknown(`${from} has no ${name}`);
  const { table } = lens;
  const keys = request.keys.map((key) => rowKeyValues(key, table.key.length));
  const foreseen = repairedOf(entity, await rehearse(parts, entity, lens, request));
  if (dryRun) return foreseen;
  const order = { system, entity: name, table, keys, repair: { from } };
  if (!(await orderRepair(decisions, order))) throw notLoaded(system, table.name);
  await parts.caughtUp(name);
  const wanted = new Set(keys.map(rowKey));
  const waits = () =>
    repairsOf(decisions.ledger.head().positions[system]?.snapshots, table).some(
      ({ entity: one, key }) => one === name && wanted.has(rowKey(key)),
    );
  for (const end = Date.now() + WAIT_MS; waits() && Date.now() < end; ) await sleep(LOOK_MS);
  return foreseen;
}

async function rehearse(
  { decisions, read }: RepairParts,
  entity: Entity,
  lens: Lens,
  { keys, from }: RepairRequest,
): Promise<Pass> {
  const { system, table } = lens;
  const wanted = keys.map((key) => rowKeyValues(key, table.key.length));
  const chunk = await read(system, { table, after: null, limit: keys.length, keys: wanted });
  const keyAt = table.key.map((column) => table.columns.indexOf(column));
  const rows = new Map(
    chunk.rows.map((row) => [rowKey(keyAt.map((i) => row[i] ?? null)), row] as const),
  );
  const at = Date.now() * 1000;
  const event = (key: string, cells: readonly Cell[] | null): RowEvent => {
    const base = { entity, lens, key, oldKey: key, cells, at, read: null };
    return { ...base, origin: 'reading', repair: { from } };
  };
  // What is gone first, as when it is read again.
  const events = [
    ...keys.filter((key) => !rows.has(key)).map((key) => event(key, null)),
    ...keys.filter((key) => rows.has(key)).map((key) => event(key, rows.get(key) ?? null)),
  ];
  const unit: Unit = {
    ...{ system, transaction: 'rehearsal', at, origin: 'reading', events },
    ...{ echo: null, complete: true },
  };
  return decisions.rehearse([unit]);
}

function repairedOf(entity: Entity, { w }: Pass): Repaired {
  const writes: Repaired['writes'][number][] = [];
  for (const record of w.touched.values()) {
    if (record.entity !== entity.name) continue;
    const linked = Object.entries(record.views).filter(([, view]) => view.status === 'linked');
    const of = Object.fromEntries(linked.map(([system, { key }]) => [system, key]));
    for (const lens of entity.lenses.values()) {
      const need = needOf(entity, lens, record);
      if (need === null) continue;
      const fields = need.op === 'update' ? need.fields : [];
      writes.push({
        system: lens.system,
        op: need.op,
        key: need.op === 'insert' ? null : (of[lens.system] ?? null),
        of,
        fields: fields.map((f) => entity.fields[f]?.name ?? ''),
      });
    }
  }
  const parked: Record<string, number> = {};
  for (const { reason } of w.parked.values()) parked[reason] = (parked[reason] ?? 0) + 1;
  const open = w.journal.filter(({ state }) => state === 'open').length;
  return { writes, journalled: w.journal.length - open, open, parked };
}

const notLoaded = (system: string, table: string): CarrickError =>
  new CarrickError(
    'operator.loading',
    'park',
    `${table} of ${system} is still being read`,
    'wait until `carrick status` shows no snapshot of it, then repair',
  );
