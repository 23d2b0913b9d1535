import { expect, test } from 'vitest';
import type { ParkedDelivery } from '../../src/contract/ledger.ts';
import { openDecisions } from '../../src/decide/decisions.ts';
import { noteParked } from '../../src/decide/parked.ts';
import { openMemoryLedger } from '../../src/ledger/memory.ts';
import { createOperator } from '../../src/operate/operator.ts';
import { createRecord } from '../../src/reconcile/settle.ts';
import { entityOf, patchOf } from '../support/entity.ts';

const never = async (): Promise<never> => Promise.reject(new Error('not asked for'));

/** One record that two systems refused, and another one that a third delivery is of. */
async function open() {
  const entity = entityOf({ fields: { no: 'string' }, systems: { crm: {}, erp: {}, web: {} } });
  const ledger = openMemoryLedger();
  const refused = (id: number, system: string, record: number): ParkedDelivery => ({
    ...{ id, kind: 'delivery', system, entity: entity.name, since: 5, record },
    ...{ reason: 'refused', detail: '23505' },
  });
  await ledger.commit({
    records: [1, 2].map((id) => createRecord(id, patchOf(entity, 'crm', { no: `N${id}` }, 5))),
    parked: { put: [refused(3, 'erp', 1), refused(4, 'web', 1), refused(5, 'erp', 2)], remove: [] },
  });
  const entities = new Map([[entity.name, entity]]);
  const decisions = openDecisions(ledger, entities, ['crm', 'erp', 'web'], {});
  await noteParked(ledger, decisions);
  const operator = createOperator(decisions, {
    ...{ status: never, read: never, digest: never, caughtUp: never, described: never },
    ...{ log: null, alone: true, feeds: null, mapped: entities },
  });
  const left = async () => (await operator.parked({ limit: 9 })).map(({ id }) => id);
  return { operator, left };
}

test('what another one settled on its way stops nobody who tries several again', async () => {
  const { operator, left } = await open();
  expect(await operator.retry([3, 4, 5])).toEqual([
    { id: 3, outcome: 'sent again' },
    { id: 4, outcome: 'settled meanwhile' },
    { id: 5, outcome: 'sent again' },
  ]);
  expect(await left()).toEqual([]);
});

test('with a wrong number among them nothing is tried, or given up', async () => {
  const { operator, left } = await open();
  const unknown = { code: 'operator.unknown' };
  await expect(operator.retry([3, 9])).rejects.toMatchObject(unknown);
  await expect(operator.discard([3, 9])).rejects.toMatchObject(unknown);
  expect(await left()).toEqual([5, 4, 3]);
  await operator.discard([3, 5, 3]);
  expect(await left()).toEqual([4]);
});
