/** The journal of a real ledger is kept as long, and as large, as the configuration says. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { JournalEntry } from '../../src/contract/ledger.ts';
import { removeExpired } from '../../src/daemon/retention.ts';
import { openDecisions } from '../../src/decide/decisions.ts';
import { openSqliteLedger } from '../../src/ledger/sqlite.ts';
import { createLog } from '../../src/observe/log.ts';
import { createMetrics } from '../../src/observe/metrics.ts';
import { journal } from './ledger-fixtures.ts';

const DAY = 86_400e6;
const NOW = Date.now() * 1000;

async function kept(
  entries: readonly JournalEntry[],
  limits: { journalKeep: number | null; ledgerLimit: number | null },
) {
  const folder = mkdtempSync(join(tmpdir(), 'carrick-retention-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  await using ledger = await openSqliteLedger(join(folder, 'carrick.db'));
  for (let i = 0; i < entries.length; i += 1000) {
    await ledger.commit({ journal: entries.slice(i, i + 1000) });
  }
  const decisions = openDecisions(ledger, new Map(), ['crm', 'erp'], {});
  const metrics = createMetrics('0');
  const lines: string[] = [];
  const log = createLog('info', { write: (line: string) => void lines.push(line) });
  await removeExpired(decisions, { limits, metrics, log });
  const left = await ledger.desk.conflicts({ limit: 100_000 });
  const used = await ledger.desk.usedBytes();
  return { ids: left.map(({ id }) => id), used, metrics: await metrics.render(), lines };
}

test('settled entries go when they are older than is wanted, open ones stay', async () => {
  const entries = Array.from({ length: 1300 }, (_, i) =>
    journal(i + 1, {
      at: NOW - (i < 1200 ? 91 : 89) * DAY,
      state: i === 7 ? 'open' : i % 2 === 0 ? 'settled' : 'resolved',
    }),
  );
  const { ids, metrics, lines } = await kept(entries, { journalKeep: 90 * DAY, ledgerLimit: null });
  expect(ids).toHaveLength(101);
  expect(ids.at(-1)).toBe(8);
  expect(metrics).toContain('carrick_journal_removed_total{cause="age"} 1199');
  expect(lines.join()).toContain('"event":"journal.removed"');
});

test('above the limit the oldest go first, until it fits', async () => {
  const limit = 1_500_000;
  const entries = Array.from({ length: 8000 }, (_, i) =>
    journal(i + 1, { at: NOW, state: i === 3 ? 'open' : 'settled' }),
  );
  const { ids, used, metrics } = await kept(entries, { journalKeep: null, ledgerLimit: limit });
  expect(used).toBeLessThanOrEqual(limit);
  expect(ids.length).toBeGreaterThan(1000);
  expect(ids.length).toBeLessThan(7000);
  expect(ids.at(-1)).toBe(4);
  expect(ids.slice(0, -1)).toEqual(Array.from({ length: ids.length - 1 }, (_, i) => 8000 - i));
  expect(metrics).toMatch(/carrick_journal_removed_total\{cause="limit"\} \d{3,}/);
});

test('nothing goes unless it is said', async () => {
  const entries = [journal(1, { at: 1 }), journal(2, { at: NOW })];
  const { ids, lines } = await kept(entries, { journalKeep: null, ledgerLimit: null });
  expect(ids).toEqual([2, 1]);
  expect(lines.join()).not.toContain('journal.removed');
});
