import type { DigestPage, Operator } from '../contract/operator.ts';

export interface Mapped {
  readonly name: string;
  readonly lenses: ReadonlyMap<string, unknown>;
}

export interface Digesting {
  readonly operator: Operator;
  /** Waits after so many rows were read. */
  readonly pace: (rows: number) => Promise<void>;
  /** Rows that may be read at once; null: as many as is good. */
  readonly mostRows: number | null;
}

/** Rows that differ at first sight, by system: to be looked at one by one. */
export interface Suspects {
  readonly checked: number;
  readonly keys: ReadonlyMap<string, readonly string[]>;
}

/** Digests of rows are held in memory for so many rows at a time. */
const HELD_ROWS = 100_000;
const LEAST_ROWS = 20_000;
const BUCKET_ROWS = 64;
/** A page has so many rows for each bucket, so that its sums are few beside its rows. */
const ROWS_FOR_BUCKET = 4;
const MOST_BUCKETS = 3000;
const CHANGING = 'most of it differs or is changing';

interface Sum {
  readonly rows: number;
  readonly sum: bigint;
}

/**
 * Compares two systems by digests that their databases compute: sums by bucket first, and rows only
 * in buckets whose sums differ. Two passes over the tables whatever their size, and no row crosses
 * the network. Text: why that cannot be, or does not pay. `about`: how many rows there are.
 */
export async function compareDigests(
  comparing: Digesting,
  { name: entity, lenses }: Mapped,
  about: number,
): Promise<Suspects | string> {
  const [a, b] = [...lenses.keys()];
  if (a === undefined || b === undefined) return 'it is of one system';
  const most = Math.min(about / BUCKET_ROWS, (comparing.mostRows ?? Infinity) / ROWS_FOR_BUCKET);
  const bits = Math.min(16, Math.max(4, Math.ceil(Math.log2(most))));
  const sums: Map<number, Sum>[] = [];
  let checked = 0;
  for (const system of [a, b]) {
    const own = new Map<number, Sum>();
    const never = await eachPage(comparing, { entity, system, bits, among: null }, (page) => {
      checked += page.rows;
      for (const { bucket, rows, sum } of page.sums) {
        const known = own.get(bucket) ?? { rows: 0, sum: 0n };
        own.set(bucket, { rows: known.rows + rows, sum: known.sum + BigInt(sum) });
      }
    });
    if (never !== null) return never;
    sums.push(own);
  }
  const apart = unequal(sums[0] ?? new Map(), sums[1] ?? new Map());
  if (apart.length > 16 && apart.length > 2 ** bits / 4) return CHANGING;
  const group = Math.max(1, Math.floor((HELD_ROWS * 2 ** bits) / Math.max(1, checked / 2)));
  const keys = new Map<string, string[]>([
    [a, []],
    [b, []],
  ]);
  for (let at = 0; at < apart.length; at += Math.min(group, MOST_BUCKETS)) {
    const among = apart.slice(at, at + Math.min(group, MOST_BUCKETS));
    const left = new Map<string, string[]>();
    await eachPage(comparing, { entity, system: a, bits, among }, ({ found }) => {
      for (const { key, digest } of found) left.set(digest, [...(left.get(digest) ?? []), key]);
    });
    await eachPage(comparing, { entity, system: b, bits, among }, ({ found }) => {
      for (const { key, digest } of found) {
        if (left.get(digest)?.pop() === undefined) keys.get(b)?.push(key);
      }
    });
    for (const own of left.values()) keys.get(a)?.push(...own);
    if ([...keys.values()].some(({ length }) => length > HELD_ROWS)) return CHANGING;
  }
  return { checked, keys };
}

interface Pages {
  readonly entity: string;
  readonly system: string;
  readonly bits: number;
  readonly among: readonly number[] | null;
}

/** Text: there can be no digests. */
async function eachPage(
  { operator, pace, mostRows }: Digesting,
  { entity, system, bits, among }: Pages,
  tell: (page: DigestPage) => void,
): Promise<string | null> {
  const limit = Math.min(mostRows ?? Infinity, Math.max(LEAST_ROWS, 2 ** bits * ROWS_FOR_BUCKET));
  for (let after: string | null = null; ; ) {
    const part = { bits, among, after, limit };
    const page: DigestPage = await operator.digest(entity, system, part);
    if (page.never !== null) return page.never;
    tell(page);
    await pace(among === null ? page.rows : limit);
    if (page.next === null) return null;
    after = page.next;
  }
}

function unequal(a: ReadonlyMap<number, Sum>, b: ReadonlyMap<number, Sum>): number[] {
  const buckets = new Set([...a.keys(), ...b.keys()]);
  return [...buckets].filter((bucket) => {
    const [x, y] = [a.get(bucket), b.get(bucket)];
    return x?.rows !== y?.rows || x?.sum !== y?.sum;
  });
}
