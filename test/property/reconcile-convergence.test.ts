/** Whatever users do in whatever order it is read and delivered (invariants 2, 5, 6). */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Entity, Policy } from '../../src/contract/entity.ts';
import { needOf } from '../../src/deliver/need.ts';
import type { RecordState } from '../../src/model/record.ts';
import type { Cell, Value } from '../../src/model/value.ts';
import { decideRows } from '../../src/reconcile/batch.ts';
import { floodGauge } from '../../src/reconcile/flood.ts';
import type { RowEvent } from '../../src/reconcile/row-event.ts';
import { settleChange, settleEcho } from '../../src/reconcile/settle.ts';
import { linkText, nothingLoaded, startWorking } from '../../src/reconcile/working.ts';
import { entityOf, LAST_WRITER, patchOf, recordOf, sentOf } from '../support/entity.ts';
import {
  disagreements,
  lost,
  type Nature,
  openWorld,
  type Step,
  settleDown,
  step,
  type World,
} from './reconcile-world.ts';

const policies: Policy[] = [
  LAST_WRITER,
  { kind: 'first_writer', tolerance: 1500 },
  { kind: 'prefer', system: 'erp' },
  { kind: 'max' },
  { kind: 'park' },
];
const deletes = ['update_wins', 'delete_wins', 'last_writer', 'park'] as const;
const FIELDS = 4;

interface Plan {
  readonly policies: readonly [Policy, Policy, Policy, Policy];
  readonly deleteConflict: Entity['deleteConflict'];
  readonly skew: readonly number[];
  readonly partial: boolean;
}

const policy = fc.constantFrom(...policies);
const plans: fc.Arbitrary<Plan> = fc.record({
  policies: fc.tuple(policy, policy, policy, policy),
  deleteConflict: fc.constantFrom(...deletes),
  skew: fc.array(fc.integer({ min: -5000, max: 5000 }), { minLength: 3, maxLength: 3 }),
  partial: fc.boolean(),
});

/** Fields `a`, `b` and the group `g` of `c` and `d`. */
function natureOf({ policies, deleteConflict, skew, partial }: Plan, systems: readonly string[]) {
  const [a, b, g, firstContact] = policies;
  const entity = entityOf({
    fields: { a: 'string', b: 'string', c: 'string', d: 'string' },
    groups: { g: ['c', 'd'] },
    chains: { a: [a, LAST_WRITER], b: [b, LAST_WRITER], g: [g, LAST_WRITER] },
    systems: Object.fromEntries(systems.map((system) => [system, {}])),
    deleteConflict,
    firstContact: [firstContact],
  });
  return { entity, skew: skewOf(skew, systems), partial };
}

const skewOf = (skew: readonly number[], systems: readonly string[]) =>
  Object.fromEntries(systems.map((system, i) => [system, skew[i] ?? 0]));

/** Every value that is written is a new one, so that none can be mistaken for another. */
function numbered(steps: readonly Step[]): Step[] {
  let count = 0;
  return steps.map((one) => {
    if (one.do !== 'write') return one;
    const changes = one.changes.map((cell): Cell => (cell === undefined ? cell : `v${++count}`));
    return { ...one, changes };
  });
}

const stepsOf = (systems: readonly string[], removes: boolean): fc.Arbitrary<Step[]> => {
  const system = fc.constantFrom(...systems);
  const cell = fc.constantFrom<Cell>(undefined, undefined, 'x');
  const write = fc.record({
    do: fc.constant('write' as const),
    system,
    changes: fc.array(cell, { minLength: FIELDS, maxLength: FIELDS }),
  });
  const other = (verb: 'read' | 'deliver' | 'remove') =>
    fc.record({ do: fc.constant(verb), system });
  const weighted = [
    { weight: 4, arbitrary: write },
    { weight: 4, arbitrary: other('read') },
    { weight: 3, arbitrary: other('deliver') },
    { weight: removes ? 1 : 0, arbitrary: other('remove') },
  ];
  return fc.array(fc.oneof(...weighted), { maxLength: 40, size: '+1' }).map(numbered);
};

const first: Value[] = ['a0', 'b0', 'c0', 'd0'];

function play(nature: Nature, steps: readonly Step[]): World {
  const world = openWorld(nature, first);
  for (const one of steps) step(world, one);
  settleDown(world);
  return world;
}

