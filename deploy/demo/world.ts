/** Both servers with their schemas and rows, and Carrick prepared beside them. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureServers, startSystem } from '../../test/support/index.ts';
import { prepareDaemon } from './daemon.ts';
import { openDesk, productAt, type SystemName } from './desk.ts';
import { openReader } from './reader.ts';
import { seed } from './seed.ts';
import type { Speech } from './speech.ts';
import type { Stage } from './stage.ts';

/** Each system's tables, as an application on either kind of database would lay them out. */
const SCHEMAS = {
  crm: { postgres: 'crm.sql', mysql: 'crm-mysql.sql' },
  erp: { postgres: 'erp-postgres.sql', mysql: 'erp.sql' },
} as const;

const schema = (name: SystemName, url: string): string =>
  readFileSync(join(import.meta.dirname, SCHEMAS[name][productAt(url)]), 'utf8');

/**
 * Everything that the story needs, filled and ready; Carrick is not started yet. With `CRM_URL` or
 * `ERP_URL` set, a new database on that server takes the place of a private server: what others
 * keep there is never touched. Disposing removes all of it.
 */
export async function openWorld(say: Speech): Promise<Stage & AsyncDisposable> {
  await ensureServers();
  await using opened = new AsyncDisposableStack();
  const [crmServer, erpServer] = await Promise.all([startSystem('crm'), startSystem('erp')]);
  opened.use(crmServer);
  opened.use(erpServer);
  const urls = { crm: crmServer.url, erp: erpServer.url };
  const folder = await mkdtemp(join(tmpdir(), 'carrick-demo-'));
  opened.defer(() => rm(folder, { recursive: true, force: true }));

  const desks = {
    crm: opened.use(openDesk('crm', urls.crm)),
    erp: opened.use(openDesk('erp', urls.erp)),
  };
  await Promise.all([
    desks.crm.sql(schema('crm', urls.crm)),
    desks.erp.sql(schema('erp', urls.erp)),
  ]);
  await seed(desks.crm, desks.erp);
  const instance = `demo_${randomBytes(4).toString('hex')}`;
  const carrick = opened.use(await prepareDaemon(folder, instance, urls));
  const reader = opened.use(await openReader(urls));

  const all = opened.move();
  return {
    desks,
    servers: { crm: crmServer, erp: erpServer },
    carrick,
    say,
    readBooks: () => reader.read(),
    edits: { crm: 0, erp: 0 },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}
