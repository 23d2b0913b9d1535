/** What the ledger's snapshot progress says to a reader; see `capture/progress.ts`. */
export interface SnapshotNews {
  readonly rows: number;
  /** Nothing is being read, not for a resync either. */
  readonly done: boolean;
  /** The first load is complete. */
  readonly loaded: boolean;
}

export function parseSnapshot(text: string): SnapshotNews {
  const { rows, ended, again, sweep } = JSON.parse(text) as {
    rows: number;
    ended: boolean;
    again: readonly unknown[];
    sweep?: unknown;
  };
  const done = ended && again.length === 0 && (sweep ?? null) === null;
  return { rows, done, loaded: done || sweep !== undefined };
}
