import { systemOf } from '../../support/index.ts';
import type { Driver, Starter } from '../driver.ts';
import { mariadb } from './mariadb.ts';
import { mysql } from './mysql.ts';
import { postgres } from './postgres.ts';

/** By the connector's name in the registry. */
export const driversByConnector = { postgres, mysql, mariadb } satisfies Readonly<
  Record<string, (starter: Starter) => Driver>
>;

const systems = await Promise.all([systemOf('crm'), systemOf('erp')]);
const engines = new Map(systems.map((system) => [system.engine, system]));

/** Of the two engines of a pair, or of the one that plays both parts. */
export const drivers: readonly Driver[] = [...engines.values()].map(({ product, start }) =>
  driversByConnector[product](start),
);
