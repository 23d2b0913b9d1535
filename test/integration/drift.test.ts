/** A table whose columns change under a running daemon: held, the others go on, nothing is lost. */
import { describe, expect, test } from 'vitest';
import {
  type Installation,
  openInstallation,
  type Sql,
  serversOfFile,
  until,
} from './installation.ts';

const servers = serversOfFile();

type Name = 'crm' | 'erp';
const OTHER = { crm: 'erp', erp: 'crm' } as const;

/** `fields` of both systems; `changes` replaces the column of a field in one of them. */
function mapping(table: string, changes: Partial<Record<Name, string>> = {}): string {
  const fields = '{no: no, name: name, credit: credit}';
  return `
entity: ${table}
match: [[no]]
fields:
  no: {type: string(20), required: true}
  name: string
  credit: "decimal(12,2)"
systems:
  crm: {table: public.${table}, key: id, fields: ${changes.crm ?? fields}}
  erp: {table: ${table}, key: id, fields: ${changes.erp ?? fields}}
first_contact: {prefer: crm}
`;
}

async function create(table: string): Promise<void> {
  const columns =
    'no varchar(20) unique not null, name varchar(60), credit decimal(12,2), memo varchar(20)';
  const { crm, erp } = servers;
  await crm(
    `create table ${table} (id bigint generated always as identity primary key, ${columns})`,
  );
  await erp(`create table ${table} (id bigint auto_increment primary key, ${columns})`);
  await crm(`insert into ${table} (no, name, credit)
    select 'C' || n, 'Name ' || n, n from generate_series(1, 5) n`);
}

async function install(table: string): Promise<Installation> {
  await create(table);
  await create(`${table}_other`);
  const it = await openInstallation(servers);
  await it.map(table, mapping(table));
  await it.map(`${table}_other`, mapping(`${table}_other`));
  await it.setup();
  await it.start();
  await until(() => agree(table, 'no, name, credit'), 'the first load');
  await until(() => agree(`${table}_other`, 'no, name, credit'), 'the first load');
  return it;
}

/** `columns` as the CRM has them; `there` as the ERP has them. */
async function agree(table: string, columns: string, there = columns): Promise<boolean> {
  const content = (sql: Sql, what: string) => sql(`select ${what} from ${table} order by no`);
  const crm = JSON.stringify(await content(servers.crm, columns));
  return crm === JSON.stringify(await content(servers.erp, there)) && crm !== '[]';
}

const isHeld = async ({ operator }: Installation, table: string): Promise<boolean> =>
  (await operator.parked({ state: 'schema_drift', entity: table, limit: 1 })).length > 0;

const set = (sql: Sql, table: string, no: string, what: string) =>
  sql(`update ${table} set ${what} where no = '${no}'`);

