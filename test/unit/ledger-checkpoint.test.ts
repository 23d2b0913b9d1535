import { randomBytes } from 'node:crypto';
import { copyFileSync, existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, describe, expect, onTestFinished, test } from 'vitest';
import type { Ledger } from '../../src/contract/ledger.ts';
import { BOUND_PAGES, isSafeBeside, openCheckpoint } from '../../src/ledger/checkpoint.ts';
import { openSqliteLedger, type SqliteLedger } from '../../src/ledger/sqlite.ts';
import { mountSmallDisk, type SmallDisk } from '../support/disk.ts';
import { record } from './ledger-fixtures.ts';

const directory = mkdtempSync(join(tmpdir(), 'carrick-checkpoint-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
let count = 0;

/** A database of small pages, which nothing but the checkpoint under test checkpoints. */
function opened(workerPath?: string, version?: string) {
  const path = join(directory, `${++count} 100%?#.db`);
  const db = new DatabaseSync(path);
  onTestFinished(() => db.close());
  db.exec('PRAGMA page_size = 512; PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0');
  db.exec('CREATE TABLE pages (content BLOB)');
  if (version !== undefined) db.function('sqlite_version', () => version);
  const checkpoint = openCheckpoint(db, workerPath ?? path);
  const insert = db.prepare(
    `WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < ?)
     INSERT INTO pages SELECT randomblob(450) FROM n`,
  );
  return {
    path,
    checkpoint,
    write: (pages: number) => insert.run(pages),
    size: () => db.prepare('PRAGMA wal_checkpoint(NOOP)').get() as { [name: string]: number },
    held: () => db.prepare('SELECT count(*) AS pages FROM pages').get(),
  };
}

test('a log that is worth it is checkpointed beside the event loop, no shorter one', async () => {
  const { checkpoint, write, size } = opened();
  write(1000);
  await checkpoint.written();
  expect(checkpoint.pass()).toBeUndefined();
  write(8000);
  await checkpoint.written();
  expect(checkpoint.pass()).toBeDefined();
  write(10);
  await checkpoint.written();
  await checkpoint.pass();
  const { log, checkpointed } = size();
  expect(checkpointed).toBeGreaterThan(9000);
  expect(log).toBeGreaterThanOrEqual(checkpointed!);
  await checkpoint.close();
});

test('under constant load a log still begins anew', async () => {
  const { checkpoint, write, size, held } = opened();
  let written = 0;
  let last = 0;
  for (let log = 0; log >= last && log < BOUND_PAGES; log = size().log!) {
    last = log;
    write(200);
    written += 200;
    await checkpoint.written();
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(last).toBeGreaterThan(8_000);
  expect(size().log).toBeLessThan(last);
  expect(held()).toEqual({ pages: written });
  await checkpoint.close();
});

test('a log that grows faster than it is checkpointed makes commits wait', async () => {
  const { checkpoint, write } = opened();
  write(10_000);
  await checkpoint.written();
  const pass = checkpoint.pass();
  let waited = false;
  const soon = checkpoint.written();
  write(BOUND_PAGES);
  const late = checkpoint.written().then(() => {
    waited = true;
  });
  await soon;
  expect(checkpoint.pass()).toBe(pass);
  expect(waited).toBe(false);
  await late;
  expect(checkpoint.pass()).not.toBe(pass);
  await checkpoint.close();
});

test('closing waits for a pass; a database that is closed has no log', async () => {
  const { checkpoint, write, size } = opened();
  write(20_000);
  await checkpoint.written();
  await checkpoint.close();
  expect(size().checkpointed).toBe(size().log);
});

describe('a small disk', () => {
  const NO_MOUNT = 'no tmpfs can be mounted here';
  let mounted = 0;
  const mount = (megabytes: number) => mountSmallDisk(`${directory}-small-${++mounted}`, megabytes);
  const note = () => randomBytes(30_000).toString('base64');

  /** Writes one record over and over: some 45 kB in the log each time, none in the database. */
  async function churn(ledger: Ledger, times: number): Promise<number> {
    let full = 0;
    for (let i = 0; i < times; i++) {
      const commit = () =>
        ledger.commit({ records: [record(1, { values: [note(), null, null] })] });
      await commit().catch((error: unknown) => {
        expect(error).toMatchObject({ code: 'ledger.full' });
        full += 1;
        return commit();
      });
    }
    return full;
  }

  test('is never filled by the log', async ({ skip }) => {
    using disk = mount(24) ?? skip(NO_MOUNT);
    await using ledger = await openSqliteLedger(join(disk.folder, 'ledger.db'));
    expect(await churn(ledger, 2_000)).toBe(0);
  });

  test('is left to the database as it grows, the log takes less', async ({ skip }) => {
    using disk = mount(24) ?? skip(NO_MOUNT);
    const path = join(disk.folder, 'ledger.db');
    await using ledger = await openSqliteLedger(path);
    const fill = async () => {
      for (let id = 1; ; id++) {
        await ledger.commit({ records: [record(id, { values: [note(), null, null] })] });
      }
    };
    await expect(fill()).rejects.toMatchObject({ code: 'ledger.full' });
    expect(statSync(path).size).toBeGreaterThan(20 * 1024 * 1024);
  });

  /** A ledger whose record is in the database, with a log of 2 MB, on a disk that is full now. */
  async function onFullDisk(disk: SmallDisk, path: string): Promise<SqliteLedger> {
    const first = await openSqliteLedger(path);
    await churn(first, 1);
    await first[Symbol.asyncDispose]();
    const ledger = await openSqliteLedger(path);
    await churn(ledger, 50);
    disk.fill();
    return ledger;
  }

  test('filled by others is full once, and then the log has room of its own', async ({ skip }) => {
    using disk = mount(24) ?? skip(NO_MOUNT);
    await using ledger = await onFullDisk(disk, join(disk.folder, 'ledger.db'));
    expect(await churn(ledger, 500)).toBe(1);
  });

  test('filled when a killed ledger is opened anew has room', async ({ skip }) => {
    using disk = mount(24) ?? skip(NO_MOUNT);
    const path = join(disk.folder, 'ledger.db');
    const files = ['', '-wal', '-shm'];
    const kept = join(directory, 'killed.db');
    const killed = await onFullDisk(disk, path);
    for (const file of files) copyFileSync(`${path}${file}`, `${kept}${file}`);
    await killed[Symbol.asyncDispose]();
    for (const file of files) copyFileSync(`${kept}${file}`, `${path}${file}`);
    await using ledger = await openSqliteLedger(path);
    expect(await churn(ledger, 1)).toBe(0);
  });
});

test('a worker that dies is done without', async () => {
  const missing = join(directory, 'no such.db');
  const { checkpoint, write, size, held } = opened(missing);
  write(10_000);
  await checkpoint.written();
  await checkpoint.pass();
  expect(size().checkpointed).toBe(0);
  write(BOUND_PAGES);
  await checkpoint.written();
  expect(checkpoint.pass()).toBeUndefined();
  expect(held()).toEqual({ pages: 10_000 + BOUND_PAGES });
  await checkpoint.close();
  expect(existsSync(missing)).toBe(false);
});

test('what is forgotten goes from the file while a checkpoint is under way', async () => {
  const ledger = await openSqliteLedger(join(directory, 'forgotten.db'));
  const note = 'n'.repeat(100_000);
  const records = Array.from({ length: 500 }, (_, i) => record(i + 1, { values: [note] }));
  await ledger.commit({ records });
  await ledger.commit({ erased: [7], forgotten: [{ entity: 'customer', record: 7 }] });
  expect((await ledger.find({ records: [7, 8] })).records).toEqual([null, records[7]]);
  await ledger[Symbol.asyncDispose]();
});

test.each([
  ['3.51.2', false],
  ['3.51.3', true],
  ['3.51.10', true],
  ['3.50.7', false],
  ['3.52.0', true],
  ['4.0.0', true],
  ['2.99.99', false],
])('with SQLite %s a worker may checkpoint: %s', async (version, may) => {
  expect(isSafeBeside(version)).toBe(may);
  const { checkpoint, write } = opened(undefined, version);
  write(20_000);
  await checkpoint.written();
  expect(checkpoint.pass() !== undefined).toBe(may);
  await checkpoint.close();
});
