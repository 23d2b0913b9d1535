/** Confirmations that follow one another closely are sent as one. */
const SPACING_MS = 100;

/**
 * Tells the server what it may forget. Invariant 1: only what was settled, whatever was received,
 * and however long ago; a server that hears the same again knows that we are alive.
 */
export interface Acknowledger {
  settle(lsn: bigint): void;
  /** Repeats what is settled; `ping` asks the server to say how far it is. */
  repeat(ping: boolean): void;
  /** Answers a server that waits for an answer. */
  answer(): void;
  close(): void;
}

export function createAcknowledger(
  from: bigint,
  send: (lsn: bigint, ping: boolean) => void,
): Acknowledger {
  let settled = from;
  let sentAt = 0;
  let timer: NodeJS.Timeout | null = null;

  const repeat = (ping: boolean): void => {
    sentAt = Date.now();
    send(settled, ping);
  };

  return {
    settle(lsn) {
      if (lsn <= settled) return;
      settled = lsn;
      timer ??= setTimeout(() => {
        timer = null;
        repeat(false);
      }, SPACING_MS);
    },
    repeat,
    answer() {
      // A server that shuts down asks again at once until all is confirmed.
      if (Date.now() - sentAt >= SPACING_MS) repeat(false);
    },
    close() {
      if (timer !== null) clearTimeout(timer);
    },
  };
}
