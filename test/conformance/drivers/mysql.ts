import type { Driver, Starter } from '../driver.ts';
import { mariadb } from './mariadb.ts';
import { types } from './mysql-types.ts';

/** What MySQL has otherwise than MariaDB. */
export function mysql(starter: Starter): Driver {
  const common = mariadb(starter);
  return {
    ...common,
    name: 'MySQL',
    connector: 'mysql',
    types,
    // Its own mode refuses dates of zero.
    sessions: [`set sql_mode = 'STRICT_ALL_TABLES'`, ...common.sessions.slice(1)],
    dialect: {
      ...common.dialect,
      fill: (table, from, to) => `insert /*+ set_var(cte_max_recursion_depth = 10000000) */
      into ${table} (id, name)
      with recursive numbers as
        (select ${from} as n union all select n + 1 from numbers where n < ${to})
      select n, concat('row ', n, repeat('.', 60)) from numbers`,
    },
  };
}
