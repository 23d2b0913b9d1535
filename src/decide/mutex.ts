/** Runs work one after the other, in the order of the calls. */
export type Exclusively = <T>(work: () => Promise<T>) => Promise<T>;

export function mutex(): Exclusively {
  let tail: Promise<unknown> = Promise.resolve();
  return (work) => {
    const result = tail.then(work);
    tail = result.catch(() => undefined);
    return result;
  };
}
