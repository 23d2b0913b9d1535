/** What only one system writes goes straight into the other: all of it, in order, and no more. */
import { expect, test } from 'vitest';
import { type Installation, openInstallation, serversOfFile, until } from './installation.ts';

const servers = serversOfFile();

/** The CRM's accounts, copied into the ERP. */
const accounts = (name: string): string => `
entity: ${name}
feed: crm
match: [[no]]
fields:
  no: {type: string(20), required: true}
  name: {type: string(60), required: true}
  credit: "decimal(12,2)"
  note: string
systems:
  crm: {table: public.${name}, key: no, fields: {no: no, name: name, credit: credit, note: note}}
  erp: {table: ${name}, key: id, fields: {no: code, name: name, credit: credit, note: note}}
flood: {share: 0.5, at_least: 10}
`;

/** The ERP's articles, copied into the CRM; what is not sold is none. */
const articles = (name: string): string => `
entity: ${name}
feed: erp
match: [[code]]
fields: {code: {type: integer, required: true}, title: string, live: boolean}
systems:
  erp:
    table: ${name}
    key: id
    where: "sold == 1"
    fields:
      code: id
      title: {get: "title + ' ' + size"}
      live: {column: sold, values: {"1": true}}
  crm:
    table: public.${name}
    key: code
    fields: {code: code, title: title}
    delete: {soft: {gone: true}}
`;

async function install(
  name: string,
  mapping: string,
  ddl: Readonly<Record<'crm' | 'erp', string>>,
  rows: string,
): Promise<Installation> {
  const { crm, erp } = servers;
  await crm(`create table ${name} (${ddl.crm})`);
  await erp(`create table ${name} (${ddl.erp})`);
  await (mapping.includes('feed: crm') ? crm : erp)(rows);
  const it = await openInstallation(servers);
  await it.map(name, mapping);
  await it.setup();
  await it.start();
  return it;
}

const ACCOUNTS = {
  crm: 'no varchar(20) primary key, name varchar(90), credit numeric(12,2), note text',
  erp: `id int auto_increment primary key, code varchar(20) not null, name varchar(60) not null,
    credit decimal(12,2), note longtext, unique (code), check (credit >= 0)`,
};

const inErp = (name: string) => async (): Promise<unknown> =>
  servers.erp(`select code, name, credit, cast(length(note) as char) from ${name} order by code`);

const becomes = (look: () => Promise<unknown>, wanted: unknown, what: string): Promise<void> =>
  until(async () => JSON.stringify(await look()) === JSON.stringify(wanted), what);

test('rows that were there, and every change of them', async () => {
  const { crm, erp } = servers;
  await using it = await install(
    'acc_all',
    accounts('acc_all'),
    ACCOUNTS,
    `insert into acc_all select 'A' || n, 'Name ' || n, n, null from generate_series(1, 3000) n`,
  );
  const count = async () => erp('select count(*), sum(credit) from acc_all');
  await becomes(count, [['3000', '4501500.00']], 'the first load');
  const [[kept] = []] = await erp(`select id from acc_all where code = 'A7'`);
  await crm(`begin; delete from acc_all where no <> 'A7' and no <> 'A8' and no <> 'A9'
    and substr(no, 2)::int < 11; commit`);
  await crm(`update acc_all set no = 'B7', name = 'Moved' where no = 'A7'`);
  await crm(`insert into acc_all values ('A0', 'New', 1.5, repeat('x', 20000))`);
  await crm(`update acc_all set credit = 2 where no = 'A0'`);
  await crm(`alter table acc_all alter note set storage external`);
  await crm(`update acc_all set note = repeat('y', 30000) where no = 'A8'`);
  await crm(`update acc_all set name = 'Long' where no = 'A8'`);
  const look = async () =>
    erp(`select code, name, credit, cast(length(note) as char) from acc_all
      where code in ('A0', 'A1', 'A7', 'A8', 'A9', 'A10', 'B7') order by code`);
  await becomes(
    look,
    [
      ['A0', 'New', '2.00', '20000'],
      ['A8', 'Long', '8.00', '30000'],
      ['A9', 'Name 9', '9.00', null],
      ['B7', 'Moved', '7.00', null],
    ],
    'the changes',
  );
  // The row went on under its new key: it was not removed and made again.
  expect(await erp(`select id from acc_all where code = 'B7'`)).toEqual([[kept]]);
  expect((await it.operator.parked({ limit: 10 })).length).toBe(0);
  // Nothing of a feed is in the ledger.
  expect((await it.operator.status()).records).toEqual({});
});

