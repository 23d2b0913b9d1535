import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { openSqliteLedger } from '../../src/ledger/sqlite.ts';
import { link, PRIVACY, record } from '../unit/ledger-fixtures.ts';

const directory = mkdtempSync(join(tmpdir(), 'carrick-ledger-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const WRITER = fileURLToPath(new URL('./ledger-writer.ts', import.meta.url));
const ROUNDS = 6;
const long = 'x'.repeat(200_000);

/** Lets a writer acknowledge `enough` commits, kills it, and gives the last one acknowledged. */
async function killedWriter(path: string, enough: number): Promise<number> {
  const child = spawn(process.execPath, [WRITER, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  let printed = '';
  child.stdout.setEncoding('utf8');
  child.stdout.on('data', (text: string) => {
    printed += text;
    if (printed.split('\n').length > enough) child.kill('SIGKILL');
  });
  await once(child, 'close');
  // The last line may be torn.
  return Number(printed.split('\n').at(-2));
}

test('every acknowledged commit is there, whole, after kill -9', async () => {
  const path = join(directory, 'ledger.db');
  for (let round = 0; round < ROUNDS; round++) {
    const acknowledged = await killedWriter(path, 20 + 37 * round);
    // The dead process holds no lock: this does not throw `ledger.owned`.
    const ledger = await openSqliteLedger(path, { privacy: PRIVACY });
    const head = ledger.head();
    const last = head.nextRecord - 1;
    expect(last).toBeGreaterThanOrEqual(acknowledged);
    expect(head.positions.crm?.position).toBe(String(last));
    expect(head.nextSeq).toBe(last + 1);
    const numbers = Array.from({ length: last }, (_, i) => i + 1);
    const expected = numbers.map((n) =>
      n === last ? record(n) : record(n, { values: [`after ${n + 1}`, long, null] }),
    );
    const links = numbers.map((n) => link(`k${n}`));
    const found = await ledger.find({ records: numbers, links });
    expect(found.records).toEqual(expected);
    expect(found.links).toEqual(expected);
    const waiting = (await ledger.ready('erp', 0, last)).map(({ seq }) => seq);
    expect(waiting).toEqual(numbers.slice(-3));
    const counts = await ledger.desk.counts();
    expect(counts.records).toEqual({ customer: last });
    expect(counts.outbox.erp?.depth).toBe(waiting.length);
    await ledger[Symbol.asyncDispose]();
    const db = new DatabaseSync(path, { readOnly: true });
    expect(db.prepare('PRAGMA integrity_check').all()).toEqual([{ integrity_check: 'ok' }]);
    db.close();
  }
});
