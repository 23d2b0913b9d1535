/**
 * Through which calls reach what a reload replaces: they wait while there is nothing to act on, and
 * closing waits for those that are under way.
 */
export interface Gate<T> {
  act<R>(use: (through: T) => Promise<R>): Promise<R>;
  /** Disposing the result closes the gate. */
  open(through: T): AsyncDisposable;
}

export function createGate<T>(): Gate<T> {
  let opened = Promise.withResolvers<T>();
  const underWay = new Set<Promise<unknown>>();
  return {
    async act(use) {
      const call = opened.promise.then(use);
      underWay.add(call);
      try {
        return await call;
      } finally {
        underWay.delete(call);
      }
    },
    open(through) {
      opened.resolve(through);
      return {
        async [Symbol.asyncDispose]() {
          opened = Promise.withResolvers<T>();
          await Promise.allSettled([...underWay]);
        },
      };
    },
  };
}
