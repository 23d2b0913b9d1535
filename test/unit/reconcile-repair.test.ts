/** Rows that were changed behind Carrick's back, settled as a person asks. */
import { describe, expect, test } from 'vitest';
import type { Deletion, Policy } from '../../src/contract/entity.ts';
import { needOf } from '../../src/deliver/need.ts';
import { RECORD_UNIT, type RecordState } from '../../src/model/record.ts';
import { decideRows } from '../../src/reconcile/batch.ts';
import { floodGauge } from '../../src/reconcile/flood.ts';
import type { RowEvent } from '../../src/reconcile/row-event.ts';
import {
  isComplete,
  nothingLoaded,
  queryOf,
  remember,
  startWorking,
} from '../../src/reconcile/working.ts';
import { entityOf, heldBy, recordOf, type Told, valuesOf, verdictOf } from '../support/entity.ts';

const ada = { no: 'C-1', name: 'Ada', limit: '5' };

const customers = (more: { chain?: Policy[]; deletion?: Deletion; most?: number } = {}) =>
  entityOf({
    fields: { no: 'string', name: 'string', limit: 'integer' },
    systems: { crm: {}, erp: { deletion: more.deletion ?? { kind: 'propagate' } } },
    chains: { name: more.chain ?? [{ kind: 'prefer', system: 'erp' }], limit: [{ kind: 'max' }] },
    flood: { share: 0, atLeast: more.most ?? 100, within: 60_000_000 },
  });
type Customers = ReturnType<typeof customers>;

/** What becomes of record 1 (and of new ones) when `system` is found to hold these rows. */
function repair(
  entity: Customers,
  record: RecordState,
  system: 'crm' | 'erp',
  from: 'crm' | 'erp' | null,
  rows: Record<string, Told | null>,
) {
  const lens = entity.lenses.get(system)!;
  const events = Object.entries(rows).map(([key, told]): RowEvent => {
    const cells = told === null ? null : [key, ...entity.fields.map(({ name }) => told[name])];
    const base = { entity, lens, key, oldKey: key, cells, at: 9000, read: null };
    return { ...base, origin: 'reading', repair: { from } };
  });
  const loaded = nothingLoaded();
  for (;;) {
    const w = startWorking(loaded, { record: 50, case: 100, seq: 1 });
    decideRows(
      w,
      events,
      null,
      floodGauge(new Map(), () => 1000),
    );
    if (isComplete(w.missing)) return w;
    const query = queryOf(w.missing);
    const linked = (key: string) => (record.views[system]?.key === key ? record : null);
    remember(loaded, query, {
      links: (query.links ?? []).map(({ key }) => linked(key)),
      identities: (query.identities ?? []).map(({ value }) =>
        value === JSON.stringify([valuesOf(entity, record).no]) ? [record] : [],
      ),
      records: (query.records ?? []).map((id) => (id === 1 ? record : null)),
      parkedRows: (query.parkedRows ?? []).map(() => null),
    });
  }
}

const need = (entity: Customers, record: RecordState, system: string) =>
  needOf(entity, entity.lenses.get(system)!, record);

describe('a row that was changed', () => {
  test.each([
    ['erp', 'crm', 'Ada', 'erp'],
    ['erp', 'erp', 'Eve', 'crm'],
    ['erp', null, 'Eve', 'crm'],
    ['crm', null, 'Ada', 'crm'],
  ] as const)('in %s, repaired from %s, is %s', (system, from, name, written) => {
    const entity = customers();
    const before = recordOf(entity, ada);
    const w = repair(entity, before, system, from, { [`${system}-1`]: { ...ada, name: 'Eve' } });
    const record = w.touched.get(1)!;
    expect(valuesOf(entity, record).name).toBe(name);
    expect(heldBy(entity, record, system).name).toBe('Eve');
    expect(need(entity, record, written)).toEqual({ op: 'update', fields: [1] });
    expect(w.journal.map(verdictOf)).toEqual([
      {
        unit: 'name',
        kind: 'repair',
        state: 'settled',
        policy: `repair, prefer: ${from ?? 'erp'}`,
        winner: from ?? 'erp',
        outcome: [name],
      },
    ]);
    const { incoming, standing } = w.journal[0]!;
    expect([incoming.values, standing.values]).toEqual([['Eve'], ['Ada']]);
  });

  test('waits for a person where no policy decides', () => {
    const entity = customers({ chain: [{ kind: 'last_writer', tolerance: 0 }] });
    const w = repair(entity, recordOf(entity, ada), 'erp', null, {
      'erp-1': { ...ada, name: 'Eve' },
    });
    const record = w.touched.get(1)!;
    expect(w.journal.map(({ state }) => state)).toEqual(['open']);
    expect([need(entity, record, 'crm'), need(entity, record, 'erp')]).toEqual([null, null]);
  });

  test('is nothing where it agrees, and nothing of it is journalled', () => {
    const entity = customers();
    const w = repair(entity, recordOf(entity, ada), 'erp', 'crm', { 'erp-1': ada });
    expect(w.journal).toEqual([]);
    expect(w.touched.get(1)).toEqual(recordOf(entity, ada));
  });
});

