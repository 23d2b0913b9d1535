import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, describe, expect, onTestFinished, test } from 'vitest';
import type { Ledger } from '../../src/contract/ledger.ts';
import type { Guard, Privacy } from '../../src/ledger/privacy.ts';
import { openSqliteLedger, type SqliteLedger } from '../../src/ledger/sqlite.ts';
import { describeLedger } from './ledger-contract.ts';
import { entry, journal, outbox, parkedRow, record, source, view } from './ledger-fixtures.ts';

const directory = mkdtempSync(join(tmpdir(), 'carrick-privacy-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
let count = 0;
const fresh = () => join(directory, `${++count}.db`);

const [OLD, NEW] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)] as const;
const GUARD: Guard = {
  match: [
    { fields: ['no'], personal: false },
    { fields: ['email'], personal: true },
  ],
  keys: ['erp'],
};
const personal = (...keys: Buffer[]): Privacy => ({
  keys,
  guards: new Map([
    ['customer', GUARD],
    ['order', { match: [], keys: [] }],
  ]),
});
const harmless = (...keys: Buffer[]): Privacy => ({
  keys,
  guards: new Map([
    ['customer', null],
    ['order', null],
  ]),
});

describeLedger('a sealed ledger in SQLite', () => {
  const path = join(directory, `contract-${++count}.db`);
  const guard = { match: [{ fields: ['no'], personal: true }], keys: [] };
  const guards = new Map([
    ['customer', guard],
    ['order', guard],
  ]);
  const open = () => openSqliteLedger(path, { privacy: { keys: [OLD], guards } });
  return {
    open,
    async again(ledger) {
      await ledger[Symbol.asyncDispose]();
      return open();
    },
  };
});

/** Every place in which a value of a personal field can come to lie. */
const SECRETS = ['C-Ada', 'ada@x.test', 'Ada@X.test', 'held-back', 'was-before', 'frozen-value']
  .concat(['journal-in', 'journal-standing', 'parked-cell', 'key-of-ada', 'awaited-key'])
  .concat(['progress-key']);

const ADA = record(1, {
  values: ['1', 'ada@x.test', 'C-Ada'],
  views: {
    crm: { ...view('17', ['1', 'ada@x.test', 'C-Ada']), raw: { mail: 'Ada@X.test' } },
    erp: { ...view('key-of-ada', ['1', 'ada@x.test', 'C-A']), represents: { 2: 'held-back' } },
  },
  flips: { count: 1, since: 1, was: { 2: 'was-before' } },
  outbox: { erp: 5 },
});
const SENT = entry(5, {
  record: 1,
  batch: 3,
  sent: { op: 'update', values: [undefined, 'frozen-value', null] },
});
const ENTRY = journal(1, {
  state: 'open',
  outcome: null,
  incoming: { system: 'crm', values: ['journal-in'], stamp: null },
  standing: { system: 'erp', values: ['journal-standing'], stamp: null },
});
const ROW = parkedRow(2, {
  system: 'erp',
  entity: 'customer',
  key: 'key-of-ada',
  cells: { a: 'parked-cell' },
  waits: { entity: 'customer', key: 'awaited-key' },
});
const STATE = { ...source('p1'), snapshots: { customers: '{"after":["progress-key"]}' } };

async function fill(ledger: Ledger): Promise<void> {
  await ledger.ordinals('customer', ['no', 'email', 'name']);
  await ledger.commit({
    source: { system: 'erp', state: STATE },
    records: [ADA, record(2, { entity: 'product', views: {} })],
    links: {
      add: [
        { system: 'crm', entity: 'customer', key: '17', record: 1 },
        { system: 'erp', entity: 'customer', key: 'key-of-ada', record: 1 },
      ],
      remove: [],
    },
    identities: {
      add: [
        { entity: 'customer', alternative: 0, value: '["1"]', record: 1 },
        { entity: 'customer', alternative: 1, value: '["ada@x.test"]', record: 1 },
      ],
      remove: [],
    },
    ...outbox({ add: [SENT] }),
    journal: [ENTRY],
    parked: { put: [ROW], remove: [] },
  });
}

async function everything(ledger: Ledger) {
  const link = { system: 'erp', entity: 'customer', key: 'key-of-ada' };
  const { desk } = ledger;
  return {
    head: ledger.head(),
    found: await ledger.find({
      links: [link, { ...link, system: 'crm', key: '17' }],
      identities: [
        { entity: 'customer', alternative: 0, value: '["1"]' },
        { entity: 'customer', alternative: 1, value: '["ada@x.test"]' },
      ],
      records: [1, 2],
      parkedRows: [link],
    }),
    sent: await ledger.sent('erp', 3, 0, 9),
    journal: await desk.conflict(1),
    waiting: await desk.waitingFor({ ...link, key: 'awaited-key' }),
    linked: await desk.linked('erp', 'customer', null, 9),
    behind: await desk.linked('erp', 'customer', 'key-of-ada', 9),
    counts: await desk.counts(),
  };
}

