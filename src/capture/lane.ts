import type { Chunk } from '../contract/source.ts';
import type { Mark, TableSpec, Transaction } from '../model/change.ts';
import { rowKey, type Value } from '../model/value.ts';
import type { Progress, Sweep } from './progress.ts';

/** What a chunk is made of: rows in order, rows to be read again, or rows that were not met. */
export type Step =
  | { readonly kind: 'order'; readonly after: readonly Value[] | null }
  | { readonly kind: 'again' | 'sweep'; readonly keys: readonly (readonly Value[])[] };

/** One table while one chunk of it is read; tables are read side by side, each in its own lane. */
export interface Lane {
  readonly table: TableSpec;
  /** The table's progress when the reading began. */
  readonly before: Progress;
  /** Numbers of its own two fences; null: not written yet. */
  low: number | null;
  high: number | null;
  readonly touched: Set<string>;
  /** Transactions that the log showed behind the low mark: what they did is among the touched. */
  readonly since: Set<string>;
  /** The low mark was seen. */
  open: boolean;
  /** Set before the high mark is written. */
  read: { readonly step: Step; readonly chunk: Chunk; readonly sweep: Sweep | null } | null;
  /** `handed`: its chunk is on the way into the ledger. `void`: nothing comes of it. */
  state: 'reading' | 'handed' | 'void';
  /** Work goes on in the background, whatever has become of the lane. */
  underWay: boolean;
}

/** So many tables are read side by side. */
const LANES = 3;

export interface Lanes {
  /** Starts reading a chunk of the table, where a lane is free and the table has none. */
  start(table: TableSpec, before: Progress): void;
  /** Lanes whose chunks are awaited. */
  reading(): Lane[];
  /** The lane of the table is done with: it is free once its work has ended. */
  drop(of: { readonly table: TableSpec }): void;
  /** Throws what has failed. */
  check(): void;
}

/** `freed` is called where a lane becomes free behind the call that dropped it. */
export function openLanes(read: (lane: Lane) => Promise<void>, freed: () => void): Lanes {
  const lanes = new Map<string, Lane>();
  let failure: { readonly error: unknown } | null = null;
  const free = (lane: Lane): void => {
    if (lane.state === 'void' && !lane.underWay) lanes.delete(lane.table.name);
  };
  return {
    start(table, before) {
      if (lanes.size >= LANES || lanes.has(table.name)) return;
      const lane = openLane(table, before);
      lanes.set(table.name, lane);
      read(lane)
        .catch((error: unknown) => {
          if (lane.state === 'reading') failure ??= { error };
        })
        .then(() => {
          lane.underWay = false;
          if (lane.state !== 'void') return;
          free(lane);
          if (failure === null) freed();
        })
        // Nobody awaits this: unheard, it would end the daemon.
        .catch((error: unknown) => {
          failure ??= { error };
        });
    },
    reading: () => [...lanes.values()].filter(({ state }) => state === 'reading'),
    drop({ table }) {
      const lane = lanes.get(table.name);
      if (lane === undefined) return;
      lane.state = 'void';
      free(lane);
    },
    check() {
      if (failure !== null) throw failure.error;
    },
  };
}

const openLane = (table: TableSpec, before: Progress): Lane => ({
  table,
  before,
  low: null,
  high: null,
  touched: new Set(),
  since: new Set(),
  open: false,
  read: null,
  state: 'reading',
  underWay: true,
});

/**
 * Shows a lane the next transaction of the log. `complete`: its chunk belongs right behind this
 * transaction. `void`: it never will.
 */
export function passes(
  lane: Lane,
  transaction: Transaction,
  fence: number | null,
): 'on' | 'complete' | 'void' {
  // The log does not tell of each row: the chunk may show what is no longer so.
  if (isUnsettled(transaction, lane.table)) return 'void';
  if (fence !== null && fence === lane.low) lane.open = true;
  if (!lane.open) return 'on';
  noteTouched(lane, transaction);
  return fence !== null && fence === lane.high ? 'complete' : 'on';
}

/** The number of one of our fences. */
export const fenceOf = (mark: Mark | null, instance: string): number | null =>
  mark !== null && mark.lane === 'watermark' && mark.instance === instance ? mark.batch : null;

/** Its rows are gone or withheld without a word about each. */
const isUnsettled = ({ changes }: Transaction, { name }: TableSpec): boolean =>
  changes.some(({ op, table }) => table.name === name && (op === 'drift' || op === 'truncate'));

function noteTouched({ table, touched }: Lane, transaction: Transaction): void {
  const at = table.key.map((name) => table.columns.indexOf(name));
  for (const change of transaction.changes) {
    if (change.table.name !== table.name) continue;
    for (const image of [change.row, change.old]) {
      if (image === null || image.length === 0) continue;
      touched.add(rowKey(at.map((i) => image[i] ?? null)));
    }
  }
}
