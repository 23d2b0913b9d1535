/** What people do with feeds, without the systems. */
import { expect, test } from 'vitest';
import { type Progress, resyncOf } from '../../src/capture/progress.ts';
import type { ParkedRow } from '../../src/contract/ledger.ts';
import { openDecisions } from '../../src/decide/decisions.ts';
import { openAside } from '../../src/feed/aside.ts';
import { openFeedDesk } from '../../src/feed/asks.ts';
import { openGuard } from '../../src/feed/flood.ts';
import { feedsOf } from '../../src/feed/plan.ts';
import { asMapped, noteSizes } from '../../src/feed/tables.ts';
import { translate } from '../../src/feed/translate.ts';
import { openMemoryLedger } from '../../src/ledger/memory.ts';
import type { SourceBatch, Transaction } from '../../src/model/change.ts';
import type { Position } from '../../src/model/position.ts';
import { masksOf } from '../../src/observe/mask.ts';

import { judge, keyInSource, keyInTarget, waysOf } from '../../src/operate/ways.ts';
import { parkedRow } from './ledger-fixtures.ts';
import { entityOf } from './mapping-fixture.ts';

const customer = (deletes: string) =>
  entityOf(`
entity: customer
feed: crm
match: [[mail]]
fields: {mail: {type: string, pii: true}, name: string}
systems:
  crm: {table: people, key: mail, delete: ${deletes}, fields: {mail: mail, name: name}}
  erp: {table: customers, key: id, fields: {mail: email, name: label}}
`);

const ENTITY = customer('propagate');
const [FEED] = feedsOf([ENTITY]);
const feed = FEED!;

test('the key of a copy is as personal as what it is told apart by', () => {
  const masks = masksOf(new Map([['customer', ENTITY]]));
  for (const system of ['crm', 'erp']) {
    const key = masks.key('customer', system, 'ada@x.test');
    expect([key.includes('ada'), masks.unmaskedKey(key)]).toEqual([false, 'ada@x.test']);
  }
});

const END: Transaction = {
  ...{ id: '7', committedAt: 7, mark: null, changes: [], complete: true },
};
const BATCH: SourceBatch = { transactions: [END], position: 'end' as Position };

test.each([
  ['propagate', 1],
  ['ignore', 0],
])('a row that is read again and not there: delete is %s', (deletes, removed) => {
  const [own] = feedsOf([customer(deletes)]);
  const [table] = own!.tables;
  const chunk = { table: table!, rows: [], missing: [['ada@x.test']], absent: undefined };
  const rest = {
    onto: (now: Progress) => now,
    done: false,
    first: false,
    rowsSoFar: 0,
    estimate: 0,
  };
  const { load } = translate(own!, [BATCH], {
    guard: openGuard('erp', () => 100, []),
    decided: new Map(),
    after: () => ({ ...chunk, ...rest }),
  });
  expect(load.size).toBe(removed);
});

test('a row that was discarded is set aside again when it fails again', async () => {
  const ledger = openMemoryLedger();
  const decisions = openDecisions(ledger, new Map(), ['crm', 'erp'], {});
  const told: ParkedRow[] = [];
  const aside = await openAside(decisions, feed, (parked) => told.push(...(parked as ParkedRow[])));
  const row = { entity: 'customer', reason: 'refused', key: 'ada@x.test', detail: 'no' } as const;
  await aside.put([row]);
  await aside.put([row]);
  expect(told).toHaveLength(1);
  await decisions.decide([], undefined, (w) => void w.unparked.add(told[0]!.id));
  await aside.put([row]);
  expect(told.map(({ cells }) => cells)).toEqual([{}, {}]);
});

