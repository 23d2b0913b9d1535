/** Rows of one batch with the ledger's content in hand: identity, echoes, keys, floods, parking. */
import { describe, expect, test } from 'vitest';
import type { Entity } from '../../src/contract/entity.ts';
import type { OutboxEntry, ParkedRow } from '../../src/contract/ledger.ts';
import type { Change, TableSpec, Transaction } from '../../src/model/change.ts';
import { RECORD_UNIT, type RecordState } from '../../src/model/record.ts';
import type { Cell } from '../../src/model/value.ts';
import { decideRows } from '../../src/reconcile/batch.ts';
import { indexSending, openEcho } from '../../src/reconcile/echo.ts';
import { floodGauge } from '../../src/reconcile/flood.ts';
import { identityOf } from '../../src/reconcile/identity.ts';
import {
  parkedEvent,
  type Route,
  type RowEvent,
  rowEvents,
} from '../../src/reconcile/row-event.ts';
import {
  identityChanges,
  isComplete,
  type Loaded,
  linkChanges,
  nothingLoaded,
  queryOf,
  remember,
  startWorking,
  type Working,
} from '../../src/reconcile/working.ts';
import { entityOf, recordOf, sentOf, type Told, valuesOf } from '../support/entity.ts';

const customer = entityOf({
  fields: { no: 'string', name: 'string', email: 'string' },
  match: [['no'], ['email']],
  systems: { crm: {}, erp: { outside: ['name', 'hidden'] } },
});
const order = entityOf({
  name: 'order',
  fields: { no: 'string', customer: { ref: 'customer' } },
  systems: { crm: {}, erp: {} },
});
const ada = { no: 'C-1', name: 'Ada', email: 'ada@x' };

/** What the ledger holds: records, and their links and identities as they follow from them. */
interface Memory {
  readonly records: readonly RecordState[];
  readonly parked?: readonly ParkedRow[];
}

interface Carried {
  readonly entries: readonly OutboxEntry[];
  readonly keys?: ReadonlyMap<string, number>;
  readonly refused?: readonly number[];
}

/** Decides `events`, loading what is asked for, as the decisions' passes do. */
function decide(
  memory: Memory,
  events: readonly RowEvent[],
  echo: Carried | null = null,
  population = 1_000_000,
): Working {
  const loaded = nothingLoaded();
  for (let pass = 0; pass < 10; pass++) {
    const w = startWorking(loaded, { record: 50, case: 100, seq: 1 });
    const open =
      echo === null
        ? null
        : openEcho(
            indexSending(echo.entries, new Set(echo.refused)),
            echo.keys ?? new Map(),
            new Set(),
          );
    decideRows(
      w,
      events,
      open,
      floodGauge(new Map(), () => population),
    );
    if (isComplete(w.missing)) return w;
    load(loaded, w, memory);
  }
  throw new Error('never complete');
}

function load(loaded: Loaded, w: Working, { records, parked = [] }: Memory): void {
  const query = queryOf(w.missing);
  const entities: Record<string, Entity> = { customer, order };
  remember(loaded, query, {
    links: (query.links ?? []).map(
      ({ system, entity, key }) =>
        records.find((r) => r.entity === entity && r.views[system]?.key === key) ?? null,
    ),
    identities: (query.identities ?? []).map(({ entity, alternative, value }) =>
      records.filter(
        (r) =>
          r.entity === entity && identityOf(entities[entity]!, alternative, r.values) === value,
      ),
    ),
    records: (query.records ?? []).map((id) => records.find((r) => r.id === id) ?? null),
    parkedRows: (query.parkedRows ?? []).map(
      ({ system, key }) => parked.find((p) => p.system === system && p.key === key) ?? null,
    ),
  });
}

const cells = (entity: Entity, id: string, told: Told): Cell[] => [
  id,
  ...entity.fields.map(({ name }) => told[name]),
];

interface RowOptions {
  readonly entity?: Entity;
  readonly key?: string;
  readonly oldKey?: string;
  readonly at?: number;
}

function event(system: string, told: Told | null, options: RowOptions = {}): RowEvent {
  const { entity = customer, key = `${system}-1`, at = 5000 } = options;
  const lens = entity.lenses.get(system)!;
  const row = told === null ? null : cells(entity, key, told);
  const { oldKey = key } = options;
  return { entity, lens, key, oldKey, cells: row, at, origin: 'log', read: null };
}