describe('a row that was deleted', () => {
  test('is written again where the other system is preferred', () => {
    const entity = customers();
    const w = repair(entity, recordOf(entity, ada), 'erp', 'crm', { 'erp-1': null });
    const record = w.touched.get(1)!;
    expect(record.deleted).toBeNull();
    expect(need(entity, record, 'erp')?.op).toBe('insert');
    expect(w.journal.map(verdictOf)).toMatchObject([
      { unit: RECORD_UNIT, kind: 'repair', policy: 'repair, prefer: crm', winner: 'crm' },
    ]);
  });

  test('is deleted elsewhere where its own system is preferred, within the flood guard', () => {
    const entity = customers();
    const w = repair(entity, recordOf(entity, ada), 'erp', 'erp', { 'erp-1': null });
    expect(need(entity, w.touched.get(1)!, 'crm')?.op).toBe('delete');
    expect(w.journal.map(({ incoming, standing }) => [incoming.values, standing.values])).toEqual([
      [null, ['C-1', 'Ada', '5']],
    ]);
    const guarded = customers({ most: 0 });
    const held = repair(guarded, recordOf(guarded, ada), 'erp', 'erp', { 'erp-1': null });
    expect(need(guarded, held.touched.get(1)!, 'crm')).toBeNull();
    expect([...held.parked.values()].map(({ reason }) => reason)).toEqual(['flood']);
  });

  test('is judged by the policy for deletes where none is preferred', () => {
    const entity = customers();
    const w = repair(entity, recordOf(entity, ada), 'erp', null, { 'erp-1': null });
    expect(w.journal.map(({ policy }) => policy)).toEqual(['repair, update_wins']);
    expect(need(entity, w.touched.get(1)!, 'erp')?.op).toBe('insert');
  });
});

describe('a row that was inserted', () => {
  const eve = { no: 'C-2', name: 'Eve', limit: '7' };

  test('goes where its own system is preferred, or none', () => {
    for (const from of ['erp', null] as const) {
      const entity = customers();
      const w = repair(entity, recordOf(entity, ada), 'erp', from, { 'erp-2': eve });
      expect(need(entity, w.touched.get(50)!, 'crm')?.op).toBe('insert');
      expect(w.journal).toEqual([]);
    }
  });

  test('is deleted where the other one is preferred, and what it held is kept', () => {
    const entity = customers();
    const w = repair(entity, recordOf(entity, ada), 'erp', 'crm', { 'erp-2': eve });
    expect(need(entity, w.touched.get(50)!, 'erp')?.op).toBe('delete');
    expect(need(entity, w.touched.get(50)!, 'crm')).toBeNull();
    expect(w.journal.map(({ incoming, winner }) => [incoming.values, winner])).toEqual([
      [['C-2', 'Eve', '7'], 'crm'],
    ]);
  });

  test('goes where deletes are none of its system', () => {
    const entity = customers({ deletion: { kind: 'ignore' } });
    const w = repair(entity, recordOf(entity, ada), 'erp', 'crm', { 'erp-2': eve });
    expect(need(entity, w.touched.get(50)!, 'crm')?.op).toBe('insert');
  });

  test('takes the place of one that is gone, as the preferred system tells it', () => {
    const entity = customers();
    const w = repair(entity, recordOf(entity, ada), 'erp', 'crm', {
      'erp-1': null,
      'erp-9': { ...ada, limit: '6' },
    });
    const record = w.touched.get(1)!;
    expect([record.views.erp?.key, valuesOf(entity, record).limit]).toEqual(['erp-9', '5']);
    expect(need(entity, record, 'erp')).toEqual({ op: 'update', fields: [2] });
  });
});
