import { parseProgress, resyncOf } from '../capture/progress.ts';
import type { Copier } from '../contract/copier.ts';
import type { Source } from '../contract/source.ts';
import type { Position } from '../model/position.ts';
import { progressOf } from './parts.ts';

/**
 * Goes on with a feed whose source's log is no longer there from its place on: follows it from
 * where it is now, and has its tables read again. Rows that were deleted meanwhile stay in the
 * target: nothing tells them from those that it had for itself.
 */
export async function rejoinFeed(source: Source, copier: Copier): Promise<Position> {
  const place = await copier.place();
  const position = await source.start();
  const progress: Record<string, string> = {};
  for (const [table, text] of Object.entries(place === null ? {} : progressOf(place))) {
    progress[table] = JSON.stringify(resyncOf(parseProgress(text), { mends: false }));
  }
  await using transaction = await copier.begin();
  await transaction.commit({ position, progress: JSON.stringify(progress) });
  return position;
}
