import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { jsonSchema } from '../../src/config/json-schema.ts';
import { type Connectors, loadConfig } from '../../src/config/load.ts';
import { nearest } from '../../src/config/nearest.ts';
import { formatProblems } from '../../src/config/problem.ts';
import { digestNow, digestOf, readText } from '../../src/config/sources.ts';
import { brief } from './mapping-fixture.ts';

const SECRET = 'hunter2-and-more';

const connectors: Connectors = {
  types: ['postgres', 'mysql'],
  parseOptions: async (_type, options) => {
    const { url, ulr } = options as { url?: string; ulr?: string };
    const unknown = { path: ['ulr'], message: 'unknown option "ulr"', known: ['url', 'user'] };
    const missing = { path: ['url'], message: 'missing option "url"' };
    if (ulr !== undefined) return { ok: false, problems: [missing, unknown] };
    if (url?.startsWith('db://')) return { ok: true, options };
    return { ok: false, problems: [{ path: ['url'], message: `no address: ${url}` }] };
  },
};

const MAPPING = `entity: thing
match: [[f]]
fields: {f: string}
systems:
  crm: {table: t, key: id, fields: {f: c}}
`;

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'carrick-config-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

async function load(config: string, env: Record<string, string> = {}) {
  writeFileSync(join(directory, 'carrick.yaml'), config);
  return loadConfig(join(directory, 'carrick.yaml'), env, connectors);
}

async function problems(config: string, env: Record<string, string> = {}): Promise<string[]> {
  const loaded = await load(config, env);
  return loaded.ok ? [] : loaded.problems.map(brief);
}

const write = (name: string, text: string) => writeFileSync(join(directory, name), text);

test('reads the file of the design, with variables, secrets and defaults', async () => {
  write('thing.yaml', MAPPING);
  write('thing.cases.yaml', '[]');
  write('secret', `db://${SECRET}\n`);
  const loaded = await load(
    `systems:
  crm: {connector: postgres, url: "\${CRM_URL}", pool: 3}
  erp: {connector: mysql, url: "file:./secret", name: "\${NOWHERE:-x}"}
mappings: ['*.yaml']
ledger: sqlite:./carrick.db
ledger_limit: 20GiB
journal: {keep: 90d}
`.replace("'*.yaml'", "'thing*.yaml'"),
    { CRM_URL: 'db://crm' },
  );
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  const { systems, mappings, sources, ...rest } = loaded.value;
  expect([...systems]).toEqual([
    ['crm', { connector: 'postgres', options: { url: 'db://crm', pool: 3 } }],
    ['erp', { connector: 'mysql', options: { url: `db://${SECRET}`, name: 'x' } }],
  ]);
  expect(mappings.map(({ value }) => value.entity)).toEqual(['thing']);
  expect(rest).toEqual({
    file: join(directory, 'carrick.yaml'),
    ledger: { kind: 'sqlite', path: join(directory, 'carrick.db'), keys: [] },
    hashKey: null,
    listen: { host: '127.0.0.1', port: 9464 },
    instance: 'main',
    apiToken: null,
    logLevel: 'info',
    journalKeep: 90 * 86_400e6,
    ledgerLimit: 20 * 1024 ** 3,
    loadShare: 1,
    verify: null,
  });
  expect(digestNow(sources)).toBe(digestOf(sources.texts));
  expect([...sources.texts.keys()].map((path) => basename(path)).sort()).toEqual([
    'carrick.yaml',
    'secret',
    'thing.yaml',
  ]);
});

