/**
 * Secrets and personal values are planted, all that can go wrong with them goes wrong, and whatever
 * Carrick prints, serves, logs or keeps is searched for them.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runCommandLine } from '../../src/cli/cli.ts';
import { jsonSchema, loadComposition } from '../../src/compose.ts';
import { freePort, scratchFolder } from '../support/index.ts';
import { serversOfFile, until } from './installation.ts';

const servers = serversOfFile();

const secret = () => randomBytes(32).toString('base64');
const SECRETS = {
  crmPassword: 'Hunter2-of-the-crm',
  erpPassword: 'Hunter2-of-the-erp',
  apiToken: 'token-that-nobody-may-see',
  ledgerKey: secret(),
  hashKey: secret(),
};
/** In every case and spelling that the systems hold. */
const PERSONAL = [
  ...['lovelace', 'byron', 'babbage', 'somerville', 'menabrea', 'herschel'],
  ...['+44 20 7946', '555-0199'],
];
const SEARCHED = [...Object.values(SECRETS), ...PERSONAL].map((text) => text.toLowerCase());

const inText = (text: string): string[] => {
  const lower = text.toLowerCase();
  return SEARCHED.filter((planted) => lower.includes(planted));
};

const MAPPING = `
entity: person
match: [[no], [mail]]
fields:
  no: {type: string(20), required: true}
  mail: {type: string(40), pii: true}
  name: {type: string(40), pii: true}
  phone: {type: string, pii: true}
  city: string
systems:
  crm:
    table: public.people
    key: id
    fields:
      no: no
      mail: {column: mail, clean: [trim, lower]}
      name: {get: "first + ' ' + last", set: {first: "before(name, ' ')", last: "after(name, ' ')"}}
      phone: phone
      city: city
  erp:
    table: people
    key: mail
    fields:
      {no: no, mail: mail, name: name, phone: {column: phone, privacy: hash}, city: city}
conflicts: [{fields: [name], park: true}]
first_contact: {prefer: crm}
`;

const LETTER = `
entity: letter
match: [[no]]
fields:
  no: {type: string(20), required: true}
  to: {ref: person, pii: true}
  text: {type: string, pii: true}
systems:
  crm: {table: public.letters, key: id, fields: {no: no, to: person_id, text: body}}
  erp: {table: letters, key: id, fields: {no: no, to: mail, text: body}}
`;

async function makeTables(): Promise<void> {
  const { crm, erp } = servers;
  await crm(`create role planted superuser login password '${SECRETS.crmPassword}'`);
  await erp(`create user planted identified by '${SECRETS.erpPassword}'`);
  await erp('grant all on *.* to planted');
  await crm(`create table people (id bigint generated always as identity primary key,
    no varchar(20) unique not null, mail text, first text, last text, phone text, city text)`);
  await erp(`create table people (mail varchar(80) primary key, no varchar(20) unique not null,
    name varchar(80), phone varchar(64), city varchar(20))`);
  await crm(`create table letters (id bigint generated always as identity primary key,
    no varchar(20) unique not null, person_id bigint, body text)`);
  await erp(`create table letters (id bigint auto_increment primary key,
    no varchar(20) unique not null, mail varchar(80), body varchar(200) unique)`);
  await erp(`create trigger watched before insert on people for each row begin
    if new.name like '%Herschel%' then
      signal sqlstate '45000'
        set message_text = 'Caroline Herschel may not buy', mysql_errno = 1062;
    end if; end`);
  await crm(`create function forbid() returns trigger language plpgsql as $$ begin
    raise exception 'Ada Byron is blocked: %', new.last using errcode = 'unique_violation';
    end $$`);
  await crm(`create trigger forbidden before update on people for each row
    when (new.last = 'Byron') execute function forbid()`);
  await crm(`insert into people (no, mail, first, last, phone, city) values
    ('1', 'Ada@Lovelace.test', 'Ada', 'Lovelace', '+44 20 7946 0001', 'London'),
    ('2', 'charles@babbage.test', 'Charles', 'Babbage', '+44 20 7946 0002', 'London'),
    ('3', 'mary@somerville.test', 'Mary', 'Somerville', '555-0199', 'Jedburgh')`);
  await crm(`insert into letters (no, person_id, body) values ('L1', 1, 'Dear Lovelace')`);
}

