/** A user's own connection to one of the two systems, past the proxies. */
import type { ResultSetHeader, RowDataPacket } from 'mysql2/promise';
import { mysqlClient, pgClient } from '../support/index.ts';

/** By the connector that reads it. */
export type Product = 'postgres' | 'mysql';

export const productAt = (url: string): Product =>
  url.startsWith('postgres') ? 'postgres' : 'mysql';

export type Param = string | number | boolean | null;
export type Row = Readonly<Record<string, string | null>>;

export interface Result {
  readonly rows: readonly Row[];
  /** Rows that were written. */
  readonly count: number;
}

export interface Session extends AsyncDisposable {
  readonly product: Product;
  /** One statement; parameters are `?` in both products. */
  run(sql: string, ...params: Param[]): Promise<Result>;
  /** Begins a transaction under a name that the audit notes with every row it writes. */
  begin(name: string): Promise<void>;
}

/** Nobody waits for ever: what a lost connection of Carrick has locked may stay so for a minute. */
const LOCK_SECONDS = 3;

export function openSession(url: string): Promise<Session> {
  return productAt(url) === 'postgres' ? postgresSession(url) : mysqlSession(url);
}

async function postgresSession(url: string): Promise<Session> {
  const client = await pgClient(url);
  await client.query(`set lock_timeout = '${LOCK_SECONDS}s'`);
  const run: Session['run'] = async (sql, ...params) => {
    let n = 0;
    const text = sql.replaceAll('?', () => `$${++n}`);
    const { command, rows, rowCount } = await client.query<Row>(text, params);
    return { rows: rows ?? [], count: command === 'SELECT' ? 0 : (rowCount ?? 0) };
  };
  return {
    product: 'postgres',
    run,
    async begin(name) {
      await run('begin');
      await run(`select set_config('torture.tx', ?, true)`, name);
    },
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}

async function mysqlSession(url: string): Promise<Session> {
  const client = await mysqlClient(url);
  await client.query(
    // As both products spell it.
    `SET innodb_lock_wait_timeout = ${LOCK_SECONDS};
     SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED`,
  );
  const run: Session['run'] = async (sql, ...params) => {
    const [answer] = await client.query<RowDataPacket[] | ResultSetHeader>(sql, params);
    if (!Array.isArray(answer)) return { rows: [], count: answer.affectedRows };
    return { rows: answer.map(asText), count: 0 };
  };
  return {
    product: 'mysql',
    run,
    async begin(name) {
      await run('SET @tx = ?', name);
      await run('BEGIN');
    },
    [Symbol.asyncDispose]: async () => client.destroy(),
  };
}

const asText = (row: RowDataPacket): Row =>
  Object.fromEntries(
    Object.entries(row).map(([name, value]) => [name, value === null ? null : String(value)]),
  );
