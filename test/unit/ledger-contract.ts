import { afterEach, describe, expect, test } from 'vitest';
import type { Ledger, ParkedHold } from '../../src/contract/ledger.ts';
import {
  entry,
  identity,
  ids,
  journal,
  link,
  outbox,
  parkedRow,
  record,
  seqs,
  source,
  stamp,
} from './ledger-fixtures.ts';

/** Opens the ledger under test; `again` opens what the one before left behind. */
export interface LedgerUnderTest {
  open(): Promise<Ledger>;
  again(ledger: Ledger): Promise<Ledger>;
}

/** What every ledger has to do, run against one that `make` opens. */
export function describeLedger(name: string, make: () => LedgerUnderTest): void {
  describe(name, () => {
    const opened: Ledger[] = [];
    afterEach(async () => {
      for (const ledger of opened.splice(0)) await ledger[Symbol.asyncDispose]();
    });
    const open = async () => {
      const under = make();
      const ledger = await under.open();
      opened.push(ledger);
      const again = async () => {
        const next = await under.again(opened.pop()!);
        opened.push(next);
        return next;
      };
      return { ledger, again };
    };
    describeRecords(open);
    describeErasing(open);
    describeForgetting(open);
    describeKeys(open);
    describeOutbox(open);
    describeQueue(open);
    describeExpiry(open);
    describeDesk(open);
    describeHead(open);
  });
}

type Open = () => Promise<{ ledger: Ledger; again: () => Promise<Ledger> }>;

function describeRecords(open: Open): void {
  test('finds records by id, link and identity, index by index', async () => {
    const { ledger, again } = await open();
    const states = [1, 2].map((id) => record(id));
    await ledger.commit({
      records: states,
      links: {
        add: [
          { ...link('a'), record: 1 },
          { ...link('b', 'erp'), record: 2 },
        ],
        remove: [],
      },
      identities: {
        add: [2, 1].map((id) => ({ ...identity('["x"]'), record: id })),
        remove: [],
      },
    });
    const query = {
      links: [link('b', 'erp'), link('b'), link('a'), link('a', 'nowhere')],
      identities: [identity('["y"]'), identity('["x"]'), { ...identity('["x"]'), alternative: 1 }],
      records: [2, 9, 1, 2],
      parkedRows: [link('a')],
    };
    const expected = {
      links: [states[1], null, states[0], null],
      identities: [[], states, []],
      records: [states[1], null, states[0], states[1]],
      parkedRows: [null],
    };
    expect(await ledger.find(query)).toEqual(expected);
    expect(await (await again()).find(query)).toEqual(expected);
  });

  test('replaces a record whole', async () => {
    const { ledger, again } = await open();
    await ledger.commit({ records: [record(1, { held: { name: 3 }, outbox: { erp: 9 } })] });
    const bare = record(1, { values: [null, null, 'z'], views: {} });
    await ledger.commit({ records: [bare] });
    expect((await ledger.find({ records: [1] })).records).toEqual([bare]);
    expect((await (await again()).find({ records: [1] })).records).toEqual([bare]);
  });
}

function describeErasing(open: Open): void {
  test('erasing takes links, identities and outbox entries along', async () => {
    const { ledger, again } = await open();
    await ledger.commit({
      records: [record(1, { outbox: { erp: 1 } }), record(2)],
      links: {
        add: [
          { ...link('1'), record: 1 },
          { ...link('2'), record: 2 },
        ],
        remove: [],
      },
      identities: { add: [1, 2].map((id) => ({ ...identity('v'), record: id })), remove: [] },
      ...outbox({ add: [entry(1), entry(2)] }),
    });
    await ledger.commit({ erased: [1] });
    const check = async (at: Ledger) => {
      const found = await at.find({
        links: [link('1')],
        identities: [identity('v')],
        records: [1],
      });
      expect(found.links).toEqual([null]);
      expect(found.identities).toEqual([[record(2)]]);
      expect(found.records).toEqual([null]);
      expect(await at.ready('erp', 0, 9)).toEqual([entry(2)]);
      expect(await at.desk.linked('crm', 'customer', null, 9)).toEqual([record(2)]);
      expect((await at.desk.counts()).records).toEqual({ customer: 1 });
      expect(at.head().nextRecord).toBe(3);
    };
    await check(ledger);
    await check(await again());
  });

  test('a record that comes again has none of its old links', async () => {
    const { ledger } = await open();
    const again = record(1, { views: {} });
    await Promise.all([
      ledger.commit({
        records: [record(1)],
        links: { add: [{ ...link('1'), record: 1 }], remove: [] },
      }),
      ledger.commit({ erased: [1] }),
      ledger.commit({ records: [again] }),
    ]);
    expect(await ledger.find({ records: [1], links: [link('1')] })).toMatchObject({
      records: [again],
      links: [null],
    });
  });

  test('a deleted record that nobody holds any longer is erased', async () => {
    const { ledger } = await open();
    const deleted = stamp(20);
    await ledger.commit({
      records: [record(1, { deleted }), record(2, { deleted, views: {}, outbox: { erp: 1 } })],
    });
    expect((await ledger.desk.counts()).records).toEqual({ customer: 2 });
    await ledger.commit({
      records: [1, 2].map((id) => record(id, { deleted, views: {} })),
    });
    expect((await ledger.find({ records: [1, 2] })).records).toEqual([null, null]);
    expect((await ledger.desk.counts()).records).toEqual({});
  });
}

