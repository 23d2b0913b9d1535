/** What a reader is told on its command line, and what it prints when it has read it all. */

export interface Job {
  readonly url: string;
  /** Of the slot and the publication, where the log has them. */
  readonly name: string;
  /** Where Carrick's source begins. */
  readonly position: string;
  /** Where zongji begins. */
  readonly file: string;
  readonly offset: number;
  /** Row changes to read. */
  readonly rows: number;
}

export interface Reading {
  /** From before the connection to the last row. */
  readonly seconds: number;
  readonly cpuSeconds: number;
}

export const readJob = (): Job => JSON.parse(process.argv[2]!);

/** Call before connecting; the result ends the program. */
export function startReading(): () => never {
  const started = performance.now();
  const before = process.cpuUsage();
  return () => {
    const seconds = (performance.now() - started) / 1000;
    const { user, system } = process.cpuUsage(before);
    const reading: Reading = { seconds, cpuSeconds: (user + system) / 1e6 };
    process.stdout.write(JSON.stringify(reading));
    process.exit(0);
  };
}
