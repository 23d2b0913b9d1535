/** Wakes one loop that ran out of work; rung while nobody waits, the next wait ends at once. */
export interface Bell {
  ring(): void;
  /** Returns when rung, aborted, or after `ms`; whether it was rung. */
  wait(ms: number, signal: AbortSignal): Promise<boolean>;
}

export function bell(): Bell {
  let rung = false;
  let wake: (() => void) | null = null;
  return {
    ring() {
      rung = true;
      wake?.();
    },
    wait(ms, signal) {
      if (rung || signal.aborted) {
        const told = rung;
        rung = false;
        return Promise.resolve(told);
      }
      return new Promise((resolve) => {
        const done = (): void => {
          clearTimeout(timer);
          signal.removeEventListener('abort', done);
          const told = rung;
          wake = null;
          rung = false;
          resolve(told);
        };
        const timer = setTimeout(done, ms);
        signal.addEventListener('abort', done, { once: true });
        wake = done;
      });
    },
  };
}
