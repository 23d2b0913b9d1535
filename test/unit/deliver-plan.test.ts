/** What a system needs, and the writes that bring it there. */
import { describe, expect, test } from 'vitest';
import type { Entity, Lens } from '../../src/contract/entity.ts';
import type { OutboxEntry } from '../../src/contract/ledger.ts';
import { needOf } from '../../src/deliver/need.ts';
import { groupWrites, type KeyOf, plan, revival, soleUpdate } from '../../src/deliver/plan.ts';
import { enqueue } from '../../src/deliver/queue.ts';
import { RECORD_UNIT, type RecordState } from '../../src/model/record.ts';
import type { Value } from '../../src/model/value.ts';
import { entityOf, recordOf, type Told } from '../support/entity.ts';

const customer = entityOf({
  fields: { no: 'string', street: 'string', city: 'string', name: 'string' },
  groups: { address: ['street', 'city'] },
  systems: { crm: {}, erp: { outside: ['name', 'hidden'] } },
});
const order = entityOf({
  name: 'order',
  fields: { no: 'string', customer: { ref: 'customer' } },
  systems: { crm: {}, erp: {} },
});
const told = { no: 'C-1', street: 'Elm 1', city: 'Ulm', name: 'Ada' };
const base = recordOf(customer, told);
const erp = (entity: Entity): Lens => entity.lenses.get('erp')!;

const withValues = (record: RecordState, entity: Entity, changes: Told): RecordState => ({
  ...record,
  values: entity.fields.map(({ name }, f) => changes[name] ?? record.values[f] ?? null),
});
const withoutErp = (record: RecordState): RecordState => {
  const { erp: _, ...views } = record.views;
  return { ...record, views };
};
const entryOf = ({ id, entity }: RecordState, seq = id): OutboxEntry => ({
  seq,
  system: 'erp',
  record: id,
  entity,
  since: 1,
  origin: 'crm',
  transaction: 't',
  batch: null,
  sent: null,
  attempts: 0,
});
const GONE = 9;
const planOf = (records: readonly RecordState[], keyOf: KeyOf = () => null) => {
  const byId = new Map(records.map((record) => [record.id, record]));
  const entities: Record<string, Entity> = { customer, order };
  return plan(
    records.map((record) => entryOf(record)),
    (id) => byId.get(id) ?? null,
    (name) => entities[name],
    { keyOf, isGone: (id) => id === GONE },
  );
};
const writesOf = (records: readonly RecordState[], keyOf: KeyOf = () => null) =>
  groupWrites(planOf(records, keyOf).deliveries, keyOf).map(({ write }) => write);

describe('need', () => {
  const need = (record: RecordState) => needOf(customer, erp(customer), record);

  test('nothing, where the system holds what the record holds', () => {
    expect(need(base)).toBeNull();
  });

  test('the fields that are behind', () => {
    expect(need(withValues(base, customer, { city: 'Bonn' }))).toEqual({
      op: 'update',
      fields: [2],
    });
  });

  test('no insert while what tells the row is held', () => {
    const named = entityOf({
      fields: { no: 'string', email: 'string', name: 'string' },
      match: [['no'], ['email']],
      systems: { crm: {}, erp: {} },
    });
    const record = withoutErp(recordOf(named, { no: 'C-1', email: 'a@x', name: 'Ada' }));
    const fieldsOf = (held: RecordState['held'], of = named) =>
      needOf(of, erp(of), { ...record, held })?.fields;
    expect(fieldsOf({ no: 1 })).toEqual([1, 2]);
    expect(fieldsOf({ no: 1, email: 2 })).toBeUndefined();
    const fields = named.fields.map((field, f) => ({ ...field, required: f === 2 }));
    expect(fieldsOf({ name: 1 }, { ...named, fields })).toBeUndefined();
  });

  test('none of a unit that is held, nothing at all of a record that is', () => {
    const behind = withValues(base, customer, { city: 'Bonn', name: 'Bea' });
    expect(need({ ...behind, held: { address: 1 } })?.fields).toEqual([3]);
    expect(need({ ...behind, held: { [RECORD_UNIT]: 1 } })).toBeNull();
    expect(need({ ...withoutErp(base), held: { address: 1 } })?.fields).toEqual([0, 3]);
  });

  test('an insert of what somebody told; the rest is left to column defaults', () => {
    const record = withoutErp({ ...base, stamps: [...base.stamps.slice(0, 3), null] });
    expect(need(record)).toMatchObject({ op: 'insert', fields: [0, 1, 2] });
  });

  test('no insert where the row would be none of ours', () => {
    expect(need(withoutErp(withValues(base, customer, { name: 'hidden' })))).toBeNull();
  });

  test('an insert everywhere of a record that lost all its rows and lives on', () => {
    expect(need({ ...base, views: {} })?.op).toBe('insert');
  });

  test('nothing in a system that wants none again, nor when nobody else has it', () => {
    const unlinked = { ...base.views.crm!, status: 'unlinked', key: '', values: [] } as const;
    const views = { ...base.views, erp: unlinked };
    expect(need({ ...base, views })).toBeNull();
    expect(need({ ...base, views: { crm: unlinked } })).toBeNull();
  });
});

