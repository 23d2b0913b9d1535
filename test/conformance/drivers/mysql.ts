import type { Driver } from '../driver.ts';
import { mariadb } from './mariadb.ts';
import { types } from './mysql-types.ts';

/** MySQL, where `CARRICK_MYSQLD` or a URL puts it in the place of MariaDB. */
export const mysql: Driver = {
  ...mariadb,
  name: 'MySQL',
  connector: 'mysql',
  types,
  // Its own mode refuses dates of zero.
  sessions: [`set sql_mode = 'STRICT_ALL_TABLES'`, ...mariadb.sessions.slice(1)],
  dialect: {
    ...mariadb.dialect,
    fill: (table, from, to) => `insert /*+ set_var(cte_max_recursion_depth = 10000000) */
      into ${table} (id, name)
      with recursive numbers as
        (select ${from} as n union all select n + 1 from numbers where n < ${to})
      select n, concat('row ', n, repeat('.', 60)) from numbers`,
  },
};
