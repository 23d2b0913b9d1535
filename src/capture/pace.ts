/** Time as the daemon measures it; the simulation has its own. */
export interface Clock {
  /** Seconds from some beginning. */
  now(): number;
  sleep(seconds: number): Promise<void>;
}

/** Runs work that puts load on a system for the seconds that it returns. */
export type Pace = (work: () => Promise<number>) => Promise<void>;

/**
 * `share` of the time at most: below 1 one piece of work runs at a time, and behind it the system
 * is left alone until its share is kept (behind a second at share 0.25: three). At 1 nothing waits.
 */
export function openPace(share: number, clock: Clock): Pace {
  if (share >= 1) return async (work) => void (await work());
  let turn: Promise<unknown> = Promise.resolve();
  return async (work) => {
    const mine = turn.then(work);
    turn = mine.then(
      (seconds) => clock.sleep(seconds * (1 / share - 1)),
      () => undefined,
    );
    await mine;
  };
}
