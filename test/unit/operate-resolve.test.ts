import { expect, test } from 'vitest';
import type { JournalEntry } from '../../src/contract/ledger.ts';
import { runPass } from '../../src/decide/pass.ts';
import type { RecordState, SystemView } from '../../src/model/record.ts';
import { resolveAct } from '../../src/operate/acts.ts';
import { nothingLoaded } from '../../src/reconcile/working.ts';
import { entityOf } from '../support/entity.ts';

const entity = entityOf({
  fields: { no: 'string', city: 'string' },
  systems: { crm: {}, erp: {} },
});

const view = (city: string | null): SystemView => ({
  status: 'linked',
  key: '1',
  values: ['A', city],
  raw: null,
  represents: null,
});

const side = (system: string, city: string) => ({ system, values: [city], stamp: null });

const open: JournalEntry = {
  id: 4,
  at: 10,
  entity: entity.name,
  record: 7,
  unit: 'city',
  kind: 'conflict',
  state: 'open',
  policy: 'park',
  winner: null,
  incoming: side('crm', 'Bremen'),
  standing: side('erp', 'Graz'),
  outcome: null,
};

/** The ERP's people have gone on since the conflict was opened. */
const record: RecordState = {
  id: 7,
  entity: entity.name,
  values: ['A', 'Wien'],
  stamps: [null, { wall: 20, counter: 0, system: 'erp' }],
  deleted: null,
  views: { crm: view('Bremen'), erp: view('Wien') },
  outbox: {},
  held: { city: 4 },
  flips: null,
};

function resolved(entry: JournalEntry, take: string, erp = view('Wien'), held = record) {
  const loaded = nothingLoaded();
  loaded.records.set(7, { ...held, views: { ...held.views, erp } });
  const ground = {
    entities: new Map([[entity.name, entity]]),
    numbers: { record: 8, case: 5, seq: 1 },
    floods: new Map(),
    population: {},
    refused: new Map(),
    refusals: new Map(),
    already: new Set<number>(),
  };
  const act = resolveAct(entity, entry, { take }, 30);
  const unit = { system: 'operator', transaction: 't', at: 30, origin: 'reading' as const };
  const pass = runPass(ground, [{ ...unit, events: [], echo: null, complete: true, act }], loaded);
  return { record: pass.w.touched.get(7), entry: pass.w.journal[0], entries: pass.w.journal };
}

test('a resolution keeps what the loser holds by now, not what it held at first', () => {
  const { record: after, entry } = resolved(open, 'crm');
  expect(after?.values[1]).toBe('Bremen');
  expect(entry?.standing.values).toEqual(['Wien']);
  expect(entry?.incoming.values).toEqual(['Bremen']);
});

test('who takes a side takes what its system means, however that is spelled', () => {
  const rewritten = { ...view('WIEN'), represents: { 1: 'Wien' } };
  const { record: after, entry } = resolved(open, 'erp', rewritten);
  expect(after?.values[1]).toBe('Wien');
  expect(entry?.standing.values).toEqual(['Wien']);
});

test('who takes a side that was emptied since takes it empty', () => {
  const { record: after, entry } = resolved(open, 'erp', view(null));
  expect(after?.values[1]).toBeNull();
  expect(entry?.standing.values).toEqual([null]);
});

test('a resolution keeps what a third system has written meanwhile', () => {
  const third: RecordState = {
    ...record,
    values: ['A', 'Oslo'],
    stamps: [null, { wall: 25, counter: 0, system: 'oa' }],
  };
  const { record: after, entry, entries } = resolved(open, 'crm', view('Wien'), third);
  expect(after?.values[1]).toBe('Bremen');
  expect(entry?.standing.values).toEqual(['Wien']);
  expect(entries[1]?.standing).toMatchObject({ system: 'oa', values: ['Oslo'] });
  expect(resolved(open, 'crm').entries).toHaveLength(1);
});

test('restoring the loser of a settled conflict keeps what it writes over', () => {
  const settled = { ...open, state: 'settled' as const };
  const { record: after, entry } = resolved(
    { ...settled, incoming: side('erp', 'Graz'), standing: side('crm', 'Linz') },
    'erp',
  );
  expect(after?.values[1]).toBe('Graz');
  expect(entry?.incoming.values).toEqual(['Graz']);
  // The record's: what a row holds beside it lost to that before, and is in the journal.
  expect(entry?.standing.values).toEqual(['Wien']);
});