function describeForgetting(open: Open): void {
  test('forgetting takes the journal and every outbox entry along', async () => {
    const { ledger, again } = await open();
    await ledger.commit({
      records: [record(1), record(2)],
      journal: [
        journal(1, { state: 'open' }),
        journal(2, { record: 2 }),
        journal(3, { entity: 'order' }),
      ],
      ...outbox({ add: [entry(1), entry(2), entry(3, { record: 1, system: 'crm' })] }),
    });
    await ledger.commit({ erased: [1], forgotten: [{ entity: 'customer', record: 1 }] });
    const check = async (at: Ledger) => {
      expect((await at.find({ records: [1] })).records).toEqual([null]);
      expect(ids(await at.desk.conflicts({ limit: 9 }))).toEqual([3, 2]);
      expect(await at.desk.outbox([1, 2, 3])).toEqual([entry(2)]);
      const { openConflicts, outbox: left, records } = await at.desk.counts();
      expect([openConflicts, Object.keys(left), records]).toEqual([{}, ['erp'], { customer: 1 }]);
    };
    await check(ledger);
    await check(await again());
  });
}

function describeKeys(open: Open): void {
  test('a key can move from one record to another in one commit', async () => {
    const { ledger } = await open();
    await ledger.commit({
      records: [record(1), record(2)],
      links: { add: [{ ...link('k'), record: 1 }], remove: [] },
      identities: { add: [{ ...identity('v'), record: 1 }], remove: [] },
    });
    await ledger.commit({
      links: { add: [{ ...link('k'), record: 2 }], remove: [link('k')] },
      identities: {
        add: [{ ...identity('v'), record: 2 }],
        remove: [{ ...identity('v'), record: 1 }],
      },
    });
    const found = await ledger.find({ links: [link('k')], identities: [identity('v')] });
    expect(found.links).toEqual([record(2)]);
    expect(found.identities).toEqual([[record(2)]]);
  });

  test('lists linked records in key order, by page', async () => {
    const { ledger } = await open();
    const keys = ['b', '', 'a', 'é', '\u{1F600}', '\uFFFD'];
    await ledger.commit({
      records: keys.map((_, i) => record(i + 1)),
      links: { add: keys.map((key, i) => ({ ...link(key), record: i + 1 })), remove: [] },
    });
    const ids = async (after: string | null, limit: number) =>
      (await ledger.desk.linked('crm', 'customer', after, limit)).map((state) => state.id);
    expect(await ids(null, 9)).toEqual([2, 3, 1, 4, 6, 5]);
    expect(await ids(null, 2)).toEqual([2, 3]);
    expect(await ids('a', 2)).toEqual([1, 4]);
    expect(await ids('\u{1F600}', 2)).toEqual([]);
    expect(await ledger.desk.linked('erp', 'customer', null, 9)).toEqual([]);
  });

  test('calls take effect in the order in which they are made', async () => {
    const { ledger } = await open();
    const first = ledger.commit({ records: [record(1, { values: ['1', null, null] })] });
    const second = ledger.commit({ records: [record(1, { values: ['2', null, null] })] });
    const { records } = await ledger.find({ records: [1] });
    expect(records[0]?.values[0]).toBe('2');
    await Promise.all([first, second]);
  });
}

