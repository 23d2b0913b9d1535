import type { RowName, SnapshotChunk } from '../capture/snapshot.ts';
import type { Entity } from '../contract/entity.ts';
import type { Change, SourceBatch, TableSpec, Transaction } from '../model/change.ts';
import type { Cell, Micros, Value } from '../model/value.ts';
import type { FedRows } from '../observe/report.ts';
import type { FloodCounts } from '../reconcile/flood.ts';
import { type Copy, copyOf, rowOf as copyOfRow, goneOf, passesDeletes } from './copy.ts';
import type { Guard } from './flood.ts';
import { type Load, openLoad } from './load.ts';
import type { Feed, FeedRoute } from './plan.ts';
import {
  keyIn,
  noteCopy,
  noteEmptied,
  noteMove,
  nothingStands,
  type Standing,
} from './standing.ts';

/** Deletes or a truncate that a person has to let through first; nothing behind them is written. */
export class Held extends Error {
  readonly entity: Entity;
  readonly reason: 'flood' | 'truncate';
  readonly transaction: string;
  readonly at: Micros;

  /** `message`: what the verdict will cover. */
  constructor(
    entity: Entity,
    reason: Held['reason'],
    { id, committedAt }: Transaction,
    message: string,
  ) {
    super(message);
    this.entity = entity;
    this.reason = reason;
    this.transaction = id;
    this.at = committedAt;
  }
}

const FLOOD = 'the feed waits: parked retry passes the deletes on, discard keeps the copies';

/** One verdict for the whole transaction: it covers each entity that its truncates empty. */
function truncateText({ routes }: Feed, { changes }: Transaction): string {
  const emptied = changes
    .filter(({ op }) => op === 'truncate')
    .flatMap(({ table }) => [...(routes.get(table) ?? [])]);
  const names = new Set(emptied.filter(passesDeletes).map(({ entity }) => entity.name));
  const copies = `the copies of ${[...names].join(', ')}`;
  return `the feed waits: parked retry removes ${copies}, discard keeps them`;
}

/** What some batches of the log come to. */
export interface Translated {
  readonly load: Load;
  readonly chunks: readonly SnapshotChunk[];
  readonly standing: Standing;
  /** Rows of which the log told too little. */
  readonly unread: readonly RowName[];
  /** Tables that no longer fit their mapping, and why. */
  readonly broken: ReadonlyMap<string, string>;
  /** Tables whose rows went at once, and when: what the target has beyond theirs goes too. */
  readonly truncated: ReadonlyMap<string, Micros>;
  readonly rows: readonly FedRows[];
  /** By how many rows each table of the source has grown. */
  readonly growth: ReadonlyMap<string, number>;
  /** The last transaction of the batches has ended with them; null: they have none. */
  readonly complete: boolean | null;
  /** The deletes up to here. */
  readonly counted: FloodCounts;
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
  const standing = nothingStands();
  const unread: RowName[] = [];
  const broken = new Map<string, string>();
  const truncated = new Map<string, Micros>();
  const tallies = openTallies();
  const growth = new Map<string, number>();
  const take: Take = (route, table, image, copy) => {
    const isUnsure = copy !== null && copy.kind !== 'gone' && copy.unsure;
    if (isUnsure) unread.push({ table, key: keyIn(table, image) });
    // What is wrong with it, and whether it is ours at all, is seen when it is read.
    if (isUnsure && copy.kind === 'invalid') return;
    noteCopy(standing, route, table, image, copy);
    if (copy !== null && copy.kind !== 'invalid') load.add(route, copy);
  };
  const takeGone = (route: FeedRoute, image: readonly Cell[]): void => {
    const gone = passesDeletes(route) ? goneOf(route, image) : null;
    if (gone !== null) load.add(route, gone);
  };
  const goes = ({ entity }: FeedRoute, transaction: Transaction): boolean => {
    const fate = guard.judge(entity, transaction.committedAt);
    if (fate === 'held') throw new Held(entity, 'flood', transaction, FLOOD);
    return fate === 'passes';
  };
  const change = (transaction: Transaction, one: Change, tally: Tally): void => {
    for (const route of feed.routes.get(one.table) ?? []) {
      if (one.op === 'truncate') {
        const passes = passesDeletes(route) && decided.get(transaction.id);
        if (passes === undefined) {
          const text = truncateText(feed, transaction);
          throw new Held(route.entity, 'truncate', transaction, text);
        }
        if (passes) truncated.set(one.table.name, transaction.committedAt);
        noteEmptied(standing, route, feed, load);
        continue;
      }
      const known = copyOf(route, one);
      // A person keeps the copy, and the row is gone.
      const stays = one.op === 'delete' && known !== null && !goes(route, transaction);
      const copy = stays ? null : known;
      take(route, one.table, one.op === 'delete' ? (one.old ?? []) : one.row, copy);
      if (stays) continue;
      const left = noteMove(standing, route, one, copy);
      // Of a row that is set aside under a new key nothing may stay under the old one.
      if (left !== null && copy?.kind === 'invalid') takeGone(route, left);
      // Nor under the new key of a row that is not ours: a person may have kept what had it.
      if (left !== null && copy?.kind === 'gone') takeGone(route, one.row);
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
      const isDecided = isCovered(guard, chunk, transaction);
      takeChunk(feed, chunk, take, (route) => isDecided(route) || goes(route, transaction));
    }
  }
  const last = batches.flatMap(({ transactions }) => transactions).at(-1);
  const complete = last?.complete ?? null;
  const counted = guard.counted();
  const { rows } = tallies;
  return { load, chunks, standing, unread, broken, truncated, rows, growth, complete, counted };
}

/** Of rows that went with a truncate a person has decided, unless asked about deletes since. */
const isCovered =
  (guard: Guard, { absent }: SnapshotChunk, { committedAt }: Transaction) =>
  ({ entity }: FeedRoute): boolean =>
    absent !== undefined && !guard.isAsked(entity, committedAt);

type Take = (route: FeedRoute, table: TableSpec, image: readonly Cell[], copy: Copy | null) => void;

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
  take: Take,
  goes: (route: FeedRoute) => boolean,
): void {
  for (const route of routes.get(table) ?? []) {
    for (const row of rows) {
      const copy = copyOfRow(route, row, null, first);
      // Before the first load nothing of a row that does not belong here can be in the target.
      if (!first || copy?.kind !== 'gone') take(route, table, row, copy);
    }
    for (const key of missing) {
      const image = imageOf(table, key);
      const copy = passesDeletes(route) ? goneOf(route, image) : null;
      take(route, table, image, copy === null || goes(route) ? copy : null);
    }
  }
}

const imageOf = ({ columns, key }: TableSpec, values: readonly Value[]): Cell[] =>
  columns.map((name) => {
    const at = key.indexOf(name);
    return at < 0 ? undefined : values[at];
  });
