import type { Copier, CopyTransaction, FeedPlace } from '../../src/contract/copier.ts';
import type { Ledger } from '../../src/contract/ledger.ts';
import type { Source } from '../../src/contract/source.ts';
import type { FeedParts } from '../../src/feed/parts.ts';
import type { Change, SourceBatch } from '../../src/model/change.ts';
import { unsynced } from './mutations.ts';

/** As `Mutation`: one deliberate defect in what feeds are given. */
export interface FeedMutation {
  readonly name: string;
  /** The invariant of DESIGN.md that it breaks. */
  readonly breaks: number;
  ledger?(ledger: Ledger): Ledger;
  parts?(parts: FeedParts): FeedParts;
}

export const FEED_MUTATIONS: readonly FeedMutation[] = [
  {
    name: 'place committed apart from the rows',
    breaks: 4,
    parts: withCopier((copier) => {
      let before: FeedPlace | null = null;
      return {
        ...copier,
        async place() {
          before = await copier.place();
          return before;
        },
        async begin() {
          const rows = await copier.begin();
          return {
            ...rows,
            async commit(place) {
              if (before !== null) {
                await rows.commit(before);
                await using apart = await copier.begin();
                await apart.commit(place);
              } else await rows.commit(place);
              before = place;
            },
            [Symbol.asyncDispose]: () => rows[Symbol.asyncDispose](),
          };
        },
        [Symbol.asyncDispose]: () => copier[Symbol.asyncDispose](),
      };
    }),
  },
  {
    name: 'settled before the target has committed',
    breaks: 1,
    parts: withSource((source) => ({
      async *tail(from) {
        for await (const batch of source.tail(from)) {
          source.settle(batch.position);
          yield batch;
        }
      },
    })),
  },
  {
    name: 'the second image of a row dropped',
    breaks: 2,
    parts: withBatches((batch) => {
      const met = new Set<string>();
      const isFirst = ({ table, row, op }: Change): boolean => {
        const name = `${table.name} ${row[table.columns.indexOf(table.key[0] ?? '')]}`;
        const isNew = op !== 'update' || !met.has(name);
        met.add(name);
        return isNew;
      };
      return withChanges(batch, (changes) => changes.filter(isFirst));
    }),
  },
  {
    name: 'a row that a patch did not find is not read',
    breaks: 2,
    parts: withTransaction((transaction) => ({
      write: async (write) =>
        (await transaction.write(write)).filter(({ kind }) => kind !== 'absent'),
    })),
  },
  {
    name: 'a refused row is not set aside',
    breaks: 2,
    parts: withTransaction((transaction) => ({
      write: async (write) =>
        (await transaction.write(write)).filter(({ kind }) => kind !== 'refused'),
    })),
  },
  {
    name: 'committed in the middle of a transaction of the source',
    breaks: 7,
    parts: withBatches((batch) => ({
      ...batch,
      transactions: batch.transactions.map((one) => ({ ...one, complete: true })),
    })),
  },
  {
    name: 'fence ignored',
    breaks: 4,
    parts: withCopier((copier) => ({
      ...copier,
      async begin() {
        await copier.place();
        return copier.begin();
      },
      [Symbol.asyncDispose]: () => copier[Symbol.asyncDispose](),
    })),
  },
  {
    name: 'goes on before what is set aside is on disk',
    breaks: 2,
    ledger: unsynced,
  },
  {
    name: 'TRUNCATE passed over in silence',
    breaks: 10,
    parts: withBatches((batch) =>
      withChanges(batch, (changes) => changes.filter(({ op }) => op !== 'truncate')),
    ),
  },
  {
    name: 'a table that does not fit its mapping taken for one that does',
    breaks: 2,
    parts: withBatches((batch) =>
      withChanges(batch, (changes) => changes.filter(({ op }) => op !== 'drift')),
    ),
  },
];

function withChanges(
  batch: SourceBatch,
  change: (changes: readonly Change[]) => Change[],
): SourceBatch {
  const transactions = batch.transactions.map((one) => ({ ...one, changes: change(one.changes) }));
  return { ...batch, transactions };
}

function withSource(change: (source: Source) => Partial<Source>) {
  return (parts: FeedParts): FeedParts => ({
    ...parts,
    async openSource() {
      const source = await parts.openSource();
      const closed = { [Symbol.asyncDispose]: () => source[Symbol.asyncDispose]() };
      return { ...source, ...change(source), ...closed };
    },
  });
}

function withBatches(change: (batch: SourceBatch) => SourceBatch) {
  return withSource((source) => ({
    async *tail(from) {
      for await (const batch of source.tail(from)) yield change(batch);
    },
  }));
}

function withCopier(change: (copier: Copier) => Copier) {
  return (parts: FeedParts): FeedParts => ({
    ...parts,
    openCopier: async () => change(await parts.openCopier()),
  });
}

function withTransaction(change: (transaction: CopyTransaction) => Partial<CopyTransaction>) {
  return withCopier((copier) => ({
    ...copier,
    async begin() {
      const transaction = await copier.begin();
      const closed = { [Symbol.asyncDispose]: () => transaction[Symbol.asyncDispose]() };
      return { ...transaction, ...change(transaction), ...closed };
    },
    [Symbol.asyncDispose]: () => copier[Symbol.asyncDispose](),
  }));
}