function describeOutbox(open: Open): void {
  test('gives what is ready in order, after a seq, and no more than asked for', async () => {
    const { ledger } = await open();
    await ledger.commit(outbox({ add: [3, 1, 2, 5].map((seq) => entry(seq)) }));
    await ledger.commit(outbox({ add: [entry(4, { system: 'crm' })] }));
    expect(await ledger.ready('erp', 0, 9)).toEqual([1, 2, 3, 5].map((seq) => entry(seq)));
    expect(seqs(await ledger.ready('erp', 1, 2))).toEqual([2, 3]);
    expect(seqs(await ledger.ready('crm', 0, 9))).toEqual([4]);
    expect(await ledger.ready('nowhere', 0, 9)).toEqual([]);
  });

  test('holds the entries of a transaction that is still open', async () => {
    const { ledger } = await open();
    await ledger.commit({
      source: { system: 'crm', state: source('p1', 't2') },
      ...outbox({
        add: [
          entry(1),
          entry(2, { transaction: 't2' }),
          entry(3, { transaction: 't2', origin: 'oa' }),
        ],
      }),
    });
    expect(seqs(await ledger.ready('erp', 0, 9))).toEqual([1, 3]);
    await ledger.commit({ source: { system: 'crm', state: source('p2') } });
    expect(seqs(await ledger.ready('erp', 0, 9))).toEqual([1, 2, 3]);
  });

  test('freezes entries into a batch, and takes them back', async () => {
    const { ledger, again } = await open();
    await ledger.commit(outbox({ add: [1, 2, 3].map((seq) => entry(seq)) }));
    const frozen = [1, 3].map((seq) =>
      entry(seq, {
        batch: 7,
        attempts: 2,
        sent: { op: 'update', values: ['x', undefined, null] },
      }),
    );
    await ledger.commit(outbox({ send: frozen }));
    const after = await again();
    expect(await after.sent('erp', 7, 0, 9)).toEqual(frozen);
    expect(await after.sent('erp', 7, 0, 1)).toEqual([frozen[0]]);
    expect(await after.sent('erp', 7, frozen[0]!.seq, 9)).toEqual(frozen.slice(1));
    expect(await after.sent('erp', 6, 0, 9)).toEqual([]);
    expect(await after.sent('erp', null, 0, 9)).toEqual(frozen);
    expect(await after.sent('erp', null, frozen[0]!.seq, 9)).toEqual(frozen.slice(1));
    expect(await after.sent('crm', null, 0, 9)).toEqual([]);
    expect(await after.desk.outbox([3, 9, 2])).toEqual([frozen[1], entry(2)]);
    expect(seqs(await after.ready('erp', 0, 9))).toEqual([2]);
    expect(after.head().batches).toEqual({ erp: 7 });
    await after.commit(outbox({ remove: [1], add: [entry(3, { attempts: 3 })] }));
    expect(await after.sent('erp', 7, 0, 9)).toEqual([]);
    expect(await after.ready('erp', 0, 9)).toEqual([entry(2), entry(3, { attempts: 3 })]);
  });
}

function describeQueue(open: Open): void {
  test('a batch number never goes back', async () => {
    const { ledger, again } = await open();
    await ledger.commit({ batches: [{ system: 'erp', batch: 4 }] });
    await ledger.commit({
      batches: [
        { system: 'erp', batch: 3 },
        { system: 'crm', batch: 0 },
      ],
    });
    expect((await again()).head().batches).toEqual({ erp: 4, crm: 0 });
  });

  test('an entry waits for a record until that is released in its system', async () => {
    const { ledger, again } = await open();
    await ledger.commit({
      records: [record(50)],
      ...outbox({ add: [1, 2].map((seq) => entry(seq)) }),
    });
    await ledger.commit(outbox({ wait: [{ seq: 1, waits: 50 }] }));
    expect(seqs(await ledger.ready('erp', 0, 9))).toEqual([2]);
    const after = await again();
    await after.commit(outbox({ release: [{ system: 'crm', record: 50 }] }));
    expect(seqs(await after.ready('erp', 0, 9))).toEqual([2]);
    await after.commit(outbox({ release: [{ system: 'erp', record: 50 }] }));
    expect(seqs(await after.ready('erp', 0, 9))).toEqual([1, 2]);
  });

  test('an entry that need not wait any longer is ready', async () => {
    const { ledger, again } = await open();
    await ledger.commit({ records: [record(50)], ...outbox({ add: [entry(1)] }) });
    await ledger.commit(outbox({ wait: [{ seq: 1, waits: 50 }] }));
    expect(seqs(await ledger.ready('erp', 0, 9))).toEqual([]);
    await ledger.commit(outbox({ wait: [{ seq: 1, waits: null }] }));
    expect(seqs(await (await again()).ready('erp', 0, 9))).toEqual([1]);
  });

  test('nothing waits for a record that is gone', async () => {
    const { ledger, again } = await open();
    const spent = { views: {}, deleted: stamp(20) };
    const add = [1, 2, 3].map((seq) => entry(seq));
    await ledger.commit({ records: [record(50), record(51)], ...outbox({ add }) });
    const wait = [50, 51, 52].map((waits, i) => ({ seq: i + 1, waits }));
    await ledger.commit(outbox({ wait }));
    expect(seqs(await ledger.ready('erp', 0, 9))).toEqual([3]);
    await ledger.commit({ erased: [50] });
    const after = await again();
    expect(seqs(await after.ready('erp', 0, 9))).toEqual([1, 3]);
    const both = { records: [record(51, spent)], ...outbox({ wait: [{ seq: 3, waits: 51 }] }) };
    await after.commit(both);
    expect(seqs(await after.ready('erp', 0, 9))).toEqual([1, 2, 3]);
  });

  test('counts depth and the age of the oldest entry', async () => {
    const { ledger, again } = await open();
    await ledger.commit(outbox({ add: [2, 3, 4].map((seq) => entry(seq)) }));
    const outboxCounts = async (at: Ledger) => (await at.desk.counts()).outbox;
    expect(await outboxCounts(ledger)).toEqual({ erp: { depth: 3, oldest: 1_002 } });
    await ledger.commit(outbox({ remove: [2, 2, 99] }));
    expect(await outboxCounts(ledger)).toEqual({ erp: { depth: 2, oldest: 1_003 } });
    await ledger.commit(outbox({ add: [entry(1), entry(4, { since: 1 })] }));
    expect(await outboxCounts(ledger)).toEqual({ erp: { depth: 3, oldest: 1_001 } });
    const after = await again();
    expect(await outboxCounts(after)).toEqual({ erp: { depth: 3, oldest: 1_001 } });
    await after.commit(outbox({ remove: [1, 3, 4] }));
    expect(await outboxCounts(after)).toEqual({});
  });
}

