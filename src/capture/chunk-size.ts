/** What reading a chunk took. */
export interface Took {
  readonly rows: number;
  /** See {@link weightOf}. */
  readonly bytes: number;
  readonly seconds: number;
}

/** Before anything is known of a table's rows. */
export const FIRST_ROWS = 500;
const LEAST_ROWS = 100;
/** A chunk is decided as a whole, and nothing else meanwhile: larger ones hold the log up. */
const MOST_ROWS = 4000;
const AIM_BYTES = 1024 * 1024;
const AIM_SECONDS = 0.5;
/** Rows that are suddenly wider than those before: reading stops here, whatever was expected. */
export const MOST_BYTES = 8 * AIM_BYTES;

/**
 * How many rows to ask for behind a chunk for which `limit` were asked: at most twice as many, so
 * that a guess from a few rows is not believed at once; at least half, and not below a hundred, for
 * the sake of time, because a busy server gets no faster by being asked more often; but as few as
 * it takes, down to one, for the sake of memory.
 */
export function nextLimit(limit: number, { rows, bytes, seconds }: Took): number {
  if (rows === 0) return limit;
  const perRow = Math.max(1, bytes / rows);
  // Of few rows most of the time was the way to the server.
  const timely = rows * 2 < limit ? limit : (rows * AIM_SECONDS) / Math.max(seconds, 1e-6);
  const wanted = Math.max(timely, limit / 2, LEAST_ROWS);
  const most = Math.min(limit * 2, MOST_ROWS, AIM_BYTES / perRow);
  return Math.max(1, Math.floor(Math.min(wanted, most)));
}

/** About the bytes of memory that rows take beside their cells' own. */
export function weightOf(rows: readonly (readonly (string | null | undefined)[])[]): number {
  let bytes = 0;
  for (const row of rows) for (const cell of row) bytes += cell?.length ?? 0;
  return bytes;
}
