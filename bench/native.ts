/** PostgreSQL's own logical replication between two databases. */
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

async function until(reached: () => Promise<boolean>): Promise<void> {
  const give = Date.now() + 60_000;
  while (!(await reached())) {
    if (Date.now() > give) throw new Error('the subscription does not change its state');
    await new Promise((done) => setTimeout(done, 20));
  }
}
