import type { Parked } from '../contract/ledger.ts';
import type { Resync } from '../contract/operator.ts';
import type { Value } from '../model/value.ts';
import { rowKeyValues } from '../model/value.ts';
import type { Feed } from './plan.ts';

/** What people ask of one running feed; taken up when its loop next goes round. */
export interface Asks {
  /** Rows of the source that are to be read again: by table, their keys. */
  readonly again: Map<string, (readonly Value[])[]>;
  /** Tables of the source that are to be read anew. */
  readonly tables: Set<string>;
  /** What the loop waits for: the numbers of holds. */
  readonly held: Set<number>;
  /** By the hold's number: whether what is held is passed on. */
  readonly verdicts: Map<number, boolean>;
}

const NOT_OURS = 'no feed waits for it: discard it';

/** The feeds of a daemon, as people reach them. */
export interface FeedDesk {
  asksOf(feed: Feed): Asks;
  /** What comes of it, in words. */
  retry(parked: Parked): string;
  /** True: it was a feed's hold, and what it held is dropped. */
  discard(parked: Parked): boolean;
  /** Null: it is none of a feed's. */
  resync(entity: string, system: string | null): Resync[] | null;
  /** Has rows of one table of the source read again, and written as they are. */
  again(feed: Feed, table: string, keys: readonly (readonly Value[])[]): void;
}

const noAsks = (): Asks => ({
  ...{ again: new Map(), tables: new Set(), held: new Set(), verdicts: new Map() },
});

export function openFeedDesk(feeds: readonly Feed[]): FeedDesk {
  const asks = new Map<string, Asks>(feeds.map(({ name }) => [name, noAsks()]));
  const asksOf = ({ name }: Feed): Asks => asks.get(name)!;
  const into = (entity: string, system: string | null): Feed[] =>
    feeds.filter(
      ({ name, from, to, routes }) =>
        (system === null || [name, from, to].includes(system)) &&
        [...routes.values()].flat().some((route) => route.entity.name === entity),
    );
  const tablesOf = ({ routes }: Feed, entity: string) =>
    [...routes].filter(([, some]) => some.some((route) => route.entity.name === entity));
  const again: FeedDesk['again'] = (feed, table, keys) => {
    const own = asksOf(feed).again;
    own.set(table, [...(own.get(table) ?? []), ...keys]);
  };
  /** False: no feed waits for it. */
  const decide = (id: number, passes: boolean): boolean => {
    const waiting = [...asks.values()].filter(({ held }) => held.has(id));
    for (const { verdicts } of waiting) verdicts.set(id, passes);
    return waiting.length > 0;
  };
  return {
    asksOf,
    again,
    retry(parked) {
      if (parked.kind === 'hold') return decide(parked.id, true) ? 'carried out' : NOT_OURS;
      if (parked.kind === 'delivery') return NOT_OURS;
      const found = into(parked.entity, parked.system);
      for (const feed of found) {
        for (const [{ name, key }] of tablesOf(feed, parked.entity)) {
          again(feed, name, [rowKeyValues(parked.key, key.length)]);
        }
      }
      return found.length === 0 ? NOT_OURS : 'read again';
    },
    discard: ({ id }) => decide(id, false),
    resync(entity, system) {
      const found = into(entity, system);
      if (found.length === 0) return null;
      return found.flatMap((feed) =>
        tablesOf(feed, entity).map(([{ name }]): Resync => {
          asksOf(feed).tables.add(name);
          return { system: feed.name, table: name, state: 'begun' };
        }),
      );
    },
  };
}
