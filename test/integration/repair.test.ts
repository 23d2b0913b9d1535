/**
 * Exactly the differences that were planted behind Carrick's back, on both sides and of all kinds,
 * are found while users write elsewhere; a repair removes them; afterwards all agree.
 */
import { expect, test } from 'vitest';
import type { RepairReport } from '../../src/cli/repair.ts';
import type { Verdict } from '../../src/observe/comparison.ts';
import { type Installation, openInstallation, serversOfFile, until } from './installation.ts';

const servers = serversOfFile();

/** `REPAIR_ROWS=1000000 npx vitest run test/integration/repair.test.ts` for more. */
const ROWS = Number(process.env.REPAIR_ROWS ?? 6_000);
const MINUTES = Math.max(3, ROWS / 20_000);

const FIELDS = `
  no: {type: string(20), required: true}
  name: {type: string, pii: true}
  credit: "decimal(12,2)"
  tier: {type: enum, values: [standard, gold]}
  seen: timestamp`;
const CRM = `{no: no, name: name, credit: credit, seen: seen, tier: tier}`;
const ERP = `no: no
      name: {column: name, clean: [trim]}
      credit: credit
      seen: seen
      tier: {column: tier, values: {S: standard, G: gold}}`;

const mapping = (table: string, where = ''): string => `
entity: ${table}
match: [[no]]
fields: ${FIELDS}
systems:
  crm:
    table: public.${table}
    key: id
    fields: ${CRM}
  erp:
    table: ${table}
    key: id
    ${where}
    fields:
      ${ERP}
conflicts: [{fields: [credit], max: true}, {prefer: erp}]
first_contact: {prefer: crm}
`;

async function install(table: string, rows: number, where?: string): Promise<Installation> {
  const { crm, erp } = servers;
  await crm(`create table ${table} (id bigint generated always as identity primary key,
    no varchar(20) unique not null, name text, credit numeric(10,2), tier text,
    seen timestamptz)`);
  await erp(`create table ${table} (id bigint auto_increment primary key,
    no varchar(20) unique not null, name varchar(60), credit decimal(12,2), tier char(1),
    seen timestamp(3) null)`);
  // Both sides are there already: the first load has to write nothing.
  await crm(`insert into ${table} (no, name, credit, tier, seen)
    select 'C' || n, case when n % 9 = 0 then null when n % 50 = 0 then 'Jos' || chr(233) || n
        else 'Name ' || n end, n + 0.5, case when n % 2 = 0 then 'gold' else 'standard' end,
      case when n % 3 = 0 then null
        else '2026-01-01 00:00:00.5Z'::timestamptz + n * interval '1 s' end
    from generate_series(1, ${rows}) n`);
  await erp(`insert into ${table} (no, name, credit, tier, seen)
    select concat('C', seq), case when seq % 9 = 0 then null
        when seq % 50 = 0 then concat('Jos', char(233 using latin1), seq)
        when seq % 1000 = 1 then concat(' Name ', seq, ' ') else concat('Name ', seq) end,
      seq + 0.5, if(seq % 2 = 0, 'G', 'S'),
      if(seq % 3 = 0, null, timestamp'2026-01-01 00:00:00.5' + interval seq second)
    from seq_1_to_${rows}`);
  const it = await openInstallation(servers);
  await it.map(table, mapping(table, where));
  await it.setup();
  await it.start();
  await until(async () => {
    const { systems } = await it.operator.status();
    return systems.every(({ snapshots, outboxDepth }) => {
      return snapshots.length === 1 && snapshots[0]?.done === true && outboxDepth === 0;
    });
  }, 'the first load');
  return it;
}

/** 100 differences: 50 a side. What the logs do not tell, nobody told Carrick. */
async function plant(table: string): Promise<void> {
  const { crm, erp } = servers;
  await erp('set session sql_log_bin = 0');
  await erp(`update ${table} set name = 'Mallory' where no in (${some(1, 10)})`);
  await erp(`update ${table} set credit = 999999, tier = 'G' where no in (${some(2, 10)})`);
  await erp(`update ${table} set seen = null, name = 'Nobody' where no in (${some(4, 10)})`);
  await erp(`delete from ${table} where no in (${some(5, 10)})`);
  await erp(`insert into ${table} (no, name, tier) select concat('E', seq), 'New', 'S'
    from seq_1_to_10`);
  await erp('set session sql_log_bin = 1');
  const [[publication] = []] = await crm(
    `select pubname from pg_publication_tables where tablename = '${table}'`,
  );
  // PostgreSQL writes everything into its log; what is not published stays there.
  await crm(`alter publication ${publication} drop table ${table}`);
  await crm(`update ${table} set name = 'Trudy' where no in (${some(101, 10)})`);
  await crm(`update ${table} set credit = -1 where no in (${some(102, 10)})`);
  await crm(`update ${table} set tier = null where no in (${some(104, 10)})`);
  await crm(`delete from ${table} where no in (${some(105, 10)})`);
  await crm(`insert into ${table} (no, name, tier) select 'P' || n, 'New', 'gold'
    from generate_series(1, 10) n`);
  await crm(`alter publication ${publication} add table ${table}`);
}

/** `count` numbers from `first` on, over the first 3,000 rows. */
const some = (first: number, count: number): string =>
  Array.from({ length: count }, (_, i) => `'C${first + 200 * i}'`).join(', ');

