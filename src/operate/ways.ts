import type { Entity } from '../contract/entity.ts';
import { goneOf, passesDeletes, rowOf, sourceKey } from '../feed/copy.ts';
import { type Feed, type FeedRoute, feedsOf } from '../feed/plan.ts';
import type { TableSchema, TableSpec } from '../model/change.ts';
import { type Cell, rowKey, rowKeyValues, type Value } from '../model/value.ts';
import { type Stores, storesIn } from '../normalize/stored.ts';
import type { ReadRows } from './verify.ts';

/** The way of a fed entity's rows into one target, as it is looked at from outside of the feed. */
export interface Way {
  readonly feed: Feed;
  readonly route: FeedRoute;
  /** In the source; the rows of the target, told apart as the feed does. */
  readonly originals: TableSpec;
  readonly copies: TableSpec;
  /** By index into the columns of `copies`. */
  readonly stores: readonly Stores[];
}

/** A row of the source and the one of the target that stands for it, as far as they are there. */
export interface Pair {
  /** Row keys; null where the row of the other side has no such key. */
  readonly original: string | null;
  readonly copy: string | null;
  readonly source: readonly Cell[] | null;
  readonly target: readonly Cell[] | null;
}

/** Entities that were compiled with the columns of their tables. */
export interface Described {
  readonly entities: readonly Entity[];
  readonly schemas: Schemas;
}

type Schemas = ReadonlyMap<string, readonly TableSchema[]> | undefined;

/** By entity: one for each system that gets its rows. */
export function waysOf({ entities, schemas }: Described): Map<string, Way[]> {
  const ways = feedsOf(entities).flatMap((feed) =>
    [...feed.routes].flatMap(([originals, routes]) =>
      routes.map((route) => wayOf(feed, originals, route, schemas)),
    ),
  );
  return Map.groupBy(ways, ({ route }) => route.entity.name);
}

function wayOf(feed: Feed, originals: TableSpec, route: FeedRoute, schemas: Schemas): Way {
  const { name, columns } = route.target.table;
  const described = schemas?.get(feed.to)?.find((schema) => schema.name === name)?.columns ?? [];
  const stores = columns.map((one): Stores => {
    const column = described.find((candidate) => candidate.name === one);
    return column === undefined ? (given, shown) => given === shown : storesIn(column);
  });
  const copies = { name, key: route.key.map((i) => columns[i]!), columns };
  return { feed, route, originals, copies, stores };
}

export const keyOf = ({ key, columns }: TableSpec, row: readonly Cell[]): string =>
  rowKey(key.map((name) => row[columns.indexOf(name)] ?? null));

/** An image of which nothing but the key is known; null: the text is no key of the table. */
function imageOf({ key, columns }: TableSpec, text: string): Cell[] | null {
  const values = valuesOf(text, key.length);
  if (values === null) return null;
  return columns.map((name) => (key.includes(name) ? values[key.indexOf(name)] : undefined));
}

function valuesOf(text: string, width: number): Value[] | null {
  try {
    const values = rowKeyValues(text, width);
    return Array.isArray(values) && values.length === width ? values : null;
  } catch {
    return null;
  }
}

/** What the other side calls the row; null: it has no such key there. */
export function keyInTarget({ route, originals }: Way, key: string): string | null {
  const image = imageOf(originals, key);
  return image === null ? null : (goneOf(route, image)?.key ?? null);
}

export function keyInSource({ route, copies }: Way, key: string): string | null {
  const image = imageOf(copies, key);
  if (image === null) return null;
  const told = route.keyOf.target.table.columns.map((name) => image[copies.columns.indexOf(name)]);
  const values = sourceKey(route, told);
  return values === null || values.includes(null) ? null : rowKey(values);
}

/** The rows with these keys of one table, by key. */
async function rowsAt(
  read: ReadRows,
  system: string,
  table: TableSpec,
  keys: readonly (string | null)[],
): Promise<Map<string, readonly Cell[]>> {
  const wanted = keys.flatMap((key) => (key === null ? [] : [key]));
  if (wanted.length === 0) return new Map();
  const values = wanted.map((key) => rowKeyValues(key, table.key.length));
  const chunk = await read(system, { table, after: null, limit: values.length, keys: values });
  return new Map(chunk.rows.map((row) => [keyOf(table, row), row]));
}

/** Of named rows of one of the two systems, there or not. */
export async function pairsNamed(
  read: ReadRows,
  way: Way,
  system: string,
  keys: readonly string[],
): Promise<Pair[]> {
  const { feed, originals, copies } = way;
  const here = system === feed.from;
  const named = keys.map((key) => ({
    original: here ? key : keyInSource(way, key),
    copy: here ? keyInTarget(way, key) : key,
  }));
  const one = await rowsAt(
    read,
    feed.from,
    originals,
    named.map(({ original }) => original),
  );
  const other = await rowsAt(
    read,
    feed.to,
    copies,
    named.map(({ copy }) => copy),
  );
  return named.map((pair) => ({
    ...pair,
    source: one.get(pair.original ?? '') ?? null,
    target: other.get(pair.copy ?? '') ?? null,
  }));
}

/** What a row of the target should be, and is not. `invalid`: the source's row itself is wrong. */
export type Judgement =
  | { readonly kind: 'invalid' }
  | { readonly kind: 'absent' | 'extra' }
  | {
      readonly kind: 'differs';
      /** Indexes into the columns of the target's table, with what should be there. */
      readonly columns: readonly { readonly at: number; readonly wanted: Value }[];
    };

/** Null: the target's row is as the source says. */
export function judge({ route, stores }: Way, { source, target }: Pair): Judgement | null {
  const { deletion } = route.target;
  const isThere =
    target !== null && !(deletion.kind === 'soft' && target[deletion.column] === deletion.value);
  const copy = source === null ? null : rowOf(route, source, null, false);
  if (copy?.kind === 'invalid') return { kind: 'invalid' };
  if (copy?.kind !== 'row') return isThere && passesDeletes(route) ? { kind: 'extra' } : null;
  if (!isThere) return { kind: 'absent' };
  const columns = route.columns.flatMap((at) => {
    const [wanted, held] = [copy.cells[at], target[at]];
    if (wanted === undefined || wanted === held) return [];
    const fits =
      typeof wanted === 'string' && typeof held === 'string' && stores[at]!(wanted, held);
    return fits ? [] : [{ at, wanted }];
  });
  return columns.length === 0 ? null : { kind: 'differs', columns };
}
