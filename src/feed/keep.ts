import { isLoaded, parseProgress, type Resyncing, resyncOf } from '../capture/progress.ts';
import type { RowName, Snapshot, SnapshotChunk } from '../capture/snapshot.ts';
import type { FeedPlace } from '../contract/copier.ts';
import type { Source } from '../contract/source.ts';
import { noteLooks } from '../decide/looks.ts';
import type { SourceBatch, Transaction } from '../model/change.ts';
import type { Position } from '../model/position.ts';
import { rowKeyValues } from '../model/value.ts';
import type { FedRows } from '../observe/report.ts';
import type { FloodCounts } from '../reconcile/flood.ts';
import { namedBy } from './aside.ts';
import { type FeedParts, type Memory, misfit, progressOf } from './parts.ts';
import { rowOf, setAside } from './standing.ts';
import { noteSizes } from './tables.ts';
import type { Translated } from './translate.ts';
import { noteUnread, readUnread, type Unread } from './unread.ts';
import type { Writer } from './write.ts';

/** A place that only moved past what does not concern us is kept so often. */
const IDLE_MS = 10_000;

/** One connection's work, and what of it is written but not committed. */
export interface Run extends Connection {
  keptAt: number;
  loading: boolean;
  /** No transaction of the source is open. */
  complete: boolean;
  counted: FloodCounts;
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
  complete: true,
  counted: new Map(),
  pending: nothingPending(),
});

interface Pending {
  readonly chunks: SnapshotChunk[];
  readonly unread: Unread;
  readonly rows: FedRows[];
  readonly growth: Map<string, number>;
  /** Tables that are read anew, and what for. */
  readonly renewed: Map<string, Resyncing>;
  /** Tables that no longer fit their mapping, and why. */
  readonly broken: Map<string, string>;
  /** Rows that are in order again: nobody needs to look at them, once that is committed. */
  readonly done: Set<string>;
  /** Of those who want to know how far the feed is. */
  readonly looks: Transaction[];
}

const nothingPending = (): Pending => ({
  chunks: [],
  unread: new Map(),
  rows: [],
  growth: new Map(),
  renewed: new Map(),
  broken: new Map(),
  done: new Set(),
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
  const stale = await setAside(parts, translated.standing, load, {
    refused,
    done: pending.done,
    unsettled: () => unsettled(run),
  });
  pending.chunks.push(...translated.chunks);
  const told = batches.flatMap(({ transactions }) => transactions);
  pending.looks.push(...told.filter(({ mark }) => mark?.lane === 'look'));
  const absent = unread.map((work) => rowOf(parts.feed, work));
  noteUnread(pending.unread, [...translated.unread, ...absent, ...stale]);
  pending.rows.push(...translated.rows);
  for (const [table, more] of translated.growth) {
    pending.growth.set(table, (pending.growth.get(table) ?? 0) + more);
  }
  for (const [table, why] of broken) {
    pending.broken.set(table, why);
    renew(pending, table, { mends: true });
  }
  for (const [table, at] of truncated) {
    renew(pending, table, { mends: true, absent: { restore: false, at } });
  }
  run.counted = translated.counted;
  run.complete = translated.complete ?? run.complete;
  if (!run.complete) return;
  await keep(run, batches.at(-1)!.position, load.size > 0, started);
  for (const [table, why] of pending.broken) throw misfit(parts.feed.from, table, why);
}

function unsettled({ parts: { feed }, place, pending }: Run): Set<string> {
  const now = progressOf(place.now);
  const names = feed.tables.map(({ name }) => name);
  const isSettled = (name: string) =>
    !pending.unread.has(name) && isLoaded(parseProgress(now[name]));
  return new Set(names.filter((name) => !isSettled(name)));
}

/** What a table was to be read anew for before, it still is. */
function renew({ renewed }: Pending, table: string, { mends, absent }: Resyncing): void {
  const before = renewed.get(table);
  renewed.set(table, {
    mends: mends || before?.mends === true,
    absent: absent ?? before?.absent,
  });
}

async function keep(run: Run, position: Position, wrote: boolean, started: number): Promise<void> {
  const { parts, source, writer, snapshot, place, pending } = run;
  const { asked, answered } = takeAsks(parts, pending);
  const { chunks, rows, unread } = pending;
  const progress: Record<string, string> = { ...snapshot.progressWith(chunks, asked) };
  readUnread(progress, unread);
  for (const [table, more] of pending.growth) {
    const now = parseProgress(progress[table]);
    progress[table] = JSON.stringify({ ...now, rows: Math.max(0, now.rows + more) });
  }
  for (const [table, how] of pending.renewed) {
    progress[table] = JSON.stringify(resyncOf(parseProgress(progress[table]), how));
  }
  const text = JSON.stringify(progress);
  const changed = rows.length > 0 || pending.done.size > 0;
  const moved = wrote || changed || text !== place.now.progress;
  const { name: system } = parts.feed;
  const told = (seconds: number): void => {
    parts.report.target(system, { kind: 'fed', position, rows, chunks, progress, seconds });
    noteLooks(parts.decisions, { system, instance: parts.instance }, pending.looks.splice(0));
  };
  const isKept = position === place.now.position || performance.now() - run.keptAt < IDLE_MS;
  if (!moved && isKept) {
    told(0);
    return;
  }
  try {
    await writer.commit({ position, progress: text });
    place.now = { position, progress: text };
    answered();
    if (pending.done.size > 0) await parts.aside.clear([...pending.done]);
  } catch (error) {
    // It may be committed, and is not told again.
    lookAgain(parts, pending.done);
    throw error;
  }
  noteSizes(parts, progress);
  parts.guard.keep(run.counted);
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

/** Rows that may be in order again are read when the loop next goes round. */
function lookAgain({ asks, feed: { routes } }: FeedParts, names: ReadonlySet<string>): void {
  for (const [table, some] of routes) {
    const entities = new Set(some.map(({ entity }) => entity.name));
    const keys = [...names]
      .map(namedBy)
      .filter(([entity]) => entities.has(entity))
      .map(([, key]) => rowKeyValues(key, table.key.length));
    if (keys.length === 0) continue;
    asks.again.set(table.name, [...(asks.again.get(table.name) ?? []), ...keys]);
  }
}

/** Call `answered` when it is committed: until then a person's wish is not forgotten. */
function takeAsks({ asks, feed: { tables } }: FeedParts, pending: Pending) {
  const again = new Map(asks.again);
  const anew = new Set(asks.tables);
  const asked: RowName[] = [];
  for (const table of tables) {
    for (const key of asks.again.get(table.name) ?? []) asked.push({ table, key });
    if (asks.tables.has(table.name)) renew(pending, table.name, { mends: false });
  }
  const answered = (): void => {
    for (const [table, keys] of again) {
      // Asked for meanwhile, too: it stays.
      if (asks.again.get(table) === keys) asks.again.delete(table);
    }
    for (const table of anew) asks.tables.delete(table);
  };
  return { asked, answered };
}
