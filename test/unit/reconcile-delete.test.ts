/** Deletes: what they mean, the four ways to settle one that somebody objects to, first contact. */
import { describe, expect, test } from 'vitest';
import type { Deletion, Entity, Sides } from '../../src/contract/entity.ts';
import { needOf } from '../../src/deliver/need.ts';
import { RECORD_UNIT, type RecordState } from '../../src/model/record.ts';
import { settleChange, settleFirstContact } from '../../src/reconcile/settle.ts';
import { settleDelete, settleDeleteEcho } from '../../src/reconcile/settle-delete.ts';
import {
  entityOf,
  heldBy,
  patchOf,
  recordOf,
  type Told,
  valuesOf,
  verdictOf,
} from '../support/entity.ts';

const on = (at: number) => ({ at, firstCase: 100 });
const start = { no: 'C-1', name: 'Ada', limit: '5' };

function customers(
  deleteConflict: Entity['deleteConflict'] = 'update_wins',
  deletion: Deletion = { kind: 'propagate' },
): Entity {
  return entityOf({
    fields: { no: 'string', name: 'string', limit: 'integer' },
    systems: { crm: { readOnly: ['limit'], deletion }, erp: {} },
    deleteConflict,
    chains: { name: [{ kind: 'park' }] },
    firstContact: [{ kind: 'prefer', system: 'erp' }],
  });
}

const change = (entity: Entity, record: RecordState, system: string, told: Told, at: number) =>
  settleChange(record, patchOf(entity, system, told, at), on(at));
const remove = (entity: Entity, record: RecordState, system: string, at: number, left = false) =>
  settleDelete(record, { entity, lens: entity.lenses.get(system)!, at }, left, on(at));
const need = (entity: Entity, record: RecordState, system: string) =>
  needOf(entity, entity.lenses.get(system)!, record)?.op ?? null;

describe('a delete that nobody objects to', () => {
  test('goes on to the others', () => {
    const entity = customers();
    const { record, journal } = remove(entity, recordOf(entity, start), 'crm', 2000);
    expect(journal).toEqual([]);
    expect(record.deleted).toEqual({ wall: 2000, counter: 0, system: 'crm' });
    expect(Object.keys(record.views)).toEqual(['erp']);
    expect(need(entity, record, 'erp')).toBe('delete');
    const lens = entity.lenses.get('erp')!;
    const gone = settleDeleteEcho(record, { entity, lens, at: 3000 }, on(3000));
    expect(gone.record.views).toEqual({});
    expect(need(entity, gone.record, 'crm')).toBeNull();
  });

  test('is later than all it saw, whatever the clock says', () => {
    const entity = customers();
    const { record } = remove(entity, recordOf(entity, start), 'crm', 5);
    expect(record.deleted).toEqual({ wall: 1000, counter: 1, system: 'crm' });
  });

  test('is one for which a field that is never written there is no reason to object', () => {
    const entity = customers();
    const raised = change(entity, recordOf(entity, start), 'erp', { limit: '9' }, 2000).record;
    const { record, journal } = remove(entity, raised, 'crm', 3000);
    expect(journal).toEqual([]);
    expect(record.deleted).not.toBeNull();
  });
});

describe('what a delete in a system means', () => {
  test.each([
    ['propagate', { kind: 'propagate' }, true, undefined, null],
    ['soft', { kind: 'soft', column: 2, value: 'x' }, true, undefined, null],
    ['unlink', { kind: 'unlink' }, false, 'unlinked', null],
    ['ignore', { kind: 'ignore' }, false, undefined, 'insert'],
  ] as const)('%s', (_, deletion, spreads, status, back) => {
    const entity = customers('update_wins', deletion);
    const { record } = remove(entity, recordOf(entity, start), 'crm', 2000);
    expect(record.deleted !== null).toBe(spreads);
    expect(record.views.crm?.status).toBe(status);
    expect(need(entity, record, 'crm')).toBe(back);
    expect(need(entity, record, 'erp')).toBe(spreads ? 'delete' : null);
  });

  test.each([
    [{ kind: 'propagate' }, 'delete'],
    [{ kind: 'soft', column: 2, value: 'x' }, 'delete'],
    [{ kind: 'unlink' }, null],
    [{ kind: 'ignore' }, null],
  ] as const)('a delete elsewhere reaches $kind: %s', (deletion, op) => {
    const entity = customers('update_wins', deletion);
    const { record } = remove(entity, recordOf(entity, start), 'erp', 2000);
    expect(need(entity, record, 'crm')).toBe(op);
  });

  test('a row that leaves the filter is let go, and the record lives on', () => {
    const entity = customers();
    const { record, journal } = remove(entity, recordOf(entity, start), 'crm', 2000, true);
    expect(journal).toEqual([]);
    expect(record.deleted).toBeNull();
    expect(record.views.crm).toMatchObject({ status: 'unlinked', key: '' });
    expect([need(entity, record, 'crm'), need(entity, record, 'erp')]).toEqual([null, null]);
  });
});