/** Each provokes another way to hold values: a conflict, parked rows, refused writes, an echo. */
async function provoke(): Promise<void> {
  const { crm, erp } = servers;
  const fail = () => undefined;
  // Both at once: the conflict waits for a person, with both values.
  await crm(`update people set last = 'Menabrea' where no = '1'`);
  await erp(`update people set name = 'Ada Somerville' where no = '1'`);
  // Longer than the mapping lets through.
  await crm(`update people set mail = 'mary.${'x'.repeat(40)}@somerville.test' where no = '3'`);
  // What a trigger says of it.
  await crm(`insert into people (no, mail, first, last) values
    ('4', 'caroline@herschel.test', 'Caroline', 'Herschel')`);
  await erp(`update people set name = 'Ada Byron' where no = '2'`).catch(fail);
  // A unique violation that no guard foresees.
  await erp(`insert into letters (no, mail, body) values ('L9', null, 'Dear Babbage')`);
  await crm(`insert into letters (no, person_id, body) values ('L2', 2, 'Dear Babbage')`);
  // It refers to a row that is not there, by a personal key.
  await erp(
    `insert into letters (no, mail, body) values ('L3', 'nobody@byron.test', 'Dear Byron')`,
  );
}

interface Daemon extends AsyncDisposable {
  /** Everything that it printed. */
  printed(): string;
  stop(): Promise<void>;
}

const PROGRAM = join(import.meta.dirname, '../../src/main.ts');