const only = (w: Working): RecordState => {
  expect(w.touched.size).toBe(1);
  return [...w.touched.values()][0]!;
};
const parkedIn = (w: Working) => [...w.parked.values()];
const entry = (seq: number, record: number, op: 'insert' | 'update' | 'delete', told: Told) => ({
  seq,
  system: 'erp',
  record,
  entity: 'customer',
  since: 1,
  origin: 'crm',
  transaction: 't',
  batch: 1,
  sent: op === 'delete' ? { op, values: [] } : sentOf(customer, told, op),
  attempts: 0,
});
const withoutErp = (record: RecordState, outbox: Record<string, number> = {}): RecordState => {
  const { erp: _, ...views } = record.views;
  return { ...record, views, outbox };
};

const parkedRowOf = (key: string, cells: ParkedRow['cells'], waits: ParkedRow['waits']) => {
  const row = { system: 'erp', entity: 'customer', key, cells, waits };
  return { ...row, kind: 'row', id: 7, since: 1, reason: 'duplicate', detail: '' } as const;
};

describe('identity', () => {
  test('a row that nobody knows is a new record', () => {
    const w = decide({ records: [] }, [event('crm', ada)]);
    expect(only(w)).toMatchObject({ id: 50, values: ['C-1', 'Ada', 'ada@x'] });
    expect(linkChanges(w).add).toEqual([
      { system: 'crm', entity: 'customer', key: 'crm-1', record: 50 },
    ]);
    expect(identityChanges(w).add.map(({ value }) => value)).toEqual(['["C-1"]', '["ada@x"]']);
  });

  test('two rows of one batch with the same match keys are one record', () => {
    const w = decide({ records: [] }, [event('crm', ada), event('erp', { ...ada, name: 'A.' })]);
    expect(Object.keys(only(w).views)).toEqual(['crm', 'erp']);
    expect(w.journal).toMatchObject([{ kind: 'first_contact', id: 100 }]);
  });

  test('a later alternative matches where the first finds nothing', () => {
    const record = withoutErp(recordOf(customer, ada));
    const w = decide({ records: [record] }, [event('erp', { ...ada, no: null })]);
    expect(only(w).id).toBe(1);
  });

  test('an ambiguous match is parked, never guessed', () => {
    const records = [1, 2].map((id) => ({ ...withoutErp(recordOf(customer, ada)), id }));
    const w = decide({ records }, [event('erp', ada)]);
    expect(parkedIn(w)).toMatchObject([{ reason: 'ambiguous', key: 'erp-1' }]);
    expect(w.touched.size).toBe(0);
  });

  test('a second row of the same system is parked', () => {
    const w = decide({ records: [recordOf(customer, ada)] }, [event('erp', ada, { key: 'erp-2' })]);
    expect(parkedIn(w)).toMatchObject([{ reason: 'duplicate', key: 'erp-2' }]);
  });

  test('a copy of ours that somebody made in vain stays one until he changes it', () => {
    const renamed = recordOf(customer, { ...ada, no: 'C-2', email: 'ada@y' });
    const copy = parkedRowOf('erp-2', ada, { entity: 'customer', key: 'erp-1' });
    const again = parkedEvent(copy, new Map([['customer', customer]])) as RowEvent;
    const memory = { records: [renamed], parked: [copy] };
    const w = decide(memory, [again]);
    expect(parkedIn(w)).toMatchObject([{ id: 7, key: 'erp-2', waits: copy.waits }]);
    expect(w.touched.size).toBe(0);
    const changed = decide(memory, [event('erp', { name: 'Ada L.' }, { key: 'erp-2' })]);
    expect(only(changed)).toMatchObject({ id: 50, values: ['C-1', 'Ada L.', 'ada@x'] });
    const alone = decide({ records: [], parked: [copy] }, [again]);
    expect(only(alone)).toMatchObject({ id: 50 });
  });

  test('a parked row that went before it is tried again is passed over', () => {
    const gone = parkedRowOf('erp-2', ada, null);
    const again = parkedEvent(gone, new Map([['customer', customer]])) as RowEvent;
    expect(decide({ records: [] }, [again]).touched.size).toBe(0);
    const later = { ...gone, cells: { ...gone.cells, name: 'Ada L.' } };
    const w = decide({ records: [], parked: [later] }, [again]);
    expect(only(w).values).toEqual(['C-1', 'Ada L.', 'ada@x']);
  });

  test('a row keeps its record under a new key', () => {
    const moved = event('erp', { name: 'Bea' }, { key: 'erp-9', oldKey: 'erp-1' });
    const w = decide({ records: [recordOf(customer, ada)] }, [moved]);
    expect(only(w).views.erp).toMatchObject({ key: 'erp-9', values: ['C-1', 'Bea', 'ada@x'] });
    expect(linkChanges(w)).toEqual({
      add: [{ system: 'erp', entity: 'customer', key: 'erp-9', record: 1 }],
      remove: [{ system: 'erp', entity: 'customer', key: 'erp-1' }],
    });
  });

  test('what was created and erased in one batch leaves nothing behind', () => {
    const w = decide({ records: [] }, [event('crm', ada), event('crm', null)]);
    expect([...w.erased]).toEqual([50]);
    expect(identityChanges(w).add).toEqual([]);
    expect(linkChanges(w).add).toEqual([]);
  });
});

