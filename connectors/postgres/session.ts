import pg, { type ClientConfig } from 'pg';
import { describeError } from './errors.ts';

/**
 * Settings that decide how the server spells values. Every session has the same, so that the log,
 * a chunk and a comparison spell one row alike, whatever role or database settings say.
 */
const SPELLING: Readonly<Record<string, string>> = {
  TimeZone: 'UTC',
  DateStyle: 'ISO',
  IntervalStyle: 'postgres',
  extra_float_digits: '1',
  bytea_output: 'hex',
  lc_monetary: 'C',
  xmloption: 'content',
};

/** Names of types come out qualified. Not for the applier: triggers see the role's own path. */
export const CATALOG_PATH = { search_path: 'pg_catalog' };

const CONNECT_TIMEOUT_MS = 10_000;
const KEEPALIVE_MS = 30_000;

export function sessionConfig(
  connection: ClientConfig,
  settings: Readonly<Record<string, string>>,
): ClientConfig {
  const options = Object.entries({ ...SPELLING, ...settings })
    .map(([name, value]) => `-c ${name}=${value}`)
    .join(' ');
  return {
    ...connection,
    options,
    application_name: 'carrick',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEPALIVE_MS,
    // Values stay the server's own text: pg's parsers lose microseconds and digits.
    types: { getTypeParser: () => (text: string) => text },
  };
}

/** A row as text cells. */
export type TextRow = readonly (string | null)[];

/** Runs a statement on one connection; rows are text in the order of its columns. */
export type Run = (text: string, values?: readonly unknown[]) => Promise<readonly TextRow[]>;

/** The few connections that a system uses beside log and applier; opened when needed. */
export function openPool(connection: ClientConfig): pg.Pool {
  const pool = new pg.Pool({ ...sessionConfig(connection, CATALOG_PATH), max: 3 });
  // An idle connection that breaks is replaced; the query that needs one reports the trouble.
  pool.on('error', () => {});
  return pool;
}

/** Rows as objects of text; errors as the pipeline wants them. */
export async function queryRows<Row>(
  pool: pg.Pool,
  text: string,
  values: readonly unknown[] = [],
): Promise<Row[]> {
  try {
    return (await pool.query(text, [...values])).rows as Row[];
  } catch (error) {
    throw describeError('source', error);
  }
}

/** `table` or `schema.table`, split at the first dot; the schema is `public` by default. */
export function tableName(name: string): { readonly schema: string; readonly table: string } {
  const dot = name.indexOf('.');
  return dot < 0
    ? { schema: 'public', table: name }
    : { schema: name.slice(0, dot), table: name.slice(dot + 1) };
}

export function quote(identifier: string): string {
  return pg.escapeIdentifier(identifier);
}

export function quotedTable(name: string): string {
  const { schema, table } = tableName(name);
  return `${quote(schema)}.${quote(table)}`;
}
