import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openDecisions } from '../../src/decide/decisions.ts';
import { prepare } from '../../src/decide/freeze.ts';
import type { Unit } from '../../src/decide/pass.ts';
import { openMemoryLedger } from '../../src/ledger/memory.ts';
import { openSqliteLedger } from '../../src/ledger/sqlite.ts';
import type { RowEvent } from '../../src/reconcile/row-event.ts';
import { entityOf } from '../support/entity.ts';
import { scratchFolder } from '../support/index.ts';

const entity = entityOf({ fields: { no: 'string' }, systems: { crm: {}, erp: {} } });
const entities = new Map([[entity.name, entity]]);

const newRow = (key: string): RowEvent => ({
  ...{ entity, lens: entity.lenses.get('crm')!, key, oldKey: key, cells: [key, `N${key}`] },
  ...{ at: 5, origin: 'log', read: null },
});

test('what is decided is frozen before its commit has ended, and shares it', async () => {
  await using ledger = await openSqliteLedger(join(await scratchFolder('put'), 'ledger.db'));
  await ledger.ordinals(entity.name, ['no']);
  const decisions = openDecisions(ledger, entities, ['crm', 'erp'], {});
  const order: string[] = [];
  const unit: Unit = {
    ...{ system: 'crm', transaction: 't', at: 5, origin: 'log', events: [newRow('1')] },
    ...{ echo: null, complete: true },
  };
  const deciding = decisions.commit([unit]).then(() => order.push('decided'));
  await decisions.bells.get('erp')?.wait(60_000, new AbortController().signal);
  const batch = await prepare(decisions, 'erp', 1, () => undefined);
  order.push('frozen');
  await deciding;
  expect(order).toEqual(['frozen', 'decided']);
  if (batch === null || batch === 'progress') throw new Error('there is a batch');
  await batch.frozen;
  expect((await ledger.sent('erp', 1, 0, 10)).map(({ record }) => record)).toEqual([1]);
});

test('of a commit that fails nothing is kept in memory', async () => {
  let full = true;
  const write = async (): Promise<void> => {
    if (full) throw new Error('no room');
  };
  const decisions = openDecisions(openMemoryLedger({ write }), entities, ['crm', 'erp'], {});
  const base = { kind: 'delivery', system: 'erp', entity: entity.name, since: 5 } as const;
  const refusal = { ...base, id: 7, reason: 'refused', detail: 'no', record: 1 };
  const park = () => decisions.decide([], undefined, (w) => w.parked.set(refusal.id, refusal));
  const unpark = () => decisions.decide([], undefined, (w) => w.unparked.add(refusal.id));
  await expect(park()).rejects.toThrow('no room');
  expect(decisions.refusals.size).toBe(0);
  full = false;
  await park();
  full = true;
  await expect(unpark()).rejects.toThrow('no room');
  expect([...decisions.refusals.values()]).toEqual([refusal.id]);
});
