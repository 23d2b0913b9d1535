/** What the databases have themselves: logical replication of PostgreSQL, a replica of MariaDB. */
import { ask, type Side } from './side.ts';

export interface Subscription extends AsyncDisposable {
  /** Resolves once the publisher's walsender streams to us. */
  enable(): Promise<void>;
  disable(): Promise<void>;
}

let subscriptions = 0;

/** Publishes `table` of `from` and subscribes `to` to it, without copying what is there. */
export async function subscribe(from: Side, to: Side, table: string): Promise<Subscription> {
  const name = `native_${process.pid}_${++subscriptions}`;
  await from.run(`create publication ${name} for table ${table}`);
  await to.run(`create subscription ${name} connection '${from.url}' publication ${name}
    with (copy_data = false, enabled = false)`);
  const streams = async (): Promise<boolean> =>
    (await ask(
      from,
      `select true from pg_stat_replication where application_name = '${name}'
        and state = 'streaming'`,
    )) !== null;
  const active = async (): Promise<boolean> =>
    (await ask(from, `select active from pg_replication_slots where slot_name = '${name}'`)) ===
    't';
  return {
    async enable() {
      await to.run(`alter subscription ${name} enable`);
      await until(streams);
    },
    async disable() {
      await to.run(`alter subscription ${name} disable`);
      await until(async () => !(await active()));
    },
    async [Symbol.asyncDispose]() {
      await to.run(`drop subscription ${name}`);
    },
  };
}

/** Slave_IO_Running in SHOW SLAVE STATUS (MariaDB Knowledge Base). */
const IO_RUNNING = 10;

/**
 * Makes the server of `to` a replica of what happens in the database of `from` from now on, with
 * one applier thread, as a replica has by default.
 */
export async function replicate(from: Side, to: Side): Promise<Subscription> {
  const { hostname, port, username, password } = new URL(from.url);
  const [file, offset] = (await from.row('SHOW MASTER STATUS'))!;
  await to.run(`SET GLOBAL replicate_rewrite_db = '${from.database}->${to.database}';
    SET GLOBAL replicate_do_db = '${to.database}';
    CHANGE MASTER TO MASTER_HOST = '${hostname}', MASTER_PORT = ${port},
      MASTER_USER = '${username}', MASTER_PASSWORD = '${password}',
      MASTER_LOG_FILE = '${file}', MASTER_LOG_POS = ${offset}, MASTER_USE_GTID = no`);
  return {
    async enable() {
      await to.run('START SLAVE');
      await until(async () => (await to.row('SHOW SLAVE STATUS'))?.[IO_RUNNING] === 'Yes');
    },
    disable: () => to.run('STOP SLAVE'),
    [Symbol.asyncDispose]: () => to.run('STOP SLAVE; RESET SLAVE ALL'),
  };
}

async function until(reached: () => Promise<boolean>): Promise<void> {
  const give = Date.now() + 60_000;
  while (!(await reached())) {
    if (Date.now() > give) throw new Error('replication does not change its state');
    await new Promise((done) => setTimeout(done, 20));
  }
}
