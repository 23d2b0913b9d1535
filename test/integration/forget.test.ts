/** A record is forgotten while both systems still have its row, and what becomes of the rows. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type Installation, openInstallation, serversOfFile, until } from './installation.ts';

const servers = serversOfFile();

const MAPPING = `
entity: person
match: [[no], [mail]]
fields:
  no: {type: string(20), required: true}
  mail: {type: string, pii: true}
  name: {type: string, pii: true}
  city: string
systems:
  crm:
    table: public.people
    key: id
    fields: {no: no, mail: {column: mail, clean: [lower]}, name: name, city: city}
  erp: {table: people, key: mail, fields: {no: no, mail: mail, name: name, city: city}}
conflicts: [{fields: [city], park: true}]
first_contact: {prefer: crm}
`;

async function install(): Promise<Installation> {
  const { crm, erp } = servers;
  const columns = 'no varchar(20) unique not null, name varchar(60), city varchar(60)';
  await crm(`create table people (id bigint generated always as identity primary key,
    mail text unique, ${columns})`);
  await erp(`create table people (mail varchar(80) primary key, ${columns})`);
  await crm(`insert into people (no, mail, name, city) values
    ('1', 'Ada@Lovelace.test', 'Ada Lovelace', 'London'),
    ('2', 'grace@hopper.test', 'Grace Hopper', 'New York')`);
  const it = await openInstallation(servers);
  await it.map('person', MAPPING);
  await it.setup();
  await it.start();
  await until(async () => (await count('erp')) === 2, 'the first load');
  return it;
}

const count = async (system: 'crm' | 'erp'): Promise<number> => {
  const [[found] = []] = await servers[system]('select count(*) from people');
  return Number(found);
};

const cityIn = async (system: 'crm' | 'erp', no: string) =>
  (await servers[system](`select city from people where no = '${no}'`))[0]?.[0];

/** Carried over, so all that was written before has been decided. */
async function drained(): Promise<void> {
  const city = `City ${Math.random()}`;
  await servers.crm(`update people set city = '${city}' where no = '2'`);
  await until(async () => (await cityIn('erp', '2')) === city, 'a later change');
}

const parked = async (it: Installation) =>
  (await it.operator.parked({ limit: 9 })).map(({ system, reason }) => [system, reason]);

test('nothing of it stays, and its rows are passed over until they are deleted', async () => {
  const { crm, erp } = servers;
  await using it = await install();
  // Both change at once: a journal entry with values, and an open conflict.
  await crm(`update people set city = 'Here', name = 'Ada King' where no = '1'`);
  await erp(`update people set city = 'There', name = 'A. Lovelace' where no = '1'`);
  await until(async () => (await it.operator.conflicts({ limit: 9 })).length > 0, 'the conflict');
  const known = await it.cli('explain', 'person', '1', '--show-personal');
  expect(known.out).toMatch(/ada@lovelace/);

  const { code, out } = await it.cli('forget', 'person', 'Ada@Lovelace.test', '--system', 'erp');
  expect([code, out]).toEqual([1, '']);
  const done = await it.cli('forget', 'person', 'ada@lovelace.test', '--system', 'erp');
  expect(done.code).toBe(0);
  expect(done.out).toMatch(
    /^forgotten: person \d+, \d journal entries, 0 parked items\n.*crm, erp$/,
  );
  expect(await it.operator.conflicts({ limit: 9 })).toEqual([]);
  expect((await it.cli('explain', 'person', '1')).code).toBe(1);
  expect(await parked(it)).toEqual([
    ['erp', 'forgotten'],
    ['crm', 'forgotten'],
  ]);

  // Changed afterwards: neither carried over nor a new record, nor a difference.
  await crm(`update people set city = 'Elsewhere', mail = 'ada@king.test' where no = '1'`);
  await erp(`update people set mail = 'countess@lovelace.test' where no = '1'`);
  await drained();
  expect(await cityIn('erp', '1')).toBe('There');
  expect((await it.operator.status()).records).toEqual({ person: 1 });
  expect((await parked(it)).map(([, reason]) => reason)).toEqual(['forgotten', 'forgotten']);
  await it.operator.resync('person', null);
  expect((await it.cli('verify', 'person')).code).toBe(0);

  // Once it is deleted, a row in its place is a new one.
  await crm(`delete from people where no = '1'`);
  await erp(`delete from people where no = '1'`);
  await until(async () => (await parked(it)).length === 0, 'the rows to go');
  await crm(`insert into people (no, mail, name) values ('1', 'ada@new.test', 'Ada')`);
  await until(async () => (await count('erp')) === 2, 'the new row');
  await it.stop();
  const personal = /lovelace|Ada King|Elsewhere|There/i;
  for (const file of readdirSync(it.folder)) {
    const bytes = readFileSync(join(it.folder, file), 'latin1');
    if (file.startsWith('carrick.db')) expect(bytes).not.toMatch(personal);
  }
});