/** The ERP deletes at `at` what the CRM changed at 3000; then the other way round. */
const rows = [
  ['update_wins', 9000, 'update'],
  ['delete_wins', 2000, 'delete'],
  ['last_writer', 4_003_000, 'delete'],
  ['last_writer', 1200, 'update'],
  ['last_writer', 2000, 'open'],
  ['park', 9000, 'open'],
] as const;

describe.each(rows)('%s, deleted at %i: %s', (mode, at, outcome) => {
  const entity = entityOf({
    fields: { no: 'string', name: 'string' },
    systems: { crm: {}, erp: {} },
    deleteConflict: mode,
    chains: {
      no: [{ kind: 'last_writer', tolerance: 1500 }],
    },
  });
  const changed = change(
    entity,
    recordOf(entity, { no: 'C-1', name: 'Ada' }),
    'crm',
    { name: 'Bea' },
    3000,
  );
  const winner = { update: 'crm', delete: 'erp', open: null }[outcome];

  test('the delete is read second', () => {
    const { record, journal } = remove(entity, changed.record, 'erp', at);
    expect(journal).toMatchObject([
      {
        unit: RECORD_UNIT,
        kind: 'delete',
        policy: mode,
        winner,
        state: winner === null ? 'open' : 'settled',
        incoming: { system: 'erp', values: null },
        standing: { system: 'crm', values: ['C-1', 'Bea'], stamp: { wall: 3000 } },
        outcome: outcome === 'update' ? ['C-1', 'Bea'] : null,
      },
    ]);
    expect(record.deleted !== null).toBe(outcome === 'delete');
    expect(need(entity, record, 'crm')).toBe(outcome === 'delete' ? 'delete' : null);
    expect(need(entity, record, 'erp')).toBe(outcome === 'update' ? 'insert' : null);
  });

  test('who changes it twice has no quarrel with himself, whether or not the delete stands', () => {
    const gone = remove(entity, recordOf(entity, { no: 'C-1', name: 'Ada' }), 'erp', at).record;
    const once = change(entity, gone, 'crm', { name: 'Bea' }, 3000).record;
    const { record, journal } = change(entity, once, 'crm', { name: 'Cleo' }, 8_009_000);
    expect(journal.filter(({ unit }) => unit !== RECORD_UNIT)).toEqual([]);
    expect(valuesOf(entity, record).name).toBe('Cleo');
  });

  test('the change is read second, and its value is kept even where it was taken away', () => {
    const gone = remove(entity, recordOf(entity, { no: 'C-1', name: 'Ada' }), 'erp', at).record;
    const { record, journal } = change(entity, gone, 'crm', { name: null }, 3000);
    expect(journal[0]).toMatchObject({
      unit: RECORD_UNIT,
      winner,
      incoming: { system: 'crm', values: ['C-1', null], stamp: { wall: 3000 } },
      standing: { system: 'erp', values: null },
    });
    expect(record.deleted !== null).toBe(outcome === 'delete');
    expect(heldBy(entity, record, 'crm').name).toBeNull();
    expect(valuesOf(entity, record).name).toBeNull();
    expect(need(entity, record, 'crm')).toBe(outcome === 'delete' ? 'delete' : null);
    expect(need(entity, record, 'erp')).toBe(outcome === 'update' ? 'insert' : null);
  });
});

test('a rule sees the side of a system whose row is gone', () => {
  const when = ({ systems }: Sides): boolean => systems.erp?.[0] === 'C-2';
  const entity = entityOf({
    fields: { no: 'string', name: 'string' },
    systems: { crm: {}, erp: {} },
    chains: { no: [{ kind: 'rule', text: 'r', when, take: { system: 'erp' } }] },
  });
  const erp = change(entity, recordOf(entity, { no: 'C-1' }), 'erp', { no: 'C-2' }, 2000).record;
  const gone = remove(entity, erp, 'erp', 3000).record;
  const { record, journal } = change(entity, gone, 'crm', { no: 'C-3' }, 4000);
  expect(journal.at(-1)).toMatchObject({ unit: 'no', policy: 'r', winner: 'erp' });
  expect(valuesOf(entity, record).no).toBe('C-2');
});

