import { expect, test } from 'vitest';
import type { Applier } from '../../src/contract/applier.ts';
import type { OutboxEntry } from '../../src/contract/ledger.ts';
import { openDecisions } from '../../src/decide/decisions.ts';
import { apply, beginAhead } from '../../src/decide/deliveries.ts';
import { openEchoOf } from '../../src/decide/echoes.ts';
import { type Batch, freezeMore, prepare } from '../../src/decide/freeze.ts';
import { type MemoryDevice, openMemoryLedger } from '../../src/ledger/memory.ts';
import { createRecord } from '../../src/reconcile/settle.ts';
import { entityOf, patchOf, recordOf } from '../support/entity.ts';

const PART = 3;
const entity = entityOf({ fields: { no: 'string' }, systems: { crm: {}, erp: {} } });

const entryOf = (seq: number, origin: string, transaction: string): OutboxEntry => ({
  ...{ seq, system: 'erp', record: seq, entity: entity.name, since: 5, origin, transaction },
  ...{ batch: null, sent: null, attempts: 0 },
});

/** An outbox for the ERP, its entries in this order. */
async function withOutbox(entries: readonly OutboxEntry[], device: Partial<MemoryDevice> = {}) {
  const ledger = openMemoryLedger(device);
  const records = entries.map(({ seq }) => ({
    ...createRecord(seq, patchOf(entity, 'crm', { no: `N${seq}` }, 1000)),
    outbox: { erp: seq },
  }));
  await ledger.commit({
    records,
    outbox: { add: entries, send: [], remove: [], release: [], wait: [] },
  });
  const entities = new Map([[entity.name, entity]]);
  return openDecisions(ledger, entities, ['crm', 'erp'], {}, PART);
}

/** Takes every write, and tells what came in which transaction. */
function takingApplier() {
  const told: string[] = [];
  const never = async (): Promise<never> => {
    throw new Error('not expected');
  };
  const applier: Applier = {
    ...{ committed: never, fence: never, ping: never },
    async begin(batch) {
      told.push(`begin ${batch}`);
      return {
        inTheWay: never,
        async write({ rows }) {
          told.push(`write ${rows.map(({ values }) => values[0]).join(' ')}`);
          return rows.map(({ values }) => ({ kind: 'applied', key: [`${values[0]}`] }) as const);
        },
        async commit() {
          told.push('commit');
        },
        async [Symbol.asyncDispose]() {},
      };
    },
    async [Symbol.asyncDispose]() {},
  };
  return { applier, told };
}

async function deliver(decisions: Awaited<ReturnType<typeof withOutbox>>): Promise<string[]> {
  const { applier, told } = takingApplier();
  for (let number = 1; ; number++) {
    const batch = await prepare(decisions, 'erp', number, () => undefined);
    if (batch === null || batch === 'progress') return told;
    await apply(applier, batch, {
      buried: new Map(),
      written: ({ outcomes }) => expect(outcomes.size).toBeLessThanOrEqual(PART),
      more(part: Batch) {
        // Two parts in hand would be twice the bound (invariant 8), and the first is till the end.
        expect([batch.deliveries, part.deliveries]).toEqual([[], []]);
        return freezeMore(decisions, 'erp', part, () => undefined);
      },
    });
  }
}

test('a source transaction of many parts is one transaction in the target', async () => {
  const many = [1, 2, 3, 4, 5, 6, 7].map((seq) => entryOf(seq, 'crm', 'large'));
  const decisions = await withOutbox([...many, entryOf(8, 'crm', 'next')]);
  expect(await deliver(decisions)).toEqual([
    ...['begin 1', 'write N1 N2 N3', 'write N4 N5 N6', 'write N7', 'commit'],
    ...['begin 2', 'write N8', 'commit'],
  ]);
});

test('what another system did meanwhile does not cut it', async () => {
  const mixed = [
    ...[entryOf(1, 'crm', 'large'), entryOf(2, 'web', 'small'), entryOf(3, 'crm', 'large')],
    ...[entryOf(4, 'crm', 'large'), entryOf(5, 'web', 'other'), entryOf(6, 'crm', 'large')],
    entryOf(7, 'crm', 'large'),
  ];
  expect(await deliver(await withOutbox(mixed))).toEqual([
    ...['begin 1', 'write N1 N3', 'write N4 N6', 'write N7', 'commit'],
    ...['begin 2', 'write N2 N5', 'commit'],
  ]);
});

test('the target commits only what is on disk, of the last part too', async () => {
  const { applier, told } = takingApplier();
  const sync = async (): Promise<void> => {
    await new Promise((resolve) => setImmediate(resolve));
    told.push('synced');
  };
  const many = [1, 2, 3, 4].map((seq) => entryOf(seq, 'crm', 'large'));
  const decisions = await withOutbox(many, { sync });
  const batch = await prepare(decisions, 'erp', 1, () => undefined);
  if (batch === null || batch === 'progress') throw new Error('there is a batch');
  await apply(applier, batch, {
    buried: new Map(),
    written: () => undefined,
    more: (part: Batch) => freezeMore(decisions, 'erp', part, () => undefined),
  });
  const writes = ['begin 1', 'write N1 N2 N3', 'write N4'];
  expect(told.filter((one) => one !== 'synced')).toEqual([...writes, 'commit']);
  expect(told.slice(-3)).toEqual(['synced', 'synced', 'commit']);
});

