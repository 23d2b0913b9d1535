import { setTimeout as sleep } from 'node:timers/promises';
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
  const erp = last.erp === null ? '' : `, ${last.erp} in the ERP`;
  say.done(`for ${still} s the row changes have stood at ${last.crm} in the CRM${erp}`);
}

async function rowChanges(stage: Stage): Promise<{ crm: number; erp: number | null }> {
  const { crm, erp } = stage.desks;
  const [counted] = await crm.sql(
    'select sum(n_tup_ins + n_tup_upd + n_tup_del) as n from pg_stat_user_tables',
  );
  // These count for the whole server: where others use it too, they tell nothing.
  if (stage.servers.erp.replacedBy !== undefined) return { crm: Number(counted?.n), erp: null };
  const [{ product } = {}] = await erp.sql(
    `SELECT IF(VERSION() LIKE '%MariaDB%', 'MariaDB', 'MySQL') AS product`,
  );
  const names = product === 'MySQL' ? MYSQL_COUNTERS : MARIADB_COUNTERS;
  const rows = await erp.sql(`SHOW GLOBAL STATUS WHERE Variable_name IN (${names})`);
  const sum = rows.reduce((n, { Value }) => n + Number(Value), 0);
  return { crm: Number(counted?.n), erp: sum };
}
