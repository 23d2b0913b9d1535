import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import type {
  Identity,
  Ledger,
  LedgerCommit,
  Link,
  OutboxEntry,
} from '../../src/contract/ledger.ts';
import { openMemoryLedger } from '../../src/ledger/memory.ts';
import { NO_PRIVACY, type Privacy } from '../../src/ledger/privacy.ts';
import { openSqliteLedger } from '../../src/ledger/sqlite.ts';
import type { Position } from '../../src/model/position.ts';
import { stamps, states } from './ledger-states.ts';

const directory = mkdtempSync(join(tmpdir(), 'carrick-ledger-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const SYSTEMS = ['crm', 'erp'];
const ENTITIES = ['customer', 'order'];
const KEYS = ['', 'a', 'B', 'é', '\u{1F600}'];
const IDS = [1, 2, 3, 4, 5, 6];
const REASONS = ['waiting', 'invalid'];
const STATES = ['open', 'settled', 'resolved'] as const;

const system = fc.constantFrom(...SYSTEMS);
const entity = fc.constantFrom(...ENTITIES);
const key = fc.constantFrom(...KEYS);
const id = fc.constantFrom(...IDS);
const entityOf = (record: number) => ENTITIES[record % 2]!;
const some = <T>(one: fc.Arbitrary<T>) => fc.array(one, { maxLength: 4 });

const records = id.chain((record) => states(record, entityOf(record)));
const links: fc.Arbitrary<Link> = fc.record({ system, entity, key, record: id });
const identities: fc.Arbitrary<Identity> = fc.record({
  entity,
  alternative: fc.nat(1),
  value: key,
  record: id,
});

/** What freezing does not change is the same for a seq wherever it is named. */
const entries: fc.Arbitrary<OutboxEntry> = id.chain((seq) =>
  fc.record({
    seq: fc.constant(seq),
    system: fc.constant(SYSTEMS[seq % 2]!),
    record: fc.constant(IDS[(seq * 5) % IDS.length]!),
    entity: fc.constant(entityOf(seq)),
    since: fc.constant(seq * 7),
    origin: fc.constant(SYSTEMS[(seq >> 1) % 2]!),
    transaction: fc.constant(seq % 3 === 0 ? 't2' : 't1'),
    batch: fc.option(fc.nat(2), { nil: null }),
    sent: fc.option(
      fc.record({
        op: fc.constantFrom('insert' as const, 'update' as const),
        values: fc.constant(['a', undefined, null]),
      }),
      { nil: null },
    ),
    attempts: fc.nat(3),
  }),
);

const outbox = fc.record({
  add: some(entries),
  send: some(entries),
  remove: some(id),
  release: some(fc.record({ system, record: id })),
  wait: some(fc.record({ seq: id, waits: fc.option(id, { nil: null }) })),
});

const side = fc.record({
  system,
  values: fc.option(fc.constant(['x', null]), { nil: null }),
  stamp: fc.option(stamps, { nil: null }),
});

const journal = id.chain((record) =>
  fc.record({
    id,
    at: fc.nat(),
    entity: fc.constant(entityOf(record)),
    record: fc.constant(record),
    unit: fc.constant('name'),
    kind: fc.constantFrom('conflict' as const, 'delete' as const),
    state: fc.constantFrom(...STATES),
    policy: fc.string(),
    winner: fc.option(system, { nil: null }),
    incoming: side,
    standing: side,
    outcome: fc.constant(null),
  }),
);

const parkedBase = {
  id,
  system,
  entity,
  since: fc.nat(),
  reason: fc.constantFrom(...REASONS),
  detail: fc.string(),
};
const parked = fc.oneof(
  fc.record({
    ...parkedBase,
    kind: fc.constant('row' as const),
    key,
    cells: fc.option(fc.dictionary(fc.string(), key, { noNullPrototype: true }), { nil: null }),
    waits: fc.option(fc.record({ entity, key }), { nil: null }),
  }),
  fc.record({ ...parkedBase, kind: fc.constant('delivery' as const), record: id }),
  fc.record({ ...parkedBase, kind: fc.constant('hold' as const), records: some(id) }),
);

const source = fc.record({
  system,
  state: fc.record({
    position: fc.string().map((text) => text as Position),
    openTransaction: fc.option(fc.constantFrom('t1', 't2'), { nil: null }),
    snapshots: fc.dictionary(fc.string(), fc.string(), { noNullPrototype: true }),
  }),
});

const commits: fc.Arbitrary<LedgerCommit> = fc.record(
  {
    source,
    records: some(records),
    erased: some(id),
    forgotten: some(id.map((record) => ({ entity: entityOf(record), record }))),
    links: fc.record({ add: some(links), remove: some(links) }),
    identities: fc.record({ add: some(identities), remove: some(identities) }),
    outbox,
    batches: some(fc.record({ system, batch: fc.nat(9) })),
    journal: some(journal),
    closed: some(id),
    parked: fc.record({ put: some(parked), remove: some(id) }),
  },
  { requiredKeys: [] },
);

/** Several commits that are called at once, then perhaps a restart. */
const steps = fc.record({ group: fc.array(commits, { maxLength: 3 }), restart: fc.boolean() });

/** Everything that the interface can tell. */
async function everything(ledger: Ledger) {
  const { desk } = ledger;
  const rows = SYSTEMS.flatMap((system) =>
    ENTITIES.flatMap((entity) => KEYS.map((key) => ({ system, entity, key }))),
  );
  const values = ENTITIES.flatMap((entity) =>
    [0, 1].flatMap((alternative) => KEYS.map((value) => ({ entity, alternative, value }))),
  );
  const limit = 9;
  return {
    head: ledger.head(),
    found: await ledger.find({ links: rows, identities: values, records: IDS, parkedRows: rows }),
    ready: await Promise.all(
      SYSTEMS.flatMap((system) => [0, 1].map((after) => ledger.ready(system, after, 2))),
    ),
    sent: await Promise.all(
      SYSTEMS.flatMap((system) => [0, 1, 2].map((batch) => ledger.sent(system, batch, 0, limit))),
    ),
    conflicts: await Promise.all(STATES.map((state) => desk.conflicts({ state, limit }))),
    ofEntity: await Promise.all(
      ENTITIES.map((entity) => desk.conflicts({ entity, before: 4, limit })),
    ),
    history: await Promise.all(IDS.map((record) => desk.history(entityOf(record), record, limit))),
    parked: await Promise.all(REASONS.map((reason) => desk.parked({ reason, limit }))),
    parkedOne: await Promise.all(IDS.map((item) => desk.parkedOne(item))),
    outbox: await desk.outbox(IDS.toReversed()),
    waiting: await Promise.all(rows.map((row) => desk.waitingFor(row))),
    linked: await Promise.all(
      SYSTEMS.flatMap((system) => ENTITIES.map((entity) => desk.linked(system, entity, 'a', 3))),
    ),
    counts: await desk.counts(),
  };
}

const guard = {
  match: [
    { fields: ['a'], personal: true },
    { fields: ['b'], personal: false },
  ],
  keys: [],
};
const SEALED: Privacy = {
  keys: [Buffer.alloc(32, 7)],
  guards: new Map([['customer', guard]]),
};

test.each([
  ['clear', NO_PRIVACY],
  ['sealed', SEALED],
])(
  'the %s ledger in SQLite tells what the one in memory tells, restarts included',
  async (_, privacy) => {
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(steps, { minLength: 1, maxLength: 6 }), async (history) => {
        const path = join(directory, `${++run}.db`);
        let sqlite = await openSqliteLedger(path, { privacy });
        let memory = openMemoryLedger();
        try {
          for (const { group, restart } of history) {
            await Promise.all(group.map((commit) => sqlite.commit(commit)));
            await Promise.all(group.map((commit) => memory.commit(commit)));
            if (restart) {
              await sqlite[Symbol.asyncDispose]();
              sqlite = await openSqliteLedger(path, { privacy });
              await memory.synced();
              memory = memory.crash();
            }
            expect(await everything(sqlite)).toEqual(await everything(memory));
          }
        } finally {
          await sqlite[Symbol.asyncDispose]();
          rmSync(path, { force: true });
        }
      }),
      { numRuns: 100 },
    );
  },
);