describe.each(['crm', 'erp'] as const)('in the %s', (where) => {
  test('a dropped column: the others go on; mended, everything agrees', async () => {
    const table = `dropped_${where}`;
    const [here, there] = [servers[where], servers[OTHER[where]]];
    await using it = await install(table);
    await here(`alter table ${table} drop column credit`);
    await set(here, table, 'C1', `name = 'During'`);
    await until(() => isHeld(it, table), 'the hold');
    await here(`delete from ${table} where no = 'C2'`);
    await here(`insert into ${table} (no, name) values ('C9', 'New')`);
    await set(there, table, 'C3', `name = 'From there'`);
    for (const sql of [here, there]) await set(sql, `${table}_other`, 'C1', `name = 'Goes on'`);
    await set(there, `${table}_other`, 'C4', `credit = 44`);
    await until(() => agree(`${table}_other`, 'no, name, credit'), 'the other entity');
    expect(await there(`select name from ${table} where no = 'C1'`)).toEqual([['Name 1']]);
    expect(await here(`select name from ${table} where no = 'C3'`)).toEqual([['Name 3']]);
    await it.stop();
    await it.map(table, mapping(table, { [where]: '{no: no, name: name}' }));
    await it.start();
    await until(() => agree(table, 'no, name'), 'agreement');
    expect(
      await there(`select name from ${table} where no in ('C1', 'C2', 'C9') order by no`),
    ).toEqual([['During'], ['New']]);
    expect((await it.operator.status()).parked).toEqual({});
  });

  test('a renamed column', async () => {
    const table = `renamed_${where}`;
    const [here, there] = [servers[where], servers[OTHER[where]]];
    await using it = await install(table);
    await here(`alter table ${table} rename column name to title`);
    await set(here, table, 'C1', `title = 'During'`);
    await until(() => isHeld(it, table), 'the hold');
    await set(there, table, 'C2', `name = 'From there'`);
    await it.stop();
    await it.map(table, mapping(table, { [where]: '{no: no, name: title, credit: credit}' }));
    await it.start();
    const columns = { crm: 'no, name, credit', erp: 'no, name, credit' };
    columns[where] = 'no, title, credit';
    await until(() => agree(table, columns.crm, columns.erp), 'agreement');
    expect(await there(`select name from ${table} where no = 'C1'`)).toEqual([['During']]);
    expect(await here(`select title from ${table} where no = 'C2'`)).toEqual([['From there']]);
    expect((await it.operator.status()).parked).toEqual({});
  });

  test('a column of another kind, until it is as before', async () => {
    const table = `retyped_${where}`;
    const [here, there] = [servers[where], servers[OTHER[where]]];
    await using it = await install(table);
    const retype = (type: string) =>
      here(
        where === 'crm'
          ? `alter table ${table} alter column credit type ${type} using credit::${type}`
          : `alter table ${table} modify column credit ${type}`,
      );
    await retype('varchar(20)');
    await set(here, table, 'C1', `credit = '11.00'`);
    await until(() => isHeld(it, table), 'the hold');
    await set(there, table, 'C2', 'credit = 22');
    await retype('numeric(12,2)');
    await set(here, table, 'C3', 'credit = 33');
    await until(() => agree(table, 'no, name, credit'), 'agreement');
    expect(await there(`select credit from ${table} where no = 'C1'`)).toEqual([['11.00']]);
    expect(await here(`select credit from ${table} where no = 'C2'`)).toEqual([['22.00']]);
    await until(async () => !(await isHeld(it, table)), 'the release');
    expect((await it.operator.status()).parked).toEqual({});
  });

  test('a delivery is the first to meet the change, and its target goes on', async () => {
    const table = `met_${where}`;
    const [here, there] = [servers[where], servers[OTHER[where]]];
    await using it = await install(table);
    await here(`alter table ${table} rename column credit to limits`);
    await set(there, table, 'C1', 'credit = 11');
    await until(() => isHeld(it, table), 'the hold');
    await set(there, `${table}_other`, 'C1', 'credit = 11');
    await until(() => agree(`${table}_other`, 'no, name, credit'), 'the other entity');
    await here(`alter table ${table} rename column limits to credit`);
    await until(() => agree(table, 'no, name, credit'), 'agreement');
    expect((await it.operator.status()).parked).toEqual({});
  });

  test('columns that no mapping uses', async () => {
    const table = `unused_${where}`;
    const here = servers[where];
    await using it = await install(table);
    await here(`alter table ${table} add column extra int`);
    await set(here, table, 'C1', `name = 'After adding'`);
    await here(`alter table ${table} drop column memo`);
    await set(here, table, 'C2', `name = 'After dropping'`);
    await until(() => agree(table, 'no, name, credit'), 'agreement');
    expect(await here(`select count(*) from ${table} where name like 'After%'`)).toEqual([['2']]);
    expect((await it.operator.status()).parked).toEqual({});
  });

  test('a hold is not given up, and tried again it is held anew', async () => {
    const table = `retried_${where}`;
    const here = servers[where];
    await using it = await install(table);
    await here(`alter table ${table} drop column credit`);
    await set(here, table, 'C1', `name = 'During'`);
    await until(() => isHeld(it, table), 'the hold');
    const [hold] = await it.operator.parked({ state: 'schema_drift', limit: 1 });
    const id = hold?.id ?? 0;
    await expect(it.operator.discard([id])).rejects.toMatchObject({ code: 'operator.drift' });
    await it.operator.retry([id]);
    await until(async () => {
      const [next] = await it.operator.parked({ state: 'schema_drift', limit: 1 });
      return next !== undefined && next.id !== id;
    }, 'the next hold');
    await here(`alter table ${table} add column credit decimal(12,2)`);
    const [again] = await it.operator.parked({ state: 'schema_drift', limit: 1 });
    await it.operator.retry([again?.id ?? 0]);
    await until(() => agree(table, 'no, name, credit'), 'agreement');
  });
});
