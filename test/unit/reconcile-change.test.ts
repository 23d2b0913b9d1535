/** Three-way detection, row by row of DESIGN.md's table; then groups, holds, echoes and flips. */
import { describe, expect, test } from 'vitest';
import { needOf } from '../../src/deliver/need.ts';
import type { RecordState } from '../../src/model/record.ts';
import { FLIP_LIMIT, FLIP_WINDOW } from '../../src/reconcile/flip.ts';
import { settleChange, settleEcho, settleUnsoundEcho } from '../../src/reconcile/settle.ts';
import {
  entityOf,
  heldBy,
  LAST_WRITER,
  patchOf,
  recordOf,
  sentOf,
  type Told,
  valuesOf,
  verdictOf,
} from '../support/entity.ts';

const customer = entityOf({
  fields: { no: 'string', name: 'string', street: 'string', city: 'string', stock: 'integer' },
  groups: { address: ['street', 'city'] },
  chains: { stock: [{ kind: 'sum_of_deltas' }], name: [{ kind: 'park' }] },
  systems: { crm: {}, erp: {} },
});
const three = entityOf({
  fields: { no: 'string', name: 'string' },
  chains: { name: [{ kind: 'park' }] },
  systems: { crm: {}, erp: {}, oa: {} },
});
const start = { no: 'C-1', name: 'Ada', street: 'Elm 1', city: 'Ulm', stock: '10' };

const on = (at: number) => ({ at, firstCase: 100 });
const change = (record: RecordState, system: string, told: Told, at = 2000, entity = customer) =>
  settleChange(record, patchOf(entity, system, told, at), on(at));
const echo = (
  record: RecordState,
  system: string,
  told: Told,
  sent: Told,
  at = 2000,
  entity = customer,
) => settleEcho(record, patchOf(entity, system, told, at), sentOf(entity, sent), on(at));
const needs = (record: RecordState, system: string, entity = customer) =>
  needOf(entity, entity.lenses.get(system)!, record)?.fields.map((f) => entity.fields[f]?.name) ??
  null;

describe('a change of one field', () => {
  test('1. equal to the view: nothing happens', () => {
    const record = recordOf(customer, start);
    const settled = change(record, 'erp', start);
    expect(settled.record.values).toEqual(record.values);
    expect(settled.record.stamps).toEqual(record.stamps);
    expect(settled.journal).toEqual([]);
  });

  test('1. left out of the image: unchanged', () => {
    const { record } = change(recordOf(customer, start), 'erp', { city: 'Bonn' });
    expect(valuesOf(customer, record)).toEqual({ ...start, city: 'Bonn' });
    expect(heldBy(customer, record, 'erp')).toEqual({ ...start, city: 'Bonn' });
  });

  test('2. equal to the record: both agree, only the view moves', () => {
    const first = change(recordOf(customer, start), 'crm', { city: 'Bonn' }).record;
    const settled = change(first, 'erp', { city: 'Bonn' }, 3000);
    expect(settled.journal).toEqual([]);
    expect(settled.record.stamps).toEqual(first.stamps);
    expect(heldBy(customer, settled.record, 'erp').city).toBe('Bonn');
    expect(needs(settled.record, 'erp')).toBeNull();
  });

  test('3. up to date: accepted, whatever the clocks say', () => {
    const { record, journal } = change(recordOf(customer, start), 'erp', { city: 'Bonn' }, 5);
    expect(valuesOf(customer, record).city).toBe('Bonn');
    expect(record.stamps[3]).toEqual({ wall: 1000, counter: 1, system: 'erp' });
    expect(journal).toEqual([]);
    expect(needs(record, 'crm')).toEqual(['city']);
    expect(needs(record, 'erp')).toBeNull();
  });

  test('4. not seen: the later write wins and the loser is kept with its stamp', () => {
    const first = change(recordOf(customer, start), 'crm', { no: 'C-2' }, 3000).record;
    const { record, journal } = change(first, 'erp', { no: 'C-3' }, 2000);
    expect(valuesOf(customer, record).no).toBe('C-2');
    expect(heldBy(customer, record, 'erp').no).toBe('C-3');
    expect(needs(record, 'erp')).toEqual(['no']);
    expect(journal).toEqual([
      {
        id: 100,
        at: 2000,
        entity: 'customer',
        record: 1,
        unit: 'no',
        kind: 'conflict',
        state: 'settled',
        policy: 'last_writer',
        winner: 'crm',
        incoming: {
          system: 'erp',
          values: ['C-3'],
          stamp: { wall: 2000, counter: 0, system: 'erp' },
        },
        standing: {
          system: 'crm',
          values: ['C-2'],
          stamp: { wall: 3000, counter: 0, system: 'crm' },
        },
        outcome: ['C-2'],
      },
    ]);
  });

  test('4. a value that was taken away is kept as such', () => {
    const first = change(recordOf(customer, start), 'crm', { no: 'C-2' }, 3000).record;
    const { journal } = change(first, 'erp', { no: null }, 2000);
    expect(journal[0]?.incoming.values).toEqual([null]);
  });
});

