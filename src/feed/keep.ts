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
  /** Of those who want to know how far the feed is. */
  readonly looks: Transaction[];
}

const nothingPending = (): Pending => ({
  chunks: [],
  unread: [],
  rows: [],
  growth: new Map(),
  renewed: new Map(),
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
  if (!parts.aside.isEmpty) await clearDone(parts, load.works(), aside);
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
  takeAsks(parts, pending);
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

function takeAsks({ asks, feed: { tables } }: FeedParts, { unread, renewed }: Pending): void {
  for (const table of tables) {
    for (const key of asks.again.get(table.name) ?? []) unread.push({ table, key });
    if (asks.tables.has(table.name)) {
      renewed.set(table.name, (before) => resyncOf(before, { mends: false }));
    }
  }
  asks.again.clear();
  asks.tables.clear();
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

/** Rows that are in order again need nobody any longer. */
async function clearDone(
  { aside, feed }: Memory,
  works: Iterable<Work>,
  put: readonly AsideRow[],
): Promise<void> {
  const wrong = new Set(put.map(({ entity, key }) => JSON.stringify([entity, key])));
  const done = [...works]
    .map((work) => ({ entity: work.route.entity.name, key: rowKey(nameOf(feed, work).key) }))
    .filter(({ entity, key }) => !wrong.has(JSON.stringify([entity, key])));
  await aside.clear(done);
}