test('what no feed waits for is not said to be done', () => {
  const desk = openFeedDesk([feed]);
  const hold = { id: 3, kind: 'hold', system: 'erp', entity: 'customer', since: 0 } as const;
  const flood = { ...hold, reason: 'flood', detail: '', records: [] };
  expect([desk.retry(flood), desk.discard(flood)]).toEqual([
    expect.stringContaining('no feed'),
    false,
  ]);
  desk.asksOf(feed).held.add(3);
  expect([desk.retry(flood), desk.asksOf(feed).verdicts.get(3)]).toEqual(['carried out', true]);
  expect([desk.discard(flood), desk.asksOf(feed).verdicts.get(3)]).toEqual([true, false]);
  const row = parkedRow(4, { system: 'crm', entity: 'customer', key: 'ada@x.test' });
  expect(desk.retry(row)).toBe('read again');
  expect([...desk.asksOf(feed).again]).toEqual([['people', [['ada@x.test']]]]);
});

test('a truncate names all that its verdict covers', () => {
  const member = `
entity: member
feed: crm
match: [[mail]]
fields: {mail: string}
systems:
  crm: {table: people, key: mail, fields: {mail: mail}}
  erp: {table: members, key: mail, fields: {mail: mail}}
`;
  const [own] = feedsOf([ENTITY, entityOf(member)]);
  const [table] = own!.tables;
  const change = { table: table!, op: 'truncate', row: [], old: null } as const;
  const batch = { ...BATCH, transactions: [{ ...END, changes: [change] }] };
  const terms = { guard: openGuard('erp', () => 100, []), decided: new Map(), after: () => null };
  expect(() => translate(own!, [batch], terms)).toThrow('the copies of customer, member, discard');
});

test('a table that is read anew has as many rows meanwhile as it had', () => {
  const [table] = feed.tables;
  const sizes = { known: new Map<string, number>(), estimated: new Map<string, number>() };
  const before: Progress = { after: null, ended: true, again: [], rows: 5000 };
  const begun = resyncOf(before, { mends: false });
  for (const now of [begun, resyncOf({ ...begun, rows: 12 }, { mends: true })]) {
    noteSizes({ feed, sizes }, { [table!.name]: JSON.stringify(now) });
    expect(sizes.known.get('customer')).toBe(5000);
  }
});

test('a table that left the mapping is read anew when it comes back', () => {
  const progress = JSON.stringify({ elsewhere: JSON.stringify({ ended: true, again: [] }) });
  const mapped = asMapped(feed, { position: 'p' as Position, progress });
  expect(mapped.progress).toBe('{}');
});

test('a first load that read nothing yet goes on as one, whatever the log has told', () => {
  const [table] = feed.tables;
  const progress = JSON.stringify({
    [table!.name]: JSON.stringify({ after: null, ended: false, again: [], rows: 3 }),
  });
  const mapped = asMapped(feed, { position: 'p' as Position, progress });
  expect(mapped.progress).toBe(progress);
});

test('a copy is as the source says, soft deletes and strangers counted', () => {
  const soft = entityOf(`
entity: customer
feed: crm
match: [[mail]]
fields: {mail: string, name: string}
systems:
  crm: {table: people, key: mail, fields: {mail: mail, name: name}}
  erp: {table: customers, key: id, fields: {mail: email, name: label}, delete: {soft: {dead: true}}}
`);
  const [way] = waysOf({ entities: [soft], schemas: undefined }).get('customer')!;
  const { columns } = way!.copies;
  const copy = (name: string, dead: string) =>
    columns.map((one) => ({ id: '1', email: 'a', label: name, dead })[one] ?? null);
  const pair = { original: 'a', copy: 'a' };
  const said = (source: string[] | null, target: (string | null)[] | null) =>
    judge(way!, { ...pair, source, target })?.kind ?? 'same';
  expect(said(['a', 'Ada'], copy('Ada', 'false'))).toBe('same');
  expect(said(['a', 'Ada'], copy('Bob', 'false'))).toBe('differs');
  expect(said(['a', 'Ada'], copy('Ada', 'true'))).toBe('absent');
  expect(said(['a', 'Ada'], null)).toBe('absent');
  expect(said(null, copy('Ada', 'false'))).toBe('extra');
  expect(said(null, copy('Ada', 'true'))).toBe('same');
  expect([keyInTarget(way!, 'a'), keyInSource(way!, 'a')]).toEqual(['a', 'a']);
});