test('a delete at an unknown time does not beat a change by last_writer', () => {
  const entity = customers('last_writer');
  const changed = change(entity, recordOf(entity, start), 'erp', { no: 'C-2' }, 3000).record;
  const lens = entity.lenses.get('crm')!;
  const { journal } = settleDelete(changed, { entity, lens, at: 0 }, false, on(9_000_000));
  expect(journal).toMatchObject([{ state: 'open', winner: null, at: 9_000_000 }]);
});

test('both deleted it: an open delete conflict settles itself', () => {
  const entity = customers('park');
  const changed = change(entity, recordOf(entity, start), 'erp', { no: 'C-2' }, 3000).record;
  const open = remove(entity, changed, 'crm', 4000).record;
  expect(open.held).toEqual({ [RECORD_UNIT]: 100 });
  const { record, agreed } = remove(entity, open, 'erp', 5000);
  expect(agreed).toEqual([100]);
  expect(record.held).toBeNull();
  expect(record.deleted).not.toBeNull();
});

test('the last row goes without a conflict, whatever it had not seen', () => {
  const entity = customers('park');
  const crm = change(entity, recordOf(entity, start), 'crm', { no: 'C-2' }, 2000).record;
  const erp = change(entity, crm, 'erp', { limit: '9' }, 3000).record;
  const { crm: _, ...views } = erp.views;
  const { record, journal } = remove(entity, { ...erp, views }, 'erp', 4000);
  expect(journal).toEqual([]);
  expect(record.deleted).not.toBeNull();
});

test('a side that is deleted takes its part in an open conflict with it', () => {
  const entity = customers('update_wins');
  const crm = change(entity, recordOf(entity, start), 'crm', { name: 'Bea' }, 2000).record;
  const open = change(entity, crm, 'erp', { name: 'Cleo' }, 3000).record;
  const { record, agreed, journal } = remove(entity, open, 'erp', 4000);
  expect(agreed).toEqual([100]);
  expect(record.held).toBeNull();
  expect(journal.map(verdictOf)).toMatchObject([{ kind: 'delete', winner: 'crm' }]);
  expect(need(entity, record, 'erp')).toBe('insert');
});

describe('first contact', () => {
  const entity = customers();
  const { erp: _, ...views } = recordOf(entity, start).views;
  const meet = (told: Told, record: RecordState = { ...recordOf(entity, start), views }) =>
    settleFirstContact(record, patchOf(entity, 'erp', told, 0), on(7000));

  test('equal rows are linked without a word', () => {
    const { record, journal } = meet(start);
    expect(journal).toEqual([]);
    expect(heldBy(entity, record, 'erp')).toEqual(start);
  });

  test('what only one side knows is taken', () => {
    const record = { ...recordOf(entity, { no: 'C-1', name: null, limit: '5' }), views };
    const settled = meet({ no: 'C-1', name: 'Ada', limit: null }, record);
    expect(settled.journal).toEqual([]);
    expect(valuesOf(entity, settled.record)).toEqual(start);
    expect(need(entity, settled.record, 'erp')).toBe('update');
  });

  test('what differs goes through first_contact, at the log time, and the loser is kept', () => {
    const { record, journal } = meet({ ...start, name: 'ADA' });
    expect(valuesOf(entity, record).name).toBe('ADA');
    expect(journal).toMatchObject([
      {
        kind: 'first_contact',
        at: 7000,
        policy: 'prefer: erp',
        winner: 'erp',
        incoming: { values: ['ADA'] },
        standing: { system: 'crm', values: ['Ada'] },
      },
    ]);
  });

  test('a unit that is held stays so, and what the newcomer holds is kept', () => {
    const held = { ...recordOf(entity, start), views, held: { name: 7 } };
    const { record, journal } = meet({ ...start, name: 'ADA' }, held);
    expect(record.held).toEqual({ name: 7 });
    expect(valuesOf(entity, record).name).toBe('Ada');
    expect(journal).toMatchObject([{ policy: 'held', incoming: { values: ['ADA'] } }]);
  });

  test('a record that is being deleted is wanted again, as the new row tells it', () => {
    const gone = remove(entity, recordOf(entity, start), 'erp', 2000).record;
    expect(meet(start, gone).record.deleted).toBeNull();
    const anew = { no: 'C-1', name: 'Grace', limit: null };
    const { record, journal } = meet(anew, gone);
    expect(valuesOf(entity, record)).toEqual(anew);
    expect(journal).toEqual([]);
  });
});
