import type { RowName, SnapshotChunk } from '../capture/snapshot.ts';
import type { Entity } from '../contract/entity.ts';
import type { Change, SourceBatch, TableSpec, Transaction } from '../model/change.ts';
import { type Cell, type Micros, rowKey, type Value } from '../model/value.ts';
import type { FedRows } from '../observe/report.ts';
import type { AsideRow } from './aside.ts';
import { type Copy, copyOf, goneOf, passesDeletes, rowOf } from './copy.ts';
import type { Guard } from './flood.ts';
import { type Load, openLoad } from './load.ts';
import type { Feed, FeedRoute } from './plan.ts';

/** Deletes or a truncate that a person has to let through first; nothing behind them is written. */
export class Held extends Error {
  readonly entity: Entity;
  readonly reason: 'flood' | 'truncate';
  readonly transaction: string;
  readonly at: Micros;

  constructor(entity: Entity, reason: Held['reason'], { id, committedAt }: Transaction) {
    super(reason === 'flood' ? FLOOD : TRUNCATE);
    this.entity = entity;
    this.reason = reason;
    this.transaction = id;
    this.at = committedAt;
  }
}

const FLOOD = 'the feed waits: parked retry passes the deletes on, discard keeps the copies';
const TRUNCATE = 'the feed waits: parked retry removes the copies, discard keeps them';

/** What some batches of the log come to. */
export interface Translated {
  readonly load: Load;
  readonly chunks: readonly SnapshotChunk[];
  readonly invalid: readonly AsideRow[];
  /** Rows of which the log told too little. */
  readonly unread: readonly RowName[];
  /** Tables that no longer fit their mapping, and why. */
  readonly broken: ReadonlyMap<string, string>;
  /** Tables whose rows went at once, and when: what the target has beyond theirs goes too. */
  readonly truncated: ReadonlyMap<string, Micros>;
  readonly rows: readonly FedRows[];
  /** By how many rows each table of the source has grown. */
  readonly growth: ReadonlyMap<string, number>;
  /** The last transaction of the batches has ended with them. */
  readonly complete: boolean;
}

export interface Terms {
  readonly guard: Guard;
  /** Of truncates that a person has decided: whether they are passed on. */
  readonly decided: ReadonlyMap<string, boolean>;
  readonly after: (transaction: Transaction) => SnapshotChunk | null;
}

/** Throws {@link Held} where a person has to decide first. */
export function translate(
  feed: Feed,
  batches: readonly SourceBatch[],
  { guard, decided, after }: Terms,
): Translated {
  const load = openLoad();
  const chunks: SnapshotChunk[] = [];
  const invalid: AsideRow[] = [];
  const unread: RowName[] = [];
  const broken = new Map<string, string>();
  const truncated = new Map<string, Micros>();
  const tallies = openTallies();
  const growth = new Map<string, number>();
  const take = (route: FeedRoute, copy: Copy | null, table: TableSpec): void => {
    if (copy === null) return;
    if (copy.kind !== 'invalid') {
      load.add(route, copy);
      if (copy.kind === 'row' && copy.unsure) unread.push({ table, key: keyIn(table, copy.image) });
      return;
    }
    const detail = copy.faults.map(({ place, message }) => `${place}: ${message}`).join('; ');
    const key = rowKey(keyIn(table, copy.image));
    const { name: entity } = route.entity;
    invalid.push({ entity, reason: 'invalid', key, detail });
  };
  const change = (transaction: Transaction, one: Change, tally: Tally): void => {
    for (const route of feed.routes.get(one.table) ?? []) {
      if (one.op === 'truncate') {
        const passes = decided.get(transaction.id);
        if (passes === undefined) throw new Held(route.entity, 'truncate', transaction);
        if (passes) truncated.set(one.table.name, transaction.committedAt);
        continue;
      }
      const copy = copyOf(route, one);
      if (one.op === 'delete' && copy !== null) {
        const fate = guard.judge(route.entity, transaction.committedAt);
        if (fate === 'held') throw new Held(route.entity, 'flood', transaction);
        if (fate === 'dropped') continue;
      }
      take(route, copy, one.table);
      tally.count(route.entity.name, copy?.kind === 'gone' ? 'delete' : 'upsert');
    }
  };
  for (const { transactions } of batches) {
    for (const transaction of transactions) {
      const tally = tallies.of(transaction.committedAt);
      for (const one of transaction.changes) {
        if (one.op === 'drift') broken.set(one.table.name, one.detail ?? '');
        else change(transaction, one, tally);
        const more = GROWTH[one.op];
        if (more !== 0) growth.set(one.table.name, (growth.get(one.table.name) ?? 0) + more);
      }
      const chunk = after(transaction);
      if (chunk === null) continue;
      chunks.push(chunk);
      takeChunk(feed, chunk, take);
    }
  }
  const complete = batches.at(-1)?.transactions.at(-1)?.complete ?? true;
  return { load, chunks, invalid, unread, broken, truncated, growth, rows: tallies.rows, complete };
}

const GROWTH = { insert: 1, delete: -1, update: 0, truncate: 0, drift: 0 } as const;

interface Tally {
  count(entity: string, operation: FedRows['operation']): void;
}

/** Transactions that were committed in one millisecond are told as one. */
function openTallies() {
  const rows: FedRows[] = [];
  let millisecond = -1;
  let some: { entity: string; operation: FedRows['operation']; since: Micros; count: number }[] =
    [];
  let since: Micros = 0;
  const tally: Tally = {
    count(entity, operation) {
      const known = some.find((one) => one.entity === entity && one.operation === operation);
      if (known !== undefined) {
        known.count += 1;
        return;
      }
      const fresh = { entity, operation, since, count: 1 };
      some.push(fresh);
      rows.push(fresh);
    },
  };
  return {
    rows,
    of(at: Micros): Tally {
      if (Math.floor(at / 1000) !== millisecond) {
        [millisecond, since, some] = [Math.floor(at / 1000), at, []];
      }
      return tally;
    },
  };
}

/** Rows as they were read, exact at this place of the log. */
function takeChunk(
  { routes }: Feed,
  { table, rows, missing, first }: SnapshotChunk,
  take: (route: FeedRoute, copy: Copy | null, table: TableSpec) => void,
): void {
  for (const route of routes.get(table) ?? []) {
    for (const row of rows) {
      const copy = rowOf(route, row, null, first);
      // Before the first load nothing of a row that does not belong here can be in the target.
      if (!first || copy?.kind !== 'gone') take(route, copy, table);
    }
    if (!passesDeletes(route)) continue;
    for (const key of missing) take(route, goneOf(route, imageOf(table, key)), table);
  }
}

const imageOf = ({ columns, key }: TableSpec, values: readonly Value[]): Cell[] =>
  columns.map((name) => {
    const at = key.indexOf(name);
    return at < 0 ? undefined : values[at];
  });

export const keyIn = ({ columns, key }: TableSpec, image: readonly Cell[]): Value[] =>
  key.map((name) => image[columns.indexOf(name)] ?? null);
