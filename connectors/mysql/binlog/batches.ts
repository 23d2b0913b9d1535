import type { SourceBatch } from '../../../src/model/change.ts';

/**
 * What stands between the socket, which pushes, and the consumer, who pulls: a few finished
 * batches, and what has been decoded since. A consumer that waits gets it as soon as the socket
 * has nothing more; one that is busy lets it grow into a full batch, and stops the socket.
 */
export interface Batches {
  push(batch: SourceBatch): void;
  /** What has been decoded may be handed over when the socket has nothing more. */
  offer(): void;
  fail(error: Error): void;
  next(): Promise<SourceBatch>;
  readonly waiting: boolean;
  readonly full: boolean;
  /** Resolves when there is room again; null while there is. */
  room(): Promise<void> | null;
}

const MOST_WAITING = 2;

/** `flush` hands over what has been decoded, through `push`; `onRoom` is called after a pull. */
export function batchQueue(flush: () => void, onRoom: () => void): Batches {
  const ready: SourceBatch[] = [];
  let failure: Error | null = null;
  let waiter: PromiseWithResolvers<SourceBatch> | null = null;
  let roomWaiter: PromiseWithResolvers<void> | null = null;
  let offered = false;
  const queue: Batches = {
    push: (batch) => {
      if (waiter === null) ready.push(batch);
      else {
        waiter.resolve(batch);
        waiter = null;
      }
    },
    offer: () => {
      if (waiter === null || offered) return;
      offered = true;
      // Runs when everything that the socket had is decoded.
      setImmediate(() => {
        offered = false;
        if (waiter !== null) flush();
      });
    },
    fail: (error) => {
      failure ??= error;
      waiter?.reject(failure);
      waiter = null;
      roomWaiter?.resolve();
    },
    next: async () => {
      if (ready.length === 0 && failure === null) flush();
      const batch = ready.shift();
      if (batch !== undefined) {
        roomWaiter?.resolve();
        roomWaiter = null;
        onRoom();
        return batch;
      }
      if (failure !== null) throw failure;
      waiter = Promise.withResolvers();
      return waiter.promise;
    },
    get waiting() {
      return waiter !== null;
    },
    get full() {
      return ready.length >= MOST_WAITING;
    },
    room: () => {
      if (ready.length < MOST_WAITING) return null;
      roomWaiter ??= Promise.withResolvers();
      return roomWaiter.promise;
    },
  };
  return queue;
}
