/** The parts of deploy/compose.yaml that can run without its containers. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { seedOnce, work } from '../../deploy/compose/people.ts';
import { openDesk } from '../../deploy/demo/desk.ts';
import { scratchFolder, startMariadb, startPostgres } from '../support/index.ts';
import { textOf } from '../unit/deploy-expressions.ts';
import { ensurePrometheus, promtool } from './deploy-prometheus.ts';

const { configs } = parse(textOf('deploy/compose.yaml'), { merge: true });

beforeAll(ensurePrometheus, 600_000);

test('Prometheus accepts its configuration', async () => {
  const file = join(await scratchFolder('compose'), 'prometheus.yml');
  writeFileSync(file, configs.prometheus.content.replace(/^rule_files.*$/m, ''));
  const checked = promtool('check', 'config', file);
  expect(checked.ok, checked.text).toBe(true);
});

test('the people find rows to work on, and the ERP gives Carrick its rights', async () => {
  await using crmServer = await startPostgres();
  await using erpServer = await startMariadb();
  await using crm = openDesk('crm', crmServer.url);
  await using erp = openDesk('erp', erpServer.url);
  await crm.sql(textOf('deploy/demo/crm.sql'));
  await erp.sql(textOf('deploy/demo/erp.sql'));
  await erp.sql(`CREATE USER IF NOT EXISTS 'carrick'@'%'`);
  await erp.sql(
    configs.erp_rights.content.replace('DATABASE carrick', 'DATABASE IF NOT EXISTS carrick'),
  );

  expect(await seedOnce({ crm, erp })).toBe(true);
  expect(await seedOnce({ crm, erp })).toBe(false);
  const stop = new AbortController();
  setTimeout(() => stop.abort(), 1000);
  expect(await work({ crm, erp }, 10, stop.signal)).toBeGreaterThan(0);
});
