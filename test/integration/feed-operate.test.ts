/** What people do with an entity that only one system writes. */
import { expect, test } from 'vitest';
import type { RepairReport } from '../../src/cli/repair.ts';
import type { Verdict } from '../../src/observe/comparison.ts';
import { type Installation, openInstallation, serversOfFile, until } from './installation.ts';

const servers = serversOfFile();

const ROWS = 1500;

interface Shape {
  readonly erp?: string;
  readonly feed?: boolean;
}

const mapping = (table: string, { erp = '', feed = true }: Shape = {}): string => `
entity: ${table}
${feed ? 'feed: crm' : ''}
match: [[no]]
fields:
  no: {type: string(20), required: true}
  name: {type: string, pii: true}
  credit: "decimal(12,4)"
  seen: timestamp
systems:
  crm: {table: public.${table}, key: no, fields: {no: no, name: name, credit: credit, seen: seen}}
  erp: {table: ${table}, key: id, fields: {no: no, name: name, credit: credit, seen: seen}${erp}}
`;

/** The ERP rounds credits and cuts times. */
async function createTables(table: string, rows: number): Promise<void> {
  await servers.crm(`create table ${table} (no varchar(20) primary key, name varchar(60),
    credit numeric(12,4), seen timestamptz)`);
  await servers.erp(`create table ${table} (id bigint auto_increment primary key,
    no varchar(20) unique not null, name varchar(60), credit decimal(10,2), seen timestamp null)`);
  await servers.crm(`insert into ${table} select 'C' || n, 'Name ' || n, n + 0.1256,
    '2026-01-01 00:00:00.75Z'::timestamptz + n * interval '1 s'
    from generate_series(1, ${rows}) n`);
}

async function loaded(it: Installation, name: string): Promise<void> {
  await until(async () => {
    const { systems } = await it.operator.status();
    const found = systems.find(({ system }) => system === name)?.snapshots ?? [];
    return found.length > 0 && found.every(({ done }) => done);
  }, 'the first load');
}

async function install(table: string, rows: number, text = mapping(table)): Promise<Installation> {
  await createTables(table, rows);
  const it = await openInstallation(servers);
  await it.map(table, text);
  await it.setup();
  await it.start();
  await loaded(it, 'crm>erp');
  return it;
}

const found = ({ differences }: Verdict) =>
  differences
    .map(({ kind, system, of, key, fields }) =>
      [kind, of ?? system, key, fields.map(({ name }) => name).join()].join(' ').trim(),
    )
    .sort();

async function verify(it: Installation, ...args: string[]) {
  const { code, out, err } = await it.cli('verify', '--json', ...args);
  if (out === '') throw new Error(err);
  return { code, verdict: JSON.parse(out) as Verdict };
}

async function plant(table: string): Promise<void> {
  const { erp } = servers;
  await erp(`update ${table} set name = 'Ada', credit = 0 where no = 'C1200'`);
  await erp(`update ${table} set seen = null where no = 'C7'`);
  await erp(`delete from ${table} where no = 'C9'`);
  await erp(`insert into ${table} (no, name) values ('E1', 'New')`);
}

const PLANTED = [
  'absent crm C9',
  'differs erp C1200 name,credit',
  'differs erp C7 seen',
  'extra erp E1',
];