function startDaemon(config: string, env: NodeJS.ProcessEnv): Daemon {
  const child: ChildProcess = spawn(process.execPath, [PROGRAM, 'run', '--config', config], {
    env: { ...env, CARRICK_DEBUG: '1' },
  });
  const chunks: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => void chunks.push(chunk));
  }
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await ended;
  };
  return {
    printed: () => Buffer.concat(chunks).toString('utf8'),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

async function configure(folder: string, url: string, password = SECRETS.erpPassword) {
  const config = join(folder, 'carrick.yaml');
  const withLogin = (of: string, word: string): string => {
    const login = new URL(of);
    [login.username, login.password] = ['planted', word];
    return login.href;
  };
  await writeFile(join(folder, 'person.map.yaml'), MAPPING);
  await writeFile(join(folder, 'letter.map.yaml'), LETTER);
  await writeFile(join(folder, 'token'), `${SECRETS.apiToken}\n`);
  await writeFile(
    config,
    `systems:
  crm: {connector: postgres, url: "\${CRM_URL}"}
  erp: {connector: mysql, url: "\${ERP_URL}"}
mappings: ['*.map.yaml']
ledger: sqlite:./carrick.db
ledger_key: "\${CARRICK_LEDGER_KEY}"
hash_key: ${SECRETS.hashKey}
api_token: file:./token
listen: ${url.slice('http://'.length)}
log_level: debug
`,
  );
  const env = {
    ...process.env,
    CRM_URL: withLogin(servers.urls.crm, SECRETS.crmPassword),
    ERP_URL: withLogin(servers.urls.erp, password),
    CARRICK_LEDGER_KEY: SECRETS.ledgerKey,
  };
  return { config, env };
}

/** One command: its exit code and all that it printed. */
async function carrick(config: string, env: NodeJS.ProcessEnv, ...argv: string[]) {
  const printed: string[] = [];
  const code = await runCommandLine([...argv, '--config', config], {
    compose: { load: loadComposition, schema: jsonSchema },
    env: { ...env, CARRICK_DEBUG: '1' },
    out: (text) => void printed.push(text),
    err: (text) => void printed.push(text),
    terminal: false,
    colours: false,
    columns: 200,
    now: () => Date.now() * 1000,
    stopOnSignal: () => new AbortController().signal,
    onHangup: () => {},
  });
  return { code, text: printed.join('\n') };
}

const COMMANDS: readonly (readonly string[])[] = [
  ['check'],
  ['check', '--offline'],
  ['setup', '--print'],
  ['status'],
  ['conflicts', 'list'],
  ['conflicts', 'show', 'ID'],
  ['parked', 'list'],
  ['explain', 'person', '1'],
  ['explain', 'person', '2'],
  ['explain', 'letter', 'L1'],
  ['explain', 'person', 'nobody'],
  ['verify', 'person'],
  ['plan', 'person'],
  ['support-bundle'],
  ['log-level'],
  ['schema'],
  ['healthcheck'],
];

async function post(url: string, method: string, body: unknown, token: string): Promise<string> {
  const response = await fetch(`${url}/api/${method}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify(body),
  });
  return `${response.status} ${await response.text()}`;
}

const get = async (url: string, path: string): Promise<string> =>
  (await fetch(`${url}${path}`)).text();

test('neither secrets nor personal values are in anything that is printed, served or kept', {
  timeout: 240_000,
}, async () => {
  await makeTables();
  const folder = await scratchFolder('personal');
  const url = `http://127.0.0.1:${await freePort()}`;
  const { config, env } = await configure(folder, url);
  const api = (method: string, body: unknown) => post(url, method, body, SECRETS.apiToken);
  const found = new Map<string, string[]>();
  const search = (what: string, text: string): string => {
    if (inText(text).length > 0) found.set(what, inText(text));
    return text;
  };

  const setup = await carrick(config, env, 'setup');
  expect(setup.code, setup.text).toBe(0);
  search('setup', setup.text);
  await using daemon = startDaemon(config, env);
  await until(async () => (await servers.erp('select no from letters')).length === 1, 'first load');
  await provoke();
  const reasons = ['invalid', 'refused', 'waiting'];
  await until(async () => {
    const { parked, openConflicts } = JSON.parse((await api('status', {})).slice(4));
    return openConflicts > 0 && reasons.every((reason) => parked[reason] > 0);
  }, 'everything to go wrong');

  const ids = (text: string): number[] =>
    JSON.parse(text.slice(4)).map(({ id }: { id: number }) => id);
  const conflicts = ids(await api('conflicts', { limit: 9, state: 'open' }));
  const parked = ids(await api('parked', { limit: 50 }));
  expect(parked.length).toBeGreaterThan(2);
  const commands = COMMANDS.map((argv) =>
    argv.map((word) => (word === 'ID' ? `${conflicts[0]}` : word)),
  );
  const shows = parked.map((id) => ['parked', 'show', `${id}`]);
  for (const argv of [...commands, ...shows, ['parked', 'retry', ...parked.map(String)]]) {
    for (const json of argv[0] === 'verify' ? [[]] : [[], ['--json']]) {
      const { text } = await carrick(config, env, ...argv, ...json);
      search([...argv, ...json].join(' '), text);
    }
  }
  for (const path of ['/metrics', '/healthz', '/readyz', '/nothing'])
    search(path, await get(url, path));
  const bodies: [string, unknown][] = [
    ['status', {}],
    ['conflicts', { limit: 50 }],
    ['parked', { limit: 50 }],
    ['explain', { entity: 'person', key: '1' }],
    ['explain', { entity: 'person', key: '2' }],
    ['verify', { entity: 'person', system: 'erp', part: { kind: 'rows', after: null } }],
    ['verify', { entity: 'letter', system: 'crm', part: { kind: 'records', after: null } }],
    ['support', {}],
    ['conflicts', { limit: 'all' }],
    ['nothing', {}],
  ];
  for (const [method, body] of bodies) search(`/api/${method}`, await api(method, body));
  search('/api without token', await post(url, 'status', {}, 'wrong'));

  // The search can find what it looks for, where it was asked for; and that is logged.
  const shown = await carrick(config, env, 'explain', 'person', '1', '--show-personal');
  expect(inText(shown.text)).toContain('lovelace');
  expect(inText(await api('parked', { limit: 50, personal: true }))).toContain('byron');
  expect(daemon.printed()).toContain('"event":"personal.shown","method":"explain"');

  search('the ledger while it is open', ledgerBytes(folder));
  const resolved = await carrick(
    config,
    env,
    'conflicts',
    'resolve',
    `${conflicts[0]}`,
    '--take',
    'crm',
  );
  expect(resolved.code).toBe(0);
  search('resolve', resolved.text);
  search('forget', (await carrick(config, env, 'forget', 'person', '3')).text);
  // Phones go to the ERP as hashes, and never come back.
  const [[phone] = []] = await servers.erp(`select phone from people where no = '1'`);
  expect(phone).toMatch(/^[0-9a-f]{64}$/);
  const [[mine] = []] = await servers.crm(`select phone from people where no = '1'`);
  expect(mine).toBe('+44 20 7946 0001');

  const wrong = await configure(folder, url, 'Hunter2-of-the-erp-but-wrong');
  search('check with a wrong password', (await carrick(wrong.config, wrong.env, 'check')).text);
  const noKey = { ...env, CARRICK_LEDGER_KEY: 'Hunter2-of-the-erp' };
  search('check with a wrong key', (await carrick(config, noKey, 'check', '--offline')).text);
  await daemon.stop();
  search('the log', daemon.printed());
  search('the ledger', ledgerBytes(folder));
  const other = { ...env, CARRICK_LEDGER_KEY: secret() };
  const refused = await carrick(config, other, 'status');
  expect([refused.code, refused.text]).toEqual([4, expect.stringContaining('ledger.key')]);
  search('status with another key', refused.text);
  search('status without the daemon', (await carrick(config, env, 'status')).text);
  search('parked without the daemon', (await carrick(config, env, 'parked', 'list')).text);
  expect(daemon.printed()).toContain('"level":"debug"');
  expect(Object.fromEntries(found)).toEqual({});
});

const ledgerBytes = (folder: string): string =>
  readdirSync(folder)
    .filter((file) => file.startsWith('carrick.db'))
    .map((file) => readFileSync(join(folder, file), 'latin1'))
    .join('\n');
