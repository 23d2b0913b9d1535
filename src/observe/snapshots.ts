/** What the ledger's snapshot progress says to a reader; see `capture/snapshot.ts`. */
export function parseSnapshot(text: string): { rows: number; done: boolean } {
  const { rows, ended, again } = JSON.parse(text) as {
    rows: number;
    ended: boolean;
    again: readonly unknown[];
  };
  return { rows, done: ended && again.length === 0 };
}
