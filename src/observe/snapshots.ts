/** What the ledger's snapshot progress says to a reader; see `capture/progress.ts`. */
export function parseSnapshot(text: string): { rows: number; done: boolean } {
  const { rows, ended, again, sweep } = JSON.parse(text) as {
    rows: number;
    ended: boolean;
    again: readonly unknown[];
    sweep?: unknown;
  };
  return { rows, done: ended && again.length === 0 && (sweep ?? null) === null };
}
