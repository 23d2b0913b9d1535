/** What nobody told Carrick is found by reading the tables again, while everything goes on. */
import { expect, test } from 'vitest';
import {
  createAccounts,
  type Installation,
  openInstallation,
  type Servers,
  serversOfFile,
  until,
} from './installation.ts';

const servers = serversOfFile();

const mapping = (table: string): string => `
entity: ${table}
match: [[no]]
fields:
  no: {type: string(20), required: true}
  name: string
  credit: "decimal(12,2)"
systems:
  crm:
    table: public.${table}
    key: id
    fields: {no: no, name: name, credit: credit}
  erp:
    table: ${table}
    key: id
    fields: {no: no, name: name, credit: credit}
first_contact: {prefer: crm}
flood: {share: 0.5, at_least: 5}
`;

async function install(table: string, rows: number): Promise<Installation> {
  await createAccounts(servers, table, rows);
  const it = await openInstallation(servers);
  await it.map(table, mapping(table));
  await it.setup();
  await it.start();
  await until(() => agree(table, rows), 'the first load');
  return it;
}

const content = (sql: Servers['crm'], table: string) =>
  sql(`select no, name, credit from ${table} order by no`);

async function agree(table: string, rows?: number): Promise<boolean> {
  const [crm, erp] = [await content(servers.crm, table), await content(servers.erp, table)];
  return JSON.stringify(crm) === JSON.stringify(erp) && (rows ?? crm.length) === crm.length;
}

const nameOf = async (sql: Servers['crm'], table: string, no: string) =>
  (await sql(`select name from ${table} where no = '${no}'`))[0]?.[0];

test('changes that the binary log left out', async () => {
  const { crm, erp } = servers;
  await using it = await install('unlogged', 30);
  await erp('set session sql_log_bin = 0');
  await erp(`update unlogged set name = 'Changed' where no = 'C1'`);
  await erp(`delete from unlogged where no in ('C2', 'C3')`);
  await erp(`insert into unlogged (no, name, credit) values ('C99', 'New', 1)`);
  await erp('set session sql_log_bin = 1');
  expect(await agree('unlogged')).toBe(false);
  const { code, out } = await it.cli('resync', 'unlogged', '--system', 'erp');
  expect([code, out]).toEqual([0, expect.stringMatching(/erp +unlogged +begun/)]);
  await until(() => agree('unlogged', 29));
  expect(await nameOf(crm, 'unlogged', 'C1')).toBe('Changed');
  expect(await nameOf(crm, 'unlogged', 'C99')).toBe('New');
  expect((await it.operator.status()).parked).toEqual({});
});

test('changes of a table that was out of the publication', async () => {
  const { crm, erp } = servers;
  await using it = await install('unpublished', 10);
  const [[publication] = []] = await crm(`select pubname from pg_publication_tables
    where tablename = 'unpublished'`);
  await crm(`alter publication ${publication} drop table unpublished`);
  await crm(`update unpublished set name = 'Changed' where no = 'C1'`);
  await crm(`delete from unpublished where no = 'C2'`);
  // The row has another key now, and the record must not be lost over it.
  await crm(`delete from unpublished where no = 'C3'`);
  await crm(`insert into unpublished (no, name, credit) values ('C3', 'Again', 3)`);
  await crm(`alter publication ${publication} add table unpublished`);
  const before = await erp(`select id from unpublished where no = 'C3'`);
  await it.operator.resync('unpublished', null);
  await until(() => agree('unpublished', 9));
  expect(await nameOf(erp, 'unpublished', 'C3')).toBe('Again');
  expect(await erp(`select id from unpublished where no = 'C3'`)).toEqual(before);
  expect((await it.operator.status()).parked).toEqual({});
});

test('a resync finds many rows gone: the deletes are held', async () => {
  const { crm, erp } = servers;
  await using it = await install('flooded', 20);
  await erp('set session sql_log_bin = 0');
  await erp('delete from flooded where id > 2');
  await erp('set session sql_log_bin = 1');
  await it.operator.resync('flooded', 'erp');
  await until(async () => ((await it.operator.status()).parked.flood ?? 0) > 0);
  expect((await content(crm, 'flooded')).length).toBeGreaterThanOrEqual(9);
});

test('deliveries go on meanwhile, and a table that is being loaded is left alone', async () => {
  const { crm, erp } = servers;
  await using it = await install('busy', 5000);
  await it.operator.resync('busy', null);
  await crm(`update busy set name = 'During' where no = 'C4999'`);
  await erp(`update busy set credit = 7 where no = 'C1'`);
  await until(
    async () => (await nameOf(erp, 'busy', 'C4999')) === 'During' && (await agree('busy')),
  );
  await until(async () => {
    const { systems } = await it.operator.status();
    return systems.every(({ snapshots }) => snapshots.every(({ done }) => done));
  });
  expect(await agree('busy', 5000)).toBe(true);
});

test('only where a condition holds or held, and until it is done', async () => {
  const { crm, erp } = servers;
  await using it = await install('chosen', 20);
  await erp('set session sql_log_bin = 0');
  await erp(`update chosen set name = 'Changed' where no in ('C1', 'C16')`);
  await erp(`delete from chosen where no in ('C3', 'C20')`);
  await erp(`update chosen set credit = 1000 where no = 'C4'`);
  await erp(`update chosen set credit = 5 where no = 'C15'`);
  await erp('set session sql_log_bin = 1');
  const where = `credit < decimal('10')`;
  const { code, out } = await it.cli(
    'resync',
    'chosen',
    '--system=erp',
    '--where',
    where,
    '--wait',
  );
  expect([code, out]).toEqual([0, expect.stringContaining('begun')]);
  await until(async () => (await nameOf(crm, 'chosen', 'C1')) === 'Changed', 'the change');
  await until(async () => (await nameOf(crm, 'chosen', 'C3')) === undefined, 'the delete');
  const found = await crm(`select no, name, credit from chosen
    where no in ('C4', 'C15', 'C16', 'C20') order by no`);
  expect(found).toEqual([
    ['C15', 'Name 15', '5.00'],
    ['C16', 'Name 16', '16.00'],
    ['C20', 'Name 20', '20.00'],
    ['C4', 'Name 4', '1000.00'],
  ]);
  await it.operator.resync('chosen', 'erp');
  await until(() => agree('chosen', 18));
});

test('a condition that is none', async () => {
  await using it = await install('conditions', 1);
  for (const where of ['nobody == 1', 'credit +', 'name', `no == 'C1'; drop table conditions`]) {
    const { code, err } = await it.cli('resync', 'conditions', '--where', where);
    expect([code, err]).toEqual([1, expect.stringContaining('operator.where')]);
  }
});

test('without a daemon there is nobody who could read', async () => {
  await using it = await install('alone', 1);
  await it.stop();
  const { code, err } = await it.cli('resync', 'alone');
  expect([code, err]).toEqual([3, expect.stringContaining('carrick run')]);
});

test('names that do not exist', async () => {
  await using it = await install('named', 1);
  expect((await it.cli('resync', 'nobody')).code).toBe(1);
  expect((await it.cli('resync', 'named', '--system', 'oa')).code).toBe(1);
});
