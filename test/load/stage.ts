/** The two servers and Carrick's own folder: thrown away at the end, or kept in a named one. */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import {
  freePort,
  mysqlClient,
  pgClient,
  scratchFolder,
  startMariadb,
  startPostgres,
} from '../support/index.ts';
import type { Ask } from './compare.ts';
import { daemonOf } from './daemon.ts';
import { MAPPINGS } from './data.ts';

export interface Stage extends AsyncDisposable {
  readonly folder: string;
  readonly config: string;
  readonly api: string;
  readonly env: NodeJS.ProcessEnv;
  /** A session of its own each time; closed with the stage. */
  crm(): Promise<Ask>;
  erp(): Promise<Ask>;
}

/** A buffer pool that is no bottleneck, and commits that reach the disk. */
const POSTGRES = { durable: true, settings: { shared_buffers: '512MB', max_wal_size: '4GB' } };
const MARIADB = {
  durable: true,
  settings: { 'innodb-buffer-pool-size': '1G', 'max-connections': '50' },
};

/** `keep`: the folder that stays; null: everything is gone at the end. */
export async function openStage(keep: string | null): Promise<Stage> {
  await using opened = new AsyncDisposableStack();
  const folder = keep === null ? await scratchFolder('load') : resolve(keep);
  await mkdir(folder, { recursive: true });
  const kept = (name: string) => (keep === null ? {} : { folder: join(folder, name) });
  const crm = opened.use(await startPostgres({ ...POSTGRES, ...kept('crm') }));
  const erp = opened.use(await startMariadb({ ...MARIADB, ...kept('erp') }));
  const address = `127.0.0.1:${await freePort()}`;
  const config = join(folder, 'carrick.yaml');
  const key = join(folder, 'ledger.key');
  if (!existsSync(key)) await writeFile(key, randomBytes(32).toString('base64'), { mode: 0o600 });
  await writeFile(config, configuration(address, key));
  for (const [entity, text] of Object.entries(MAPPINGS)) {
    await writeFile(join(folder, `${entity}.map.yaml`), text);
  }
  const all = opened.move();
  return {
    folder,
    config,
    api: `http://${address}`,
    env: { ...process.env, CRM_URL: crm.url, ERP_URL: erp.url },
    async crm() {
      const client = all.use(await pgClient(crm.url));
      return async (text) => (await client.query({ text, rowMode: 'array' })).rows ?? [];
    },
    async erp() {
      const client = await mysqlClient(erp.url);
      all.defer(() => client.end());
      return async (sql) => {
        const [rows] = await client.query({ sql, rowsAsArray: true });
        return Array.isArray(rows) ? (rows as (string | null)[][]) : [];
      };
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

const configuration = (listen: string, key: string): string => `\
instance: load
systems:
  crm: {connector: postgres, url: "\${CRM_URL}"}
  erp: {connector: mysql, url: "\${ERP_URL}"}
mappings: ["*.map.yaml"]
ledger: sqlite:carrick.db
ledger_key: file:${key}
listen: ${listen}
log_level: warn
`;

/** Starts what `--keep` left, and says how to reach it; returns at the first signal. */
export async function openKept(folder: string, say: (line: string) => void): Promise<void> {
  if (!existsSync(join(folder, 'carrick.db'))) throw new Error(`nothing was kept in ${folder}`);
  await using stage = await openStage(folder);
  const daemon = daemonOf(stage.config, stage.env, join(stage.folder, 'carrick.log'));
  daemon.start();
  say(`export CRM_URL=${stage.env.CRM_URL} ERP_URL=${stage.env.ERP_URL}`);
  say(`carrick status --config ${stage.config}`);
  await new Promise((resume) => {
    process.once('SIGINT', resume);
    process.once('SIGTERM', resume);
  });
  await daemon.stop();
}
