/** Encrypted connections to real servers, whose certificates are good, wrong, expired, unknown. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectors } from '../../connectors/registry.ts';
import { CarrickError } from '../../src/errors.ts';
import {
  type Authority,
  erpProduct,
  makeAuthority,
  mariadbReplacement,
  mysqlClient,
  pgClient,
  postgresReplacement,
  scratchFolder,
  startMariadb,
  startPostgres,
  type TestServer,
} from '../support/index.ts';
import { runTool } from '../support/process.ts';

let ours: Authority;
let theirs: Authority;
beforeAll(async () => {
  [ours, theirs] = await Promise.all([makeAuthority(), makeAuthority()]);
});

/** Reaches this machine, and is no address that a program may take for local. */
const REMOTE = '0.0.0.0';

interface Encrypted extends AsyncDisposable {
  readonly type: 'postgres' | 'mysql';
  readonly ca: string;
  readonly client: readonly [cert: string, key: string];
  readonly anyName: string;
  readonly off: string;
  /** The address of the server, `more` behind the question mark. */
  url(more: string, host?: string): string;
  /** From now on the server shows this certificate. */
  show(names: string, by?: Authority, options?: { expired: boolean }): Promise<void>;
  askClients(): Promise<void>;
}

/** Where the server looks for its own; what is shown is copied over it. */
async function files(): Promise<{ cert: string; key: string }> {
  const folder = await scratchFolder('shown');
  const { cert, key } = await ours.issue(`IP:${REMOTE}`);
  const shown = { cert: join(folder, 'server.pem'), key: join(folder, 'server-key.pem') };
  // As the account of the server, which the key must belong to.
  await replace(shown, { cert, key });
  return shown;
}

async function replace(
  shown: { cert: string; key: string },
  next: { cert: string; key: string },
): Promise<void> {
  for (const name of ['cert', 'key'] as const) await runTool(['cp', next[name], shown[name]], '/');
}

