/** The seat of the people who work in one of the two systems: plain SQL, as their programs send. */
import type { Connection, RowDataPacket } from 'mysql2/promise';
import { mysqlClient, type PgClient, pgClient } from '../../test/support/index.ts';

export type SystemName = 'crm' | 'erp';
/** By the connector that reads it. */
export type Product = 'postgres' | 'mysql';
/** A list of texts is an array in PostgreSQL, and a SET in MySQL and MariaDB. */
export type Param = string | number | boolean | null | Date | readonly string[];
export type Row = Readonly<Record<string, string | number | null>>;
/** Runs one statement, with `?` for each of the values. */
export type Sql = (text: string, values?: readonly Param[]) => Promise<Row[]>;

export interface Desk extends AsyncDisposable {
  readonly system: SystemName;
  readonly product: Product;
  readonly sql: Sql;
  /** Several statements that are committed together. */
  transaction(work: (sql: Sql) => Promise<void>): Promise<void>;
}

export const productAt = (url: string): Product =>
  url.startsWith('postgres') ? 'postgres' : 'mysql';

/** Connects when first used, and again when the server has been away in between. */
export function openDesk(system: SystemName, url: string): Desk {
  const product = productAt(url);
  const connect = product === 'postgres' ? postgresSession : mysqlSession;
  let session: Promise<Session> | undefined;
  const lost = (): void => {
    session = undefined;
  };
  const sql: Sql = async (text, values = []) => {
    session ??= connect(url, lost);
    const open = await session.catch((error: unknown) => {
      lost();
      throw error;
    });
    return open.sql(text, values);
  };
  return {
    system,
    product,
    sql,
    async transaction(work) {
      await sql('BEGIN');
      try {
        await work(sql);
        await sql('COMMIT');
      } catch (error) {
        await sql('ROLLBACK').catch(() => {});
        throw error;
      }
    },
    async [Symbol.asyncDispose]() {
      await session?.then((open) => open.close()).catch(() => {});
    },
  };
}

interface Session {
  sql(text: string, values: readonly Param[]): Promise<Row[]>;
  close(): Promise<void>;
}

async function postgresSession(url: string, lost: () => void): Promise<Session> {
  const client: PgClient = await pgClient(url);
  client.on('end', lost);
  return {
    sql: async (text, values) => {
      let n = 0;
      const numbered = values.length === 0 ? text : text.replaceAll('?', () => `$${++n}`);
      return (await client.query(numbered, [...values])).rows as Row[];
    },
    close: () => client.end(),
  };
}

async function mysqlSession(url: string, lost: () => void): Promise<Session> {
  const client: Connection = await mysqlClient(url);
  client.on('end', lost);
  // As the instants among the values are sent.
  await client.query(`SET time_zone = '+00:00'`);
  return {
    sql: async (text, values) => {
      const sent = values.map((value) => (Array.isArray(value) ? value.join(',') : value));
      const [rows] = await client.query<RowDataPacket[]>(text, sent);
      return Array.isArray(rows) ? (rows as Row[]) : [];
    },
    close: () => client.end(),
  };
}
