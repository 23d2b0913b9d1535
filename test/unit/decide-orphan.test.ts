import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { Ledger } from '../../src/contract/ledger.ts';
import { openDecisions } from '../../src/decide/decisions.ts';
import { prepare } from '../../src/decide/freeze.ts';
import { openMemoryLedger } from '../../src/ledger/memory.ts';
import { openSqliteLedger } from '../../src/ledger/sqlite.ts';
import { createRecord } from '../../src/reconcile/settle.ts';
import { putRecord, recordById, type Working } from '../../src/reconcile/working.ts';
import { entityOf, patchOf } from '../support/entity.ts';
import { entry, outbox, stamp } from './ledger-fixtures.ts';

const directory = mkdtempSync(join(tmpdir(), 'carrick-orphan-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const customer = entityOf({ fields: { no: 'string' }, systems: { crm: {}, erp: {} } });
const order = entityOf({
  name: 'order',
  fields: { no: 'string', customer: { ref: 'customer' } },
  systems: { crm: {}, erp: {} },
});
const entities = new Map([customer, order].map((entity) => [entity.name, entity]));

const ledgers: readonly [string, () => Promise<Ledger>][] = [
  ['in memory', async () => openMemoryLedger()],
  ['in SQLite', () => openSqliteLedger(join(mkdtempSync(join(directory, 'l-')), 'orphan.db'))],
];

test.each(ledgers)('a child that has left the parent it waits for goes on: %s', async (_, open) => {
  await using ledger = await open();
  const parent = createRecord(1, patchOf(customer, 'crm', { no: 'C-1' }, 1000));
  const child = createRecord(2, patchOf(order, 'crm', { no: 'O-1', customer: '1' }, 1000));
  const records = [parent, { ...child, outbox: { erp: 2 } }];
  await ledger.commit({ records, ...outbox({ add: [entry(2, { entity: 'order' })] }) });
  const decisions = openDecisions(ledger, entities, ['crm', 'erp'], {});
  const next = () => prepare(decisions, 'erp', 1, () => undefined);
  expect([await next(), await next()]).toEqual(['progress', null]);

  const base = { system: 'crm', transaction: 'later', at: 2000, origin: 'log' } as const;
  const act = (w: Working): void => {
    const record = recordById(w, 2);
    if (record != null) putRecord(w, order, { ...record, values: ['O-1', null] });
  };
  await decisions.decide([{ ...base, events: [], echo: null, complete: true, act }]);
  expect(await next()).toMatchObject({ deliveries: [{ need: { op: 'insert' } }] });
});

test.each(ledgers)(
  'a child whose parent is deleted before it is delivered: %s',
  async (_, open) => {
    await using ledger = await open();
    const parent = createRecord(1, patchOf(customer, 'crm', { no: 'C-1' }, 1000));
    const child = createRecord(2, patchOf(order, 'crm', { no: 'O-1', customer: '1' }, 1000));
    const add = [entry(1, { transaction: 'a' }), entry(2, { entity: 'order', transaction: 'b' })];
    const records = [parent, child].map((one) => ({ ...one, outbox: { erp: one.id } }));
    const pause = { kind: 'entity', name: 'customer', since: 1 } as const;
    await ledger.commit({ records, ...outbox({ add }), paused: { add: [pause], remove: [] } });
    const decisions = openDecisions(ledger, entities, ['crm', 'erp'], {});
    const next = () => prepare(decisions, 'erp', 1, () => undefined);
    expect([await next(), await next()]).toEqual(['progress', null]);

    const deleted = { ...parent, views: {}, deleted: stamp(2000), outbox: { erp: 1 } };
    await ledger.commit({ records: [deleted], paused: { add: [], remove: [pause] } });
    expect([await next(), await next(), await next()]).toEqual(['progress', 'progress', null]);
    expect(await ledger.desk.parked({ limit: 9 })).toMatchObject([
      { kind: 'delivery', system: 'erp', record: 2, reason: 'refused' },
    ]);
    expect((await ledger.desk.counts()).outbox).toEqual({});
    expect((await ledger.find({ records: [1, 2] })).records).toMatchObject([null, { outbox: {} }]);
  },
);