describe('the key of the ledger', () => {
  const CONFIG = `systems: {crm: {connector: postgres, url: "db://crm"}}
mappings: [thing.yaml]
ledger: sqlite:carrick.db
`;
  const personal = MAPPING.replace('{f: string}', '{f: {type: string, pii: true}}');

  test('is needed where a mapping has personal fields, and there alone', async () => {
    write('thing.yaml', MAPPING);
    expect(await problems(CONFIG)).toEqual([]);
    write('thing.yaml', personal);
    expect(await problems(CONFIG)).toEqual([
      expect.stringMatching(/3:1 thing has personal fields \(pii\), and no key seals them/),
    ]);
  });

  test('is one, or a new one and old ones', async () => {
    write('thing.yaml', personal);
    const [one, two] = [1, 2].map((byte) => Buffer.alloc(32, byte));
    write('key', `${two?.toString('base64')}\n`);
    const loaded = await load(`${CONFIG}ledger_key: ["\${KEY}", file:./key]`, {
      KEY: one!.toString('base64'),
    });
    expect(loaded).toMatchObject({ ok: true, value: { ledger: { keys: [one, two] } } });
  });

  test('is not shown when it is wrong', async () => {
    write('thing.yaml', personal);
    const wrong = await problems(`${CONFIG}ledger_key: "\${KEY}"`, { KEY: 'hunter2hunter2' });
    expect(wrong).toEqual([expect.stringContaining('expected 32 bytes in base64')]);
    expect(wrong.join()).not.toContain('hunter2');
  });
});

test('tells every mistake of the file and of its mappings at once', async () => {
  write('thing.yaml', MAPPING.replace('crm:', 'cmr:'));
  write('other.yaml', 'entity: other\nfeilds: {}\n');
  expect(
    await problems(`systems:
  crm: {connector: postgrs, url: "db://x"}
  erp: {connector: mysql, url: "\${ERP_URL}"}
  Oa: {connector: mysql, url: "nonsense"}
  hr: {url: x}
  crm2: {conector: postgres, url: "db://x"}
mapings: []
mappings: [thing.yaml, other.yaml, none/*.yaml]
ledger: carrick.db
listen: "9464"
log_level: infos
`),
  ).toMatchInlineSnapshot(`
    [
      "3:32 environment variable ERP_URL is not set",
      "4:3 "Oa" cannot be a name here",
      "5:3 missing key "connector"",
      "6:10 unknown key "conector" ~connector",
      "9:9 "ledger": expected sqlite:PATH",
      "10:9 "listen": expected HOST:PORT",
      "11:12 "log_level" cannot be "infos" ~info",
      "7:1 unknown key "mapings" ~mappings",
      "2:20 unknown connector "postgrs" ~postgres",
      "4:26 no address: ***",
      "8:36 no mapping file fits "none/*.yaml"",
      "1:1 missing key "match"",
      "2:1 unknown key "feilds" ~fields",
      "1:1 missing key "systems"",
      "5:3 unknown system "cmr" ~crm",
    ]
  `);
});

test('an option with a wrong name is told as that, and not as missing too', async () => {
  write('thing.yaml', MAPPING);
  const text = `systems:
  crm: {connector: postgres, ulr: "db://x"}
  erp: {connector: mysql, url: "db://y"}
mappings: [thing.yaml]
ledger: sqlite:x
`;
  expect(await problems(text)).toEqual(['2:30 unknown option "ulr" ~url']);
});

test('no secret is ever shown', async () => {
  write('thing.yaml', MAPPING);
  const text = `systems:
  crm:
    connector: postgres
    url: "http://user:\${PASSWORD}@host"
    unknown: ${SECRET}
  erp: {connector: mysql, url: "http://${SECRET}"}
mappings: [thing.yaml]
ledger: sqlite:x
log_level: "\${PASSWORD}"
`;
  for (const config of [
    text,
    `${text}  - ${SECRET}: [\n`,
    text.replace('url: "', `url: "${SECRET}: "`),
  ]) {
    const loaded = await load(config, { PASSWORD: SECRET });
    if (loaded.ok) throw new Error('expected problems');
    const terminal = formatProblems(loaded.problems, () => config);
    expect(terminal).not.toContain(SECRET.slice(0, 7));
    expect(terminal).toMatch(/\d problem/);
  }
});

test('a file that is not there, and a secret that is not there', async () => {
  expect(await loadConfig('/nowhere/carrick.yaml', {}, connectors)).toMatchObject({
    ok: false,
    problems: [{ line: 1, column: 1, message: 'the file cannot be read' }],
  });
  expect(
    await problems(`systems: {crm: {connector: mysql, url: "file:/nowhere/secret"}}
mappings: [x.yaml]
ledger: sqlite:x
`),
  ).toEqual(['1:40 the secret file cannot be read (ENOENT)', '2:12 no mapping file fits "x.yaml"']);
});

