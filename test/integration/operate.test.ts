/** Everyday operation of a running daemon: pauses, the log level, a bundle for those who help. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { scratchFolder } from '../support/index.ts';
import { type Installation, openInstallation, serversOfFile, until } from './installation.ts';

const servers = serversOfFile();

const mapping = (entity: string): string => `
entity: ${entity}
match: [[no]]
fields:
  no: {type: string(20), required: true}
  name: {type: string(30), pii: true}
  credit: integer
systems:
  crm: {table: public.${entity}, key: id, fields: {no: no, name: name, credit: credit}}
  erp: {table: ${entity}, key: no, fields: {no: no, name: name, credit: credit}}
first_contact: {prefer: crm}
`;

async function install(entity: string, urls = servers.urls): Promise<Installation> {
  const it = await openInstallation({ urls });
  for (const one of [entity, `${entity}_other`]) {
    const columns = 'name varchar(40), credit int';
    await servers.crm(
      `create table ${one} (id bigint generated always as identity primary key,
        no varchar(20) unique not null, ${columns})`,
    );
    await servers.erp(`create table ${one} (no varchar(20) primary key, ${columns},
      constraint little check (credit < 1000))`);
    await servers.crm(`insert into ${one} (no, name) values ('C1', 'one'), ('C2', 'two')`);
    await it.map(one, mapping(one));
  }
  await it.setup();
  await it.start();
  await until(() => agree(entity), 'the first load');
  await until(() => agree(`${entity}_other`), 'the first load');
  return it;
}

async function agree(table: string): Promise<boolean> {
  const of = async (name: 'crm' | 'erp') =>
    JSON.stringify(await servers[name](`select no, name from ${table} order by no`));
  const crm = await of('crm');
  return crm === (await of('erp')) && crm !== '[]';
}

const set = (name: 'crm' | 'erp', table: string, no: string, value: string) =>
  servers[name](`update ${table} set name = '${value}' where no = '${no}'`);
const nameIn = async (name: 'crm' | 'erp', table: string, no: string) =>
  (await servers[name](`select name from ${table} where no = '${no}'`))[0]?.[0];
const outboxOf = async ({ operator }: Installation, system: string) =>
  (await operator.status()).systems.find((one) => one.system === system)?.outboxDepth;

test('a paused system gets nothing and is read on, also after a restart', async () => {
  const table = 'paused_system';
  await using it = await install(table);
  expect(await it.operator.pause('erp')).toMatchObject([{ kind: 'system', name: 'erp' }]);
  await set('crm', table, 'C1', 'first');
  await set('crm', table, 'C1', 'second');
  await set('erp', table, 'C2', 'from the ERP');
  await until(async () => (await nameIn('crm', table, 'C2')) === 'from the ERP', 'the way back');
  await until(async () => (await outboxOf(it, 'erp')) === 1, 'the delivery that waits');
  expect(await it.metric('carrick_paused_seconds{system="erp",entity=""}')).toBeGreaterThan(0);
  expect((await it.cli('status')).out).toMatch(/system +erp/);
  await it.stop();
  await it.start();
  await set('crm', table, 'C2', 'after the restart');
  await until(async () => (await outboxOf(it, 'erp')) === 2, 'the next delivery');
  expect(await nameIn('erp', table, 'C1')).toBe('one');
  expect(await it.operator.resume('erp')).toEqual([]);
  await until(() => agree(table), 'agreement');
  expect(await nameIn('erp', table, 'C1')).toBe('second');
  expect(await it.metric('carrick_paused_seconds{system="erp",entity=""}')).toBeUndefined();
});

test('of a paused entity nothing is delivered, of others everything', async () => {
  const table = 'paused_entity';
  await using it = await install(table);
  await it.stop();
  // Without a daemon the ledger takes it.
  expect((await it.cli('pause', table)).code).toBe(0);
  await it.start();
  await set('crm', table, 'C1', 'waits');
  await set('erp', table, 'C2', 'waits too');
  await set('crm', `${table}_other`, 'C1', 'goes on');
  await until(() => agree(`${table}_other`), 'the other entity');
  await until(async () => (await outboxOf(it, 'crm')) === 1, 'the delivery that waits');
  expect(await nameIn('erp', table, 'C1')).toBe('one');
  expect(await nameIn('crm', table, 'C2')).toBe('two');
  await expect(it.operator.pause('nobody')).rejects.toMatchObject({ code: 'operator.unknown' });
  expect((await it.cli('resume')).out).toContain('nothing is paused');
  await until(() => agree(table), 'agreement');
});

test('the log level of the running daemon, to and fro', async () => {
  await using it = await install('levels');
  expect(await it.operator.logLevel(null)).toBe('error');
  expect((await it.cli('log-level', 'warn')).out).toBe('warn');
  expect(await it.operator.logLevel('error')).toBe('error');
  await it.stop();
  await expect(it.operator.logLevel('debug')).rejects.toMatchObject({
    code: 'operator.unreachable',
  });
});

test('the support bundle has everything but secrets, keys and values', async () => {
  const table = 'bundled';
  const secret = 'plantedpassword';
  await servers.crm(`create role bundler superuser login password '${secret}'`);
  await servers.erp(`create user bundler@'%' identified by '${secret}'`);
  await servers.erp(`grant all on *.* to bundler@'%' with grant option`);
  const withSecret = (text: string): string => {
    const url = new URL(text);
    url.username = 'bundler';
    url.password = secret;
    return url.href;
  };
  const { crm, erp } = servers.urls;
  await using it = await install(table, { crm: withSecret(crm), erp: withSecret(erp) });
  await it.operator.logLevel('debug');
  // Refused by the ERP, parked; and a row that does not fit is parked with its cells.
  await servers.crm(
    `insert into ${table} (no, name, credit) values ('KEY77', 'Ada Planted', 5000)`,
  );
  await set('crm', table, 'C1', 'Grace Planted');
  await servers.erp(`insert into ${table} (no, name) values ('KEY78', repeat('Planted', 5))`);
  await until(async () => {
    const { parked } = await it.operator.status();
    return parked.refused === 1 && parked.invalid === 1;
  }, 'what is parked');
  const own = await it.configuration();
  await it.configure(
    `${own.replace(/url: "[^"]*CRM_URL[^"]*"/, `url: ${JSON.stringify(withSecret(crm))}`)}
api_token: ${secret}token
`,
  );
  await until(async () => (await it.cli('status')).code === 0, 'the token that the files now say');
  const file = join(await scratchFolder('bundle'), 'bundle.json');
  const { code, out, err } = await it.cli('support-bundle', '-o', file);
  expect(`${out}${err}`).toBe(`written to ${file}`);
  expect(code).toBe(0);
  const text = await readFile(file, 'utf8');
  expect(text).not.toMatch(/planted|KEY7/i);
  const bundle = JSON.parse(text);
  expect(Object.keys(bundle)).toEqual(['made', 'config', 'mappings', 'preflight', 'daemon']);
  expect(bundle.config.systems).toMatchObject({
    crm: { connector: 'postgres', url: '***' },
    erp: { connector: 'mysql', url: expect.stringMatching(/^\$\{ERP_URL\}$/) },
  });
  expect(bundle.config.api_token).toBe('***');
  expect(Object.values(bundle.mappings).join('')).toContain(`entity: ${table}`);
  expect(Object.keys(bundle.preflight)).toEqual(['crm', 'erp']);
  expect(bundle.daemon.status.parked).toEqual({ invalid: 1, refused: 1 });
  expect(bundle.daemon.metrics).toContain('carrick_parked_items');
  const events = bundle.daemon.events.map(({ event }: { event: string }) => event);
  expect(events).toEqual(expect.arrayContaining(['parked.delivery', 'parked.row']));
});
