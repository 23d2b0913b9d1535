import type { Flips } from '../model/record.ts';
import type { Micros } from '../model/value.ts';

/** So many times may systems undo each other's writes of one record within the window. */
export const FLIP_LIMIT = 6;
export const FLIP_WINDOW: Micros = 600_000_000;

/** Counts one more undoing at log time `at`; a quiet window forgets what came before. */
export function countFlip(flips: Flips | null, at: Micros): Flips {
  if (flips === null || flips.count === 0 || at - flips.since > FLIP_WINDOW) {
    return { count: 1, since: at, was: flips?.was ?? {} };
  }
  return { ...flips, count: flips.count + 1 };
}

/** A user's change that undid nothing starts the count again: it is work, not a circle. */
export const calmed = (before: Flips | null, after: Flips | null): Flips | null =>
  after !== null && after.count === before?.count ? { ...after, count: 0 } : after;

/** Invariant 5: once users stop writing, writes stop. A flipping record waits for a person. */
export const isFlipping = (flips: Flips | null): boolean =>
  flips !== null && flips.count > FLIP_LIMIT;