test('exactly the planted differences, until they are repaired', async () => {
  await using it = await install('planted', ROWS);
  const before = await verify(it, 'planted');
  expect([before.code, before.verdict.found, before.verdict.checked]).toEqual([0, 0, 2 * ROWS]);
  await plant('planted');
  const { code, verdict } = await verify(it);
  expect([code, found(verdict)]).toEqual([1, PLANTED]);
  expect(JSON.stringify(verdict)).not.toContain('Ada');
  const shown = await it.cli('verify', 'planted', '--show-personal');
  expect(shown.out).toContain('name: Ada, should be Name 1200');

  const wrong = await it.cli('repair', '--from', 'erp');
  expect([wrong.code, wrong.err]).toEqual([1, expect.stringContaining('--from crm')]);
  const counts = { 'erp insert': 1, 'erp update': 2 };
  const dry = JSON.parse((await it.cli('repair', '--by-policy', '--dry-run', '--json')).out);
  expect([dry.found, dry.counts, dry.left]).toEqual([4, counts, null]);
  expect(found((await verify(it)).verdict)).toEqual(PLANTED);

  // What only the target has goes when the source is named.
  const policy = await it.cli('repair', '--by-policy', '--json');
  const first = JSON.parse(policy.out) as RepairReport;
  expect([policy.code, first.counts, first.left]).toEqual([1, counts, 1]);
  expect(found((await verify(it)).verdict)).toEqual(['extra erp E1']);
  const named = await it.cli('repair', 'planted', '--from', 'crm', '--json');
  const second = JSON.parse(named.out) as RepairReport;
  expect([named.code, second.counts, second.left]).toEqual([0, { 'erp delete': 1 }, 0]);
  const after = await verify(it);
  expect([after.code, after.verdict.found]).toEqual([0, 0]);
});

test('what is on its way is no difference', async () => {
  await using it = await install('moving', 300);
  let done = false;
  const users = (async () => {
    for (let n = 1; !done; n = (n % 300) + 1) {
      await servers.crm(`update moving set credit = credit + 1 where no = 'C${n}'`);
    }
  })();
  const { code, verdict } = await verify(it, 'moving');
  done = true;
  await users;
  expect([code, verdict.found]).toEqual([0, 0]);
});

const parkedRows = async (it: Installation) => {
  const items = await it.operator.parked({ limit: 9 });
  return items.map(({ id, reason }) => ({ id, reason }));
};

test('a row that the target refuses is parked, left out, tried again, discarded', async () => {
  const { crm, erp } = servers;
  await using it = await install('refused', 3);
  await erp('alter table refused add constraint positive check (credit >= 0)');
  await crm(`update refused set credit = -1 where no = 'C2'`);
  await until(async () => (await parkedRows(it)).length === 1, 'the refusal');
  const { code, verdict } = await verify(it);
  expect([code, verdict.found, verdict.leftOut]).toEqual([0, 0, 1]);
  const [first] = await parkedRows(it);
  const shown = await it.cli('parked', 'show', String(first?.id));
  expect(shown.out).not.toContain('was deleted');
  // Given up, and refused once more: it has to be seen again.
  await it.cli('parked', 'discard', String(first?.id));
  expect(found((await verify(it)).verdict)).toEqual(['differs erp C2 credit']);
  const again = { entity: 'refused', system: 'erp', keys: ['C2'], from: 'crm', dryRun: false };
  await it.operator.repair(again);
  await until(async () => (await parkedRows(it)).length === 1, 'the second refusal');
  const [second] = await parkedRows(it);
  expect(second?.id).toBeGreaterThan(first?.id ?? 0);
  await erp('alter table refused drop constraint positive');
  const retried = await it.cli('parked', 'retry', String(second?.id));
  expect(retried.out).toContain('read again');
  await until(async () => (await parkedRows(it)).length === 0, 'the retry');
  expect((await verify(it)).verdict).toMatchObject({ found: 0, leftOut: 0 });
});

const health = async (it: Installation) => {
  const url = /listen: (\S+)/.exec(await it.configuration())?.[1];
  const answers = await Promise.all(
    ['healthz', 'readyz'].map((one) => fetch(`http://${url}/${one}`)),
  );
  return answers.map(({ status }) => status);
};

test('what waits for a person says so, and is well', async () => {
  const { crm, erp } = servers;
  await using it = await install('waits', 3);
  const target = async () => (await it.operator.status()).systems[0]?.target;
  await crm('truncate waits');
  await until(async () => (await target()) === 'waiting', 'the hold');
  expect(await health(it)).toEqual([200, 200]);
  const [{ id } = { id: 0 }] = await parkedRows(it);
  await it.cli('parked', 'discard', String(id));
  await until(async () => (await target()) === 'idle');
  expect(await erp('select count(*) from waits')).toEqual([['3']]);

  expect((await it.cli('pause', 'crm>erp')).err).toContain('pause erp');
  await it.cli('pause', 'waits');
  await crm(`insert into waits (no) values ('C9')`);
  await until(async () => (await target()) === 'waiting', 'the pause');
  expect(await health(it)).toEqual([200, 200]);
  expect(await it.metric('carrick_target_up{system="crm>erp"}')).toBe(1);
  await it.cli('resume');
  await until(async () => (await erp(`select no from waits where no = 'C9'`)).length === 1);
});

