import { join } from 'node:path';
import type { Ledger, LedgerCommit, OutboxEntry } from '../../src/contract/ledger.ts';
import { openSqliteLedger } from '../../src/ledger/sqlite.ts';
import type { RecordState, SystemView } from '../../src/model/record.ts';
import { scratchFolder } from '../../test/support/index.ts';
import type { Bench, Contender } from '../bench.ts';

const SMALL = 20_000;
/** Changes that are decided and committed together. */
const COMMIT = 2000;
const UPDATES = 100_000;

export const ledgerBench: Bench = {
  name: 'ledger',
  leavesOut: [
    'The store alone, in one thread: a record is found by its link, changed and put back, its ' +
      'delivery added, and removed one commit later; commits of 2,000 changes, each synced.',
    'Records have 12 fields and views of two systems, as the other benchmarks have them.',
  ],
  async open({ records }, stack) {
    const large = stack.use(await filled(records));
    const small = stack.use(await filled(SMALL));
    const updates = Math.min(UPDATES, records);
    return {
      figures: [
        {
          key: 'updates',
          work: `ledger of ${records.toLocaleString('en')} records, random updates`,
          unit: 'updates/s',
          goals: { [name(SMALL)]: { atLeast: 0.7 } },
        },
      ],
      contenders: [
        contender('Carrick', large, records, updates),
        contender(name(SMALL), small, SMALL, updates),
      ],
    };
  },
};

/** The figure is the largest ledger's; the others are what it is compared with. */
export const ledgerGrowth: Bench = {
  name: 'ledger-growth',
  leavesOut: ledgerBench.leavesOut,
  async open({ growth }, stack) {
    const sizes = growth.records.toReversed();
    const contenders: Contender[] = [];
    for (const [i, records] of sizes.entries()) {
      const ledger = stack.use(await filled(records));
      const title = i === 0 ? 'Carrick' : name(records);
      contenders.push(contender(title, ledger, records, Math.min(UPDATES, records)));
    }
    const work = `ledger of ${sizes[0]?.toLocaleString('en')} records against smaller ones`;
    return { figures: [{ key: 'updates', work, unit: 'updates/s', goals: {} }], contenders };
  },
};

const name = (records: number): string => `with ${records.toLocaleString('en')}`;

function contender(title: string, ledger: Ledger, records: number, updates: number): Contender {
  return {
    name: title,
    async run() {
      const random = sequence(updates);
      const started = performance.now();
      let waiting: number[] = [];
      let seq = ledger.head().nextSeq;
      for (let done = 0; done < updates; done += COMMIT) {
        const ids = [...new Set(Array.from({ length: COMMIT }, () => 1 + random(records)))];
        const links = ids.map((id) => ({ system: 'crm', entity: 'account', key: String(id) }));
        const found = await ledger.find({ links });
        const add: OutboxEntry[] = [];
        const changed = found.links.map((record) => {
          if (record === null) throw new Error('a record has no link');
          add.push(entryOf(record.id, seq));
          return { ...changedRecord(record), outbox: { erp: seq++ } };
        });
        await ledger.commit(commitOf(changed, add, waiting));
        waiting = add.map((entry) => entry.seq);
      }
      await ledger.commit(commitOf([], [], waiting));
      return { updates: (updates * 1000) / (performance.now() - started) };
    },
  };
}

const commitOf = (
  records: readonly RecordState[],
  add: readonly OutboxEntry[],
  remove: readonly number[],
): LedgerCommit => ({ records, outbox: { add, send: [], remove, release: [], wait: [] } });

async function filled(records: number): Promise<Ledger> {
  const ledger = await openSqliteLedger(join(await scratchFolder('ledger'), 'carrick.db'));
  for (let first = 1; first <= records; first += COMMIT) {
    const length = Math.min(COMMIT, records + 1 - first);
    const states = Array.from({ length }, (_, i) => newRecord(first + i));
    await ledger.commit({
      records: states,
      links: {
        add: states.flatMap(({ id }) =>
          ['crm', 'erp'].map((system) => ({
            ...{ system, entity: 'account', key: String(id), record: id },
          })),
        ),
        remove: [],
      },
    });
  }
  return ledger;
}

function newRecord(id: number): RecordState {
  const values = [
    ...[String(id), '2026-01-01T00:00:00.000001Z', `C-${id}`, `Clara Maria von der Weide ${id}`],
    ...[`clara.weide.${id}@customer.example.com`, `+49 30 ${10_000_000 + id}`],
    ...[`Unter den Linden ${id % 400}, Aufgang ${id % 9}`, 'Frankfurt am Main'],
    ...[`${id % 100_000}.25`, 'true', '2024-05-06', '0'],
  ];
  const stamp = { wall: 1_770_000_000_000_000 + id, counter: 0, system: 'crm' };
  const view: SystemView = {
    ...{ status: 'linked', key: String(id), values, raw: null, represents: null },
  };
  return {
    ...{ id, entity: 'account', values, stamps: values.map(() => stamp), deleted: null },
    ...{ views: { crm: view, erp: view }, outbox: {}, held: null, flips: null },
  };
}

/** Credit limit and revision are new, and the CRM's view has them already. */
function changedRecord(record: RecordState): RecordState {
  const values = record.values.with(8, '1250.75').with(11, `${Number(record.values[11]) + 1}`);
  const crm = { ...record.views.crm!, values };
  return { ...record, values, views: { ...record.views, crm } };
}

const entryOf = (record: number, seq: number): OutboxEntry => ({
  ...{ seq, system: 'erp', record, entity: 'account', since: 1_770_000_000_000_000 },
  ...{ origin: 'crm', transaction: '0/1', batch: null, sent: null, attempts: 0 },
});

/** Numbers below a bound, the same in every run (Park and Miller, 1988). */
function sequence(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % below;
  };
}
