import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, onTestFinished, test, vi } from 'vitest';
import { openSync } from '../../src/ledger/sync.ts';

const directory = mkdtempSync(join(tmpdir(), 'carrick-sync-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const rounds = async (count: number): Promise<void> => {
  for (let n = 0; n < count; n++) await new Promise((resolve) => setImmediate(resolve));
};

test('a sync is shared until it begins; what is written then waits for the next', async () => {
  const path = join(directory, 'shared.db');
  writeFileSync(`${path}-wal`, 'log');
  const sync = openSync(path);
  sync.written();
  const first = sync.synced();
  await rounds(1);
  sync.written();
  expect(sync.synced()).toBe(first);
  await rounds(3);
  sync.written();
  const second = sync.synced();
  expect(second).not.toBe(first);
  await second;
  // Nothing was written since.
  expect(sync.synced()).toBe(second);
  await sync.close();
});

test('a sync for later begins with one that somebody waits for, or by itself', async () => {
  const path = join(directory, 'later.db');
  writeFileSync(`${path}-wal`, 'log');
  const seconds: number[] = [];
  const sync = openSync(path, (one) => seconds.push(one));
  vi.useFakeTimers({ toFake: ['setTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
  sync.written();
  const later = sync.synced('later');
  await rounds(5);
  expect(seconds).toEqual([]);
  sync.written();
  expect(sync.synced()).toBe(later);
  await later;
  expect(seconds).toHaveLength(1);
  sync.written();
  const alone = sync.synced('later');
  vi.runAllTimers();
  await alone;
  expect(seconds).toHaveLength(2);
  sync.written();
  const last = sync.synced('later');
  await sync.close();
  await last;
  expect(seconds).toHaveLength(3);
});
