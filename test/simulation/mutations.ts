import type { Applier, ApplyTransaction } from '../../src/contract/applier.ts';
import type { Entity } from '../../src/contract/entity.ts';
import type { Ledger, LedgerCommit } from '../../src/contract/ledger.ts';
import type { Source } from '../../src/contract/source.ts';
import type { SourceBatch } from '../../src/model/change.ts';
import type { Cell } from '../../src/model/value.ts';
import type { Participant, PipelineParts } from '../../src/pipeline.ts';

/**
 * One deliberate defect, put between the pipeline and what it is given: the code under test has no
 * switches. A simulation that does not find it would not find the real one either.
 */
export interface Mutation {
  readonly name: string;
  /** The invariant of DESIGN.md that it breaks. */
  readonly breaks: number;
  ledger?(ledger: Ledger): Ledger;
  entities?(entities: ReadonlyMap<string, Entity>): ReadonlyMap<string, Entity>;
  parts?(parts: PipelineParts): PipelineParts;
}

/** Says that it is on disk when it may not be. */
export const unsynced = (ledger: Ledger): Ledger => ({
  ...ledger,
  async synced() {
    ledger.synced().catch(() => undefined);
  },
});

export const MUTATIONS: readonly Mutation[] = [
  {
    name: 'settle before commit',
    breaks: 1,
    parts: withSource((source) => ({
      ...source,
      async *tail(from) {
        for await (const batch of source.tail(from)) {
          source.settle(batch.position);
          yield batch;
        }
      },
    })),
  },
  {
    name: 'position in a commit of its own, before the rows',
    breaks: 1,
    ledger: (ledger) => ({
      ...ledger,
      async commit({ source, ...changes }) {
        if (source !== undefined) await ledger.commit({ source });
        await ledger.commit(changes);
      },
    }),
  },
  {
    name: 'blind write instead of compare-and-set',
    breaks: 3,
    parts: withTransaction((transaction) => ({
      ...transaction,
      write: (write) =>
        transaction.write({
          ...write,
          compare: [],
          rows: write.rows.map((row) => ({ ...row, expect: [] })),
        }),
    })),
  },
  {
    name: 'insert without its guards',
    breaks: 4,
    parts: withTransaction((transaction) => ({
      ...transaction,
      write: (write) => transaction.write({ ...write, guards: [] }),
    })),
  },
  {
    name: 'echo treated as a change of users',
    breaks: 5,
    parts: withBatches((batch) => ({
      ...batch,
      transactions: batch.transactions.map((one) =>
        one.mark?.lane === 'deliver' ? { ...one, mark: null } : one,
      ),
    })),
  },
  {
    name: 'clock instead of view: the later write wins unasked',
    breaks: 2,
    entities: (entities) =>
      new Map(
        [...entities].map(([name, entity]) => {
          const chain = [{ kind: 'last_writer', tolerance: 0 }] as const;
          return [name, { ...entity, units: entity.units.map((unit) => ({ ...unit, chain })) }];
        }),
      ),
    ledger: withCommit(({ journal = [], ...changes }) => ({
      ...changes,
      journal: journal.filter(({ kind }) => kind !== 'conflict'),
    })),
  },
  {
    name: 'batch not frozen before it is sent',
    breaks: 4,
    ledger: (ledger) => ({
      ...ledger,
      async commit(changes) {
        const committed = ledger.commit(changes);
        if ((changes.outbox?.send.length ?? 0) === 0) await committed;
        else committed.catch(() => undefined);
      },
    }),
  },
  {
    name: 'acts before the ledger is on disk',
    breaks: 1,
    ledger: unsynced,
  },
  {
    name: 'mark not read at recovery: nothing was committed',
    breaks: 4,
    parts: withApplier((applier) => ({
      ...applier,
      committed: async () => {
        await applier.committed();
        return 0;
      },
    })),
  },
  {
    name: 'mark not read at recovery: everything was committed',
    breaks: 2,
    parts: (parts) =>
      withApplier((applier, { system }) => ({
        ...applier,
        committed: async () => parts.decisions.ledger.head().batches[system] ?? 0,
      }))(parts),
  },
  {
    name: 'what the target has answered taken for what is on disk',
    breaks: 2,
    parts(parts) {
      const answered = new Map<string, number>();
      return withApplier((applier, { system }) => ({
        ...applier,
        async begin(batch) {
          const transaction = await applier.begin(batch);
          const commit = async () => {
            await transaction.commit();
            answered.set(system, batch);
          };
          return { ...transaction, commit };
        },
        committed: async () => Math.max(await applier.committed(), answered.get(system) ?? 0),
      }))(parts);
    },
  },
  {
    name: 'generated key forgotten',
    breaks: 4,
    ledger: (ledger) => ({
      ...ledger,
      async commit(changes) {
        const ids = changes.links?.add.map((link) => link.record) ?? [];
        const { records } = await ledger.find({ records: ids });
        const add = changes.links?.add.filter((_, i) => records[i] === null) ?? [];
        const links = changes.links === undefined ? {} : { links: { ...changes.links, add } };
        await ledger.commit({ ...changes, ...links });
      },
    }),
  },
  {
    name: 'position inside a transaction taken for its end',
    breaks: 7,
    parts: withBatches((batch) => ({
      ...batch,
      transactions: batch.transactions.map((one) => ({ ...one, complete: true })),
    })),
  },
  {
    name: 'a delivery that came back is not tried again',
    breaks: 6,
    ledger: withCommit(({ outbox, ...changes }) => {
      if (outbox === undefined) return changes;
      const add = outbox.add.filter(({ attempts }) => attempts === 0);
      return { ...changes, outbox: { ...outbox, add } };
    }),
  },
  {
    name: 'generated keys kept for ever',
    breaks: 8,
    parts: (parts) => {
      const { generated } = parts.decisions;
      Object.assign(generated, { delete: () => false });
      return parts;
    },
  },
  {
    name: 'a reading spells text otherwise than the log',
    breaks: 9,
    parts: withSource((source) => ({
      ...source,
      async read(request) {
        const chunk = await source.read(request);
        const other = (cell: Cell): Cell => (cell?.startsWith('no') ? `${cell} ` : cell);
        return { ...chunk, rows: chunk.rows.map((row) => row.map(other)) };
      },
    })),
  },
  {
    name: 'flood of deletes let through',
    breaks: 10,
    entities: (entities) => {
      const flood = { share: 1, atLeast: 1_000_000, within: 1 };
      return new Map([...entities].map(([name, entity]) => [name, { ...entity, flood }]));
    },
  },
  {
    name: 'TRUNCATE passed over in silence',
    breaks: 10,
    parts: withBatches((batch) => ({
      ...batch,
      transactions: batch.transactions.map((one) => ({
        ...one,
        changes: one.changes.filter(({ op }) => op !== 'truncate'),
      })),
    })),
  },
  {
    name: 'a table that does not fit its mapping taken for one that does',
    breaks: 2,
    parts: (parts) =>
      withBatches((batch) => ({
        ...batch,
        transactions: batch.transactions.map((one) => ({
          ...one,
          changes: one.changes.filter(({ op }) => op !== 'drift'),
        })),
      }))(withParticipant((one) => ({ ...one, misfits: async () => new Map() }))(parts)),
  },
  {
    name: 'conflict not kept in the journal',
    breaks: 2,
    ledger: withCommit(({ journal: _, ...changes }) => changes),
  },
];

function withCommit(change: (changes: LedgerCommit) => LedgerCommit) {
  return (ledger: Ledger): Ledger => ({
    ...ledger,
    commit: (changes) => ledger.commit(change(changes)),
  });
}

function withParticipant(change: (participant: Participant) => Participant) {
  return (parts: PipelineParts): PipelineParts => ({
    ...parts,
    participants: parts.participants.map(change),
  });
}

function withSource(change: (source: Source) => Source) {
  return withParticipant((participant) => ({
    ...participant,
    openSource: async () => change(await participant.openSource()),
  }));
}

function withBatches(change: (batch: SourceBatch) => SourceBatch) {
  return withSource((source) => ({
    ...source,
    async *tail(from) {
      for await (const batch of source.tail(from)) yield change(batch);
    },
  }));
}

function withApplier(change: (applier: Applier, participant: Participant) => Applier) {
  return withParticipant((participant) => ({
    ...participant,
    openApplier: async () => change(await participant.openApplier(), participant),
  }));
}

function withTransaction(change: (transaction: ApplyTransaction) => ApplyTransaction) {
  return withApplier((applier) => ({
    ...applier,
    begin: async (batch) => change(await applier.begin(batch)),
  }));
}
