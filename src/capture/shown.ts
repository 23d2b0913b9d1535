import type { Chunk } from '../contract/source.ts';
import type { Transaction } from '../model/change.ts';
import type { Lane } from './lane.ts';
import { recent } from './recent.ts';

/** How many of the latest transactions are remembered for `Chunk.unseen`. */
const REMEMBERED = 50_000;

/** What the log has shown; a chunk that could not see a transaction of it yet is not exact. */
export interface Shown {
  note(transaction: Transaction, lanes: Iterable<Lane>): void;
  /** A chunk is read from now on; call what is returned with it. */
  reading(): (chunk: Chunk) => void;
  isMissing(lane: Lane, chunk: Chunk): boolean;
}

export function openShown(): Shown {
  const seen = recent(REMEMBERED);
  // What a chunk could not see may have been shown by the log before this start: nobody remembers.
  // Such transactions were running when the first chunk was read, so that chunk does not see them
  // either; of chunks that are read at once any may be the first.
  const early = new Set<string>();
  let isFirst = true;
  return {
    note({ visibility }, lanes) {
      if (visibility === undefined) return;
      for (const lane of lanes) {
        if (lane.open && !seen.has(visibility)) lane.since.add(visibility);
      }
      seen.add(visibility);
    },
    reading() {
      const mayBeFirst = isFirst;
      return ({ unseen = [] }) => {
        if (mayBeFirst) for (const xid of unseen) early.add(xid);
        isFirst = false;
      };
    },
    isMissing: ({ since }, { unseen = [] }) =>
      unseen.some((xid) => (seen.has(xid) && !since.has(xid)) || early.has(xid)),
  };
}
