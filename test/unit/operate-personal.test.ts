/** Whatever an operator looks at comes masked, and a request that asks for clear values is told. */
import { expect, test } from 'vitest';
import type { Chunk, ChunkRequest } from '../../src/contract/source.ts';
import { openDecisions } from '../../src/decide/decisions.ts';
import { openMemoryLedger } from '../../src/ledger/memory.ts';
import type { Value } from '../../src/model/value.ts';
import { createLog } from '../../src/observe/log.ts';
import { createOperator } from '../../src/operate/operator.ts';
import { journal, parkedRow, record, view } from './ledger-fixtures.ts';
import { entityOf } from './mapping-fixture.ts';

/** In the ERP the row key itself is personal. */
const ENTITY = entityOf(`
entity: customer
match: [[no], [email]]
fields:
  no: string
  email: {type: string, pii: true}
  name: {type: string, pii: true}
systems:
  crm:
    table: accounts
    key: id
    fields:
      no: no
      email: {column: mail, clean: [lower]}
      name: {get: "first + last", direction: in}
  erp: {table: customers, key: mail, fields: {no: no, email: mail, name: name}}
`);

const ADA = record(1, {
  values: ['7', 'ada@x.test', 'Ada L'],
  views: {
    crm: {
      ...view('1', ['7', 'ada@x.test', 'Ada L']),
      raw: { mail: 'Ada@X.test', first: 'Ada', no: '07' },
    },
    erp: { ...view('ada@x.test', ['7', 'ada@x.test', 'Ada']), represents: { 2: 'Ada L' } },
  },
});
const PARKED = parkedRow(2, {
  system: 'erp',
  entity: 'customer',
  key: 'ada@x.test',
  cells: { mail: 'ada@x.test', no: '7', gone: 'Ada L' },
  waits: { entity: 'customer', key: 'ada@x.test' },
});
const PERSONAL = /ada/i;

const ROWS: readonly (readonly Value[])[] = [
  ['7', 'ada@x.test', 'Ada L', '7'],
  ['8', 'adam@x.test', 'Adam', '8'],
];

async function open() {
  const ledger = openMemoryLedger();
  await ledger.commit({
    records: [ADA],
    links: {
      add: [
        { system: 'crm', entity: 'customer', key: '1', record: 1 },
        { system: 'erp', entity: 'customer', key: 'ada@x.test', record: 1 },
      ],
      remove: [],
    },
    identities: {
      add: [{ entity: 'customer', alternative: 0, value: '["7"]', record: 1 }],
      remove: [],
    },
    journal: [
      journal(1, {
        unit: 'name',
        incoming: { system: 'crm', values: ['Ada L'], stamp: null },
        standing: { system: 'erp', values: ['Ada'], stamp: null },
        outcome: ['Ada L'],
      }),
    ],
    parked: { put: [PARKED], remove: [] },
  });
  const entities = new Map([['customer', ENTITY]]);
  const decisions = openDecisions(ledger, entities, ['crm', 'erp'], {});
  const shown: unknown[] = [];
  const to = { write: (line: string) => void shown.push(JSON.parse(line).method) };
  const asked: (readonly (readonly Value[])[])[] = [];
  const operator = createOperator(decisions, {
    status: async () => Promise.reject(new Error('not asked for')),
    read: async (_system: string, request: ChunkRequest): Promise<Chunk> => {
      if (request.keys !== undefined) asked.push(request.keys);
      const { columns } = request.table;
      const cells = ROWS.map(([no, mail, name]) =>
        columns.map((column) => ({ no, mail, name })[column] ?? null),
      );
      return { rows: cells, next: ['ada@x.test'] };
    },
    digest: async () => null,
    caughtUp: async () => true,
    log: createLog('info', to),
    alone: true,
    feeds: null,
    mapped: entities,
    described: async () => ({ entities: [], schemas: undefined }),
  });
  return { operator, shown, asked };
}

test('values, columns and row keys are masked, in everything that tells any', async () => {
  const { operator, shown } = await open();
  const told = {
    list: await operator.conflicts({ limit: 9 }),
    one: await operator.conflicts({ id: 1, limit: 1 }),
    parked: await operator.parked({ limit: 9 }),
    parkedOne: await operator.parked({ id: 2, limit: 1 }),
    explain: await operator.explain('customer', 'ada@x.test'),
    verify: await operator.verify('customer', 'erp', { kind: 'rows', after: null }),
    resolve: await operator.resolve(1, { take: 'erp' }),
  };
  for (const [what, one] of Object.entries(told)) {
    expect(JSON.stringify(one), what).not.toMatch(PERSONAL);
  }
  expect(shown).toEqual([]);
  // What is not personal stays readable.
  expect(told.parked[0]).toMatchObject({
    key: '•••',
    cells: { mail: '•••', no: '7', gone: '•••' },
    waits: { key: '•••' },
  });
  expect(told.explain[0]?.views.crm).toMatchObject({
    key: '1',
    values: ['7', '•••', '•••'],
    raw: { mail: '•••', first: '•••', no: '07' },
  });
  expect(told.explain[0]?.views.erp).toMatchObject({ key: '•••', represents: { 2: '•••' } });
});

test('are shown to whom asks, and that is told', async () => {
  const { operator, shown } = await open();
  const personal = true;
  const told = [
    await operator.conflicts({ limit: 9, personal }),
    await operator.parked({ limit: 9, personal }),
    await operator.explain('customer', '7', personal),
    await operator.verify('customer', 'erp', { kind: 'rows', after: null }, personal),
    await operator.resolve(1, { take: 'erp' }, personal),
  ];
  for (const one of told) expect(JSON.stringify(one)).toMatch(PERSONAL);
  expect(shown).toEqual(['conflicts', 'parked', 'explain', 'verify', 'resolve']);
});

test('a masked row key stands for its row when it is given back', async () => {
  const { operator, asked } = await open();
  const page = await operator.verify('customer', 'erp', { kind: 'rows', after: null });
  const again = await operator.verify('customer', 'erp', { kind: 'rows', after: page.next });
  expect(again.differences).toEqual(page.differences);
  const keys = page.differences.map(({ key }) => key);
  expect(keys).toHaveLength(1);
  await operator.verify('customer', 'erp', { kind: 'keys', keys: [...keys, '•••forged'] });
  expect(asked).toEqual([[['adam@x.test'], ['•••forged']]]);
});
