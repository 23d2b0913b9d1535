import { ahead, pause, untilStopped } from '../capture/stream.ts';
import type { Copier, FeedPlace } from '../contract/copier.ts';
import type { Source } from '../contract/source.ts';
import { isPaused } from '../decide/pauses.ts';
import { type Aside, openAside } from './aside.ts';
import { openGuard } from './flood.ts';
import { carryOut, openRun } from './keep.ts';
import {
  blamed,
  type FeedParts,
  lostBy,
  type Memory,
  misfit,
  progressOf,
  type Sizes,
} from './parts.ts';
import { entitiesOf } from './plan.ts';
import { asMapped, noteEstimates, noteSizes, snapshotOf } from './tables.ts';
import { Held, translate } from './translate.ts';
import { openWriter } from './write.ts';

export type { FeedParts } from './parts.ts';

/** Batches of the source that are read ahead and go into one write, at most. */
const AHEAD = 2;

/**
 * source log → copies → one target transaction with the place in the log → settle. No record, no
 * outbox, no echo: only one system writes, so there is nothing to detect, and the source's log
 * keeps what is not in the target yet. What a person has to decide first holds the feed, without a
 * connection and without a lock.
 */
export async function feed(parts: FeedParts, moving: () => void, stop: AbortSignal): Promise<void> {
  const { decisions, report } = parts;
  const aside = await openAside(decisions, parts.feed, (parked) =>
    report.released({ journal: [], parked, echoes: 0 }),
  );
  const sizes: Sizes = { known: new Map(), estimated: new Map() };
  const sizeOf = (entity: string): number =>
    sizes.estimated.get(entity) ?? sizes.known.get(entity) ?? 0;
  const guard = openGuard(parts.feed.to, sizeOf, aside.flooded);
  const decided = new Map<string, boolean>();
  while (!stop.aborted) {
    try {
      await copyLog({ ...parts, aside, guard, sizes, decided }, moving, stop);
      return;
    } catch (error) {
      if (!(error instanceof Held)) throw lostBy(parts.feed, await blamed(parts, error));
      const passes = await verdictOf(parts, aside, error, moving, stop);
      if (passes === null) return;
      if (error.reason === 'flood') guard.decided(error.entity, error.at, passes);
      else decided.set(error.transaction, passes);
    }
  }
}

/** Null: told to stop before a person decided. */
async function verdictOf(
  { asks, report, feed: { name } }: FeedParts,
  aside: Aside,
  held: Held,
  moving: () => void,
  stop: AbortSignal,
): Promise<boolean | null> {
  const { entity, reason, message } = held;
  const waiting = (one: number): void => void asks.held.add(one);
  const id = await aside.hold(entity.name, reason, message, waiting);
  report.target(name, { kind: 'waiting' });
  try {
    while (!stop.aborted) {
      moving();
      const verdict = asks.verdicts.get(id);
      if (verdict !== undefined) {
        await aside.release(id);
        return verdict;
      }
      if (!(await aside.isHeld(id))) return false;
      await pause(1, stop);
    }
    return null;
  } finally {
    asks.held.delete(id);
    asks.verdicts.delete(id);
  }
}

async function copyLog(parts: Memory, moving: () => void, stop: AbortSignal): Promise<void> {
  const { feed, report } = parts;
  const misfits = await parts.misfits();
  for (const [table, why] of misfits) throw misfit(feed.from, table, why);
  await using source = await parts.openSource();
  await using copier = await parts.openCopier();
  await using writer = openWriter(copier);
  const place = { now: asMapped(feed, await startingPoint(source, copier)) };
  noteSizes(parts, progressOf(place.now));
  await noteEstimates(parts, source, progressOf(place.now));
  await using snapshot = snapshotOf(parts, source, () => progressOf(place.now));
  const progress = progressOf(place.now);
  report.following(feed.name, place.now.position, source, snapshot.loaded, progress);
  report.target(feed.name, { kind: 'idle' });
  parts.guard.begin();
  const run = openRun({ parts, source, writer, snapshot, place });
  let writing: Promise<void> = Promise.resolve();
  // A transaction that is under way in the target is finished first.
  let complete = true;
  snapshot.pump();
  try {
    const log = untilStopped(source.tail(place.now.position), stop);
    for await (const batches of ahead(log, AHEAD)) {
      if (complete) await untilResumed(parts, moving, stop);
      const translated = translate(feed, batches, { ...parts, after: snapshot.after });
      await writing;
      moving();
      complete = translated.complete ?? complete;
      writing = carryOut(run, batches, translated);
      // It is waited for above, behind the next translation.
      writing.catch(() => undefined);
      if (!stop.aborted) snapshot.pump();
    }
  } finally {
    // What is under way must not lose its connection in the middle of it: what was written would be
    // gone, and its place be committed without it.
    await writing.catch(() => undefined);
  }
  await writing;
}

async function startingPoint(source: Source, copier: Copier): Promise<FeedPlace> {
  const known = await copier.place();
  if (known !== null) return known;
  const first = { position: await source.start(), progress: '{}' };
  await using begun = await copier.begin();
  await begun.commit(first);
  return first;
}

/** Nothing of a paused system or entity is written; the log keeps it. */
async function untilResumed(
  { feed, report, decisions: { ledger } }: FeedParts,
  moving: () => void,
  stop: AbortSignal,
): Promise<void> {
  const entities = entitiesOf(feed).map(({ name }) => name);
  const isStill = (): boolean =>
    isPaused(ledger, 'system', feed.to) || entities.some((one) => isPaused(ledger, 'entity', one));
  if (stop.aborted || !isStill()) return;
  report.target(feed.name, { kind: 'waiting' });
  while (!stop.aborted && isStill()) {
    moving();
    await pause(1, stop);
  }
  report.target(feed.name, { kind: 'idle' });
}
