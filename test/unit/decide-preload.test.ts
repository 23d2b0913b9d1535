import { expect, test } from 'vitest';
import type { LedgerQuery } from '../../src/contract/ledger.ts';
import { openDecisions } from '../../src/decide/decisions.ts';
import type { Unit } from '../../src/decide/pass.ts';
import { openMemoryLedger } from '../../src/ledger/memory.ts';
import type { Cell } from '../../src/model/value.ts';
import type { RowEvent } from '../../src/reconcile/row-event.ts';
import { entityOf } from '../support/entity.ts';

const entity = entityOf({
  fields: { no: 'string', owner: { ref: 'customer' }, price: 'string' },
  match: [['no'], ['owner', 'price']],
  systems: { crm: {}, erp: {} },
});

/** Decisions over a ledger that notes what is asked of it. */
function noted() {
  const ledger = openMemoryLedger();
  const asked: LedgerQuery[] = [];
  const find: typeof ledger.find = (query) => {
    asked.push(query);
    return ledger.find(query);
  };
  const entities = new Map([[entity.name, entity]]);
  const decisions = openDecisions({ ...ledger, find }, entities, ['crm', 'erp'], {});
  return { decisions, asked };
}

const unit = (system: string, rows: readonly (readonly Cell[])[]): Unit => ({
  ...{ system, transaction: 't', at: 5, origin: 'log', echo: null, complete: true },
  events: rows.map((cells): RowEvent => {
    const key = `${cells[0]}`;
    const lens = entity.lenses.get(system)!;
    return { entity, lens, key, oldKey: key, cells, at: 5, origin: 'log', read: null };
  }),
});

test('unknown rows are decided in one pass: what may be theirs is asked first', async () => {
  const { decisions, asked } = noted();
  await decisions.decide([unit('crm', [['1', 'A', null, '9']])]);
  expect(asked).toHaveLength(2);
  expect(asked[1]).toEqual({
    identities: [{ entity: entity.name, alternative: 0, value: '["A"]' }],
  });
  asked.length = 0;
  await decisions.decide([unit('erp', [['1', 'A', null, '9']])]);
  expect(asked).toHaveLength(2);
  expect((await decisions.ledger.find({ records: [1] })).records[0]?.views).toHaveProperty('erp');
});

test('of rows that are known, or told in part, nothing more is asked', async () => {
  const { decisions, asked } = noted();
  await decisions.decide([unit('crm', [['1', 'A', null, '9']])]);
  asked.length = 0;
  await decisions.decide([
    unit('crm', [['1', 'A', null, '8']]),
    unit('crm', [['2', 'B', null, undefined]]),
  ]);
  expect(asked).toHaveLength(1);
});

test('of a batch without rows nothing is asked', async () => {
  const { decisions, asked } = noted();
  await decisions.decide([unit('crm', [])]);
  expect(asked).toEqual([]);
});
