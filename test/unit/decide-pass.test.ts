import { expect, test } from 'vitest';
import type { OutboxEntry } from '../../src/contract/ledger.ts';
import { type EchoOf, type Ground, runPass, type Unit } from '../../src/decide/pass.ts';
import type { RecordState } from '../../src/model/record.ts';
import { indexSending } from '../../src/reconcile/echo.ts';
import { nothingLoaded } from '../../src/reconcile/working.ts';
import { entityOf } from '../support/entity.ts';

const entity = entityOf({
  fields: { no: 'string', price: 'string' },
  systems: { crm: {}, erp: {} },
});

const view = (price: string) => ({
  status: 'linked' as const,
  key: '1',
  values: ['A', price],
  raw: null,
  represents: null,
});

/** The ERP stores 10.13; the CRM's 10.129 rounds to that, so writing it changes no row. */
const record: RecordState = {
  id: 7,
  entity: entity.name,
  values: ['A', '10.129'],
  stamps: [null, { wall: 5, counter: 0, system: 'crm' }],
  deleted: null,
  views: { crm: view('10.129'), erp: view('10.13') },
  outbox: { erp: 3 },
  held: null,
  flips: null,
};

const entry: OutboxEntry = {
  seq: 3,
  system: 'erp',
  record: 7,
  entity: entity.name,
  since: 5,
  origin: 'crm',
  transaction: 't',
  batch: 2,
  sent: { op: 'update', values: [undefined, '10.129'] },
  attempts: 0,
};

const ground = (already: readonly number[], attempts = 0): [Ground, Unit] => {
  const sent = { ...entry, attempts };
  const echo: EchoOf = {
    batch: 2,
    sending: indexSending([sent]),
    keys: new Map(),
    shown: new Set(),
    more: async () => undefined,
  };
  const unit: Unit = {
    system: 'erp',
    transaction: 'mark',
    at: 9,
    origin: 'log',
    events: [],
    echo,
    complete: true,
  };
  const base = {
    entities: new Map([[entity.name, entity]]),
    numbers: { record: 8, case: 1, seq: 4 },
    floods: new Map(),
    population: {},
    refused: new Map(),
    refusals: new Map(),
    already: new Set(already),
  };
  return [base, unit];
};

const decide = ([base, unit]: [Ground, Unit]) => {
  const loaded = nothingLoaded();
  loaded.records.set(7, record);
  return runPass(base, [unit], loaded);
};

test('what a system holds already, in its own rounding, is delivered', () => {
  const pass = decide(ground([3]));
  expect(pass.removed).toEqual([3]);
  expect(pass.added).toEqual([]);
  expect(pass.w.touched.get(7)?.views.erp?.represents).toEqual({ 1: '10.129' });
});

test('a delivery that did not show is sent again, and parked when it never does', () => {
  const again = decide(ground([]));
  expect(again.added).toMatchObject([{ system: 'erp', record: 7, attempts: 1, batch: null }]);
  const given = decide(ground([], 11));
  expect(given.added).toEqual([]);
  expect([...given.w.parked.values()]).toMatchObject([{ kind: 'delivery', reason: 'drifted' }]);
  expect(given.w.touched.get(7)?.outbox).toEqual({});
});

test('what came back from one system has nothing tried again that is parked in another', () => {
  const three = entityOf({ fields: { no: 'string' }, systems: { crm: {}, erp: {}, web: {} } });
  const web = { ...view('1'), values: ['A'] };
  const one: RecordState = { ...record, values: ['A'], stamps: [null], views: { web } };
  const [base, unit] = ground([]);
  const loaded = nothingLoaded();
  loaded.records.set(7, { ...one, stamps: [{ wall: 5, counter: 0, system: 'web' }] });
  const refusals = new Map([['crm:7', 1]]);
  const entities = new Map([[three.name, three]]);
  const pass = runPass({ ...base, entities, refusals }, [unit], loaded);
  expect(pass.added).toMatchObject([{ system: 'erp', attempts: 1 }]);
  expect([...pass.w.unparked]).toEqual([]);
  expect(Object.keys(pass.w.touched.get(7)?.outbox ?? {})).toEqual(['erp']);
  const decided: Unit = { ...unit, act: (w) => void w.recent.add(7) };
  const anew = runPass({ ...base, entities, refusals }, [decided], loaded);
  expect(anew.added.map(({ system }) => system)).toEqual(['crm', 'erp']);
  expect([...anew.w.unparked]).toEqual([1]);
});