describe.each([[['crm', 'erp']], [['crm', 'erp', 'oa']]])('between %s', (systems) => {
  for (const removes of [false, true]) {
    const what = removes ? 'changes and deletes' : 'changes';

    test(`${what}: writes stop, all agree, and no value is lost`, () => {
      fc.assert(
        fc.property(plans, stepsOf(systems, removes), (plan, steps) => {
          const world = play(natureOf(plan, systems), steps);
          expect(disagreements(world)).toEqual([]);
          expect(lost(world)).toEqual([]);
        }),
        { numRuns: 1500 },
      );
    });
  }

  test('the same story is decided the same way', () => {
    fc.assert(
      fc.property(plans, stepsOf(systems, true), (plan, steps) => {
        const nature = natureOf(plan, systems);
        const [one, two] = [play(nature, steps), play(nature, steps)];
        expect(one.record).toEqual(two.record);
        expect(one.journal).toEqual(two.journal);
      }),
      { numRuns: 200 },
    );
  });

  test('a system that spells differently is followed and never corrected', () => {
    fc.assert(
      fc.property(plans, stepsOf(systems, false), (plan, steps) => {
        const spell = (system: string, value: Value) =>
          system === 'erp' ? (value?.toUpperCase() ?? null) : value;
        const world = play({ ...natureOf(plan, systems), spell }, steps);
        expect(disagreements(world)).toEqual([]);
        expect(lost(world)).toEqual([]);
      }),
      { numRuns: 800 },
    );
  });

  test('triggers that work on what they are given come to rest', () => {
    fc.assert(
      fc.property(plans, stepsOf(systems, false), (plan, steps) => {
        const trigger = (system: string, row: Value[]) => {
          if (system === 'erp') row[1] = `of ${row[0]}`;
          if (system === 'crm') row[3] = `in ${row[2]}`;
        };
        expect(disagreements(play({ ...natureOf(plan, systems), trigger }, steps))).toEqual([]);
      }),
      { numRuns: 800 },
    );
  });
});

test('triggers that feed each other are stopped', () => {
  let count = 0;
  const trigger = (system: string, row: Value[]) => {
    row[system === 'erp' ? 1 : 0] = `t${++count}`;
  };
  const plan = fc.sample(plans, { seed: 1, numRuns: 1 })[0]!;
  const world = openWorld({ ...natureOf(plan, ['crm', 'erp']), trigger }, first);
  step(world, { do: 'write', system: 'crm', changes: [undefined, undefined, 'x', undefined] });
  settleDown(world);
  expect(world.journal.at(-1)).toMatchObject({ policy: 'flipping', state: 'open' });
});

test('the sum of all deltas is kept, whoever reads what when', () => {
  const systems = ['crm', 'erp', 'oa'];
  const entity = entityOf({
    fields: { stock: 'integer' },
    chains: { stock: [{ kind: 'sum_of_deltas' }] },
    systems: { crm: {}, erp: {}, oa: {} },
  });
  const add = fc.record({
    do: fc.constant('add' as const),
    system: fc.constantFrom(...systems),
    by: fc.integer({ min: 1, max: 5 }),
  });
  const move = fc.record({
    do: fc.constantFrom('read' as const, 'deliver' as const),
    system: fc.constantFrom(...systems),
  });
  fc.assert(
    fc.property(
      plans,
      fc.array(fc.oneof(add, move), { maxLength: 40, size: '+1' }),
      ({ skew: by }, steps) => {
        const world = openWorld({ entity, skew: skewOf(by, systems) }, ['100']);
        let sum = 100;
        for (const one of steps) {
          if (one.do !== 'add') {
            step(world, one);
            continue;
          }
          const row = world.sides.get(one.system)?.row?.[0];
          step(world, { do: 'write', system: one.system, changes: [String(Number(row) + one.by)] });
          sum += one.by;
        }
        settleDown(world);
        expect(world.record?.values).toEqual([String(sum)]);
        expect([...world.sides.values()].map(({ row }) => row)).toEqual(
          systems.map(() => [String(sum)]),
        );
      },
    ),
    { numRuns: 1000 },
  );
});

test('equal inputs are no conflict, under any policy and clock', () => {
  fc.assert(
    fc.property(plans, fc.nat(9000), fc.nat(9000), (plan, one, two) => {
      const { entity } = natureOf(plan, ['crm', 'erp']);
      const told = { a: 'x', c: 'y', d: 'z' };
      const start = recordOf(entity, { a: 'a0', b: 'b0', c: 'c0', d: 'd0' });
      const occasion = { at: 5000, firstCase: 1 };
      const crm = settleChange(start, patchOf(entity, 'crm', told, one), occasion);
      const erp = settleChange(crm.record, patchOf(entity, 'erp', told, two), occasion);
      expect([...crm.journal, ...erp.journal]).toEqual([]);
      expect(erp.record.values).toEqual(['x', 'b0', 'y', 'z']);
      expect(erp.record.stamps).toEqual(crm.record.stamps);
    }),
  );
});