describe('references', () => {
  test('a key becomes the record that it names', () => {
    const w = decide({ records: [recordOf(customer, ada)] }, [
      event('crm', { no: 'O-1', customer: 'crm-1' }, { entity: order, key: 'o' }),
    ]);
    expect(only(w).values).toEqual(['O-1', '1']);
  });

  test('a row that refers to an unknown one waits for it', () => {
    const told = { no: 'O-1', customer: 'crm-7' };
    const w = decide({ records: [] }, [event('crm', told, { entity: order, key: 'o' })]);
    expect(parkedIn(w)).toMatchObject([
      { reason: 'waiting', key: 'o', cells: told, waits: { entity: 'customer', key: 'crm-7' } },
    ]);
  });

  test('a parent in the same batch is known', () => {
    const child = event('crm', { no: 'O-1', customer: 'crm-1' }, { entity: order, key: 'o' });
    const w = decide({ records: [] }, [event('crm', ada), child]);
    expect([...w.touched.values()].map(({ values }) => values[1])).toEqual(['Ada', '50']);
  });
});

describe('our own writes', () => {
  const update = entry(7, 1, 'update', { name: 'Bea' });
  const base = recordOf(customer, ada);
  const waiting: RecordState = { ...base, values: ['C-1', 'Bea', 'ada@x'], outbox: { erp: 7 } };

  test('an echo confirms its delivery', () => {
    const w = decide({ records: [waiting] }, [event('erp', { name: 'Bea' })], {
      entries: [update],
    });
    expect(only(w).outbox).toEqual({});
    expect(w.journal).toEqual([]);
  });

  test('an echo does not confirm a later delivery', () => {
    const records = [{ ...waiting, outbox: { erp: 8 } }];
    const w = decide({ records }, [event('erp', { name: 'Bea' })], { entries: [update] });
    expect(only(w).outbox).toEqual({ erp: 8 });
  });

  describe('a row that a trigger touches in our transaction', () => {
    const over = { ...update, sent: { ...update.sent, over: { 1: 'Ada' } } };
    const touched = event('erp', { email: 'by@trigger' });

    test('confirms a write that was meant for what it held: it stores that as it does', () => {
      const w = decide({ records: [waiting] }, [touched], { entries: [over] });
      expect(only(w).outbox).toEqual({});
      expect(only(w).views.erp?.represents).toEqual({ 1: 'Bea' });
    });

    test('confirms none that a user was faster than', () => {
      const { erp } = waiting.views;
      const values = ['C-1', 'Eve', 'ada@x'];
      const views = { ...waiting.views, erp: { ...erp!, values } };
      const w = decide({ records: [{ ...waiting, views }] }, [touched], { entries: [over] });
      expect(only(w).outbox).toEqual({ erp: 7 });
      expect(only(w).views.erp).toMatchObject({
        represents: null,
        values: ['C-1', 'Eve', 'by@trigger'],
      });
    });

    test('confirms none that was refused', () => {
      const w = decide({ records: [waiting] }, [touched], { entries: [over], refused: [7] });
      expect(only(w).outbox).toEqual({ erp: 7 });
    });

    test('confirms no delete', () => {
      const sent = entry(7, 1, 'delete', {});
      const w = decide({ records: [waiting] }, [touched], { entries: [sent] });
      expect(only(w).outbox).toEqual({ erp: 7 });
    });

    test('is still ours after the part that showed the write', () => {
      const ours = event('erp', { name: 'Bea' });
      const w = decide({ records: [waiting] }, [ours, touched], { entries: [over] });
      expect(only(w).outbox).toEqual({});
      expect(only(w).values).toEqual(['C-1', 'Bea', 'by@trigger']);
    });
  });

  test('a write that makes its own row leave the filter is confirmed', () => {
    const sent = entry(7, 1, 'update', { name: 'hidden' });
    const w = decide({ records: [waiting] }, [event('erp', { name: 'hidden' })], {
      entries: [sent],
    });
    expect(only(w).outbox).toEqual({});
    expect(only(w).views.erp?.status).toBe('unlinked');
  });

  test('our own delete is no delete of theirs', () => {
    const stamp = { wall: 4000, counter: 0, system: 'crm' };
    const records = [{ ...base, deleted: stamp, outbox: { erp: 7 } }];
    const w = decide({ records }, [event('erp', null)], { entries: [entry(7, 1, 'delete', {})] });
    expect(only(w)).toMatchObject({ deleted: stamp, outbox: {} });
    expect(Object.keys(only(w).views)).toEqual(['crm']);
  });

  test.each([
    ['by the key that the target gave', new Map([['customer\u0000erp-9', 1]])],
    ['by its match keys, after a crash', new Map<string, number>()],
  ])('an insert is recognized %s', (_, keys) => {
    const records = [withoutErp(base, { erp: 7 })];
    const w = decide({ records }, [event('erp', ada, { key: 'erp-9' })], {
      entries: [entry(7, 1, 'insert', ada)],
      keys,
    });
    expect(only(w)).toMatchObject({ id: 1, outbox: {}, views: { erp: { key: 'erp-9' } } });
    expect(w.journal).toEqual([]);
  });

  describe('a row that was brought back to life, of which the image leaves out a name', () => {
    const key = { key: 'erp-9' };
    const revived = decide(
      { records: [withoutErp(base, { erp: 7 })] },
      [event('erp', { no: 'C-1' }, key)],
      { entries: [entry(7, 1, 'insert', ada)] },
    );
    const then = (one: RowEvent): RecordState => only(decide({ records: [only(revived)] }, [one]));
    const told = { ...ada, name: 'ADA' };

    test('is seen by a reading: it stores that as it does', () => {
      const { values, views } = then({ ...event('erp', told, key), origin: 'reading' });
      expect(values).toEqual(['C-1', 'Ada', 'ada@x']);
      expect(views.erp).toMatchObject({
        values: ['C-1', 'ADA', 'ada@x'],
        represents: { 1: 'Ada' },
      });
    });

    test('is changed by a user as any other', () => {
      const { values, views } = then(event('erp', told, key));
      expect(values).toEqual(['C-1', 'ADA', 'ada@x']);
      expect(views.erp?.represents).not.toHaveProperty('1');
    });
  });
});

