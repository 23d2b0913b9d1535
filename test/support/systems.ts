/**
 * The two systems of a test that joins them. `CARRICK_CRM` and `CARRICK_ERP` choose the engine of
 * each, as `product` or `product:programs`: `postgres:/usr/lib/postgresql/15/bin` (the folder of
 * its programs), `mysql:/usr/sbin/mysqld` (the server), `mariadb:/usr` (its base folder).
 */
import { erpProduct, privateMariadb, startMariadb } from './mariadb.ts';
import { mysqlProgram, startMysql } from './mysql.ts';
import { privatePostgres, startPostgres } from './postgres.ts';
import type { TestServer } from './server.ts';

export type Role = 'crm' | 'erp';
export type Product = 'postgres' | 'mysql' | 'mariadb';

export interface SystemOptions {
  /** True: it shares nothing with others, not even a template. */
  readonly stranger?: boolean;
}

export interface TestSystem {
  readonly product: Product;
  /** Equal for two roles that the same engine plays. */
  readonly engine: string;
  start(options?: SystemOptions): Promise<TestServer>;
}

/** Without the variable: PostgreSQL is the CRM; MariaDB, or what stands in for it, the ERP. */
export async function systemOf(role: Role): Promise<TestSystem> {
  const engine = process.env[`CARRICK_${role.toUpperCase()}`];
  if (engine) return chosen(engine);
  if (role === 'crm') return { product: 'postgres', engine: role, start: startPostgres };
  const product = (await erpProduct()) === 'MySQL' ? 'mysql' : 'mariadb';
  return { product, engine: role, start: () => startMariadb() };
}

export async function startSystem(role: Role): Promise<TestServer> {
  return (await systemOf(role)).start();
}

function chosen(engine: string): TestSystem {
  const colon = engine.indexOf(':');
  const product = colon < 0 ? engine : engine.slice(0, colon);
  const programs = colon < 0 ? undefined : engine.slice(colon + 1);
  switch (product) {
    case 'postgres': {
      const bin = programs === undefined ? {} : { bin: programs };
      return { product, engine, start: (options) => privatePostgres({ ...bin, ...options }) };
    }
    case 'mysql': {
      const program = programs ?? mysqlProgram();
      if (program === undefined) throw new Error('name the program: mysql:/path/of/mysqld');
      return { product, engine, start: () => startMysql(program) };
    }
    case 'mariadb':
      return { product, engine, start: () => privateMariadb(programs ?? '/usr', {}) };
    default:
      throw new Error(`${engine}: expected postgres, mysql or mariadb, with :programs behind it`);
  }
}