function describeExpiry(open: Open): void {
  test('removes journal entries, but for those that wait for a person', async () => {
    const { ledger, again } = await open();
    const states = ['settled', 'open', 'resolved', 'settled'] as const;
    await ledger.commit({ journal: states.map((state, i) => journal(i + 1, { state })) });
    expect((await ledger.desk.oldestClosed(2)).map(({ id }) => id)).toEqual([1, 3]);
    await ledger.commit({ expired: [1, 2, 3, 9] });
    const { desk } = await again();
    expect(ids(await desk.conflicts({ limit: 9 }))).toEqual([4, 2]);
    expect((await desk.counts()).openConflicts).toEqual({ customer: 1 });
    expect(await desk.usedBytes()).toBeGreaterThanOrEqual(0);
  });
}

function describeDesk(open: Open): void {
  test('pages the journal, newest first', async () => {
    const { ledger } = await open();
    const entries = [
      journal(1, { state: 'open' }),
      journal(2, { entity: 'order', record: 2 }),
      journal(3),
      journal(4, { state: 'open', outcome: null, winner: null }),
    ];
    await ledger.commit({ journal: entries });
    const { desk } = ledger;
    expect(await desk.conflicts({ limit: 9 })).toEqual(entries.toReversed());
    expect(ids(await desk.conflicts({ limit: 2, before: 4 }))).toEqual([3, 2]);
    expect(ids(await desk.conflicts({ state: 'open', limit: 1 }))).toEqual([4]);
    expect(ids(await desk.conflicts({ entity: 'order', limit: 9 }))).toEqual([2]);
    expect(ids(await desk.conflicts({ entity: 'order', state: 'open', limit: 9 }))).toEqual([]);
    expect(await desk.conflict(2)).toEqual(entries[1]);
    expect(await desk.conflict(5)).toBeNull();
    expect(ids(await desk.history('customer', 1, 2))).toEqual([4, 3]);
    expect(await desk.history('order', 1, 9)).toEqual([]);
    expect((await desk.counts()).openConflicts).toEqual({ customer: 2 });
    expect(ledger.head().nextCase).toBe(5);
  });

  test('closes open entries and leaves the others', async () => {
    const { ledger, again } = await open();
    await ledger.commit({ journal: [journal(1, { state: 'open' }), journal(2)] });
    await ledger.commit({ closed: [1, 2, 3, 1] });
    const after = await again();
    expect(await after.desk.conflict(1)).toEqual(journal(1, { state: 'resolved' }));
    expect(await after.desk.conflict(2)).toEqual(journal(2));
    expect((await after.desk.counts()).openConflicts).toEqual({});
    await after.commit({ journal: [journal(1, { state: 'open', policy: 'park' })] });
    expect(ids(await after.desk.conflicts({ state: 'open', limit: 9 }))).toEqual([1]);
    expect((await after.desk.counts()).openConflicts).toEqual({ customer: 1 });
  });

  test('keeps what is parked, by row, by reason and by what it waits for', async () => {
    const { ledger, again } = await open();
    const hold: ParkedHold = {
      id: 3,
      kind: 'hold',
      system: 'crm',
      entity: 'customer',
      since: 9,
      reason: 'flood',
      detail: 'many deletes',
      records: [4, 5],
    };
    const rows = [parkedRow(1), parkedRow(2, { waits: null, reason: 'invalid', cells: null })];
    await ledger.commit({ parked: { put: [...rows, hold], remove: [] } });
    const at = await again();
    expect(await at.desk.parked({ limit: 9 })).toEqual([hold, rows[1], rows[0]]);
    expect(ids(await at.desk.parked({ limit: 1, before: 3 }))).toEqual([2]);
    expect(ids(await at.desk.parked({ reason: 'waiting', limit: 9 }))).toEqual([1]);
    expect(ids(await at.desk.parked({ entity: 'customer', limit: 9 }))).toEqual([3]);
    expect(await at.desk.parkedOne(3)).toEqual(hold);
    expect(await at.desk.waitingFor(link('c1'))).toEqual([rows[0]]);
    expect(await at.desk.waitingFor(link('c1', 'erp'))).toEqual([]);
    const row = { system: 'crm', entity: 'order', key: 'o2' };
    expect((await at.find({ parkedRows: [link('o2'), row] })).parkedRows).toEqual([null, rows[1]]);
    await at.commit({ parked: { put: [parkedRow(2)], remove: [1, 3, 8] } });
    expect((await at.desk.counts()).parked).toEqual({ crm: { waiting: 1 } });
    expect(await at.desk.parkedOne(1)).toBeNull();
    expect(at.head().nextCase).toBe(4);
  });
}

