import { erpProduct } from '../../support/index.ts';
import type { Driver } from '../driver.ts';
import { mariadb } from './mariadb.ts';
import { mysql } from './mysql.ts';
import { postgres } from './postgres.ts';

export const drivers: readonly Driver[] = [
  postgres,
  (await erpProduct()) === 'MySQL' ? mysql : mariadb,
];
