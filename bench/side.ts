/** One database with the table of accounts: what a benchmark does to it and asks of it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { mysqlClient, type PgClient, pgClient, type TestServer } from '../test/support/index.ts';
import { DDL, INSERT } from './account.ts';

export interface Side extends AsyncDisposable {
  readonly connector: 'postgres' | 'mysql';
  readonly url: string;
  readonly database: string;
  run(sql: string): Promise<void>;
  /** The first row, as the server's text. */
  row(sql: string): Promise<readonly (string | null)[] | undefined>;
  /** Rows `first` to `last` in one transaction. */
  insert(first: number, last: number): Promise<void>;
  /**
   * Sets `rev` and two more columns of rows `first` to `last`, one transaction a row. The log is
   * what it is in production, but only the last of these commits waits for the disk.
   */
  update(first: number, last: number, rev: number): Promise<void>;
}

let databases = 0;

/** A new database on `server`, dropped when disposed. */
export async function openSide(server: TestServer): Promise<Side> {
  const database = `bench_${process.pid}_${++databases}`;
  const isPostgres = server.url.startsWith('postgres');
  const url = new URL(server.url);
  url.pathname = `/${database}`;
  const side = isPostgres
    ? await postgresSide(server.url, url.href, database)
    : await mariadbSide(server.url, url.href, database);
  await side.run(DDL[side.connector]);
  return side;
}

async function postgresSide(admin: string, url: string, database: string): Promise<Side> {
  const asAdmin = async (sql: string): Promise<void> => {
    await using client = await pgClient(admin);
    await client.query(sql);
  };
  await asAdmin(`create database ${database}`);
  let client: PgClient | undefined;
  // The server may have been stopped and started.
  const session = async (): Promise<PgClient> => {
    if (client !== undefined) return client;
    client = await pgClient(url);
    client.once('end', () => {
      client = undefined;
    });
    return client;
  };
  const run = async (sql: string): Promise<void> => {
    await (await session()).query(sql);
  };
  return {
    ...{ connector: 'postgres', url, database, run },
    async row(sql) {
      const { rows } = await (await session()).query({ text: sql, rowMode: 'array' });
      return rows[0];
    },
    insert: (first, last) => run(INSERT.postgres(first, last)),
    async update(first, last, rev) {
      await run('set synchronous_commit = off');
      await run(`do $$ begin for i in ${first}..${last - 1} loop
        update accounts set rev = ${rev}, credit_limit = i + ${rev}, last_contact = now()
          where id = i;
        commit; end loop; end $$`);
      await run('set synchronous_commit = on');
      await run(`update accounts set rev = ${rev}, last_contact = now() where id = ${last}`);
    },
    async [Symbol.asyncDispose]() {
      await client?.end();
      await dropDatabase(asAdmin, database);
    },
  };
}

/** A walsender that has lost its reader holds its slot for a moment. */
async function dropDatabase(run: (sql: string) => Promise<void>, database: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await run(`select pg_terminate_backend(pid, 5000) from pg_stat_activity
        where datname = '${database}'`);
      await run(`select pg_drop_replication_slot(slot_name) from pg_replication_slots
        where database = '${database}'`);
      await run(`drop database ${database} with (force)`);
      return;
    } catch (error) {
      if (attempt === 20) throw error;
      await sleep(250);
    }
  }
}

const UPDATES = `CREATE PROCEDURE touch_accounts(first INT, last INT, to_rev INT)
BEGIN
  DECLARE i INT DEFAULT first;
  WHILE i <= last DO
    UPDATE accounts SET rev = to_rev, credit_limit = i + to_rev, last_contact = NOW(6)
      WHERE id = i;
    SET i = i + 1;
  END WHILE;
END`;

async function mariadbSide(admin: string, url: string, database: string): Promise<Side> {
  await using creator = await mysqlClient(admin);
  await creator.query(`CREATE DATABASE ${database}`);
  const client = await mysqlClient(url);
  const run = async (sql: string): Promise<void> => {
    await client.query(sql);
  };
  const durable = (yes: boolean): Promise<void> =>
    run(`SET GLOBAL innodb_flush_log_at_trx_commit = ${yes ? 1 : 0};
      SET GLOBAL sync_binlog = ${yes ? 1 : 0}`);
  await run(UPDATES);
  return {
    ...{ connector: 'mysql', url, database, run },
    async row(sql) {
      const [rows] = await client.query({ sql, rowsAsArray: true });
      const [first] = rows as unknown[][];
      return first?.map((value) => (value === null ? null : String(value)));
    },
    insert: (first, last) => run(INSERT.mysql(first, last)),
    async update(first, last, rev) {
      await durable(false);
      await run(`CALL touch_accounts(${first}, ${last - 1}, ${rev})`);
      await durable(true);
      await run(`CALL touch_accounts(${last}, ${last}, ${rev})`);
    },
    async [Symbol.asyncDispose]() {
      await run(`DROP DATABASE ${database}`).catch(() => {});
      await client.end();
    },
  };
}

/** The first value of the first row. */
export async function ask(side: Side, sql: string): Promise<string | null> {
  return (await side.row(sql))?.[0] ?? null;
}

const POLL_MS = 20;
const PATIENCE_MS = 30 * 60_000;

/** Resolves once row `id` shows `rev` or a later one. */
export async function untilVisible(side: Side, id: number, rev: number): Promise<void> {
  const give = Date.now() + PATIENCE_MS;
  while (Number((await ask(side, `select rev from accounts where id = ${id}`)) ?? -1) < rev) {
    if (Date.now() > give) throw new Error(`row ${id} did not arrive`);
    await sleep(POLL_MS);
  }
}

/** The same text for the same rows in every database; ids from 1 on. */
export async function tally(side: Side): Promise<string> {
  const lengths = ['account_no', 'name', 'email', 'phone', 'street', 'city']
    .map((name) => `char_length(${name})`)
    .join(' + ');
  return `${await ask(
    side,
    `select concat(count(*), ' ', sum(rev), ' ', sum(credit_limit), ' ',
    sum(${lengths})) from accounts where id > 0`,
  )}`;
}

/** Throws unless both hold the same: a fast wrong answer is no result. */
export async function mustAgree(one: Side, other: Side): Promise<void> {
  const [a, b] = [await tally(one), await tally(other)];
  if (a !== b) throw new Error(`the sides differ: ${a} and ${b}`);
}

export async function untilAgreed(one: Side, other: Side): Promise<void> {
  const give = Date.now() + PATIENCE_MS;
  while ((await tally(one)) !== (await tally(other))) {
    if (Date.now() > give) throw new Error('the sides did not come to agree');
    await sleep(POLL_MS);
  }
}