function describeHead(open: Open): void {
  test('an empty ledger starts its numbers at one', async () => {
    const { ledger } = await open();
    expect(ledger.head()).toEqual({
      positions: {},
      batches: {},
      nextRecord: 1,
      nextSeq: 1,
      nextCase: 1,
      paused: [],
    });
  });

  test('the head tells of a commit from the call on', async () => {
    const { ledger } = await open();
    const commit = ledger.commit({
      source: { system: 'crm', state: source('p') },
      batches: [{ system: 'erp', batch: 1 }],
      ...outbox({ add: [entry(9)] }),
    });
    const called = ledger.head();
    expect(called).toMatchObject({ batches: { erp: 1 }, nextSeq: 10 });
    await commit;
    expect(ledger.head()).toEqual(called);
  });

  test('keeps positions, and numbers that were used once are not free again', async () => {
    const { ledger, again } = await open();
    const state = { ...source('p', 't'), snapshots: { 'public.t': '{"at":[1]}' } };
    await ledger.commit({
      source: { system: 'crm', state },
      records: [record(7)],
      journal: [journal(3)],
      ...outbox({ add: [entry(9)] }),
    });
    await ledger.commit({ erased: [7], ...outbox({ remove: [9] }) });
    expect((await again()).head()).toEqual({
      positions: { crm: state },
      batches: {},
      nextRecord: 8,
      nextSeq: 10,
      nextCase: 4,
      paused: [],
    });
  });

  test('keeps what is paused until it is resumed', async () => {
    const { ledger, again } = await open();
    const erp = { kind: 'system', name: 'erp', since: 5 } as const;
    const order = { kind: 'entity', name: 'order', since: 6 } as const;
    await ledger.commit({ paused: { add: [erp, order], remove: [] } });
    const at = await again();
    expect(new Set(at.head().paused)).toEqual(new Set([erp, order]));
    await at.commit({ paused: { add: [], remove: [erp] } });
    expect((await again()).head().paused).toEqual([order]);
  });

  test('field names keep their ordinals', async () => {
    const { ledger, again } = await open();
    expect(await ledger.ordinals('customer', ['b', 'a'])).toEqual(['b', 'a']);
    expect(await ledger.ordinals('customer', ['c', 'a', 'c'])).toEqual(['b', 'a', 'c']);
    expect(await ledger.ordinals('order', ['c'])).toEqual(['c']);
    expect(await (await again()).ordinals('customer', [])).toEqual(['b', 'a', 'c']);
  });

  test('a closed ledger refuses', async () => {
    const { ledger } = await open();
    await ledger[Symbol.asyncDispose]();
    await expect(ledger.commit({})).rejects.toMatchObject({ code: 'ledger.closed' });
    await expect(ledger.find({})).rejects.toMatchObject({ code: 'ledger.closed' });
    expect(() => ledger.head()).toThrow('is closed');
  });
}