test('systems that change different units do not disturb each other, in either order', () => {
  fc.assert(
    fc.property(plans, fc.nat(9000), fc.nat(9000), (plan, one, two) => {
      const { entity } = natureOf(plan, ['crm', 'erp']);
      const start = recordOf(entity, { a: 'a0', b: 'b0', c: 'c0', d: 'd0' });
      const occasion = { at: 5000, firstCase: 1 };
      const crm = patchOf(entity, 'crm', { a: 'x' }, one);
      const erp = patchOf(entity, 'erp', { c: 'y' }, two);
      const there = settleChange(settleChange(start, crm, occasion).record, erp, occasion);
      const back = settleChange(settleChange(start, erp, occasion).record, crm, occasion);
      const { flips: _, ...left } = there.record;
      const { flips: __, ...right } = back.record;
      expect(left).toEqual(right);
      expect([...there.journal, ...back.journal]).toEqual([]);
    }),
  );
});

test('an echo that is only spelled differently gives no other system a need', () => {
  const fields = ['a', 'b', 'c', 'd'];
  const systems = ['crm', 'erp', 'oa'];
  const values = fc.dictionary(fc.constantFrom(...fields), fc.string());
  fc.assert(
    fc.property(plans, values, fc.func(fc.string()), (plan, sent, spelled) => {
      const { entity } = natureOf(plan, systems);
      const start = recordOf(entity, { a: 'a0', b: 'b0', c: 'c0', d: 'd0' });
      const occasion = { at: 5000, firstCase: 1 };
      const told = Object.fromEntries(
        fields.flatMap((name) => (name in sent ? [[name, spelled(sent[name])] as const] : [])),
      );
      const wanted = settleChange(start, patchOf(entity, 'crm', sent, 4000), occasion).record;
      const patch = patchOf(entity, 'erp', told, 5000);
      const { record, journal } = settleEcho(wanted, patch, sentOf(entity, sent), occasion);
      const needs = (of: RecordState, system: string) =>
        needOf(entity, entity.lenses.get(system)!, of);
      expect(journal).toEqual([]);
      expect(needs(record, 'erp')).toBeNull();
      for (const system of ['crm', 'oa']) {
        expect(needs(record, system)).toEqual(needs(wanted, system));
      }
    }),
  );
});

test('rows of different records are decided alike in any order', () => {
  const { entity } = natureOf(fc.sample(plans, { seed: 2, numRuns: 1 })[0]!, ['crm', 'erp']);
  const records = [0, 1, 2, 3, 4].map((id) => recordNumbered(entity, id));
  const events = records.map(({ id }): RowEvent => {
    const lens = entity.lenses.get(id % 2 === 0 ? 'crm' : 'erp')!;
    const key = `${lens.system}-${id}`;
    const cells = id === 4 ? null : [key, `a${id}`, 'changed', undefined, `d${id}`];
    return { entity, lens, key, oldKey: key, cells, at: 5000 + id, origin: 'log', read: null };
  });
  const outcome = (order: readonly RowEvent[]) => {
    const loaded = nothingLoaded();
    for (const record of records) {
      loaded.records.set(record.id, record);
      for (const [system, { key }] of Object.entries(record.views)) {
        const link = linkText({ system, entity: entity.name, key });
        loaded.links.set(link, record.id);
        loaded.parkedRows.set(link, null);
      }
    }
    const w = startWorking(loaded, { record: 50, case: 1, seq: 1 });
    decideRows(
      w,
      order,
      null,
      floodGauge(new Map(), () => 1000),
    );
    return [...w.touched.values()].toSorted((a, b) => a.id - b.id);
  };
  const expected = outcome(events);
  expect(expected).toHaveLength(records.length);
  fc.assert(
    fc.property(fc.shuffledSubarray(events, { minLength: events.length }), (order) => {
      expect(outcome(order)).toEqual(expected);
    }),
  );
});

function recordNumbered(entity: Entity, id: number): RecordState {
  const record = recordOf(entity, { a: `a${id}`, b: 'b0', c: 'c0', d: 'd0' });
  const views = Object.entries(record.views).map(
    ([system, view]) => [system, { ...view, key: `${system}-${id}` }] as const,
  );
  return { ...record, id, views: Object.fromEntries(views) };
}