describe('a row that was only read', () => {
  const stamps = [null, { wall: 1, counter: 0, system: 'crm' }, null];
  const changed = { ...recordOf(customer, ada), values: ['C-1', 'Bea', 'ada@x'], stamps };

  test('was written at a time that nobody knows: last_writer does not guess', () => {
    const read = { ...event('erp', { name: 'Cleo' }), origin: 'reading' as const };
    const { journal } = decide({ records: [changed] }, [read]);
    expect(journal).toMatchObject([{ policy: 'undecided', state: 'open', at: 5000 }]);
  });

  test('wins by the log time where it was a change', () => {
    const { journal } = decide({ records: [changed] }, [event('erp', { name: 'Cleo' })]);
    expect(journal).toMatchObject([{ policy: 'last_writer', winner: 'erp', at: 5000 }]);
  });
});

describe('parked rows', () => {
  const parked: ParkedRow = {
    id: 9,
    kind: 'row',
    system: 'erp',
    entity: 'customer',
    since: 1,
    reason: 'invalid',
    detail: '',
    key: 'erp-1',
    cells: { id: 'erp-1', ...ada },
    waits: null,
  };

  test('are filled up from what was known of them', () => {
    const w = decide({ records: [], parked: [parked] }, [event('erp', { name: 'Bea' })]);
    expect(only(w).values).toEqual(['C-1', 'Bea', 'ada@x']);
    expect([...w.unparked]).toEqual([9]);
  });

  test('are forgotten with their rows', () => {
    const w = decide({ records: [], parked: [parked] }, [event('erp', null)]);
    expect([...w.unparked]).toEqual([9]);
    expect(w.touched.size).toBe(0);
  });
});