describe('writes', () => {
  test('an update compares the whole group as the system holds it', () => {
    expect(writesOf([withValues(base, customer, { city: 'Bonn' })])).toEqual([
      {
        op: 'update',
        table: 'erp_customer',
        key: ['id'],
        columns: ['city'],
        compare: ['city', 'street'],
        guards: [],
        rows: [{ key: ['erp-1'], values: ['Bonn'], expect: ['Ulm', 'Elm 1'] }],
      },
    ]);
  });

  test('exact content is compared where the values do not give it back', () => {
    const views = { ...base.views, erp: { ...base.views.erp!, raw: { city: 'ULM ' } } };
    const [write] = writesOf([withValues({ ...base, views }, customer, { city: 'Bonn' })]);
    expect(write?.rows[0]?.expect).toEqual(['ULM ', 'Elm 1']);
  });

  test('a delete compares all that the row is known to hold', () => {
    const deleted = { wall: 9, counter: 0, system: 'crm' };
    expect(writesOf([{ ...base, deleted }])).toMatchObject([
      {
        op: 'delete',
        compare: ['no', 'street', 'city', 'name'],
        rows: [{ key: ['erp-1'], expect: ['C-1', 'Elm 1', 'Ulm', 'Ada'] }],
      },
    ]);
  });

  test('a soft delete writes one column', () => {
    const soft = entityOf({
      fields: { no: 'string', gone: 'boolean' },
      systems: { crm: {}, erp: { deletion: { kind: 'soft', column: 2, value: 'true' } } },
    });
    const record = {
      ...recordOf(soft, { no: 'C-1', gone: 'false' }),
      deleted: { wall: 9, counter: 0, system: 'crm' },
    };
    const { deliveries } = plan(
      [entryOf(record)],
      () => record,
      () => soft,
      { keyOf: () => null, isGone: () => false },
    );
    expect(groupWrites(deliveries, () => null)[0]?.write).toMatchObject({
      op: 'update',
      columns: ['gone'],
      rows: [{ values: ['true'], expect: ['C-1', 'false'] }],
    });
  });

  describe('a soft-deleted row in the way of an insert', () => {
    const soft = (alive: object) =>
      entityOf({
        fields: { no: 'string', name: 'string', gone: 'boolean' },
        systems: {
          crm: {},
          erp: { deletion: { kind: 'soft', column: 3, value: 'true', ...alive } },
        },
      });
    const revived = (entity: Entity, found: readonly Value[], key: Value[] | null = null) => {
      const record = recordOf(entity, { no: 'C-1', name: 'Ada' });
      const { erp: _, ...views } = record.views;
      const wanted = plan(
        [entryOf(record)],
        () => ({ ...record, views }),
        () => entity,
        { keyOf: () => null, isGone: () => false },
      );
      const [group] = groupWrites(wanted.deliveries, () => null);
      const row = { ...group!.write.rows[0]!, key };
      return revival(group!.deliveries[0]!, { write: group!.write, row }, found);
    };
    const buried = ['erp-7', 'C-1', 'Old', 'true'];

    test('is written over and made alive, if it still holds what was found', () => {
      expect(revived(soft({ alive: 'false' }), buried)).toMatchObject({
        op: 'update',
        columns: ['no', 'name', 'gone'],
        rows: [{ key: ['erp-7'], values: ['C-1', 'Ada', 'false'], expect: buried }],
      });
    });

    test.each([
      ['alive', { alive: 'false' }, buried.with(3, 'false'), null],
      ["another key's", { alive: 'false' }, buried, ['erp-8']],
      ['in a column whose live content nobody knows', {}, buried, null],
    ] as const)('stays as it is where it is %s', (_, alive, found, key) => {
      expect(revived(soft(alive), found, key === null ? null : [...key])).toBeNull();
    });
  });

  test('inserts with other guards are other statements', () => {
    const guarded = entityOf({
      fields: { no: 'string', name: 'string' },
      systems: { crm: {}, erp: {} },
    });
    const lens = { ...erp(guarded), guards: [[1], [2]] };
    const entity: Entity = { ...guarded, lenses: new Map([...guarded.lenses, ['erp', lens]]) };
    const records = [{ name: 'Ada' }, { name: null }].map((more, i) => ({
      ...withoutErp(recordOf(entity, { no: `C-${i}`, ...more })),
      id: i,
    }));
    const { deliveries } = plan(
      records.map((record) => entryOf(record)),
      (id) => records[id] ?? null,
      () => entity,
      { keyOf: () => null, isGone: () => false },
    );
    const groups = groupWrites(deliveries, () => null);
    expect(groups.map(({ write }) => [write.columns, write.guards, write.rows.length])).toEqual([
      [['no', 'name'], [['no'], ['name']], 1],
      [['no', 'name'], [['no']], 1],
    ]);
  });
});

