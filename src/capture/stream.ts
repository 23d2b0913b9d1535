/** Ends the stream between two items, without waiting for the next one. */
export async function* untilStopped<T>(
  stream: AsyncIterable<T>,
  stop: AbortSignal,
): AsyncGenerator<T> {
  const iterator = stream[Symbol.asyncIterator]();
  const ended = { done: true, value: undefined } as const;
  while (!stop.aborted) {
    const { promise, resolve } = Promise.withResolvers<typeof ended>();
    const abort = (): void => resolve(ended);
    stop.addEventListener('abort', abort, { once: true });
    const next = iterator.next();
    // Closing the source may fail what is still being waited for; nobody is interested any more.
    next.catch(() => undefined);
    const result = await Promise.race([next, promise]);
    stop.removeEventListener('abort', abort);
    if (result.done) return;
    yield result.value;
  }
}

/**
 * Goes on reading while the consumer is busy: it then gets all that has come, `most` items at most
 * (invariant 8). Closes the stream where the consumer ends first.
 */
export async function* ahead<T>(stream: AsyncIterable<T>, most: number): AsyncGenerator<T[]> {
  const iterator = stream[Symbol.asyncIterator]();
  let taken: T[] = [];
  let end: { readonly error: unknown } | null = null;
  let closed = false;
  let came = Promise.withResolvers<void>();
  let room = Promise.withResolvers<void>();
  const read = async (): Promise<void> => {
    for (;;) {
      const next = await iterator.next();
      if (next.done || closed) return;
      taken.push(next.value);
      came.resolve();
      if (taken.length >= most) await room.promise;
      if (closed) return;
    }
  };
  const finish = (error: unknown): void => {
    end = { error };
    came.resolve();
  };
  read().then(() => finish(null), finish);
  try {
    for (;;) {
      await came.promise;
      const all = taken;
      taken = [];
      if (end === null) came = Promise.withResolvers();
      room.resolve();
      room = Promise.withResolvers();
      if (all.length > 0) yield all;
      else if (end !== null) break;
    }
  } finally {
    closed = true;
    room.resolve();
    // Whoever closes what is read ends what is still being waited for.
    iterator.return?.().catch(() => undefined);
  }
  const { error } = end as { readonly error: unknown };
  if (error !== null) throw error;
}

export function pause(seconds: number, stop: AbortSignal): Promise<void> {
  if (stop.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      stop.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, seconds * 1000);
    stop.addEventListener('abort', done, { once: true });
  });
}
