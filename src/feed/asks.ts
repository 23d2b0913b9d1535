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
  /** Held entities, by the hold's number: whether what is held is passed on. */
  readonly verdicts: Map<number, boolean>;
}

/** The feeds of a daemon, as people reach them. Null: it is none of a feed's. */
export interface FeedDesk {
  asksOf(feed: Feed): Asks;
  retry(parked: Parked): string | null;
  /** True: it was a feed's hold, and what it held is dropped. */
  discard(parked: Parked): boolean;
  resync(entity: string, system: string | null): Resync[] | null;
}

export function openFeedDesk(feeds: readonly Feed[]): FeedDesk {
  const asks = new Map<string, Asks>(
    feeds.map(({ name }) => [name, { again: new Map(), tables: new Set(), verdicts: new Map() }]),
  );
  const asksOf = ({ name }: Feed): Asks => asks.get(name)!;
  const into = (entity: string, system: string | null): Feed[] =>
    feeds.filter(
      ({ from, to, routes }) =>
        (system === null || system === to || system === from) &&
        [...routes.values()].flat().some((route) => route.entity.name === entity),
    );
  const tablesOf = ({ routes }: Feed, entity: string) =>
    [...routes].filter(([, some]) => some.some((route) => route.entity.name === entity));
  return {
    asksOf,
    retry(parked) {
      const found = into(parked.entity, parked.system);
      if (found.length === 0) return null;
      for (const feed of found) {
        const own = asksOf(feed);
        if (parked.kind === 'hold') own.verdicts.set(parked.id, true);
        if (parked.kind !== 'row') continue;
        for (const [{ name, key }] of tablesOf(feed, parked.entity)) {
          const keys = own.again.get(name) ?? [];
          own.again.set(name, [...keys, rowKeyValues(parked.key, key.length)]);
        }
      }
      return parked.kind === 'hold' ? 'carried out' : 'read again';
    },
    discard(parked) {
      if (parked.kind !== 'hold') return false;
      const found = into(parked.entity, parked.system);
      for (const feed of found) asksOf(feed).verdicts.set(parked.id, false);
      return found.length > 0;
    },
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
