/** The image's steps and its way of running, without a Docker engine; see the script. */
import { execFile } from 'node:child_process';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { openDesk } from '../../deploy/demo/desk.ts';
import { seed } from '../../deploy/demo/seed.ts';
import { freePort, startMariadb, startPostgres } from '../support/index.ts';
import { ROOT } from '../support/sources.ts';
import { textOf } from '../unit/deploy-expressions.ts';

const SCRIPT = 'deploy/container-check.sh';

test('built for production, it runs read-only, unprivileged and as PID 1', async (context) => {
  context.skip(process.getuid?.() !== 0, 'makes namespaces and changes user: needs root');
  await using crm = await startPostgres();
  await using erp = await startMariadb();
  await using crmDesk = openDesk('crm', crm.url);
  await using erpDesk = openDesk('erp', erp.url);
  await crmDesk.sql(textOf('deploy/demo/crm.sql'));
  await erpDesk.sql(textOf('deploy/demo/erp.sql'));
  await seed(crmDesk, erpDesk);
  const env = {
    ...process.env,
    PATH: `${dirname(process.execPath)}:${process.env.PATH}`,
    CRM_URL: crm.url,
    ERP_URL: erp.url,
    LISTEN: `127.0.0.1:${await freePort()}`,
  };
  const { stdout } = await promisify(execFile)(join(ROOT, SCRIPT), [], { cwd: ROOT, env });
  expect(stdout).toMatch(/^size: .*M$/m);
  expect(stdout).toContain('ok: only /var/lib/carrick can be written');
  expect(stdout).toContain('ok: PID 1 stops cleanly at SIGTERM');
}, 300_000);

test('the script takes the same steps as the Dockerfile', () => {
  const script = textOf(SCRIPT);
  const steps = textOf('Dockerfile').matchAll(/^RUN (npm .*)$/gm);
  const commands = [...steps].map(([, command]) => command);
  expect(commands).toEqual(['npm ci', 'npm run build']);
  // `npm ci` with everything is what whoever runs the tests has done.
  for (const command of commands.slice(1)) expect(script).toContain(command);
  const copied = [...textOf('Dockerfile').matchAll(/^COPY (?!--from)(.*) \S+$/gm)]
    .flatMap(([, names = '']) => names.split(' '))
    .sort();
  const allowed = [...textOf('.dockerignore').matchAll(/^!(.*)$/gm)].map(([, name]) => name).sort();
  expect([...new Set(copied)]).toEqual(allowed);
});