const EXPECTED = {
  found: {
    links: [ADA, ADA],
    identities: [[ADA], [ADA]],
    records: [ADA, record(2, { entity: 'product', views: {} })],
    parkedRows: [ROW],
  },
  sent: [SENT],
  journal: ENTRY,
  waiting: [ROW],
  linked: [ADA],
  behind: [],
  head: { positions: { erp: STATE } },
};

function filesOf(path: string): Buffer[] {
  const name = path.slice(directory.length + 1);
  const files = readdirSync(directory).filter((file) => file.startsWith(name));
  return files.map((file) => readFileSync(join(directory, file)));
}

/** Which secrets lie in any file of the ledger. */
function inFiles(path: string): string[] {
  const bytes = filesOf(path);
  return SECRETS.filter((secret) => bytes.some((one) => one.includes(secret)));
}

async function opened(path: string, privacy: Privacy): Promise<SqliteLedger> {
  const ledger = await openSqliteLedger(path, { privacy });
  onTestFinished(() => ledger[Symbol.asyncDispose]());
  return ledger;
}

async function filled(privacy: Privacy): Promise<string> {
  const path = fresh();
  const ledger = await openSqliteLedger(path, { privacy });
  await fill(ledger);
  await ledger[Symbol.asyncDispose]();
  return path;
}

const refusal = (path: string, privacy: Privacy) =>
  openSqliteLedger(path, { privacy }).then(
    () => null,
    (error: unknown) => error,
  );

