/** Clients that hand over what the server sent: no value loses digits on its way into a test. */
import mysql from 'mysql2/promise';
import pg from 'pg';

export type PgClient = pg.Client & AsyncDisposable;

/** A connected client whose values are the server's own text (NULL is null). */
export async function pgClient(url: string): Promise<PgClient> {
  const client = new pg.Client({
    connectionString: url,
    types: { getTypeParser: () => (value: string) => value },
  });
  // A server that a test kills ends its clients too; the next query reports it.
  client.on('error', () => {});
  await client.connect();
  return Object.assign(client, {
    [Symbol.asyncDispose]: () => client.end().catch(() => {}),
  });
}

/** A connected client: numbers beyond 2^53, dates and times come as the server's text. */
export async function mysqlClient(url: string): Promise<mysql.Connection> {
  const connection = await mysql.createConnection({
    uri: url,
    supportBigNumbers: true,
    bigNumberStrings: true,
    dateStrings: true,
    timezone: 'Z',
    multipleStatements: true,
  });
  connection.on('error', () => {});
  return connection;
}
