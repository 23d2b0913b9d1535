import { type Progress, parseProgress, resyncOf } from '../capture/progress.ts';
import type { RowName, Snapshot, SnapshotChunk } from '../capture/snapshot.ts';
import type { FeedPlace } from '../contract/copier.ts';
import type { Source } from '../contract/source.ts';
import { noteLooks } from '../decide/looks.ts';
import type { SourceBatch, TableSpec, Transaction } from '../model/change.ts';
import type { Position } from '../model/position.ts';
import { rowKey } from '../model/value.ts';
import type { FedRows } from '../observe/report.ts';
import type { AsideRow } from './aside.ts';
import type { Work } from './load.ts';
import { type FeedParts, type Memory, misfit } from './parts.ts';
import type { Feed } from './plan.ts';
import { noteSizes } from './tables.ts';
import { keyIn, type Translated } from './translate.ts';
import type { Writer } from './write.ts';

/** A place that only moved past what does not concern us is kept so often. */
const IDLE_MS = 10_000;

/** One connection's work, and what of it is written but not committed. */
export interface Run extends Connection {
  keptAt: number;
  loading: boolean;
  pending: Pending;
}

interface Connection {
  readonly parts: Memory;
  readonly source: Source;
  readonly writer: Writer;
  readonly snapshot: Snapshot;
  readonly place: { now: FeedPlace };
}

export const openRun = (connection: Connection): Run => ({
  ...connection,
  keptAt: performance.now(),
  loading: !connection.snapshot.loaded,
  pending: nothingPending(),
});

interface Pending {
  readonly chunks: SnapshotChunk[];
  readonly unread: RowName[];
  readonly rows: FedRows[];
  readonly growth: Map<string, number>;
  readonly renewed: Map<string, (before: Progress) => Progress>;
  /** Rows that are in order again: nobody needs to look at them, once that is committed. */
  readonly done: { readonly entity: string; readonly key: string }[];
  /** Of those who want to know how far the feed is. */
  readonly looks: Transaction[];
}

const nothingPending = (): Pending => ({
  chunks: [],
  unread: [],
  rows: [],
  growth: new Map(),
  renewed: new Map(),
  done: [],
  looks: [],
});

/**
 * What is set aside is on disk before the place moves behind it (invariant 2), and the source may
 * forget only what the target has committed (invariant 1). A transaction that is not complete yet
 * stays open in the target (invariant 7).
 */
export async function carryOut(
  run: Run,
  batches: readonly SourceBatch[],
  translated: Translated,
): Promise<void> {
  const { parts, writer, pending } = run;
  const { load, broken, truncated } = translated;
  const started = performance.now();
  const { unread, refused } =
    load.size > 0 ? await writer.write(load) : { unread: [], refused: [] };
  const aside = [
    ...translated.invalid,
    ...refused.map(({ work, detail }) => asideRow(parts.feed, work, detail)),
  ];
  if (aside.length > 0) await parts.aside.put(aside);
  if (!parts.aside.isEmpty) pending.done.push(...inOrder(parts.feed, load.works(), aside));
  pending.chunks.push(...translated.chunks);
  const told = batches.flatMap(({ transactions }) => transactions);
  pending.looks.push(...told.filter(({ mark }) => mark?.lane === 'look'));
  pending.unread.push(...translated.unread, ...unread.map((work) => nameOf(parts.feed, work)));
  pending.rows.push(...translated.rows);
  for (const [table, more] of translated.growth) {
    pending.growth.set(table, (pending.growth.get(table) ?? 0) + more);
  }
  for (const table of broken.keys()) {
    pending.renewed.set(table, (before) => resyncOf(before, { mends: true }));
  }
  for (const [table, at] of truncated) {
    const absent = { restore: false, at };
    pending.renewed.set(table, (before) => resyncOf(before, { mends: true, absent }));
  }
  if (translated.complete) await keep(run, batches.at(-1)!.position, load.size > 0, started);
  for (const [table, why] of broken) throw misfit(parts.feed.from, table, why);
}

async function keep(run: Run, position: Position, wrote: boolean, started: number): Promise<void> {
  const { parts, source, writer, snapshot, place, pending } = run;
  const answered = takeAsks(parts, pending);
  const { chunks, rows } = pending;
  const progress: Record<string, string> = { ...snapshot.progressWith(chunks, pending.unread) };
  for (const [table, more] of pending.growth) {
    const now = parseProgress(progress[table]);
    progress[table] = JSON.stringify({ ...now, rows: Math.max(0, now.rows + more) });
  }
  for (const [table, renew] of pending.renewed) {
    progress[table] = JSON.stringify(renew(parseProgress(progress[table])));
  }
  const text = JSON.stringify(progress);
  const moved = wrote || rows.length > 0 || text !== place.now.progress;
  const { name: system } = parts.feed;
  const told = (seconds: number): void => {
    parts.report.target(system, { kind: 'fed', position, rows, chunks, progress, seconds });
    noteLooks(parts.decisions, { system, instance: parts.instance }, pending.looks.splice(0));
  };
  if (!moved && performance.now() - run.keptAt < IDLE_MS) {
    told(0);
    return;
  }
  await writer.commit({ position, progress: text });
  place.now = { position, progress: text };
  answered();
  if (pending.done.length > 0) await parts.aside.clear(pending.done);
  noteSizes(parts, progress);
  run.keptAt = performance.now();
  run.pending = nothingPending();
  source.settle(position);
  snapshot.committed(chunks);
  told((performance.now() - started) / 1000);
  if (!run.loading || !snapshot.loaded) return;
  run.loading = false;
  parts.sizes.estimated.clear();
  parts.report.loaded(parts.feed.name);
}

/** Call what is returned when it is committed: until then a person's wish is not forgotten. */
function takeAsks({ asks, feed: { tables } }: FeedParts, { unread, renewed }: Pending) {
  const again = new Map(asks.again);
  const anew = new Set(asks.tables);
  for (const table of tables) {
    for (const key of asks.again.get(table.name) ?? []) unread.push({ table, key });
    if (asks.tables.has(table.name)) {
      renewed.set(table.name, (before) => resyncOf(before, { mends: false }));
    }
  }
  return (): void => {
    for (const [table, keys] of again) {
      // Asked for meanwhile, too: it stays.
      if (asks.again.get(table) === keys) asks.again.delete(table);
    }
    for (const table of anew) asks.tables.delete(table);
  };
}

const tableOf = ({ routes }: Feed, { route }: Work): TableSpec =>
  [...routes].find(([, some]) => some.includes(route))![0];

function nameOf(feed: Feed, work: Work): RowName {
  const table = tableOf(feed, work);
  return { table, key: keyIn(table, work.image) };
}

function asideRow(feed: Feed, work: Work, detail: string): AsideRow {
  const { key } = nameOf(feed, work);
  const { name: entity } = work.route.entity;
  const told = `${feed.to} refused it: ${detail}`;
  return { entity, reason: 'refused', key: rowKey(key), detail: told };
}

function inOrder(
  feed: Feed,
  works: Iterable<Work>,
  put: readonly AsideRow[],
): { readonly entity: string; readonly key: string }[] {
  const wrong = new Set(put.map(({ entity, key }) => JSON.stringify([entity, key])));
  return [...works]
    .map((work) => ({ entity: work.route.entity.name, key: rowKey(nameOf(feed, work).key) }))
    .filter(({ entity, key }) => !wrong.has(JSON.stringify([entity, key])));
}
