import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { type MemoryLedger, openMemoryLedger } from '../../src/ledger/memory.ts';
import { openSqliteLedger } from '../../src/ledger/sqlite.ts';
import { describeLedger } from './ledger-contract.ts';
import { record } from './ledger-fixtures.ts';

const directory = mkdtempSync(join(tmpdir(), 'carrick-ledger-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
let count = 0;

describeLedger('a ledger in SQLite', () => {
  const path = join(directory, `${++count}.db`);
  return {
    open: () => openSqliteLedger(path),
    async again(ledger) {
      await ledger[Symbol.asyncDispose]();
      return openSqliteLedger(path);
    },
  };
});

describeLedger('a ledger in memory', () => ({
  open: async () => openMemoryLedger(),
  async again(ledger) {
    await ledger.synced();
    return (ledger as MemoryLedger).crash();
  },
}));

describe('the ledger in memory', () => {
  test('a crash keeps what was synced and nothing else', async () => {
    const ledger = openMemoryLedger();
    await ledger.commit({ records: [record(1)] });
    await ledger.synced();
    await ledger.commit({ records: [record(2)] });
    expect((await ledger.find({ records: [1, 2] })).records).toEqual([record(1), record(2)]);
    const third = ledger.commit({ records: [record(3)] });
    const after = ledger.crash();
    await expect(third).rejects.toMatchObject({ code: 'ledger.closed' });
    await expect(ledger.find({})).rejects.toMatchObject({ code: 'ledger.closed' });
    await expect(ledger.synced()).rejects.toMatchObject({ code: 'ledger.closed' });
    expect((await after.find({ records: [1, 2] })).records).toEqual([record(1), null]);
  });

  test('a commit that fails takes along those that were called meanwhile', async () => {
    const disk = { full: true };
    const ledger = openMemoryLedger({
      async write() {
        if (disk.full) throw new Error('full');
      },
    });
    const both = [1, 2].map((id) => ledger.commit({ records: [record(id)] }));
    for (const commit of both) await expect(commit).rejects.toThrow('full');
    expect(ledger.head().nextRecord).toBe(1);
    disk.full = false;
    await ledger.commit({ records: [record(2)] });
    expect((await ledger.find({ records: [1, 2] })).records).toEqual([null, record(2)]);
  });

  test('gives out what cannot be changed', async () => {
    const ledger = openMemoryLedger();
    await ledger.commit({ records: [record(1)] });
    const [state] = (await ledger.find({ records: [1] })).records;
    expect(() => Object.assign(state!.views, { erp: null })).toThrow(TypeError);
  });
});