test('what is asked of records is answered, or said not to apply', async () => {
  await using it = await install('asked', 3);
  await servers.erp(`update asked set name = 'Ada', credit = 7 where no = 'C2'`);
  const explained = await it.cli('explain', 'asked', 'C2', '--show-personal', '--json');
  const [one] = JSON.parse(explained.out);
  expect(one).toMatchObject({ entity: 'asked', record: null, deleted: false });
  const names = one.fields.map(({ name }: { name: string }) => name);
  const held = (system: string, name: string) => one.views[system].values[names.indexOf(name)];
  expect([held('crm', 'name'), held('erp', 'name')]).toEqual(['Name 2', 'Ada']);
  expect([held('crm', 'credit'), held('erp', 'credit')]).toEqual(['2.1256', '7.00']);
  expect(held('erp', 'seen')).toBe(held('crm', 'seen'));
  expect((await it.cli('explain', 'asked', 'erp:C2')).out).not.toContain('Ada');
  expect((await it.cli('explain', 'asked', 'C99')).code).toBe(1);
  expect((await it.cli('forget', 'asked', 'C2')).err).toContain('nothing is kept of its rows');
  expect((await it.cli('plan', 'asked')).err).toContain('carrick verify asked');
  expect((await it.cli('plan')).out).toContain('every entity is fed');
  expect((await it.cli('resync', 'asked', '--where', `no == 'C2'`)).err).toContain('--where');
  const again = await it.cli('resync', 'asked', '--wait');
  expect([again.code, again.out]).toEqual([0, expect.stringContaining('crm>erp')]);
  expect((await verify(it)).verdict.found).toBe(0);
  const status = await it.cli('status');
  expect(status.out).toMatch(/crm>erp +feed +following +idle/);
  await it.stop();
  expect((await it.cli('status')).out).toMatch(/crm>erp +feed +stopped +stopped/);
  expect(found((await verify(it, '--show-personal')).verdict)).toEqual([]);
  expect((await it.cli('repair', '--from', 'crm', '--dry-run')).code).toBe(0);
});

test('a system that is only written to gets the place of its feeds, and nothing else', async () => {
  await using it = await install('bare', 3);
  const own = async () => (await servers.erp('show tables in carrick')).flat();
  expect(await own()).toEqual(['carrick_feed']);
  const script = await it.cli('setup', '--print');
  const [, erp = ''] = script.out.split('-- erp\n');
  expect(erp.split('-- crm>erp')[0]).not.toMatch(/carrick_mark|REPLICATION/);
  expect((await it.cli('check')).code).toBe(0);
  const [[slots] = []] = await servers.crm(`select string_agg(slot_name, ',')
    from pg_replication_slots where slot_name like 'carrick_${await instanceOf(it)}%'`);
  expect(slots).toBe(`carrick_${await instanceOf(it)}_erp`);
  await it.stop();
  expect((await it.cli('rejoin', 'crm')).err).toMatch(/crm settles nothing.*crm>erp/s);
});

const instanceOf = async (it: Installation): Promise<string> =>
  /instance: (\S+)/.exec(await it.configuration())?.[1] ?? '';

