import type { RowDataPacket } from 'mysql2/promise';
import { erpProduct, startMariadb } from './mariadb.ts';
import type { TestServer } from './server.ts';
import { mysqlClient } from './sql.ts';

/** The same in the words of both products. */
const WORDS = {
  MariaDB: {
    follow: (port: string, user: string, password: string) => `CHANGE MASTER TO
      MASTER_HOST = '127.0.0.1', MASTER_PORT = ${port}, MASTER_USER = '${user}',
      MASTER_PASSWORD = '${password}', MASTER_CONNECT_RETRY = 1, MASTER_USE_GTID = slave_pos;
      START SLAVE`,
    executed: '@@gtid_binlog_pos',
    wait: 'MASTER_GTID_WAIT',
  },
  MySQL: {
    follow: (port: string, user: string, password: string) => `CHANGE REPLICATION SOURCE TO
      SOURCE_HOST = '127.0.0.1', SOURCE_PORT = ${port}, SOURCE_USER = '${user}',
      SOURCE_PASSWORD = '${password}', SOURCE_CONNECT_RETRY = 1, SOURCE_AUTO_POSITION = 1,
      GET_SOURCE_PUBLIC_KEY = 1;
      START REPLICA`,
    executed: '@@gtid_executed',
    wait: 'WAIT_FOR_EXECUTED_GTID_SET',
  },
} as const;

/** A MariaDB or MySQL that follows `source` by GTID from the beginning, and logs what it does. */
export async function startReplica(source: TestServer): Promise<TestServer> {
  const replica = await startMariadb({ settings: { 'log-slave-updates': 'ON' } });
  await using client = await mysqlClient(replica.url);
  const { port, username, password } = new URL(source.url);
  await client.query(WORDS[await erpProduct()].follow(port, username, password));
  return replica;
}

/** Ends when `replica` has executed what `source` has until now. */
export async function caughtUp(source: TestServer, replica: TestServer): Promise<void> {
  const { executed, wait } = WORDS[await erpProduct()];
  await using from = await mysqlClient(source.url);
  await using to = await mysqlClient(replica.url);
  const [rows] = await from.query<RowDataPacket[]>(`SELECT ${executed} AS at`);
  await to.query(`SELECT ${wait}('${rows[0]?.at}', 30)`);
}

/** From now on it gets nothing more. */
export async function stopReceiving(replica: TestServer): Promise<void> {
  await using client = await mysqlClient(replica.url);
  await client.query('STOP REPLICA IO_THREAD');
}

/** Makes it a server of its own. */
export async function promote(replica: TestServer): Promise<void> {
  await using client = await mysqlClient(replica.url);
  await client.query('STOP REPLICA; RESET REPLICA ALL');
}