describe('a flood of deletes', () => {
  const flooded: Entity = { ...customer, flood: { share: 0.5, atLeast: 2, within: 1000 } };
  const records = [1, 2, 3, 4, 5].map((id) => {
    const record = recordOf(customer, { ...ada, no: `C-${id}`, email: null });
    const views = Object.fromEntries(
      Object.entries(record.views).map(([s, view]) => [s, { ...view, key: `${s}-${id}` }]),
    );
    return { ...record, id, views };
  });
  const removals = (at: (i: number) => number) =>
    records.map(({ id }, i) =>
      event('crm', null, { entity: flooded, key: `crm-${id}`, at: at(i) }),
    );

  test('is held together: the rows are gone, the records stay', () => {
    const w = decide(
      { records },
      removals(() => 5000),
      null,
      5,
    );
    expect([...w.touched.values()].map(({ deleted }) => deleted !== null)).toEqual([
      true,
      true,
      false,
      false,
      false,
    ]);
    expect(parkedIn(w)).toMatchObject([
      { id: 100, kind: 'hold', reason: 'flood', records: [3, 4, 5] },
    ]);
    expect(w.touched.get(3)?.held).toEqual({ [RECORD_UNIT]: 100 });
  });

  test('is none when it takes its time', () => {
    const w = decide(
      { records },
      removals((i) => 5000 + i * 2000),
      null,
      5,
    );
    expect(parkedIn(w)).toEqual([]);
  });

  test('keeps the journal of the deletes that it holds', () => {
    const strict: Entity = {
      ...flooded,
      deleteConflict: 'delete_wins',
      flood: { share: 0, atLeast: 0, within: 1 },
    };
    const [first] = records;
    const stamps = [null, { wall: 4000, counter: 0, system: 'erp' }, null];
    const changed = { ...first!, values: ['C-1', 'Bea', null], stamps };
    const w = decide({ records: [changed] }, [event('crm', null, { entity: strict })], null, 5);
    expect(w.journal).toMatchObject([{ id: 100, kind: 'delete', winner: 'crm' }]);
    expect(parkedIn(w)).toMatchObject([{ id: 101, records: [1] }]);
  });
});

describe('the rows of a transaction', () => {
  const lens = customer.lenses.get('crm')!;
  const table: TableSpec = lens.table;
  const route: Route = { entity: customer, lens, pick: null, keyAt: [0] };
  const change = (op: Change['op'], id: string, told: Told = {}, from = id): Change => {
    const row = cells(customer, id, told);
    return op === 'delete'
      ? { table, op, row: [], old: row }
      : { table, op, row, old: from === id ? null : cells(customer, from, {}) };
  };
  const keysOf = (changes: Change[]) => {
    const transaction: Transaction = {
      id: 't',
      committedAt: 1,
      mark: null,
      changes,
      complete: true,
    };
    return rowEvents(transaction, new Map([[table, [route]]])).map(
      ({ key, cells: row }) => `${row === null ? '-' : '+'}${key}`,
    );
  };

  test.each<[string, Change[], string[]]>([
    ['a delete that stays one', [change('delete', '1'), change('insert', '2', ada)], ['-1', '+2']],
    ['a row that is replaced', [change('delete', '1'), change('insert', '1', ada)], ['+1']],
    [
      'a row that comes and goes',
      [change('insert', '1', ada), change('delete', '1')],
      ['+1', '-1'],
    ],
    [
      'replaced, then deleted',
      [change('delete', '1'), change('insert', '1', ada), change('delete', '1')],
      ['+1', '-1'],
    ],
    [
      'a key that another row took meanwhile',
      [
        change('delete', '1'),
        change('update', '1', ada, '2'),
        change('update', '3', ada, '1'),
        change('insert', '1', ada),
      ],
      ['-1', '+1', '+3', '+1'],
    ],
  ])('%s', (_, changes, expected) => {
    expect(keysOf(changes)).toEqual(expected);
  });

  test('a replaced row is a change, not a first contact', () => {
    const events = rowEvents(
      {
        id: 't',
        committedAt: 5000,
        mark: null,
        changes: [change('delete', 'crm-1'), change('insert', 'crm-1', { ...ada, name: 'Bea' })],
        complete: true,
      },
      new Map([[table, [route]]]),
    );
    const w = decide({ records: [recordOf(customer, ada)] }, events);
    expect(valuesOf(customer, only(w))).toEqual({ ...ada, name: 'Bea' });
    expect(w.journal).toEqual([]);
  });
});
