import type { Driver } from '../driver.ts';
import { mariadb } from './mariadb.ts';
import { postgres } from './postgres.ts';

export const drivers: readonly Driver[] = [postgres, mariadb];