describe('a group is settled as a unit', () => {
  const first = change(recordOf(customer, start), 'crm', { city: 'Bonn' }, 2000).record;

  test.each([
    ['a full image', { ...start, street: 'Oak 2' }],
    ['a partial image', { street: 'Oak 2' }],
  ])('the winner takes all of it: %s', (_, told) => {
    const { record, journal } = change(first, 'erp', told, 3000);
    expect(valuesOf(customer, record)).toMatchObject({ street: 'Oak 2', city: 'Ulm' });
    expect(journal.map(verdictOf)).toEqual([
      {
        unit: 'address',
        kind: 'conflict',
        state: 'settled',
        policy: 'last_writer',
        winner: 'erp',
        outcome: ['Oak 2', 'Ulm'],
      },
    ]);
    expect(needs(record, 'crm')).toEqual(['street', 'city']);
  });

  test('the same street in different cities is a conflict in a partial image, too', () => {
    const moved = change(recordOf(customer, start), 'crm', {
      street: 'Oak 2',
      city: 'Bonn',
    }).record;
    const { journal } = change(moved, 'erp', { street: 'Oak 2' }, 3000);
    expect(journal).toHaveLength(1);
  });

  test('a member that a system lacks stays as it stands, and its journal side says so', () => {
    const entity = entityOf({
      fields: { no: 'string', street: 'string', city: 'string' },
      groups: { address: ['street', 'city'] },
      systems: { crm: {}, erp: { lacks: ['city'] } },
    });
    const record = recordOf(entity, { no: 'C-1', street: 'Elm 1', city: 'Ulm' });
    const moved = change(record, 'crm', { street: 'Oak 2', city: 'Bonn' }, 2000, entity).record;
    const settled = change(moved, 'erp', { street: 'Fir 3' }, 3000, entity);
    expect(settled.journal[0]?.incoming.values).toEqual(['Fir 3', 'Bonn']);
    expect(valuesOf(entity, settled.record)).toMatchObject({ street: 'Fir 3', city: 'Bonn' });
  });
});

describe('the stamps of a group', () => {
  const first = change(recordOf(customer, start), 'crm', { city: 'Bonn' }, 4000).record;
  const two = change(first, 'crm', { street: 'Fir 3' }, 3000).record;
  const { record, journal } = change(two, 'erp', { street: 'Oak 2', city: 'Bonn' }, 9000);

  test('the latest of them stands for the unit', () => {
    expect(journal[0]?.standing).toMatchObject({ system: 'crm', stamp: { wall: 4000 } });
  });

  test('a member on which both agree keeps its own', () => {
    expect(record.stamps[2]).toMatchObject({ wall: 9000, system: 'erp' });
    expect(record.stamps[3]).toMatchObject({ wall: 4000, system: 'crm' });
  });
});

test('a third system whose value is taken is the winner, and its name is on the stamp', () => {
  const entity = entityOf({
    fields: { no: 'string' },
    chains: { no: [{ kind: 'prefer', system: 'oa' }] },
    systems: { crm: {}, erp: {}, oa: {} },
  });
  const crm = change(recordOf(entity, { no: 'a' }), 'crm', { no: 'b' }, 2000, entity).record;
  const { record, journal } = change(crm, 'erp', { no: 'c' }, 3000, entity);
  expect(journal).toMatchObject([{ policy: 'prefer: oa', winner: 'oa', outcome: ['a'] }]);
  expect(record.stamps[0]).toEqual({ wall: 3000, counter: 0, system: 'oa' });
});

