/** A daemon that reads its configuration anew while people write: nothing is lost. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { type Installation, openInstallation, serversOfFile, until } from './installation.ts';

const servers = serversOfFile();

const mapping = (table: string, more = ''): string => `
entity: ${table}
match: [[no]]
fields: {no: {type: string(20), required: true}, name: string${more && ', memo: string'}}
systems:
  crm: {table: public.${table}, key: id, fields: {no: no, name: name${more}}}
  erp: {table: ${table}, key: id, fields: {no: no, name: name${more}}}
first_contact: {prefer: crm}
`;
const WITH_MEMO = ', memo: memo';

async function create(table: string): Promise<void> {
  const columns = 'no varchar(20) unique not null, name varchar(60), memo varchar(20)';
  const { crm, erp } = servers;
  await crm(
    `create table ${table} (id bigint generated always as identity primary key, ${columns})`,
  );
  await erp(`create table ${table} (id bigint auto_increment primary key, ${columns})`);
}

async function install(table: string): Promise<Installation> {
  await create(table);
  await servers.crm(`insert into ${table} (no, name, memo)
    select 'C' || n, 'Name ' || n, 'm' || n from generate_series(1, 20) n`);
  const it = await openInstallation(servers);
  await it.map(table, mapping(table));
  await it.setup();
  await it.start();
  await until(() => agree(table, 'no, name'), 'the first load');
  return it;
}

async function agree(table: string, columns: string): Promise<boolean> {
  const of = async (name: 'crm' | 'erp') =>
    JSON.stringify(await servers[name](`select ${columns} from ${table} order by no`));
  const crm = await of('crm');
  return crm === (await of('erp')) && crm !== '[]';
}

const refusal = async ({ operator }: Installation) =>
  (await operator.status()).reload?.refused ?? null;
const readAt = async ({ operator }: Installation) => (await operator.status()).reload?.at ?? 0;

/** People of both systems write until told to stop; every row gets an update of its own. */
function people(table: string) {
  const stop = new AbortController();
  let rows = 0;
  const work = async (): Promise<void> => {
    for (let n = 0; !stop.signal.aborted; n++) {
      const [here, there] = n % 2 === 0 ? (['crm', 'erp'] as const) : (['erp', 'crm'] as const);
      await servers[here](`insert into ${table} (no, name) values ('N${n}', 'made in ${here}')`);
      await servers[there](`update ${table} set name = 'edit ${n}' where no = 'C${(n % 20) + 1}'`);
      rows = n + 1;
      await sleep(20);
    }
  };
  const done = work();
  return async (): Promise<number> => {
    stop.abort();
    await done;
    return rows;
  };
}

const count = async (name: 'crm' | 'erp', table: string) =>
  Number((await servers[name](`select count(*) from ${table}`))[0]?.[0]);

test('mappings that change under writes: new fields are filled, nothing is lost', async () => {
  const table = 'reloaded';
  await using it = await install(table);
  const end = people(table);
  for (let round = 0; round < 3; round++) {
    const before = await readAt(it);
    // The second finds the files as they are: SIGHUP reads them whatever they say.
    if (round !== 1) await it.map(table, mapping(table, round === 0 ? WITH_MEMO : ''));
    it.hangup();
    await until(async () => (await readAt(it)) > before, 'the reload');
    if (round === 0) await until(() => agree(table, 'no, memo'), 'the new field');
  }
  const made = await end();
  await until(() => agree(table, 'no, name'), 'agreement');
  expect(await count('erp', table)).toBe(20 + made);
  expect((await it.operator.status()).parked).toEqual({});
}, 180_000);

test('a changed file is read by itself; a wrong one is refused, and all goes on', async () => {
  const table = 'refused';
  await using it = await install(table);
  const since = await readAt(it);
  await it.map(table, mapping(table).replace('name: string', 'name: sting'));
  await until(async () => (await refusal(it)) !== null, 'the refusal');
  expect(await refusal(it)).toMatchObject({
    code: 'config.invalid',
    message: expect.stringMatching(/refused\.map\.yaml:4:\d+: /),
  });
  expect(await it.metric('carrick_reload_refused')).toBe(1);
  expect(await it.metric('carrick_reloads_total{outcome="refused"}')).toBe(1);
  await servers.crm(`update ${table} set name = 'goes on' where no = 'C1'`);
  await until(() => agree(table, 'no, name'), 'the old mapping at work');

  await it.map(table, mapping(table));
  await until(async () => (await refusal(it)) === null, 'the end of the refusal');
  expect(await readAt(it)).toBe(since);

  await it.map(table, mapping(table, WITH_MEMO));
  await until(async () => (await readAt(it)) > since, 'the reload');
  await until(() => agree(table, 'no, name, memo'), 'the new field');
  expect(await it.metric('carrick_reload_refused')).toBe(0);
});

test('SIGHUP and SIGTERM of a real process, one right after the other', async () => {
  const table = 'signalled';
  await using it = await install(table);
  await it.stop();
  const daemon = it.spawn('run');
  const ended = new Promise((resolve) => daemon.once('exit', resolve));
  await until(async () => (await readAt(it)) > 0, 'the start');
  const before = await readAt(it);
  daemon.kill('SIGHUP');
  await until(async () => (await readAt(it)) > before, 'the reload');
  daemon.kill('SIGTERM');
  expect(await ended).toBe(0);
}, 120_000);

test('a stop that was asked for before the start', async () => {
  await using it = await install('stopped_early');
  await it.stop();
  await it.runStopped();
});

test('what only a restart can change, and what servers are not ready for, is refused', async () => {
  const table = 'unready';
  await using it = await install(table);
  const own = await it.configuration();
  await it.configure(own.replace(/^listen: .*$/m, 'listen: 127.0.0.1:1'));
  it.hangup();
  await until(async () => (await refusal(it))?.code === 'config.fixed', 'the refusal');
  expect((await refusal(it))?.message).toContain('`listen`');

  await it.configure(own);
  await create('unpublished');
  await it.map('unpublished', mapping('unpublished'));
  await until(async () => (await refusal(it))?.code === 'config.unready', 'the refusal');
  expect((await refusal(it))?.message).toContain('unpublished');
  // `setup` makes it ready; the next SIGHUP takes it.
  await it.setup();
  it.hangup();
  await until(async () => (await refusal(it)) === null, 'the reload');
  await servers.erp("insert into unpublished (no, name) values ('U1', 'made in erp')");
  await until(() => agree('unpublished', 'no, name'), 'the new table');
});
