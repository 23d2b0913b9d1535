import {
  isFirstLoad,
  type ProgressByTable,
  parseProgress,
  populationOf,
  resyncOf,
} from '../capture/progress.ts';
import { openSnapshot, type Snapshot } from '../capture/snapshot.ts';
import type { Applier } from '../contract/applier.ts';
import type { FeedPlace } from '../contract/copier.ts';
import type { Source } from '../contract/source.ts';
import type { TableSpec } from '../model/change.ts';
import { copiesIn } from './copies.ts';
import { type Memory, progressOf } from './parts.ts';
import type { Feed } from './plan.ts';

/** What a table's rows are read for: where it was something else, they are read again. */
const contentsOf = (feed: Feed, table: TableSpec): string[] => [
  ...table.columns,
  ...(feed.routes.get(table) ?? []).flatMap(({ entity, target, columns }) =>
    columns.map((i) => `${entity.name}.${target.table.columns[i]}`),
  ),
];

/**
 * Tables of which a mapping now says something else are read again; what is known of those that it
 * no longer names goes out of date. One of which nothing was read yet is still loaded, whatever its
 * log has told already.
 */
export function asMapped(feed: Feed, place: FeedPlace): FeedPlace {
  const known = progressOf(place);
  const progress: Record<string, string> = {};
  for (const table of feed.tables) {
    const text = known[table.name];
    if (text === undefined) continue;
    const before = parseProgress(text);
    const contents = contentsOf(feed, table);
    const unread = before.contents === undefined && before.after === null && !before.ended;
    const same = before.contents?.join() === contents.join();
    progress[table.name] =
      same || unread ? text : JSON.stringify(resyncOf(before, { mends: false, contents }));
  }
  return { ...place, progress: JSON.stringify(progress) };
}

/** How many rows the tables have: as they were read, and by the log since. */
export function noteSizes(
  { feed, sizes }: Pick<Memory, 'feed' | 'sizes'>,
  now: ProgressByTable,
): void {
  for (const table of feed.tables) {
    const rows = populationOf(parseProgress(now[table.name]));
    for (const { entity } of feed.routes.get(table) ?? []) sizes.known.set(entity.name, rows);
  }
}

/** While a table is being read for the first time the server's own figure counts. */
export async function noteEstimates({ feed, sizes }: Memory, source: Source, now: ProgressByTable) {
  for (const table of feed.tables) {
    if (!isFirstLoad(parseProgress(now[table.name]))) continue;
    const rows = (await source.estimate(table)) ?? 0;
    for (const { entity } of feed.routes.get(table) ?? []) sizes.estimated.set(entity.name, rows);
  }
}

export function snapshotOf(
  parts: Memory,
  source: Source,
  progress: () => ProgressByTable,
): Snapshot & AsyncDisposable {
  const { feed, instance, loading } = parts;
  let fences: Promise<Applier> | null = null;
  const copies = copiesIn(parts);
  const snapshot = openSnapshot({
    ...{ tables: feed.tables, parents: () => [], progress, held: () => false, instance },
    contents: (table) => contentsOf(feed, table),
    known: copies.known,
    wanted: () => null,
    source,
    applier: () => {
      fences ??= parts.openFences();
      return fences;
    },
    // Larger than any fence of an earlier run: milliseconds advance faster than chunks are read.
    firstFence: Date.now(),
    loadShare: loading.share,
    clock: loading.clock,
  });
  return Object.assign(snapshot, {
    async [Symbol.asyncDispose]() {
      snapshot.end();
      await (await fences?.catch(() => undefined))?.[Symbol.asyncDispose]();
      await copies[Symbol.asyncDispose]();
    },
  });
}
