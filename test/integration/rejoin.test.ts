/** A system whose log is lost is said to be, and taken up again as deploy/RUNBOOK.md says. */
import { expect, test } from 'vitest';
import {
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
fields: {no: {type: string(20), required: true}, name: string, stock: integer}
systems:
  crm: {table: public.${table}, key: id, fields: {no: no, name: name, stock: stock}}
  erp: {table: ${table}, key: id, fields: {no: no, name: name, stock: stock}}
conflicts:
  - {fields: [stock], sum_of_deltas: true}
  - last_writer
  - {prefer: erp}
first_contact: {prefer: crm}
`;

async function install(table: string): Promise<Installation> {
  const columns = 'no varchar(20) unique not null, name varchar(60), stock integer';
  const { crm, erp } = servers;
  await crm(
    `create table ${table} (id bigint generated always as identity primary key, ${columns})`,
  );
  await erp(`create table ${table} (id bigint auto_increment primary key, ${columns})`);
  await crm(`insert into ${table} (no, name, stock)
    select 'C' || n, 'Name ' || n, 100 from generate_series(1, 9) n`);
  const it = await openInstallation(servers);
  await it.map(table, mapping(table));
  await it.setup();
  await it.start();
  await until(() => agree(table, 9), 'the first load');
  await it.stop();
  return it;
}

const content = async (sql: Servers['crm'], table: string): Promise<string[][]> => {
  const rows = await sql(`select no, name, stock from ${table} order by no`);
  return rows.map((row) => row.map(String));
};

async function agree(table: string, rows: number): Promise<boolean> {
  const [crm, erp] = [await content(servers.crm, table), await content(servers.erp, table)];
  return JSON.stringify(crm) === JSON.stringify(erp) && rows === crm.length;
}

/** Nobody follows; afterwards the log that tells of it is lost in `lost`. */
async function changeBoth(table: string, lost: 'crm' | 'erp'): Promise<void> {
  const [here, there] = lost === 'crm' ? [servers.crm, servers.erp] : [servers.erp, servers.crm];
  await here(`update ${table} set name = 'Unseen' where no in ('C1', 'C2')`);
  await here(`update ${table} set stock = stock - 3 where no = 'C3'`);
  await here(`delete from ${table} where no = 'C4'`);
  await here(`insert into ${table} (no, name, stock) values ('C10', 'New', 1)`);
  await there(`update ${table} set name = 'Other' where no = 'C2'`);
  await there(`update ${table} set stock = stock + 20 where no = 'C3'`);
  await there(`update ${table} set name = 'Followed' where no = 'C5'`);
}

async function rejoins(it: Installation, table: string, lost: 'crm' | 'erp'): Promise<void> {
  await it.start();
  await until(async () => {
    const status = await it.operator.status();
    const { source, trouble } = status.systems.find(({ system }) => system === lost)!;
    return source === 'halted' && trouble?.code === 'source.lost' && /rejoin/.test(trouble.fix);
  }, 'the halt');
  const early = await it.cli('rejoin', lost);
  expect([early.code, early.err]).toEqual([4, expect.stringContaining('ledger.owned')]);
  await expect(it.stop()).rejects.toMatchObject({ code: 'source.lost' });
  await it.setup();
  const { code, out } = await it.cli('rejoin', lost);
  expect([code, out]).toEqual([0, expect.stringContaining(table)]);
  await it.start();
  await until(() => agree(table, 9));
  const rows = new Map((await content(servers.crm, table)).map(([no, ...rest]) => [no, rest]));
  expect(rows.get('C1')?.[0]).toBe('Unseen');
  expect(rows.get('C3')?.[1]).toBe('117');
  expect(rows.get('C5')?.[0]).toBe('Followed');
  expect([rows.has('C4'), rows.has('C10')]).toEqual([false, true]);
  const journal = await it.operator.conflicts({ entity: table, limit: 99 });
  const values = journal
    .filter(({ unit }) => unit === 'name')
    .map(({ incoming, standing }) => [incoming.values?.[0], standing.values?.[0]].sort());
  expect(values).toEqual([['Other', 'Unseen']]);
}

test('the slot was dropped', async () => {
  await using it = await install('dropped');
  await changeBoth('dropped', 'crm');
  await servers.crm('select pg_drop_replication_slot(slot_name) from pg_replication_slots');
  await rejoins(it, 'dropped', 'crm');
});

test('the binary log was purged', async () => {
  await using it = await install('purged');
  await changeBoth('purged', 'erp');
  await servers.erp('flush binary logs');
  const last = (await servers.erp('show binary logs')).at(-1)?.[0];
  // A file stays for as long as the server takes our last connection for alive.
  await until(async () => {
    await servers.erp(`purge binary logs to '${last}'`);
    return (await servers.erp('show binary logs')).length === 1;
  }, 'the purge');
  await rejoins(it, 'purged', 'erp');
});

test('a system that nobody knows, and one that was never followed', async () => {
  await using it = await openInstallation(servers);
  await it.map('dropped', mapping('dropped'));
  await it.setup();
  expect((await it.cli('rejoin', 'crm')).err).toContain('ledger.missing');
  await it.start();
  await it.stop();
  expect((await it.cli('rejoin', 'oa')).err).toContain('crm, erp');
});