test('the log of its source is lost', async () => {
  const { crm, erp } = servers;
  await createTables('beside', 1);
  await createTables('lost', 9);
  await using it = await openInstallation(servers);
  await it.map('lost', mapping('lost'));
  await it.map('beside', `${mapping('beside', { feed: false })}first_contact: {prefer: crm}\n`);
  await it.setup();
  await it.start();
  await loaded(it, 'crm>erp');
  await it.stop();
  await crm(`update lost set name = 'Unseen' where no = 'C1'`);
  await crm(`delete from lost where no = 'C4'`);
  await crm(`insert into lost (no, name) values ('C10', 'New')`);
  await crm(`select pg_drop_replication_slot('carrick_${await instanceOf(it)}_erp')`);
  await it.start();
  await until(async () => {
    const { systems } = await it.operator.status();
    const { source, trouble } = systems.find(({ system }) => system === 'crm>erp')!;
    return source === 'halted' && trouble?.code === 'source.lost' && /'crm>erp'/.test(trouble.fix);
  }, 'the halt');
  expect((await it.cli('rejoin', 'crm>erp')).err).toContain('ledger.owned');
  await expect(it.stop()).rejects.toMatchObject({ code: 'source.lost' });
  await it.setup();
  const { code, out } = await it.cli('rejoin', 'crm>erp');
  expect([code, out]).toEqual([0, expect.stringContaining('carrick repair --from crm')]);
  await it.start();
  await loaded(it, 'crm>erp');
  // What was deleted unseen stays until somebody says so.
  expect(found((await verify(it, 'lost')).verdict)).toEqual(['extra erp C4']);
  expect((await it.cli('repair', 'lost', '--from', 'crm')).code).toBe(0);
  const seen = await erp(`select no, name from lost where no in ('C1', 'C10', 'C4') order by no`);
  expect(seen).toEqual([
    ['C1', 'Unseen'],
    ['C10', 'New'],
  ]);
});

test('an entity that was settled, is fed, and is settled again', async () => {
  const { crm, erp } = servers;
  await createTables('steady', 1);
  await createTables('turned', 9);
  const settled = (table: string): string =>
    `${mapping(table, { feed: false })}first_contact: {prefer: crm}\n`;
  await using it = await openInstallation(servers);
  await it.map('steady', settled('steady'));
  await it.map('turned', settled('turned'));
  await it.setup();
  await it.start();
  const named = async (sql: typeof crm, no: string) =>
    (await sql(`select name from turned where no = '${no}'`))[0]?.[0];
  await until(async () => (await named(erp, 'C9')) === 'Name 9', 'the first load');
  const reloaded = async () => (await it.operator.status()).reload?.refused?.code;

  await it.map('turned', mapping('turned'));
  it.hangup();
  await until(async () => (await reloaded()) === 'config.unready', 'the refusal');
  await it.setup();
  it.hangup();
  await loaded(it, 'crm>erp');
  await crm(`update turned set name = 'During' where no = 'C1'`);
  await crm(`delete from turned where no = 'C2'`);
  await crm(`insert into turned (no, name) values ('C10', 'New')`);
  await erp(`update turned set name = 'Ours' where no = 'C3'`);
  await until(async () => (await named(erp, 'C10')) === 'New', 'the feed');
  expect(found((await verify(it)).verdict)).toEqual(['differs erp C3 name']);

  await it.map('turned', settled('turned'));
  it.hangup();
  // Both are read again: what users of the ERP wrote meanwhile counts now.
  await until(async () => (await named(crm, 'C3')) === 'Ours', 'the settling');
  await until(async () => (await verify(it)).code === 0, 'agreement');
  expect(await named(crm, 'C2')).toBeUndefined();
  expect(await named(erp, 'C1')).toBe('During');
  await erp(`update turned set name = 'Both ways' where no = 'C10'`);
  await until(async () => (await named(crm, 'C10')) === 'Both ways');
});

test('in the background', async () => {
  const { erp } = servers;
  await using it = await install('watched', 30);
  await it.stop();
  await it.configure(`${await it.configuration()}verify: {every: 1s, rows_per_second: 2000}\n`);
  await it.start();
  const differences = () => it.metric('carrick_verify_differences{entity="watched"}');
  await until(async () => (await differences()) === 0, 'a pass that finds nothing');
  await erp(`update watched set name = 'Ada' where no = 'C17'`);
  await until(async () => (await differences()) === 1, 'the difference');
});
