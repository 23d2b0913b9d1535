import { type Progress, parseProgress, resyncOf } from '../capture/progress.ts';
import { noteAgain, type RowName } from '../capture/snapshot.ts';
import { rowKey } from '../model/value.ts';

/** So many rows of a table are read by their keys; where there are more, all of it is read. */
export const MOST_BY_KEY = 5000;

/** Rows of which the log told too little, by table and key; null: too many to remember each. */
export type Unread = Map<string, Map<string, RowName> | null>;

/** A transaction of the source may name any number of rows before its place is kept. */
export function noteUnread(unread: Unread, rows: readonly RowName[]): void {
  for (const row of rows) {
    const { name } = row.table;
    const known = unread.get(name);
    if (known === null) continue;
    const noted = (known ?? new Map<string, RowName>()).set(rowKey(row.key), row);
    unread.set(name, noted.size > MOST_BY_KEY ? null : noted);
  }
}

/**
 * Has these rows read, beside those that wait in `progress` for it: by their keys, or with all of
 * the table. The log tells that they are there: a pass over the table meets them, or the log tells
 * what became of them. Those that wait may be none, and a pass does not meet what is not there.
 */
export function readUnread(progress: Record<string, string>, unread: Unread): void {
  for (const [name, noted] of unread) {
    const before = parseProgress(progress[name]);
    if (noted !== null) {
      const known = { [name]: JSON.stringify(before) };
      noteAgain(known, [...noted.values()]);
      if (parseProgress(known[name]).again.length <= MOST_BY_KEY) {
        Object.assign(progress, known);
        continue;
      }
    }
    // Begun over and over, what is under way would never count.
    if (isAhead(before)) continue;
    const { again } = before;
    progress[name] = JSON.stringify({ ...resyncOf(before, { mends: false }), again });
  }
}

/** A pass over the whole table has begun, and has not come to any row. */
const isAhead = ({ sweep, after, ended }: Progress): boolean =>
  sweep != null && after === null && !ended;