describe('what a system stores differently', () => {
  const rounded = echo(recordOf(customer, start), 'erp', { no: 'c-9' }, { no: 'C-9' }).record;
  const record = { ...rounded, values: ['C-9', ...rounded.values.slice(1)] };

  test('is no difference and no change', () => {
    expect(needs(record, 'erp')).toBeNull();
    expect(record.views.erp?.represents).toEqual({ 0: 'C-9' });
    const again = change(record, 'erp', { no: 'c-9', city: 'Bonn' }, 3000);
    expect(valuesOf(customer, again.record).no).toBe('C-9');
    expect(again.record.views.erp?.represents).toEqual({ 0: 'C-9' });
  });

  test('is a change as soon as somebody changes it', () => {
    const { record: next } = change(record, 'erp', { no: 'c-10' }, 3000);
    expect(valuesOf(customer, next).no).toBe('c-10');
    expect(next.views.erp?.represents).toBeNull();
  });

  test('stands for what was sent when its group wins a conflict', () => {
    const entity = entityOf({
      fields: { street: 'string', city: 'string' },
      groups: { address: ['street', 'city'] },
      systems: { crm: {}, erp: {} },
    });
    const at = (told: Told, system: string, when: number, from: RecordState) =>
      settleChange(from, patchOf(entity, system, told, when), on(when)).record;
    const changed = at(
      { city: 'Bonn am Rhein' },
      'crm',
      2000,
      recordOf(entity, { street: 'Elm 1', city: 'Ulm' }),
    );
    const cut = settleEcho(
      changed,
      patchOf(entity, 'erp', { street: 'Elm 1', city: 'Bonn' }, 2100),
      sentOf(entity, { city: 'Bonn am Rhein' }),
      on(2100),
    ).record;
    const other = at({ street: 'Oak 2' }, 'crm', 2200, cut);
    const won = at({ street: 'Fir 3', city: 'Bonn' }, 'erp', 2300, other);
    expect(valuesOf(entity, won)).toEqual({ street: 'Fir 3', city: 'Bonn am Rhein' });
  });
});

describe('our own write in the log', () => {
  test('moves the view and nothing else', () => {
    const first = change(recordOf(customer, start), 'crm', { city: 'Bonn' }).record;
    const { record, journal } = echo(
      first,
      'erp',
      { ...start, city: 'Bonn' },
      { city: 'Bonn' },
      3000,
    );
    expect(journal).toEqual([]);
    expect(record.values).toEqual(first.values);
    expect(needs(record, 'erp')).toBeNull();
    expect(needs(record, 'crm')).toBeNull();
  });

  test('is known from what was sent where the system never tells the field', () => {
    const entity = entityOf({
      fields: { no: 'string', note: 'string' },
      systems: { crm: {}, erp: { writeOnly: ['note'] } },
    });
    const first = change(
      recordOf(entity, { no: 'C-1', note: 'a' }),
      'crm',
      { note: 'b' },
      2000,
      entity,
    );
    expect(needs(first.record, 'erp', entity)).toEqual(['note']);
    const patch = patchOf(entity, 'erp', { no: 'C-1' }, 3000);
    const once = settleEcho(first.record, patch, sentOf(entity, { note: 'b' }), on(3000)).record;
    expect(needs(once, 'erp', entity)).toBeNull();
    const twice = change(once, 'crm', { note: 'c' }, 4000, entity).record;
    const done = settleEcho(twice, patch, sentOf(entity, { note: 'c' }), on(5000)).record;
    expect(needs(done, 'erp', entity)).toBeNull();
    expect(done.views.erp?.represents).toBeNull();
  });

  test('in a row that is unsound elsewhere it is known as it is stored, and stays ours', () => {
    const first = change(recordOf(customer, start), 'crm', { city: 'Bonn' }).record;
    const patch = patchOf(customer, 'erp', { city: 'BONN' }, 3000);
    const sent = sentOf(customer, { city: 'Bonn' });
    const { record, journal } = settleUnsoundEcho(first, patch, sent, on(3000));
    expect(needs(record, 'erp')).toBeNull();
    const mended = change(record, 'erp', { ...start, city: 'BONN' }, 4000);
    expect([...journal, ...mended.journal]).toEqual([]);
    expect(mended.record.values).toEqual(first.values);
  });

  test('a trigger beside it is a change of that system, also within the group we wrote', () => {
    const first = change(recordOf(customer, start), 'crm', { street: 'Oak 2' }).record;
    const told = { ...start, street: 'Oak 2', city: 'OAKTOWN' };
    const { record, journal } = echo(first, 'erp', told, { street: 'Oak 2' }, 3000);
    expect(journal).toEqual([]);
    expect(valuesOf(customer, record)).toMatchObject({ street: 'Oak 2', city: 'OAKTOWN' });
    expect(needs(record, 'crm')).toEqual(['city']);
  });

  test('a column default in a row we inserted fills only what nobody has said', () => {
    const entity = entityOf({
      fields: { no: 'string', tier: 'string', limit: 'integer' },
      systems: { crm: {}, erp: { readOnly: ['tier', 'limit'] } },
    });
    const { erp: _, ...views } = recordOf(entity, { no: 'C-1', tier: 'gold' }).views;
    const record = { ...recordOf(entity, { no: 'C-1', tier: 'gold' }), views };
    const patch = patchOf(entity, 'erp', { no: 'C-1', tier: 'none', limit: '0' }, 2000);
    const settled = settleEcho(record, patch, sentOf(entity, { no: 'C-1' }, 'insert'), on(2000));
    expect(settled.journal).toEqual([]);
    expect(valuesOf(entity, settled.record)).toEqual({ no: 'C-1', tier: 'gold', limit: '0' });
  });
});

