import type { RowName } from '../capture/snapshot.ts';
import type { Change, TableSpec } from '../model/change.ts';
import { type Cell, rowKey, type Value } from '../model/value.ts';
import { type Aside, type AsideRow, namedBy, nameOf } from './aside.ts';
import { type Copy, type InvalidRow, passesDeletes } from './copy.ts';
import { keyBehind, keyOf, type Load, type Work } from './load.ts';
import type { Feed, FeedRoute } from './plan.ts';
import type { Left } from './write.ts';

/**
 * What the log says of rows that are to be set aside, or may have been. Most rows are neither, and
 * nothing is noted of them.
 */
export interface Standing {
  /** By name: why a row is to be set aside; null: it is in order, or nobody's concern any more. */
  readonly rows: Map<string, AsideRow | null>;
  /** Of `rows` those that the source has no longer: what was refused of them counts no more. */
  readonly left: Set<string>;
  /** Entities whose rows went at once: those that were set aside are no more. */
  readonly emptied: Set<string>;
  /** Rows with another key now, by the names that they had; null: all of the row was told. */
  readonly moved: Map<string, RowName | null>;
  /** Rows of which too little was told while they are not in order. */
  readonly unread: RowName[];
}

export const nothingStands = (): Standing => ({
  rows: new Map(),
  left: new Set(),
  emptied: new Set(),
  moved: new Map(),
  unread: [],
});

export const keyIn = ({ columns, key }: TableSpec, image: readonly Cell[]): Value[] =>
  key.map((name) => image[columns.indexOf(name)] ?? null);

const named = ({ entity }: FeedRoute, key: readonly Value[]): string =>
  nameOf(entity.name, rowKey(key));

/** `image`: of the source's row; null: nothing of it is for the target. */
export function noteCopy(
  { rows, left, unread }: Standing,
  route: FeedRoute,
  table: TableSpec,
  image: readonly Cell[],
  copy: Copy | null,
): void {
  if (copy !== null && copy.kind !== 'invalid' && rows.size === 0) return;
  const key = keyIn(table, image);
  const name = named(route, key);
  if (copy === null) left.add(name);
  else left.delete(name);
  if (copy?.kind === 'invalid') rows.set(name, invalidRow(route, key, copy));
  else if (copy?.kind !== 'row' || copy.whole) rows.set(name, null);
  else if (rows.get(name) != null) unread.push({ table, key });
}

function invalidRow({ entity }: FeedRoute, key: readonly Value[], { faults }: InvalidRow) {
  const detail = faults.map(({ place, message }) => `${place}: ${message}`).join('; ');
  return { entity: entity.name, reason: 'invalid', key: rowKey(key), detail } as const;
}

/**
 * The row with the old key is no more; what stood in the target for it may not be what it was.
 * Returns the image of the old key; null: it is the same.
 */
export function noteMove(
  { rows, left, moved, unread }: Standing,
  route: FeedRoute,
  { table, row, old }: Change,
  copy: Copy | null,
): readonly Cell[] | null {
  if (old === null || old.length === 0) return null;
  const [before, key] = [keyIn(table, old), keyIn(table, row)];
  if (rowKey(before) === rowKey(key)) return null;
  const name = named(route, before);
  const isPart = copy?.kind === 'row' && !copy.whole;
  if (isPart && rows.get(name) != null) unread.push({ table, key });
  moved.set(name, isPart ? { table, key } : null);
  rows.set(name, null);
  // Of a row that is set aside under its new key the copy under the old one is to go.
  if (copy?.kind !== 'invalid' || !passesDeletes(route)) left.add(name);
  return old;
}

/** All rows went at once, whatever becomes of their copies; `load`: what came before that. */
export function noteEmptied(
  { rows, left, emptied }: Standing,
  { entity }: FeedRoute,
  feed: Feed,
  load: Load,
): void {
  load.sections();
  const names = [
    ...rows.keys(),
    ...[...load.works()].map((work) => named(work.route, rowOf(feed, work).key)),
  ];
  for (const name of names) {
    if (namedBy(name)[0] !== entity.name) continue;
    rows.set(name, null);
    left.add(name);
  }
  emptied.add(entity.name);
}

interface Aftermath {
  readonly refused: Left['refused'];
  readonly done: Set<string>;
  /**
   * Tables of which rows are still to be read: the target may have anything of them, and under a
   * new key nobody would ask for them.
   */
  readonly unsettled: () => ReadonlySet<string>;
}

/**
 * Sets aside what is not in order, on disk when it resolves; `done` gets the names of what is in
 * order again.
 * Returns rows of which the log told a part while the target has not what they were: they are to
 * be read.
 */
export async function setAside(
  { feed, aside }: { readonly feed: Feed; readonly aside: Aside },
  { rows, left, emptied, moved, unread }: Standing,
  load: Load,
  { refused, done, unsettled }: Aftermath,
): Promise<RowName[]> {
  if (aside.isEmpty && rows.size === 0 && refused.length === 0) return [];
  const found = [...unread];
  const stale = new Set(moved.size === 0 ? [] : unsettled());
  for (const [name, row] of moved) if (row !== null && aside.has(name)) stale.add(row.table.name);
  for (const row of moved.values()) if (row !== null && stale.has(row.table.name)) found.push(row);
  const details = new Map(refused.map(({ work, detail }) => [work, detail]));
  for (const { work, lacks } of lastOf(load, details)) {
    const row = rowOf(feed, work);
    const name = named(work.route, row.key);
    const detail = details.get(work);
    if (rows.get(name) != null || left.has(name)) continue;
    if (detail !== undefined) rows.set(name, refusedRow(feed, work, rowKey(row.key), detail));
    else if (work.cells === null || work.whole) rows.set(name, null);
    else if (lacks || aside.has(name)) found.push(row);
  }
  for (const name of emptied.size === 0 ? [] : aside.names()) {
    if (emptied.has(namedBy(name)[0]) && !rows.has(name)) rows.set(name, null);
  }
  for (const [name, one] of rows) {
    if (one !== null) done.delete(name);
    else if (aside.has(name)) done.add(name);
  }
  const wrong = [...rows.values()].filter((one) => one !== null);
  if (wrong.length > 0) await aside.put(wrong);
  return found;
}

/**
 * The last work of each row of the target, under whatever keys it had; `lacks`: a work that was
 * refused is not made up for by it.
 */
function lastOf(load: Load, refused: ReadonlyMap<Work, string>) {
  const last = new Map<string, { readonly work: Work; readonly lacks: boolean }>();
  for (const work of load.works()) {
    const { entity } = work.route;
    const before = nameOf(entity.name, rowKey(keyOf(work)));
    const isPart = work.cells !== null && !work.whole;
    const lacks = refused.has(work) || (isPart && last.get(before)?.lacks === true);
    last.delete(before);
    last.set(nameOf(entity.name, rowKey(keyBehind(work))), { work, lacks });
  }
  return last.values();
}

function refusedRow({ to }: Feed, { route }: Work, key: string, why: string): AsideRow {
  const detail = `${to} refused it: ${why}`;
  return { entity: route.entity.name, reason: 'refused', key, detail };
}

export function rowOf({ routes }: Feed, { route, image }: Work): RowName {
  const [table] = [...routes].find(([, some]) => some.includes(route))!;
  return { table, key: keyIn(table, image) };
}
