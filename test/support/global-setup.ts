/** Vitest's set-up for the tests that need database servers, once for all their files. */
import { prepareMariadb } from './mariadb.ts';
import { ensureServers } from './packages.ts';
import { preparePostgres } from './postgres.ts';
import { runFolder } from './run.ts';

export async function setup(): Promise<void> {
  await ensureServers();
  runFolder();
  await Promise.all([preparePostgres(), prepareMariadb()]);
}