describe('parents', () => {
  const parent = { ...withoutErp(base), id: 1 };
  const child = { ...withoutErp(recordOf(order, { no: 'O-1', customer: '1' })), id: 2 };

  test('a child waits until its parent has a row in the target', () => {
    const { blocked, deliveries } = planOf([child]);
    expect(deliveries).toEqual([]);
    expect(blocked).toMatchObject([{ entry: { record: 2 }, waits: 1 }]);
    expect(planOf([child], () => 'erp-1').blocked).toEqual([]);
  });

  test('a child whose parent is gone is for a person', () => {
    const orphan = withValues(child, order, { customer: `${GONE}` });
    const { blocked, deliveries, unwritable } = planOf([orphan]);
    expect([deliveries, blocked]).toEqual([[], []]);
    expect(unwritable).toMatchObject([
      { fault: 'customer refers to a customer that was deleted everywhere: correct the row' },
    ]);
  });

  test('unless the parent goes with it', () => {
    const { blocked, deliveries } = planOf([child, parent]);
    expect(blocked).toEqual([]);
    expect(deliveries.map(({ parents }) => parents)).toEqual([[1], []]);
  });

  test('a child is written with the key that the parent has there', () => {
    expect(writesOf([child], () => 'erp-77')[0]?.rows[0]?.values).toEqual(['O-1', 'erp-77']);
  });
});

test('one entry a system, for those that are behind and have none', () => {
  const cause = { since: 5, origin: 'crm', transaction: 't', attempts: () => 3 };
  let seq = 10;
  const behind = withValues(base, customer, { city: 'Bonn' });
  const queued = enqueue(customer, behind, cause, () => seq++);
  expect(queued.entries).toMatchObject([
    { seq: 10, system: 'crm', attempts: 3 },
    { seq: 11, system: 'erp' },
  ]);
  expect(queued.record.outbox).toEqual({ crm: 10, erp: 11 });
  expect(enqueue(customer, queued.record, cause, () => seq++).entries).toEqual([]);
});

describe('all of a batch as one statement', () => {
  const behind = (id: number, changes: Told) => ({
    ...withValues(base, customer, changes),
    id,
  });
  const soleOf = (records: readonly RecordState[], keyOf: KeyOf = () => null) =>
    soleUpdate(planOf(records, keyOf).deliveries, keyOf)?.write ?? null;

  test('updates of the same columns, and nothing else', () => {
    const two = [behind(1, { name: 'Eva' }), behind(2, { name: 'Ida' })];
    expect(soleOf(two)).toMatchObject({ op: 'update', columns: ['name'] });
    expect(soleOf(two)?.rows.map(({ values }) => values)).toEqual([['Eva'], ['Ida']]);
    expect(soleOf([])).toBeNull();
    expect(soleOf([...two, behind(3, { city: 'Bonn' })])).toBeNull();
    expect(soleOf([...two, { ...withoutErp(base), id: 3 }])).toBeNull();
  });

  test('not what was tried before: how it goes now has to be known at once', () => {
    const record = behind(1, { name: 'Eva' });
    const { deliveries } = planOf([record]);
    const again = deliveries.map((one) => ({ ...one, entry: { ...one.entry, attempts: 1 } }));
    expect(soleUpdate(deliveries, () => null)).not.toBeNull();
    expect(soleUpdate(again, () => null)).toBeNull();
  });

  test('not a child whose parent has no row yet', () => {
    const child = { ...recordOf(order, { no: 'O-1', customer: '1' }), id: 2 };
    const moved = withValues(child, order, { customer: '5' });
    const { deliveries } = planOf([moved], () => 'a');
    expect(soleUpdate(deliveries, () => 'a')?.write.rows.map(({ values }) => values)).toEqual([
      ['a'],
    ]);
    expect(soleUpdate(deliveries, () => null)).toBeNull();
  });
});