test('a pattern that takes everything does not take the configuration for a mapping', async () => {
  write('thing.yaml', MAPPING);
  const systems = 'systems: {crm: {connector: postgres, url: "db://x"}}';
  const loaded = await load(`${systems}\nmappings: ["*.yaml"]\nledger: sqlite:x\n`);
  expect(loaded).toMatchObject({ ok: true, value: { mappings: [{ value: { entity: 'thing' } }] } });
});

test('a login in a line is not shown, whatever the line was taken for', () => {
  const problem = { file: 'a.yaml', line: 1, column: 1, message: 'unknown key "url"' };
  const shown = formatProblems([problem], () => 'url: "postgres://u:hunter2@h/d"');
  expect(shown).toContain('1 | url: "postgres://…@h/d"');
});

test('shows the place of a problem in its line', () => {
  const problem = { file: 'a.yaml', line: 2, column: 3, message: 'unknown key "tabel"' };
  const text = 'a:\n  tabel: 1\n';
  expect(formatProblems([{ ...problem, nearest: 'table' }], () => text)).toBe(
    'a.yaml:2:3: unknown key "tabel"\n' +
      '  2 |   tabel: 1\n' +
      '    |   ^ did you mean "table"?\n\n1 problem\n',
  );
  expect(formatProblems([problem, problem], () => null)).toMatch(/2 problems\n$/);
});

test('the nearest name is near', () => {
  const names = ['customer', 'email', 'city'];
  expect(nearest('custmoer', names)).toBe('customer');
  expect(nearest('EMAIL', names)).toBe('email');
  expect(nearest('xyz', names)).toBeUndefined();
  expect(nearest('a', ['b'])).toBeUndefined();
});

test('the JSON Schemas say what the loaders check', () => {
  const options = { type: 'object', properties: { url: { type: 'string' } }, required: ['url'] };
  const config = jsonSchema('config', new Map([['postgres', options]]));
  expect(config).toMatchObject({
    properties: {
      systems: { additionalProperties: { properties: { connector: { enum: ['postgres'] } } } },
    },
    required: ['systems', 'mappings', 'ledger'],
  });
  expect(JSON.stringify(config)).toContain('"required":["url"]');
  expect(jsonSchema('mapping', new Map())).toMatchObject({
    properties: { entity: { type: 'string' }, match: { type: 'array' } },
    additionalProperties: false,
  });
});

describe('seeing that files changed', () => {
  test('by their contents: links above them that are swapped, files that are replaced', () => {
    const folder = mkdtempSync(join(tmpdir(), 'carrick-sources-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    // As Kubernetes mounts a ConfigMap: `..data` is swapped, the names below it stay.
    const publish = (version: string, texts: Record<string, string>): void => {
      mkdirSync(join(folder, version));
      for (const [name, text] of Object.entries(texts)) {
        writeFileSync(join(folder, version, name), text);
      }
      symlinkSync(version, join(folder, '..new'));
      renameSync(join(folder, '..new'), join(folder, '..data'));
    };
    publish('v1', { 'a.yaml': 'one', secret: 's1' });
    for (const name of ['a.yaml', 'secret']) symlinkSync(`..data/${name}`, join(folder, name));
    const paths = ['a.yaml', 'secret'].map((name) => join(folder, name));
    const texts = new Map(paths.map((path) => [path, readText(path)]));
    const sources = { file: paths[0] ?? '', patterns: ['*.map.yaml'], texts };
    const before = digestOf(texts);
    expect(digestNow(sources)).toBe(before);
    publish('v2', { 'a.yaml': 'one', secret: 's1' });
    expect(digestNow(sources)).toBe(before);
    publish('v3', { 'a.yaml': 'one', secret: 's2' });
    expect(digestNow(sources)).not.toBe(before);
    publish('v4', { 'a.yaml': 'one', secret: 's1' });
    writeFileSync(join(folder, 'new.map.yaml'), 'entity: x');
    expect(digestNow(sources)).not.toBe(before);
    rmSync(join(folder, 'new.map.yaml'));
    writeFileSync(join(folder, 'new.cases.yaml'), '[]');
    expect(digestNow(sources)).toBe(before);
    rmSync(join(folder, '..data', 'secret'));
    expect(digestNow(sources)).not.toBe(before);
  });
});
