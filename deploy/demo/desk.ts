/** The seat of the people who work in one of the two systems: plain SQL, as their programs send. */
import type { Connection, RowDataPacket } from 'mysql2/promise';
import { mysqlClient, type PgClient, pgClient } from '../../test/support/index.ts';

export type SystemName = 'crm' | 'erp';
/** A list is an array in the CRM, and a row of VALUES in the ERP. */
export type Param = string | number | boolean | null | readonly Param[];
export type Row = Readonly<Record<string, string | number | null>>;
/** Runs one statement. Placeholders are `$1` in the CRM and `?` in the ERP. */
export type Sql = (text: string, values?: readonly Param[]) => Promise<Row[]>;

export interface Desk extends AsyncDisposable {
  readonly system: SystemName;
  readonly sql: Sql;
  /** Several statements that are committed together. */
  transaction(work: (sql: Sql) => Promise<void>): Promise<void>;
}

/** Connects when first used, and again when the server has been away in between. */
export function openDesk(system: SystemName, url: string): Desk {
  const connect = system === 'crm' ? crmSession : erpSession;
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

async function crmSession(url: string, lost: () => void): Promise<Session> {
  const client: PgClient = await pgClient(url);
  client.on('end', lost);
  return {
    sql: async (text, values) => (await client.query(text, [...values])).rows as Row[],
    close: () => client.end(),
  };
}

async function erpSession(url: string, lost: () => void): Promise<Session> {
  const client: Connection = await mysqlClient(url);
  client.on('end', lost);
  return {
    sql: async (text, values) => {
      const [rows] = await client.query<RowDataPacket[]>(text, [...values]);
      return Array.isArray(rows) ? (rows as Row[]) : [];
    },
    close: () => client.end(),
  };
}
