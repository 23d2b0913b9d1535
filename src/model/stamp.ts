import type { Micros } from './value.ts';

/**
 * When and where a field value was written: a hybrid logical clock (Kulkarni et al., "Logical
 * Physical Clocks", 2014) whose physical part is the commit time in the writing system's log.
 * A total order: wall, then counter, then system name.
 */
export interface Stamp {
  readonly wall: Micros;
  readonly counter: number;
  readonly system: string;
}

export function compareStamps(a: Stamp, b: Stamp): number {
  if (a.wall !== b.wall) return a.wall - b.wall;
  if (a.counter !== b.counter) return a.counter - b.counter;
  return a.system < b.system ? -1 : a.system > b.system ? 1 : 0;
}

/**
 * The stamp of a write made at `at` by a writer who had seen `seen`. It is later than `seen` even
 * where the writer's clock is behind, so that causality never depends on clocks.
 */
export function stampAfter(seen: Stamp | null, at: Micros, system: string): Stamp {
  if (seen === null || at > seen.wall) return { wall: at, counter: 0, system };
  return { wall: seen.wall, counter: seen.counter + 1, system };
}