describe('an open conflict', () => {
  const crm = change(recordOf(customer, start), 'crm', { name: 'Bea' }, 2000).record;
  const open = change(crm, 'erp', { name: 'Cleo' }, 3000);

  test('holds its unit and writes it nowhere', () => {
    expect(open.journal.map(verdictOf)).toMatchObject([
      { unit: 'name', state: 'open', winner: null },
    ]);
    expect(open.record.held).toEqual({ name: 100 });
    expect(needs(open.record, 'erp')).toBeNull();
    expect(needs(open.record, 'crm')).toBeNull();
  });

  test('leaves the other units alone', () => {
    expect(needs(change(open.record, 'crm', { city: 'Bonn' }, 4000).record, 'erp')).toEqual([
      'city',
    ]);
  });

  test('the system whose value stands may go on changing it', () => {
    const next = change(open.record, 'crm', { name: 'Dora' }, 4000);
    expect(valuesOf(customer, next.record).name).toBe('Dora');
    expect(next.record.held).toEqual({ name: 100 });
  });

  test('what the other side writes meanwhile is kept in the journal', () => {
    const next = change(open.record, 'erp', { name: 'Dora' }, 4000);
    expect(valuesOf(customer, next.record).name).toBe('Bea');
    expect(next.journal).toMatchObject([{ policy: 'held', state: 'settled', winner: 'crm' }]);
    expect(next.journal[0]?.incoming.values).toEqual(['Dora']);
    expect(next.record.held).toEqual({ name: 100 });
  });

  test.each([
    ['erp', 'Bea'],
    ['crm', 'Cleo'],
  ])('settles itself when %s comes round', (system, name) => {
    const next = change(open.record, system, { name }, 4000);
    expect(next.agreed).toEqual([100]);
    expect(next.record.held).toBeNull();
    expect(valuesOf(customer, next.record).name).toBe(name);
    expect([needs(next.record, 'crm'), needs(next.record, 'erp')]).toEqual([null, null]);
  });

  test('is not settled by a third system that agrees with one side only', () => {
    const one = change(
      recordOf(three, { no: '1', name: 'Ada' }),
      'crm',
      { name: 'Bea' },
      2000,
      three,
    );
    const two = change(one.record, 'erp', { name: 'Cleo' }, 3000, three);
    const next = change(two.record, 'oa', { name: 'Bea' }, 4000, three);
    expect(next.agreed).toEqual([]);
    expect(needs(next.record, 'erp', three)).toBeNull();
  });
});