async function postgres(): Promise<Encrypted> {
  const shown = await files();
  const server = await startPostgres({
    settings: {
      listen_addresses: '*',
      ssl: 'on',
      ssl_cert_file: shown.cert,
      ssl_key_file: shown.key,
      ssl_ca_file: ours.ca,
    },
  });
  const run = async (sql: string): Promise<void> => {
    await using client = await pgClient(server.url);
    await client.query(sql);
  };
  return {
    type: 'postgres',
    ca: 'sslrootcert',
    client: ['sslcert', 'sslkey'],
    anyName: 'sslmode=verify-ca',
    off: 'sslmode=disable',
    url: urlOf(server),
    async show(names, by = ours, options) {
      await replace(shown, await by.issue(names, options));
      await run('select pg_reload_conf()');
    },
    async askClients() {
      const hba = join(server.dataDir ?? '', 'pg_hba.conf');
      const rules = await readFile(hba, 'utf8');
      const rule = 'hostssl all carrick_tls 127.0.0.1/32 scram-sha-256 clientcert=verify-ca\n';
      await writeFile(hba, `${rule}host all carrick_tls 127.0.0.1/32 reject\n${rules}`);
      await run(`create role carrick_tls superuser login password 'secret'`);
      await run('select pg_reload_conf()');
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

async function mysql(): Promise<Encrypted> {
  const shown = await files();
  const server = await startMariadb({
    settings: {
      'bind-address': '0.0.0.0',
      'ssl-cert': shown.cert,
      'ssl-key': shown.key,
      'ssl-ca': ours.ca,
    },
  });
  const run = async (sql: string): Promise<void> => {
    const client = await mysqlClient(server.url);
    await client.query(sql);
    await client.end();
  };
  return {
    type: 'mysql',
    ca: 'ssl-ca',
    client: ['ssl-cert', 'ssl-key'],
    anyName: 'ssl-mode=VERIFY_CA',
    off: 'ssl-mode=DISABLED',
    url: urlOf(server),
    async show(names, by = ours, options) {
      await replace(shown, await by.issue(names, options));
      await run((await erpProduct()) === 'MySQL' ? 'ALTER INSTANCE RELOAD TLS' : 'FLUSH SSL');
    },
    async askClients() {
      await run(`CREATE USER carrick_tls@'%' IDENTIFIED BY 'secret' REQUIRE X509`);
      await run(`GRANT ALL ON *.* TO carrick_tls@'%' WITH GRANT OPTION`);
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

const urlOf =
  (server: TestServer): Encrypted['url'] =>
  (more, host = REMOTE) => {
    const url = new URL(server.url);
    url.hostname = host;
    return `${url.href}${more === '' ? '' : `?${more}`}`;
  };

const asClient = (url: string): string => {
  const as = new URL(url);
  as.username = 'carrick_tls';
  as.password = 'secret';
  return as.href;
};

/** What comes of reaching a system by its URL, on all its ways: null, or what went wrong. */
async function reach(type: string, url: string): Promise<CarrickError | null> {
  const connector = await connectors[type]?.();
  if (connector === undefined) throw new Error(`no connector ${type}`);
  const parsed = connector.parse({ url });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  const context = { system: 'it', instance: 'tls' };
  await using system = connector.connect(parsed.options, context);
  try {
    await system.setup({ tables: [] });
    await using source = await system.source([]);
    const start = await source.start();
    for await (const _ of source.tail(start)) break;
    await using applier = await system.applier();
    await applier.committed();
    return null;
  } catch (error) {
    if (error instanceof CarrickError) return error;
    throw error;
  }
}

/** A server that somebody else runs has certificates of its own. */
const isOurs = postgresReplacement() === undefined && mariadbReplacement() === undefined;

describe.skipIf(!isOurs).each([
  ['PostgreSQL', postgres],
  ['MariaDB or MySQL', mysql],
] as const)('%s', (_, start) => {
  let server: Encrypted;
  beforeAll(async () => {
    server = await start();
  });
  afterAll(() => server?.[Symbol.asyncDispose]());
  const refusal = (url: string) => reach(server.type, url);
  const trusting = (...more: string[]) => [`${server.ca}=${ours.ca}`, ...more].join('&');

  test('is verified, name included, unless told otherwise, wherever it is not local', async () => {
    expect(await refusal(server.url(trusting()))).toBeNull();
    expect(await refusal(server.url(''))).toMatchObject({
      code: 'source.untrusted',
      disposition: 'retry',
      message: expect.stringContaining('no authority that is trusted'),
      fix: expect.stringContaining(`${server.ca}=`),
    });
    expect(await refusal(server.url(server.off))).toBeNull();
    // On this machine nothing is asked for, and what is asked for is done.
    expect(await refusal(server.url('', '127.0.0.1'))).toBeNull();
  });

  test('an address or a name is only taken from a certificate that has it', async () => {
    await server.show('DNS:localhost,DNS:other.example,IP:127.0.0.9');
    const error = await refusal(server.url(trusting()));
    expect(error).toMatchObject({
      code: 'source.untrusted',
      message: expect.stringContaining('another name'),
      fix: expect.stringContaining(server.anyName),
    });
    expect(await refusal(server.url(trusting(server.anyName)))).toBeNull();
    const full = server.type === 'postgres' ? 'sslmode=verify-full' : 'ssl-mode=VERIFY_IDENTITY';
    expect(await refusal(server.url(trusting(full), 'localhost'))).toBeNull();
    await server.show('DNS:other.example');
    expect((await refusal(server.url(trusting(full), 'localhost')))?.message).toContain('name');
  });

  test('an expired certificate, and one of another authority', async () => {
    await server.show(`IP:${REMOTE}`, ours, { expired: true });
    expect(await refusal(server.url(trusting()))).toMatchObject({
      code: 'source.untrusted',
      message: expect.stringContaining('expired'),
      fix: expect.stringContaining('Renew'),
    });
    await server.show(`IP:${REMOTE}`, theirs);
    expect((await refusal(server.url(trusting())))?.message).toContain('no authority');
    const required = server.type === 'postgres' ? 'sslmode=require' : 'ssl-mode=REQUIRED';
    expect(await refusal(server.url(required))).toBeNull();
    await server.show(`IP:${REMOTE}`);
    expect(await refusal(server.url(trusting()))).toBeNull();
  });

  test('a client certificate where the server asks for one', async () => {
    await server.askClients();
    const error = await refusal(asClient(server.url(trusting())));
    expect(`${error?.message} ${error?.fix}`).toMatch(/client certificate/);
    expect(error?.fix).toContain(server.client[0]);
    const client = async (by: Authority) => {
      const { cert, key } = await by.issue('DNS:carrick');
      const [certKey, keyKey] = server.client;
      return asClient(server.url(trusting(`${certKey}=${cert}`, `${keyKey}=${key}`)));
    };
    expect(await refusal(await client(ours))).toBeNull();
    expect(await refusal(await client(theirs))).not.toBeNull();
  });

  test('a file that is not there, and a mode that protects from nobody', async () => {
    const connector = await connectors[server.type]?.();
    const problems = (more: string) => {
      const parsed = connector?.parse({ url: server.url(more) });
      return parsed?.ok === false ? parsed.problems.map(({ message }) => message).join() : '';
    };
    expect(problems(`${server.ca}=/nowhere/ca.pem`)).toContain('cannot be read (ENOENT)');
    expect(problems(`${server.client[0]}=${ours.ca}`)).toContain('go together');
    expect(problems(`${server.off.split('=')[0]}=prefer`)).toContain('is none of');
  });
});

test.skipIf(!isOurs)('a server that speaks no TLS is refused where it is not local', async () => {
  await using server = await startPostgres({ settings: { listen_addresses: '*' } });
  const error = await reach('postgres', urlOf(server)(''));
  expect(error).toMatchObject({
    code: 'source.untrusted',
    message: expect.stringContaining('no TLS'),
    fix: expect.stringContaining('sslmode=disable'),
  });
  await using erp = await startMariadb({ settings: { 'bind-address': '0.0.0.0', ssl: '0' } });
  expect((await reach('mysql', urlOf(erp)('')))?.message).toContain('no TLS');
});
