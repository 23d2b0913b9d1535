/** Differences that were made behind Carrick's back are found, and nothing else is. */
import { expect, test } from 'vitest';
import type { Verdict } from '../../src/observe/comparison.ts';
import {
  createAccounts,
  type Installation,
  openInstallation,
  serversOfFile,
  until,
} from './installation.ts';

const servers = serversOfFile();

const ROWS = 2500;

const mapping = (table: string): string => `
entity: ${table}
match: [[no]]
fields:
  no: {type: string(20), required: true}
  name: {type: string, pii: true}
  credit: "decimal(12,2)"
systems:
  crm: {table: public.${table}, key: id, fields: {no: no, name: name, credit: credit}}
  erp: {table: ${table}, key: id, fields: {no: no, name: name, credit: credit}}
first_contact: {prefer: crm}
`;

async function install(table: string, rows: number): Promise<Installation> {
  const { erp } = servers;
  await createAccounts(servers, table, rows);
  const it = await openInstallation(servers);
  await it.map(table, mapping(table));
  await it.setup();
  await it.start();
  await until(async () => {
    const [[count] = []] = await erp(`select count(*) from ${table}`);
    return Number(count) === rows;
  }, 'the first load');
  return it;
}

async function verify(it: Installation, ...args: string[]) {
  const { code, out } = await it.cli('verify', '--json', ...args);
  return { code, verdict: JSON.parse(out) as Verdict };
}

test('exactly the planted differences, until a resync has settled them', async () => {
  const { crm, erp } = servers;
  await using it = await install('planted', ROWS);
  const before = await verify(it, 'planted');
  expect([before.code, before.verdict.found, before.verdict.checked]).toEqual([0, 0, 2 * ROWS]);
  await erp('set session sql_log_bin = 0');
  await erp(`update planted set name = 'Ada', credit = 0 where no = 'C1700'`);
  await erp(`delete from planted where no = 'C9'`);
  await erp(`insert into planted (no, name) values ('C9999', 'New')`);
  await erp('set session sql_log_bin = 1');
  const { code, verdict } = await verify(it);
  expect([code, verdict.found]).toEqual([1, 3]);
  const found = verdict.differences.map(({ kind, system, fields }) => [
    kind,
    system,
    fields.map(({ name }) => name).join(),
  ]);
  expect(found.sort()).toEqual([
    ['differs', 'erp', 'name,credit'],
    ['extra', 'erp', ''],
    ['missing', 'erp', ''],
  ]);
  expect(JSON.stringify(verdict)).not.toContain('Ada');
  const shown = await it.cli('verify', 'planted', '--show-personal');
  expect(shown.out).toContain('name: Ada, should be Name 1700');
  // Without a daemon the ledger is asked.
  await it.stop();
  expect((await verify(it, 'planted')).verdict.found).toBe(3);
  await it.start();
  await it.operator.resync('planted', 'erp');
  await until(async () => {
    const rows = await crm(
      `select count(*) from planted where no in ('C9999', 'C9') or name = 'Ada'`,
    );
    return rows[0]?.[0] === '2';
  }, 'the resync');
  await until(async () => (await verify(it)).code === 0, 'agreement');
});

test('what is on its way is no difference', async () => {
  const { crm } = servers;
  await using it = await install('moving', 300);
  let done = false;
  const users = (async () => {
    for (let n = 1; !done; n = (n % 300) + 1) {
      await crm(`update moving set credit = credit + 1 where no = 'C${n}'`);
    }
  })();
  const { code, verdict } = await verify(it, 'moving');
  done = true;
  await users;
  expect([code, verdict.found]).toEqual([0, 0]);
});

test('a table that does not fit its mapping could not be compared', async () => {
  const { crm } = servers;
  await using it = await install('drifting', 5);
  await crm('alter table drifting drop column credit');
  await crm(`update drifting set name = 'During' where no = 'C1'`);
  await until(async () => ((await it.operator.status()).parked.schema_drift ?? 0) > 0, 'the hold');
  const { code, verdict } = await verify(it, 'drifting');
  const why = 'does not fit its mapping';
  expect([code, verdict.unchecked]).toEqual([3, [{ system: 'crm', entity: 'drifting', why }]]);
});

test('in the background, at a pace', async () => {
  const { erp } = servers;
  await using it = await install('watched', 300);
  const text = await it.configuration();
  await it.configure(`${text}verify: {every: 1s, rows_per_second: 2000}\n`);
  await it.stop();
  await it.start();
  const found = () => it.metric('carrick_verify_differences{entity="watched"}');
  await until(async () => (await found()) === 0, 'a pass that finds nothing');
  expect(await it.metric('carrick_verified_rows_total{entity="watched"}')).toBeGreaterThan(599);
  await erp('set session sql_log_bin = 0');
  await erp(`update watched set name = 'Ada' where no = 'C17'`);
  await erp('set session sql_log_bin = 1');
  await until(async () => (await found()) === 1, 'the difference');
  expect((await it.cli('status')).out).toMatch(/verified {3}.* ago: 600 rows, 1 differences/);
});