describe('personal values', () => {
  test('are in no file of the ledger, while it is open and after', async () => {
    const path = fresh();
    const ledger = await opened(path, personal(OLD));
    await fill(ledger);
    expect(inFiles(path)).toEqual([]);
    expect(await everything(ledger)).toMatchObject(EXPECTED);
    await ledger[Symbol.asyncDispose]();
    expect(inFiles(path)).toEqual([]);
    expect(await everything(await opened(path, personal(OLD)))).toMatchObject(EXPECTED);
    const reader = await openSqliteLedger(path, { privacy: personal(OLD), readOnly: true });
    expect(await everything(reader)).toMatchObject(EXPECTED);
    await reader[Symbol.asyncDispose]();
  });

  test('without a guard lie there as they are: the search can find them', async () => {
    expect(inFiles(await filled(harmless()))).toEqual(SECRETS);
  });

  test.each([
    ['clear', harmless()],
    ['sealed', personal(OLD)],
  ])('of a forgotten record are in no file of a %s ledger', async (_, privacy) => {
    const path = fresh();
    const ledger = await opened(path, privacy);
    await fill(ledger);
    // Older images of the record lie in pages that were split and freed.
    for (let n = 10; n < 400; n++) {
      const pad = 'x'.repeat(7 * (n % 50));
      await ledger.commit({
        records: [{ ...ADA, values: [...ADA.values, pad] }, record(n)],
        ...(n % 40 === 0 ? { erased: [n - 5, n - 7] } : {}),
      });
    }
    const db = new DatabaseSync(path, { readOnly: true });
    const texts = ['records WHERE id = 1', 'journal', 'parked', 'outbox'].map((where) => {
      const column = where === 'outbox' ? 'sent' : 'data';
      return String(db.prepare(`SELECT ${column} AS text FROM ${where}`).get()?.text);
    });
    db.close();
    await ledger.commit({
      erased: [1],
      forgotten: [{ entity: 'customer', record: 1 }],
      parked: { put: [], remove: [2] },
    });
    const left = filesOf(path).flatMap((bytes) => texts.filter((text) => bytes.includes(text)));
    expect(left).toEqual([]);
    expect(inFiles(path)).toEqual(privacy.keys.length > 0 ? [] : ['progress-key']);
    expect((await ledger.find({ records: [11] })).records).toEqual([record(11)]);
  });

  test('documents of other entities are not sealed', async () => {
    const path = await filled(personal(OLD));
    const db = new DatabaseSync(path, { readOnly: true });
    const [ada, other] = db.prepare('SELECT data FROM records ORDER BY id').all();
    db.close();
    expect(ada?.data).toMatch(/^~1\.\w+\./);
    expect(other?.data).toMatch(/^\[/);
  });
});

describe('what is stored follows the configuration', () => {
  test.each([
    ['a clear ledger is sealed', harmless(), personal(OLD), true],
    ['a new key takes over', personal(OLD), personal(NEW, OLD), true],
    ['what is personal no longer is opened', personal(OLD), harmless(OLD), false],
  ])('%s', async (_, before, after, sealed) => {
    const path = await filled(before);
    const ledger = await openSqliteLedger(path, { privacy: after });
    expect(await everything(ledger)).toMatchObject(EXPECTED);
    expect(inFiles(path)).toEqual(sealed ? [] : SECRETS);
    await ledger[Symbol.asyncDispose]();
    const later = { keys: sealed ? after.keys.slice(0, 1) : [], guards: after.guards };
    expect(await everything(await opened(path, later))).toMatchObject(EXPECTED);
  });

  test('while it runs, too', async () => {
    const path = await filled(harmless());
    const ledger = await opened(path, harmless(OLD));
    const saved = ledger.commit({ records: [record(4, { views: {} })] });
    await ledger.protect(personal().guards);
    await saved;
    expect(await everything(ledger)).toMatchObject({ ...EXPECTED, counts: {} });
    expect(inFiles(path)).toEqual([]);
    await ledger.protect(harmless().guards);
    expect(inFiles(path)).toEqual(SECRETS);
  });

  test('an entity that is no longer mapped stays sealed', async () => {
    const path = await filled(personal(OLD));
    const other: Privacy = { keys: [NEW, OLD], guards: new Map([['product', null]]) };
    await (await openSqliteLedger(path, { privacy: other }))[Symbol.asyncDispose]();
    expect(inFiles(path)).toEqual([]);
    expect(await everything(await opened(path, personal(NEW)))).toMatchObject(EXPECTED);
  });

  test('a failure on the way leaves everything as it was', async () => {
    const path = await filled(harmless());
    const db = new DatabaseSync(path);
    const before = db.prepare('SELECT * FROM records').all();
    db.exec("UPDATE parked SET data = 'torn'");
    expect(await refusal(path, personal(OLD))).toBeInstanceOf(SyntaxError);
    expect(db.prepare('SELECT * FROM records').all()).toEqual(before);
    db.exec("DELETE FROM links WHERE key = '17'");
    expect(await refusal(path, personal(OLD))).toMatchObject({ code: 'ledger.corrupt' });
    expect(db.prepare('SELECT * FROM records').all()).toEqual(before);
    expect(db.prepare('SELECT * FROM generations').all()).toEqual([]);
    db.close();
  });

  test('a rewriting that was cut short is done at the next start', async () => {
    const path = await filled(personal(OLD));
    const db = new DatabaseSync(path);
    db.exec('CREATE TABLE junk (x)');
    db.exec("INSERT INTO junk VALUES ('parked-cell'); DELETE FROM junk; DROP TABLE junk");
    db.exec("INSERT OR REPLACE INTO tallies VALUES ('wipe', '', 1)");
    db.close();
    expect(inFiles(path)).toEqual(['parked-cell']);
    await opened(path, personal(OLD));
    expect(inFiles(path)).toEqual([]);
  });
});

describe('keys', () => {
  test('a wrong or missing key is refused, and nothing is touched', async () => {
    const path = await filled(personal(OLD));
    const before = readFileSync(path);
    for (const privacy of [personal(NEW), personal(), harmless(), harmless(NEW)]) {
      const refused = { code: 'ledger.key', disposition: 'halt' };
      expect(await refusal(path, privacy)).toMatchObject(refused);
    }
    expect(readFileSync(path).equals(before)).toBe(true);
    expect(await everything(await opened(path, personal(OLD)))).toMatchObject(EXPECTED);
  });

  test('no nonce is used twice with one key', async () => {
    const path = fresh();
    for (let opening = 0; opening < 3; opening++) {
      const ledger = await openSqliteLedger(path, { privacy: personal(OLD) });
      const ids = [1, 2].map((n) => 10 * opening + n);
      await ledger.commit({ records: ids.map((id) => record(id)) });
      await ledger[Symbol.asyncDispose]();
    }
    const db = new DatabaseSync(path, { readOnly: true });
    const data = db.prepare('SELECT data FROM records').all();
    const salts = db.prepare('SELECT DISTINCT salt FROM generations').all();
    db.close();
    const nonces = data.map((row) => String(row.data).split('.', 2).join('.'));
    expect(new Set(nonces).size).toBe(6);
    expect(salts).toHaveLength(3);
  });

  test.each([
    ['changed', "UPDATE records SET data = replace(data, substr(data, -5, 1), 'A') || 'AAAA'"],
    ['moved', 'UPDATE records SET data = (SELECT data FROM records WHERE id = 3)'],
    ['replaced by clear text', `UPDATE records SET data = '[[null],".",[],[]]'`],
    ['cut off', "UPDATE records SET data = '~1.0.AAAA'"],
    ['of a generation that is not there', "UPDATE records SET data = '~zz' || substr(data, 3)"],
  ])('a document that was %s is refused', async (_, forgery) => {
    const path = await filled(personal(OLD));
    const ledger = await openSqliteLedger(path, { privacy: personal(OLD) });
    await ledger.commit({ records: [record(3)] });
    await ledger[Symbol.asyncDispose]();
    const db = new DatabaseSync(path);
    db.exec(`${forgery} WHERE id = 1`);
    db.close();
    const again = await opened(path, personal(OLD));
    await expect(again.find({ records: [1] })).rejects.toMatchObject({ code: 'ledger.corrupt' });
    expect((await again.find({ records: [3] })).records).toEqual([record(3)]);
  });
});