/** Users who write where nothing was planted, until told to stop. */
function users(table: string): { stop(): Promise<void> } {
  let stopped = false;
  const { crm, erp } = servers;
  const work = (async () => {
    for (let n = 10; !stopped; n = n + 20 > ROWS ? 10 : n + 20) {
      await crm(`update ${table} set credit = credit + 1 where no = 'C${n}'`);
      await erp(`update ${table} set name = 'Written ${n}' where no = 'C${n + 1}'`);
    }
  })();
  return {
    async stop() {
      stopped = true;
      await work;
    },
  };
}

async function verify(it: Installation): Promise<Verdict> {
  const { out, err } = await it.cli('verify', '--json');
  if (out === '') throw new Error(err);
  return JSON.parse(out) as Verdict;
}

const kindsOf = ({ differences }: Verdict): Record<string, number> => {
  const kinds: Record<string, number> = {};
  for (const { system, kind } of differences) {
    const name = `${system} ${kind}`;
    kinds[name] = (kinds[name] ?? 0) + 1;
  }
  return kinds;
};

/** Rows that are not the same in both, as text. */
const apart = async (table: string): Promise<string[]> => {
  const spelled = (rows: (string | null)[][]) => rows.map((row) => row.map(String).join('|'));
  const crm = await servers.crm(`select no, trim(name), credit, left(upper(tier), 1)
    from ${table} order by no collate "C"`);
  const erp = await servers.erp(`select no, trim(name), credit, tier
    from ${table} order by binary no`);
  const [a, b] = [new Set(spelled(crm)), new Set(spelled(erp))];
  return [...a.symmetricDifference(b)];
};

test('the planted hundred, while users write, until they are repaired', {
  timeout: MINUTES * 60_000,
}, async () => {
  await using it = await install('planted', ROWS);
  const before = await verify(it);
  expect([before.found, before.checked]).toEqual([0, 2 * ROWS]);
  expect(before.compared).toEqual([{ entity: 'planted', by: 'digests', why: null }]);
  await plant('planted');
  const writing = users('planted');
  const verdict = await verify(it);
  expect([verdict.found, kindsOf(verdict)]).toEqual([
    100,
    {
      ...{ 'erp differs': 30, 'erp missing': 10, 'erp extra': 10 },
      ...{ 'crm differs': 30, 'crm missing': 10, 'crm extra': 10 },
    },
  ]);
  const foreseen = await it.cli('repair', '--from', 'crm', '--dry-run', '--json');
  const dry = JSON.parse(foreseen.out) as RepairReport;
  expect([foreseen.code, dry.found, dry.left]).toEqual([1, 100, null]);
  const counts = {
    ...{ 'erp update': 60, 'erp insert': 20, 'erp delete': 20 },
  };
  expect(dry.counts).toEqual(counts);
  expect((await verify(it)).found).toBe(100);
  const { code, out, err } = await it.cli('repair', '--from', 'crm', '--json');
  const report = JSON.parse(out) as RepairReport;
  expect([code, err, report.found, report.left]).toEqual([0, '', 100, 0]);
  expect([report.counts, report.open, report.parked]).toEqual([counts, 0, {}]);
  await writing.stop();
  expect((await verify(it)).found).toBe(0);
  // What the users wrote last may still be on its way.
  await until(async () => (await verify(it)).leftOut === 0, 'nothing is left out');
  // What lost stands in the journal, and can be had back.
  const entries = await it.operator.conflicts({ entity: 'planted', limit: 1000, personal: true });
  const repaired = entries.filter(({ kind }) => kind === 'repair');
  expect(new Set(repaired.map(({ policy }) => policy))).toEqual(new Set(['repair, prefer: crm']));
  const mallory = repaired.find(({ incoming }) => incoming.values?.[0] === 'Mallory');
  await it.operator.resolve(mallory?.id ?? 0, { take: 'erp' });
  await until(async () => {
    const rows = await servers.crm(`select count(*) from planted where name = 'Mallory'`);
    return rows[0]?.[0] === '1';
  }, 'the loser is restored');
  await until(async () => (await verify(it)).found === 0);
  await until(async () => (await apart('planted')).length === 0, 'the same in both');
});

test('row by row where there are no digests, and by policy', { timeout: 180_000 }, async () => {
  const rows = 3000;
  await using it = await install('policy', rows, `where: "no != 'hidden'"`);
  await plant('policy');
  const verdict = await verify(it);
  expect([verdict.found, verdict.compared]).toEqual([
    100,
    [{ entity: 'policy', by: 'rows', why: 'erp: its rows are chosen by `where`' }],
  ]);
  const { code, out } = await it.cli('repair', 'policy', '--by-policy', '--json');
  const report = JSON.parse(out) as RepairReport;
  expect([code, report.found, report.left, report.open]).toEqual([0, 100, 0, 0]);
  expect(await apart('policy')).toEqual([]);
  const value = async (no: string) =>
    (await servers.erp(`select name, credit, tier from policy where no = '${no}'`))[0];
  // The ERP is preferred, but the larger credit stands; deletes lose against what was there.
  expect(await value('C1')).toEqual(['Mallory', '1.50', 'S']);
  expect(await value('C102')).toEqual(['Name 102', '102.50', 'G']);
  expect(await value('C5')).toEqual(['Name 5', '5.50', 'S']);
  expect(await value('P1')).toEqual(['New', null, 'G']);
});
