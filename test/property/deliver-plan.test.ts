/** Whatever waits, every entry is accounted for, and every write is a compare-and-set. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Entity } from '../../src/contract/entity.ts';
import type { OutboxEntry } from '../../src/contract/ledger.ts';
import { type Delivery, groupWrites, type Plan, plan } from '../../src/deliver/plan.ts';
import type { RecordId, RecordState } from '../../src/model/record.ts';
import { entityOf, recordOf } from '../support/entity.ts';

/** Rows refer to rows of the same kind: chains of any depth. */
const part = entityOf({
  name: 'part',
  fields: { no: 'string', a: 'string', b: 'string', c: 'string', parent: { ref: 'part' } },
  groups: { g: ['b', 'c'] },
  systems: { crm: {}, erp: {} },
});

const records: fc.Arbitrary<RecordState[]> = fc
  .array(
    fc.record({
      /** What the target holds, the record holding `1`; null: it has no row. */
      held: fc.option(fc.array(fc.constantFrom('1', '2', null), { minLength: 4, maxLength: 4 }), {
        freq: 1,
      }),
      deleted: fc.nat(4).map((n) => n === 0),
      /** Earlier records only, so that chains end. */
      parent: fc.option(fc.nat(9)),
    }),
    { maxLength: 10 },
  )
  .map((all) =>
    all.map(({ held, deleted, parent }, id) => {
      const ref = parent === null || id === 0 ? null : String(parent % id);
      const record = recordOf(part, { no: '1', a: '1', b: '1', c: '1', parent: ref });
      const { erp, ...views } = record.views;
      const values = held === null ? [] : [...held, ref];
      const row = held === null ? {} : { erp: { ...erp!, key: `erp-${id}`, values } };
      const stamp = deleted ? { wall: 9, counter: 0, system: 'crm' } : null;
      return { ...record, id, deleted: stamp, views: { ...views, ...row } };
    }),
  );

const entryOf = ({ id, entity }: RecordState): OutboxEntry => ({
  seq: id,
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

const keyIn = (all: readonly RecordState[]) => {
  const keys = new Map(all.map(({ id, views }) => [id, views.erp?.key ?? null]));
  return { keys, keyOf: (id: RecordId) => keys.get(id) ?? null };
};

const planned = (all: readonly RecordState[], some: readonly RecordState[]): Plan =>
  plan(
    some.map(entryOf),
    (id) => all[id] ?? null,
    () => part,
    { keyOf: keyIn(all).keyOf, isGone: () => false },
  );

const someOf = (all: RecordState[]) => fc.tuple(fc.constant(all), fc.shuffledSubarray(all));

test('every entry is delivered, idle, blocked or unwritable, and only one of these', () => {
  fc.assert(
    fc.property(records.chain(someOf), ([all, some]) => {
      const { deliveries, idle, blocked, unwritable } = planned(all, some);
      const seqs = [...deliveries, ...blocked, ...unwritable].map(({ entry }) => entry.seq);
      seqs.push(...idle.map(({ seq }) => seq));
      expect(seqs.toSorted()).toEqual(some.map(({ id }) => id).toSorted());
    }),
  );
});

test('parents come first: wave after wave, all that is planned can be written', () => {
  fc.assert(
    fc.property(records.chain(someOf), ([all, some]) => {
      const { keys, keyOf } = keyIn(all);
      let waiting: readonly Delivery[] = planned(all, some).deliveries;
      while (waiting.length > 0) {
        const now = waiting.filter(({ parents }) => parents.every((id) => keyOf(id) !== null));
        expect(now).not.toEqual([]);
        for (const { record } of now) keys.set(record.id, `erp-${record.id}`);
        waiting = waiting.filter((delivery) => !now.includes(delivery));
      }
    }),
    { numRuns: 1000 },
  );
});

test('each delivery is written once, and compares the units that it writes', () => {
  const columnsOf = (entity: Entity, f: number): string[] =>
    entity.units[entity.unitOf[f]!]!.fields.map((g) => entity.fields[g]!.name);
  fc.assert(
    fc.property(records.chain(someOf), ([all, some]) => {
      const { deliveries } = planned(all, some);
      const groups = groupWrites(deliveries, () => 'key');
      const grouped = groups.flatMap((group) => group.deliveries);
      expect(new Set(grouped)).toEqual(new Set(deliveries));
      expect(grouped).toHaveLength(deliveries.length);
      for (const { write, deliveries: own } of groups) {
        expect(write.rows).toHaveLength(own.length);
        for (const [i, { need, record }] of own.entries()) {
          const row = write.rows[i]!;
          expect(need.op).toBe(write.op);
          expect(row.values).toHaveLength(write.columns.length);
          expect(row.expect).toHaveLength(write.compare.length);
          if (write.op !== 'insert') expect(row.key).toEqual([record.views.erp?.key]);
          if (write.op !== 'update') continue;
          expect(write.columns).toEqual(need.fields.map((f) => part.fields[f]?.name));
          const guarded = need.fields.flatMap((f) => columnsOf(part, f));
          expect(write.compare).toEqual(expect.arrayContaining(guarded));
        }
      }
    }),
  );
});