describe('counters', () => {
  test('two who took one piece each write the same number and mean another', () => {
    const crm = change(recordOf(customer, start), 'crm', { stock: '9' }, 2000).record;
    const { record, journal } = change(crm, 'erp', { stock: '9' }, 2000);
    expect(valuesOf(customer, record).stock).toBe('8');
    expect(journal).toMatchObject([{ policy: 'sum_of_deltas', winner: null, outcome: ['8'] }]);
    expect([needs(record, 'crm'), needs(record, 'erp')]).toEqual([['stock'], ['stock']]);
  });

  test('a row that was only read and agrees is no delta', () => {
    const crm = change(recordOf(customer, start), 'crm', { stock: '9' }, 2000).record;
    const { record, journal } = settleChange(
      crm,
      patchOf(customer, 'erp', { stock: '9' }, 0),
      on(3000),
    );
    expect(valuesOf(customer, record).stock).toBe('9');
    expect(journal).toEqual([]);
  });
});

describe('flips', () => {
  const toggle = (times: number, step: number, between?: Told) => {
    let record = recordOf(customer, start);
    for (let i = 0; i < times; i++) {
      const system = i % 2 === 0 ? 'erp' : 'crm';
      const at = 2000 + i * step;
      const no = i % 2 === 0 ? 'B' : 'A';
      record = change(record, system, { no }, at).record;
      if (record.held !== null) return { record, i };
      record = echo(record, system === 'crm' ? 'erp' : 'crm', { no }, { no }, at + 1).record;
      if (between !== undefined)
        record = change(record, 'crm', { ...between, city: `c${i}` }, at + 2).record;
    }
    return { record, i: times };
  };

  test('a value that two systems keep undoing waits for a person', () => {
    const { record, i } = toggle(20, 1000);
    expect(record.held).toEqual({ no: 100 });
    expect(i).toBe(FLIP_LIMIT + 2);
    expect(needs(record, 'erp')).toBeNull();
  });

  test('who brings back a whole row has undone once', () => {
    const fields = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
    const wide = entityOf({
      fields: Object.fromEntries(fields.map((name) => [name, 'string'])),
      systems: { crm: {}, erp: {} },
    });
    const all = (value: string) => Object.fromEntries(fields.map((name) => [name, value]));
    let record = recordOf(wide, all('was'));
    record = change(record, 'erp', all('new'), 2000, wide).record;
    record = echo(record, 'crm', all('new'), all('new'), 2001, wide).record;
    record = change(record, 'crm', all('was'), 3000, wide).record;
    expect(record.held).toBeNull();
    expect(record.flips?.count).toBe(1);
  });

  test('slowly is not a circle', () => {
    expect(toggle(20, FLIP_WINDOW + 1).record.held).toBeNull();
  });

  test('people who go on working are not a circle', () => {
    expect(toggle(20, 1000, {}).record.held).toBeNull();
  });

  test('only the unit that flips is held, and nothing later', () => {
    const { record } = toggle(20, 1000);
    const freed = { ...record, held: null };
    const next = change(freed, 'crm', { city: 'Bonn' }, 90_000);
    expect(next.record.held).toBeNull();
  });

  test('triggers that answer each of our writes are stopped, users are not', () => {
    const step = (record: RecordState, i: number) =>
      echo(record, 'erp', { ...start, no: 'X', city: `t${i}` }, { no: 'X' }, 2000 + i).record;
    let alone = recordOf(customer, start);
    let driven = recordOf(customer, start);
    for (let i = 0; i < 12; i++) {
      alone = step(alone, i);
      driven = change(step(driven, i), 'crm', { name: `n${i}` }, 2000 + i).record;
    }
    expect(Object.keys(alone.held ?? {})).toEqual(['address']);
    expect(driven.held).toBeNull();
  });
});

test('stamps never go back, whatever the clocks do', () => {
  let record = recordOf(customer, start);
  for (const [i, at] of [5000, 10, 4000, 0].entries()) {
    record = change(record, 'crm', { city: `c${i}` }, at).record;
  }
  expect(record.stamps[3]).toEqual({ wall: 5000, counter: 3, system: 'crm' });
});

test('last_writer refuses to guess inside its tolerance', () => {
  const entity = entityOf({
    fields: { no: 'string' },
    chains: { no: [{ ...LAST_WRITER, tolerance: 100 } as typeof LAST_WRITER] },
    systems: { crm: {}, erp: {} },
  });
  const crm = change(recordOf(entity, { no: 'a' }), 'crm', { no: 'b' }, 2000, entity).record;
  const { record, journal } = change(crm, 'erp', { no: 'c' }, 2100, entity);
  expect(journal.map(verdictOf)).toMatchObject([{ policy: 'undecided', state: 'open' }]);
  expect(record.held).toEqual({ no: 100 });
});