test('a large transaction is sent once it is committed: it is not kept here first', async () => {
  const { crm, erp } = servers;
  await crm(`do $$ begin execute format(
    'alter database %I set logical_decoding_work_mem = 64', current_database()); end $$`);
  const first = `insert into acc_big values ('A0', 'Name', 0, null)`;
  await using _ = await install('acc_big', accounts('acc_big'), ACCOUNTS, first);
  const count = () => erp('select count(*) from acc_big');
  await becomes(count, [['1']], 'it follows');
  await crm(`insert into acc_big
    select 'A' || n, 'Name', n, repeat('.', 100) from generate_series(1, 3000) n`);
  await becomes(count, [['3001']], 'all of it');
  const kept = (where: string) => async () =>
    crm(`select ${where} from pg_stat_replication_slots where slot_name like 'carrick%'`);
  await becomes(kept('sum(spill_txns) > 0'), [['t']], 'the server has told of it');
  expect(await kept('sum(stream_txns)::int')()).toEqual([['0']]);
});

test('what cannot be copied is parked, and goes on when it is right', async () => {
  const { crm } = servers;
  await using it = await install(
    'acc_bad',
    accounts('acc_bad'),
    ACCOUNTS,
    `insert into acc_bad
      values ('A1', 'One', 1, null), ('A2', null, 2, null), ('A3', 'T', -3, null)`,
  );
  const parked = async () =>
    (await it.operator.parked({ limit: 10 }))
      .map((one) => [one.reason, one.kind === 'row' ? one.key : ''])
      .sort();
  await becomes(inErp('acc_bad'), [['A1', 'One', '1.00', null]], 'the row that is right');
  await until(async () => (await parked()).length === 2, 'both are parked');
  expect(await parked()).toEqual([
    ['invalid', 'A2'],
    ['refused', 'A3'],
  ]);
  await crm(`update acc_bad set name = 'Two' where no = 'A2'`);
  await crm(`update acc_bad set credit = 3 where no = 'A3'`);
  const right = [
    ['A1', 'One', '1.00', null],
    ['A2', 'Two', '2.00', null],
    ['A3', 'T', '3.00', null],
  ];
  await becomes(inErp('acc_bad'), right, 'all of them');
  await until(async () => (await parked()).length === 0, 'nothing is parked');
});

test('a flood of deletes and a truncate wait for a person', async () => {
  const { crm, erp } = servers;
  await using it = await install(
    'acc_flood',
    accounts('acc_flood'),
    ACCOUNTS,
    `insert into acc_flood select 'A' || n, 'N', n, null from generate_series(1, 40) n`,
  );
  const count = async () => erp('select count(*) from acc_flood');
  const hold = async () => {
    let id = 0;
    await until(async () => {
      const [one] = await it.operator.parked({ limit: 10 });
      id = one?.id ?? 0;
      return one?.kind === 'hold';
    }, 'the hold');
    return id;
  };
  await becomes(count, [['40']], 'the first load');
  await crm(`delete from acc_flood where no <> 'A1'`);
  const flood = await hold();
  expect(await count()).toEqual([['40']]);
  expect(await it.operator.retry([flood])).toEqual([{ id: flood, outcome: 'carried out' }]);
  await becomes(count, [['1']], 'the deletes');
  await crm('truncate acc_flood');
  await crm(`insert into acc_flood values ('B1', 'After', 1, null)`);
  const truncate = await hold();
  expect(await count()).toEqual([['1']]);
  await it.operator.retry([truncate]);
  await becomes(inErp('acc_flood'), [['B1', 'After', '1.00', null]], 'the truncate');
  await until(async () => (await it.operator.parked({ limit: 1 })).length === 0);
});

test('into the CRM: what is computed, what leaves, what is only marked as gone', async () => {
  const { crm, erp } = servers;
  await using it = await install(
    'art',
    articles('art'),
    {
      crm: 'code int primary key, title text, gone boolean not null default false',
      erp: 'id int primary key, title varchar(40), size varchar(9), sold tinyint not null',
    },
    `insert into art values (1, 'Bolt', 'M4', 1), (2, 'Nut', 'M4', 1), (3, 'Old', 'M4', 0)`,
  );
  const look = async () => crm('select code, title, gone::text from art order by code');
  const first = [
    ['1', 'Bolt M4', 'false'],
    ['2', 'Nut M4', 'false'],
  ];
  await becomes(look, first, 'the first load');
  await erp(`update art set size = 'M5' where id = 1`);
  await erp('update art set sold = 0 where id = 2');
  await erp('update art set sold = 1 where id = 3');
  const next = [
    ['1', 'Bolt M5', 'false'],
    ['2', 'Nut M4', 'true'],
    ['3', 'Old M4', 'false'],
  ];
  await becomes(look, next, 'the changes');
  await it.stop();
  await erp('delete from art where id = 1');
  await erp('update art set sold = 1 where id = 2');
  await it.start();
  const last = [
    ['1', 'Bolt M5', 'true'],
    ['2', 'Nut M4', 'false'],
    ['3', 'Old M4', 'false'],
  ];
  await becomes(look, last, 'what happened meanwhile');
});
