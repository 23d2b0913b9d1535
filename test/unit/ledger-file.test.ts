import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { MIGRATIONS, migrate } from '../../src/ledger/schema.ts';
import { openSqliteLedger } from '../../src/ledger/sqlite.ts';
import { mountSmallDisk } from '../support/disk.ts';
import { entry, link, outbox, record, source } from './ledger-fixtures.ts';

const directory = mkdtempSync(join(tmpdir(), 'carrick-ledger-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
let count = 0;
const fresh = () => join(directory, `${++count}.db`);

async function opened(path: string, options?: { readOnly: boolean }) {
  const ledger = await openSqliteLedger(path, options);
  onTestFinished(() => ledger[Symbol.asyncDispose]());
  return ledger;
}

const refusal = (path: string, readOnly = false) =>
  openSqliteLedger(path, { readOnly }).then(
    () => null,
    (error: unknown) => error,
  );

describe('one writer', () => {
  test('a ledger that is owned is refused, and free again once closed', async () => {
    const path = fresh();
    const first = await openSqliteLedger(path);
    expect(await refusal(path)).toMatchObject({ code: 'ledger.owned', disposition: 'halt' });
    await first.commit({ records: [record(1)] });
    await first[Symbol.asyncDispose]();
    const second = await opened(path);
    expect((await second.find({ records: [1] })).records).toEqual([record(1)]);
  });

  test('a refused open leaves the ledger free', async () => {
    const path = fresh();
    writeFileSync(path, 'no database at all, but long enough to be read as a header '.repeat(40));
    expect(await refusal(path)).toMatchObject({ code: 'ledger.corrupt', disposition: 'halt' });
    rmSync(path);
    await opened(path);
  });
});

describe('reading beside the writer', () => {
  test('sees each commit once it is on disk, names that are new included', async () => {
    const path = fresh();
    const writer = await opened(path);
    const reader = await opened(path, { readOnly: true });
    expect((await reader.find({ records: [1] })).records).toEqual([null]);
    await writer.commit({
      source: { system: 'crm', state: source('p1') },
      records: [record(1, { outbox: { erp: 1 } })],
      links: { add: [{ ...link('k'), record: 1 }], remove: [] },
      ...outbox({ add: [entry(1)] }),
    });
    expect((await reader.find({ links: [link('k')] })).links).toEqual([
      record(1, { outbox: { erp: 1 } }),
    ]);
    expect(reader.head()).toEqual(writer.head());
    expect(await reader.desk.counts()).toEqual(await writer.desk.counts());
    await writer.commit({ records: [record(1)], ...outbox({ remove: [1] }) });
    expect((await reader.find({ records: [1] })).records).toEqual([record(1)]);
    expect((await reader.desk.counts()).outbox).toEqual({});
  });

  test('works without a writer, and cannot write', async () => {
    const path = fresh();
    const writer = await openSqliteLedger(path);
    await writer.commit({ records: [record(1)] });
    await writer[Symbol.asyncDispose]();
    const reader = await opened(path, { readOnly: true });
    expect((await reader.find({ records: [1] })).records).toEqual([record(1)]);
    await expect(reader.commit({ records: [record(2)] })).rejects.toThrow('read-only');
    await expect(reader.ordinals('customer', ['a'])).rejects.toThrow('read-only');
  });

  test('makes no ledger where there is none', async () => {
    const path = fresh();
    expect(await refusal(path, true)).toMatchObject({ code: 'ledger.missing' });
    expect(existsSync(path)).toBe(false);
  });
});

describe('versions', () => {
  const versionOf = (db: DatabaseSync) => db.prepare('PRAGMA user_version').get()?.user_version;

  test('a ledger of a later version is refused, and not touched', async () => {
    const path = fresh();
    await (await openSqliteLedger(path))[Symbol.asyncDispose]();
    const db = new DatabaseSync(path);
    db.exec(`PRAGMA user_version = ${MIGRATIONS.length + 1}`);
    expect(await refusal(path)).toMatchObject({ code: 'ledger.newer', disposition: 'halt' });
    expect(await refusal(path, true)).toMatchObject({ code: 'ledger.newer' });
    expect(versionOf(db)).toBe(MIGRATIONS.length + 1);
    db.close();
  });

  test('the database of another program is refused, and not touched', async () => {
    const path = fresh();
    const db = new DatabaseSync(path);
    db.exec('CREATE TABLE theirs (a)');
    expect(await refusal(path)).toMatchObject({ code: 'ledger.corrupt' });
    expect(db.prepare('SELECT name FROM sqlite_schema').all()).toEqual([{ name: 'theirs' }]);
    db.close();
  });

  test('an empty ledger is not read before a daemon has made its tables', async () => {
    const path = fresh();
    writeFileSync(path, '');
    expect(await refusal(path, true)).toMatchObject({ code: 'ledger.older' });
  });

  test('each missing migration runs once, in order, whole or not at all', () => {
    const db = new DatabaseSync(fresh());
    const first = ['CREATE TABLE a (x)'];
    migrate(db, first);
    migrate(db, [...first, 'ALTER TABLE a ADD COLUMN y']);
    expect(versionOf(db)).toBe(2);
    const columns = () => db.prepare('SELECT name FROM pragma_table_info(?)').all('a');
    expect(columns()).toEqual([{ name: 'x' }, { name: 'y' }]);
    const broken = [...first, '', 'ALTER TABLE a ADD COLUMN z; ALTER TABLE b ADD COLUMN z'];
    expect(() => migrate(db, broken)).toThrow('no such table: b');
    expect(versionOf(db)).toBe(2);
    expect(columns()).toEqual([{ name: 'x' }, { name: 'y' }]);
    db.close();
  });
});

describe('a group of commits', () => {
  test('fails as one, and leaves nothing behind', async () => {
    const path = fresh();
    const ledger = await openSqliteLedger(path);
    await ledger.commit({ records: [record(1)] });
    const before = [ledger.head(), await ledger.desk.counts()];
    const bad = record(3, { values: [1n as unknown as string] });
    const group = [
      ledger.commit({ records: [record(1, { values: ['new'] }), record(2)] }),
      ledger.commit({ records: [bad] }),
      ledger.commit({ source: { system: 'new', state: source('p') } }),
    ];
    for (const commit of group) await expect(commit).rejects.toThrow(TypeError);
    expect((await ledger.find({ records: [1, 2] })).records).toEqual([record(1), null]);
    expect([ledger.head(), await ledger.desk.counts()]).toEqual(before);
    await ledger.commit({ source: { system: 'new', state: source('p') } });
    await ledger[Symbol.asyncDispose]();
    expect((await opened(path)).head().positions).toEqual({ new: source('p') });
  });
});

describe('a log that cannot be synced', () => {
  test('ends all trust in the ledger: what is on disk nobody knows', async () => {
    const path = fresh();
    const ledger = await opened(path);
    await ledger.commit({ records: [record(1)] });
    rmSync(`${path}-wal`);
    const lost = { code: 'ledger.unsynced', disposition: 'halt' };
    const together = [ledger.synced(), ledger.synced()];
    for (const one of together) await expect(one).rejects.toMatchObject(lost);
    writeFileSync(`${path}-wal`, '');
    await expect(ledger.synced()).rejects.toMatchObject(lost);
  });
});

describe('a full disk', () => {
  test('is an error to try again after, and nothing is half-written', async ({ skip }) => {
    using disk = mountSmallDisk(`${directory}-small`, 1) ?? skip('no tmpfs can be mounted here');
    const path = join(disk.folder, 'ledger.db');
    const ballast = join(disk.folder, 'other');
    writeFileSync(ballast, Buffer.alloc(300_000));
    const ledger = await opened(path);
    const large = (id: number) => record(id, { values: ['x'.repeat(40_000), null, null] });
    let id = 1;
    const fill = async () => {
      for (; ; id++) await ledger.commit({ records: [large(id), record(1_000 + id)] });
    };
    await expect(fill()).rejects.toMatchObject({ code: 'ledger.full', disposition: 'retry' });
    expect(id).toBeGreaterThan(1);
    const check = async () => {
      const { records } = await ledger.find({ records: [id - 1, id, 1_000 + id] });
      expect(records).toEqual([large(id - 1), null, null]);
      expect((await ledger.desk.counts()).records).toEqual({ customer: 2 * (id - 1) });
    };
    await check();
    rmSync(ballast);
    await ledger.commit({ records: [large(id), record(1_000 + id)] });
    id++;
    await check();
    expect(statSync(path).size).toBeGreaterThan(0);
  });
});

test('keys of all kinds are found as they were written', async () => {
  const keys = [
    '',
    'a',
    'a\u0000b',
    'é"\\\n\u2028😀',
    '12',
    '12.0',
    'null',
    '["x",null]',
    '\ud800',
  ];
  const path = fresh();
  const ledger = await openSqliteLedger(path);
  await ledger.commit({
    records: keys.map((_, i) => record(i + 1)),
    links: { add: keys.map((key, i) => ({ ...link(key), record: i + 1 })), remove: [] },
    identities: {
      add: keys.map((value, i) => {
        return { entity: 'customer', alternative: 0, value, record: i + 1 };
      }),
      remove: [],
    },
  });
  await ledger[Symbol.asyncDispose]();
  // Opened anew, so that it is not the cache that knows them.
  const found = await (await opened(path)).find({
    links: [...keys, 'b'].toReversed().map((key) => link(key)),
    identities: keys.map((value) => ({ entity: 'customer', alternative: 0, value })),
  });
  const ids = keys.map((_, i) => i + 1);
  expect(found.links.map((one) => one?.id)).toEqual([undefined, ...ids.toReversed()]);
  expect(found.identities.map((list) => list.map(({ id }) => id))).toEqual(ids.map((id) => [id]));
});

/** All of a table that grows with the systems, or of an entity's entries in one. */
const WHOLE =
  /^SCAN (records|links|identities|outbox|journal|parked)\b|^SEARCH \w+$|INDEX journal_entity /;

test('no statement reads a large table as a whole', async () => {
  const path = fresh();
  const prepare = vi.spyOn(DatabaseSync.prototype, 'prepare');
  onTestFinished(() => prepare.mockRestore());
  await opened(path);
  const statements = new Set(prepare.mock.calls.map(([sql]) => sql));
  using db = new DatabaseSync(path, { readOnly: true });
  const slow = [...statements]
    .filter((sql) => /^\s*(SELECT|UPDATE|DELETE)\b/.test(sql))
    .filter((sql) => {
      const plan = db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all();
      return plan.some(({ detail }) => WHOLE.test(String(detail)));
    });
  // Whoever is forgotten: the file is rewritten then anyway.
  expect(slow).toEqual(['DELETE FROM outbox WHERE record = ? AND entity = ? RETURNING system']);
});
