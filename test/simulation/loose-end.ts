import type { Scheduler } from './scheduler.ts';

/** A commit that others see before it is on disk. */
export interface Loose {
  /** It is on disk now. */
  settle(): void;
  /** It never was. */
  undo(): void;
}

/** The commits at the end of a log that are not on disk. */
export interface LooseEnd {
  count(): number;
  /** It comes to disk by itself, some time. */
  add(loose: Loose): void;
  flush(): void;
  lose(): void;
}

export function openLooseEnd(name: string, scheduler: Scheduler, flushed: () => void): LooseEnd {
  const end: Loose[] = [];
  const flush = (): void => {
    flushed();
    if (end.length === 0) return;
    for (const { settle } of end.splice(0)) settle();
    scheduler.changed();
  };
  return {
    count: () => end.length,
    add(loose) {
      end.push(loose);
      scheduler.event(`disk ${name}`, () => {
        if (end.includes(loose)) flush();
      });
    },
    flush,
    lose() {
      for (const { undo } of end.splice(0).reverse()) undo();
    },
  };
}
