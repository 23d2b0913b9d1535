import { setTimeout as sleep } from 'node:timers/promises';
import type { TestServer } from '../../../test/support/index.ts';
import type { Desk, SystemName } from '../desk.ts';
import type { Stage } from '../stage.ts';

const STILL_SECONDS = 8;
/** PostgreSQL's sessions report their counts up to ten seconds late. */
const PATIENCE_SECONDS = 60;

const MARIADB_COUNTERS = `'Handler_write', 'Handler_update', 'Handler_delete'`;
/** MySQL's handlers count the rows of SHOW STATUS itself. */
const MYSQL_COUNTERS = `'Innodb_rows_inserted', 'Innodb_rows_updated', 'Innodb_rows_deleted'`;

/** Users have stopped writing: so must Carrick. The servers' own counters of row changes tell. */
export async function quiet(stage: Stage): Promise<void> {
  const { say } = stage;
  say.act('Quiet: nobody writes, so nothing is written');
  let last = await rowChanges(stage);
  let still = 0;
  for (let i = 0; still < STILL_SECONDS; i++) {
    if (i === PATIENCE_SECONDS) throw new Error('rows keep changing, and nobody writes');
    await sleep(1000);
    const now = await rowChanges(stage);
    still = now.crm === last.crm && now.erp === last.erp ? still + 1 : 0;
    last = now;
  }
  const shown = ({ crm, erp }: typeof last) =>
    [crm === null ? [] : `${crm} in the CRM`, erp === null ? [] : `${erp} in the ERP`].flat();
  say.done(`for ${still} s the row changes have stood at ${shown(last).join(', ')}`);
}

async function rowChanges(stage: Stage): Promise<Record<SystemName, number | null>> {
  const { desks, servers } = stage;
  const [crm, erp] = await Promise.all([
    changesIn(desks.crm, servers.crm),
    changesIn(desks.erp, servers.erp),
  ]);
  return { crm, erp };
}

async function changesIn({ product, sql }: Desk, server: TestServer): Promise<number | null> {
  if (product === 'postgres') {
    const counters = 'sum(n_tup_ins + n_tup_upd + n_tup_del)';
    const [counted] = await sql(`select ${counters} as n from pg_stat_user_tables`);
    return Number(counted?.n);
  }
  // These count for the whole server: where others use it too, they tell nothing.
  if (server.replacedBy !== undefined) return null;
  const [{ mariadb } = {}] = await sql(`SELECT VERSION() LIKE '%MariaDB%' AS mariadb`);
  const names = Number(mariadb) === 1 ? MARIADB_COUNTERS : MYSQL_COUNTERS;
  const rows = await sql(`SHOW GLOBAL STATUS WHERE Variable_name IN (${names})`);
  return rows.reduce((n, { Value }) => n + Number(Value), 0);
}
