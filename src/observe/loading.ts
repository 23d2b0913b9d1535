/** How far and how fast a table is being read, for a bar, a metric or a log line. */
export interface Loading {
  readonly rows: number;
  /** About how many there are to read; never less than were read. Null: unknown. */
  readonly estimatedRows: number | null;
  /** Over the last half minute or so; null before there is anything to compare. */
  readonly rowsPerSecond: number | null;
  /** Seconds from some beginning: when these figures were true. */
  readonly at: number;
}

/** A chunk weighs as much in the rate as the time since the one before it, in these seconds. */
const MEMORY_SECONDS = 30;

export function advance(
  before: Loading | undefined,
  { rows, estimate, at }: { rows: number; estimate: number | null; at: number },
): Loading {
  const estimatedRows = estimate === null ? null : Math.max(estimate, rows);
  // Another pass over the table began: it is as fast as it is.
  if (before === undefined || rows < before.rows) {
    return { rows, estimatedRows, rowsPerSecond: before?.rowsPerSecond ?? null, at };
  }
  const passed = Math.max(at - before.at, 1e-3);
  const now = (rows - before.rows) / passed;
  const was = before.rowsPerSecond ?? now;
  const weight = 1 - Math.exp(-passed / MEMORY_SECONDS);
  return { rows, estimatedRows, rowsPerSecond: was + weight * (now - was), at };
}

/** Null: nobody can say. */
export function secondsLeft({ rows, estimatedRows, rowsPerSecond }: Loading): number | null {
  if (estimatedRows === null || rowsPerSecond === null || rowsPerSecond <= 0) return null;
  return (estimatedRows - rows) / rowsPerSecond;
}