test('nothing is committed, or noted, of which a part could not be frozen', async () => {
  const { applier, told } = takingApplier();
  let writes = 0;
  const write = async (): Promise<void> => {
    writes += 1;
    if (writes === 2) throw new Error('no room');
  };
  const many = [1, 2, 3, 4].map((seq) => entryOf(seq, 'crm', 'large'));
  const decisions = await withOutbox(many, { write });
  const batch = await prepare(decisions, 'erp', 1, () => undefined);
  if (batch === null || batch === 'progress') throw new Error('there is a batch');
  const applied = apply(applier, batch, {
    buried: new Map(),
    written: () => void told.push('noted'),
    more: (part: Batch) => freezeMore(decisions, 'erp', part, () => undefined),
  });
  await expect(applied).rejects.toThrow('no room');
  expect(told).toEqual(['begin 1', 'write N1 N2 N3']);
});

test('a transaction begun for what turns out to be nothing is rolled back', async () => {
  const { applier } = takingApplier();
  const told: string[] = [];
  const watched: Applier = {
    ...applier,
    async begin(batch) {
      told.push(`begin ${batch}`);
      const ended = async () => void told.push('ended');
      return { ...(await applier.begin(batch)), [Symbol.asyncDispose]: ended };
    },
  };
  const unused = beginAhead(watched, 1);
  unused.start(null);
  await unused[Symbol.asyncDispose]();
  expect(told).toEqual(['begin 1', 'ended']);
  const used = beginAhead(watched, 2);
  used.start(null);
  const transaction = await used.begin();
  await used[Symbol.asyncDispose]();
  expect(told).toEqual(['begin 1', 'ended', 'begin 2']);
  await transaction.commit();
});

/** An update of one row of the ERP that waits, prepared, and who is told what becomes of it. */
async function plainUpdate(device: Partial<MemoryDevice> = {}) {
  const wide = entityOf({
    fields: { no: 'string', name: 'string' },
    systems: { crm: {}, erp: {} },
  });
  const ledger = openMemoryLedger(device);
  const record = { ...recordOf(wide, { no: 'N1', name: 'was' }), outbox: { erp: 1 } };
  const outbox = { add: [entryOf(1, 'crm', 'one')], send: [], remove: [], release: [], wait: [] };
  await ledger.commit({ records: [{ ...record, values: ['N1', 'is'] }], outbox });
  const decisions = openDecisions(ledger, new Map([[wide.name, wide]]), ['crm', 'erp'], {}, PART);
  const { applier, told } = takingApplier();
  const send = async (update: NonNullable<Applier['update']>) => {
    await using ahead = beginAhead({ ...applier, update }, 1);
    const batch = await prepare(decisions, 'erp', 1, () => undefined, ahead.start);
    if (batch === null || batch === 'progress') throw new Error('there is a batch');
    await apply(ahead, batch, {
      buried: new Map(),
      written: ({ outcomes }) =>
        void told.push(`noted ${[...outcomes.values()].map(({ kind }) => kind)}`),
      more: async () => null,
    });
  };
  return { send, told };
}

test('a plain update is one statement, sent when its freeze is on disk', async () => {
  const told: string[] = [];
  const sync = async (): Promise<void> => {
    await new Promise((resolve) => setImmediate(resolve));
    told.push('synced');
  };
  const one = await plainUpdate({ sync });
  told.length = 0;
  await one.send(async (batch, { rows }) => {
    one.told.push(`update ${batch} ${rows.map(({ values }) => values)} behind ${told}`);
    return [{ kind: 'diverged' }];
  });
  expect(one.told).toEqual(['update 1 is behind synced', 'noted diverged']);
});

test('what is refused in one statement goes the longer way, in the same batch', async () => {
  const { send, told } = await plainUpdate();
  await send(async () => null);
  expect(told).toEqual(['begin 1', 'write is', 'noted applied', 'commit']);
});

test('its echo is loaded part by part', async () => {
  const many = [1, 2, 3, 4, 5, 6, 7].map((seq) => entryOf(seq, 'crm', 'large'));
  const decisions = await withOutbox(many);
  await deliver(decisions);
  const echo = await openEchoOf(decisions, 'erp', 1);
  const loaded = () => echo.sending.entries.map(({ seq }) => seq);
  expect(loaded()).toEqual([1, 2, 3]);
  await echo.more();
  await echo.more();
  expect(loaded()).toEqual([1, 2, 3, 4, 5, 6, 7]);
  expect(echo.sending.reach).toBeNull();
});
