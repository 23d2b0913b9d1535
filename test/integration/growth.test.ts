/** A mapping grows on a running installation: only what is new is read, and nothing is lost. */
import { expect, test } from 'vitest';
import { openInstallation, type Sql, serversOfFile, until } from './installation.ts';

const servers = serversOfFile();

const mapping = (table: string, more: { field?: string; columns?: string } = {}): string => `
entity: ${table}
match: [[no]]
fields:
  no: {type: string(20), required: true}
  name: string
${more.field ?? ''}
systems:
  crm: {table: public.${table}, key: id, fields: {no: no, name: name${more.columns ?? ''}}}
  erp: {table: ${table}, key: id, fields: {no: no, name: name${more.columns ?? ''}}}
first_contact: {prefer: crm}
`;

async function create(table: string): Promise<void> {
  const columns = 'no varchar(20) unique not null, name varchar(60), phone varchar(20)';
  const { crm, erp } = servers;
  await crm(
    `create table ${table} (id bigint generated always as identity primary key, ${columns})`,
  );
  await erp(`create table ${table} (id bigint auto_increment primary key, ${columns})`);
  await crm(
    `insert into ${table} (no, name) select 'C' || n, 'N' || n from generate_series(1, 9) n`,
  );
}

const content = (sql: Sql, table: string, what: string) =>
  sql(`select ${what} from ${table} order by no`);

async function agree(table: string, what: string): Promise<boolean> {
  const [crm, erp] = [
    await content(servers.crm, table, what),
    await content(servers.erp, table, what),
  ];
  return JSON.stringify(crm) === JSON.stringify(erp) && crm.length === 9;
}

test('a field that is mapped later is filled from both sides', async () => {
  const { crm, erp } = servers;
  await create('grown');
  await using it = await openInstallation(servers);
  await it.map('grown', mapping('grown'));
  await it.setup();
  await it.start();
  await until(() => agree('grown', 'no, name'), 'the first load');
  await crm(`update grown set phone = 'crm ' || no where no in ('C1', 'C2')`);
  await erp(`update grown set phone = concat('erp ', no) where no in ('C2', 'C3')`);
  await it.stop();
  await it.map('grown', mapping('grown', { field: '  phone: string', columns: ', phone: phone' }));
  await it.start();
  await until(() => agree('grown', 'no, name, phone'), 'agreement');
  const phones = await content(crm, 'grown', `no || ': ' || coalesce(phone, '')`);
  expect(phones.slice(0, 3)).toEqual([['C1: crm C1'], ['C2: crm C2'], ['C3: erp C3']]);
  const journal = await it.operator.conflicts({ entity: 'grown', limit: 9 });
  expect(journal.map(({ kind, unit, winner }) => [kind, unit, winner])).toEqual([
    ['first_contact', 'phone', 'crm'],
  ]);
  const sides = [journal[0]?.incoming.values, journal[0]?.standing.values];
  expect(sides).toContainEqual(['erp C2']);
  // Once is enough: the next start reads nothing again.
  const read = (await it.operator.status()).systems.map(({ snapshots }) => snapshots[0]?.rows);
  await it.stop();
  await it.start();
  await crm(`update grown set phone = 'later' where no = 'C9'`);
  await until(() => agree('grown', 'no, name, phone'), 'agreement');
  const again = (await it.operator.status()).systems.map(({ snapshots }) => snapshots[0]?.rows);
  expect(again).toEqual(read);
});

test('an entity that is mapped later is loaded; what was there goes on', async () => {
  const { crm } = servers;
  await create('early');
  await create('late');
  await using it = await openInstallation(servers);
  await it.map('early', mapping('early'));
  await it.setup();
  await it.start();
  await until(() => agree('early', 'no, name'), 'the first load');
  await it.stop();
  await it.map('late', mapping('late'));
  await it.setup();
  await it.start();
  await until(() => agree('late', 'no, name'), 'the second load');
  await crm(`update early set name = 'Goes on' where no = 'C1'`);
  await until(() => agree('early', 'no, name'), 'agreement');
  expect((await it.operator.status()).parked).toEqual({});
});
