import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { mysqlClient, pgClient, startMariadb, startPostgres } from '../support/index.ts';
import { ROOT } from '../support/sources.ts';

const run = promisify(execFile);

/** What a DBA does with `carrick setup --print`: the whole text through the server's own shell. */
test('the printed scripts run as they are, twice', async () => {
  await using postgres = await startPostgres();
  await using mariadb = await startMariadb();
  await using crm = await pgClient(postgres.url);
  await using erp = await mysqlClient(mariadb.url);
  await crm.query(readFileSync(join(ROOT, 'deploy/demo/crm.sql'), 'utf8'));
  const tables = ['customers', 'items', 'sales_orders', 'sales_order_lines'];
  for (const table of tables) await erp.query(`CREATE TABLE ${table} (id INT PRIMARY KEY)`);
  const folder = mkdtempSync(join(tmpdir(), 'carrick-script-'));
  const role = new URL(postgres.url);
  role.username = 'sync';
  const config = join(folder, 'carrick.yaml');
  writeFileSync(
    config,
    [
      'systems:',
      `  crm: {connector: postgres, url: "${role.href}"}`,
      `  erp: {connector: mysql, url: "${mariadb.url}"}`,
      `mappings: [${JSON.stringify(join(ROOT, 'mappings/*.yaml'))}]`,
      'ledger: sqlite:./carrick.db',
      `ledger_key: ${randomBytes(32).toString('base64')}`,
    ].join('\n'),
  );
  const program = [join(ROOT, 'src/main.ts'), 'setup', '--print', '--config', config];
  const { stdout } = await run(process.execPath, program);
  const [forCrm = '', forErp = ''] = stdout.split('\n-- erp');
  const clean = (text: string) => text.replace(/^-- crm/, '');
  for (const _ of [1, 2]) {
    writeFileSync(join(folder, 'crm.sql'), clean(forCrm));
    const { stderr } = await run('psql', [
      '-v',
      'ON_ERROR_STOP=1',
      '-q',
      '-f',
      join(folder, 'crm.sql'),
      postgres.url,
    ]);
    expect(stderr).not.toMatch(/ERROR/);
    writeFileSync(join(folder, 'erp.sql'), forErp);
    const { hostname, port, username, password, pathname } = new URL(mariadb.url);
    const login = [`-h${hostname}`, `-P${port}`, `-u${username}`, `-p${password}`];
    const shell = [
      '-c',
      `mariadb ${login.join(' ')} ${pathname.slice(1)} < ${join(folder, 'erp.sql')}`,
    ];
    await run('sh', shell);
  }
  const { rows } = await crm.query('select slot_name from pg_replication_slots');
  expect(rows).toHaveLength(1);
});
