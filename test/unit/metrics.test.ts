import { describe, expect, test } from 'vitest';
import { createMetrics, METRICS, metricsTable, policyKind } from '../../src/observe/metrics.ts';

describe('metrics', () => {
  test('counts are added whole and histograms take seconds', async () => {
    const metrics = createMetrics('1.2.3');
    const labels = { system: 'crm', entity: 'customer', operation: 'update' };
    metrics.add('carrick_captured_rows_total', labels, 2_000);
    metrics.add('carrick_captured_rows_total', labels, 3);
    metrics.observe('carrick_commit_to_applied_seconds', { source: 'crm', target: 'erp' }, 0.2);
    const text = await metrics.render();
    expect(text).toContain(
      'carrick_captured_rows_total{system="crm",entity="customer",operation="update"} 2003',
    );
    expect(text).toContain(
      'carrick_commit_to_applied_seconds_bucket{le="0.25",source="crm",target="erp"} 1',
    );
    expect(text).toContain(
      'carrick_commit_to_applied_seconds_bucket{le="0.1",source="crm",target="erp"} 0',
    );
    expect(text).toContain('carrick_build_info{version="1.2.3"} 1');
    expect(text).toContain('process_cpu_seconds_total');
  });

  test('a gauge that is no longer collected is no longer exported', async () => {
    const metrics = createMetrics('0');
    let parked: Record<string, number> = { invalid: 4 };
    metrics.onScrape(async (set) => {
      for (const [reason, n] of Object.entries(parked)) {
        set('carrick_parked_items', { system: 'crm', reason }, n);
      }
      if (parked.invalid !== undefined) set('carrick_ledger_bytes', {}, 4096);
    });
    const before = await metrics.render();
    expect(before).toContain('carrick_parked_items{system="crm",reason="invalid"} 4');
    expect(before).toMatch(/^carrick_ledger_bytes 4096$/m);
    parked = {};
    const after = await metrics.render();
    expect(after).not.toContain('carrick_parked_items{');
    expect(after).not.toMatch(/^carrick_ledger_bytes /m);
  });

  test('scrapes at once each see whole sets', async () => {
    const metrics = createMetrics('0');
    let scrape = 0;
    metrics.onScrape(async (set) => {
      const waits = ++scrape % 2;
      set('carrick_records', { entity: 'customer' }, 7);
      if (waits) await new Promise((resolve) => setImmediate(resolve));
      set('carrick_records', { entity: 'order' }, 9);
    });
    for (const text of await Promise.all(Array.from({ length: 6 }, () => metrics.render()))) {
      expect(text).toContain('carrick_records{entity="customer"} 7');
      expect(text).toContain('carrick_records{entity="order"} 9');
    }
  });

  test('a collection that fails fails the scrape', async () => {
    const metrics = createMetrics('0');
    metrics.onScrape(async () => {
      throw new Error('ledger closed');
    });
    await expect(metrics.render()).rejects.toThrow('ledger closed');
  });

  test('names follow the conventions and the table lists all of them', () => {
    const table = metricsTable();
    for (const [name, { kind, labels }] of Object.entries(METRICS)) {
      expect(name).toMatch(/^carrick_[a-z_]+$/);
      expect(name.endsWith('_total'), name).toBe(kind === 'counter');
      if (kind === 'histogram') expect(name).toMatch(/_seconds$/);
      for (const label of labels) expect(label).not.toBe('le');
      expect(table).toContain(`| \`${name}\` | ${kind} |`);
    }
    expect(table.split('\n')).toHaveLength(Object.keys(METRICS).length + 2);
  });

  test('policy labels are bounded', () => {
    expect(policyKind('last_writer')).toBe('last_writer');
    expect(policyKind('prefer: erp')).toBe('prefer');
    expect(policyKind("when erp.tier == 'platinum' take erp")).toBe('rule');
    expect(policyKind('park')).toBe('park');
  });
});
