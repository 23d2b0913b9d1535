import {
  isFirstLoad,
  type Progress,
  type ProgressByTable,
  parseProgress,
} from '../capture/progress.ts';
import type { SnapshotChunk } from '../capture/snapshot.ts';
import type { Repair } from '../contract/patch.ts';
import type { TableSpec } from '../model/change.ts';
import { rowKey, type Value } from '../model/value.ts';
import type { Decisions } from './decisions.ts';
import { change } from './tables.ts';

/** Rows of one entity that a person wants repaired. */
export interface RepairOrder {
  readonly system: string;
  readonly entity: string;
  readonly table: TableSpec;
  readonly keys: readonly (readonly Value[])[];
  readonly repair: Repair;
}

/**
 * Has rows read again, exact against the log as all that is read again (see `capture/snapshot.ts`),
 * and remembers what for in the same commit: a crash does not turn a repair into a change. False:
 * the table has not been loaded yet.
 */
export async function orderRepair(
  decisions: Decisions,
  { system, entity, table, keys, repair }: RepairOrder,
): Promise<boolean> {
  const before = decisions.ledger.head().positions[system]?.snapshots[table.name];
  if (before === undefined || isFirstLoad(parseProgress(before))) return false;
  const state = change(decisions, system, ({ snapshots }) => {
    const progress = parseProgress(snapshots[table.name]);
    const { again, repairs = [] } = progress;
    const known = new Set(again.map(rowKey));
    const wanted = new Set(keys.map(rowKey));
    const others = repairs.filter((one) => one.entity !== entity || !wanted.has(rowKey(one.key)));
    const next: Progress = {
      ...progress,
      again: [...again, ...keys.filter((key) => !known.has(rowKey(key)))],
      repairs: [...others, ...keys.map((key) => ({ entity, key, from: repair.from }))],
    };
    return { ...snapshots, [table.name]: JSON.stringify(next) };
  });
  await decisions.decide([], state);
  return true;
}

/** What rows of a table are read for, by row key; empty: no repair was asked for. */
export const repairsOf = (
  progress: ProgressByTable | undefined,
  { name }: TableSpec,
): NonNullable<Progress['repairs']> => parseProgress(progress?.[name]).repairs ?? [];

type Answer = Pick<SnapshotChunk, 'table' | 'rows' | 'missing'>;

/** The progress without the repairs that the rows of chunks have answered. */
export const withoutRepaired = (
  progress: ProgressByTable,
  chunks: readonly Answer[],
): ProgressByTable => chunks.reduce(withoutAnswered, progress);

function withoutAnswered(
  progress: ProgressByTable,
  { table, rows, missing }: Answer,
): ProgressByTable {
  const { repairs, ...before } = parseProgress(progress[table.name]);
  if (repairs === undefined) return progress;
  const at = table.key.map((name) => table.columns.indexOf(name));
  const read = new Set([
    ...rows.map((row) => rowKey(at.map((i) => row[i] ?? null))),
    ...missing.map(rowKey),
  ]);
  const left = repairs.filter(({ key }) => !read.has(rowKey(key)));
  const next: Progress = left.length === 0 ? before : { ...before, repairs: left };
  return { ...progress, [table.name]: JSON.stringify(next) };
}
