/** A standby is promoted: what goes on exactly, and what is refused. Needs PostgreSQL 17. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, type TestContext, test } from 'vitest';
import type { SourceBatch } from '../../src/model/change.ts';
import type { Position } from '../../src/model/position.ts';
import {
  needsControl,
  pgClient,
  startMariadb,
  startPostgres,
  startProxy,
  startStandby,
  type TestServer,
} from '../support/index.ts';
import { makeGoods, survive } from './failover.ts';
import { until } from './installation.ts';
import {
  changesOf,
  collect,
  type Installation,
  install,
  scalar,
  systemAt,
} from './postgres-fixture.ts';

interface Group extends AsyncDisposable {
  readonly primary: TestServer;
  readonly standby: TestServer;
}

async function startGroup(context: TestContext): Promise<Group> {
  await using opened = new AsyncDisposableStack();
  const primary = opened.use(await startPostgres());
  needsControl(context, primary);
  const version = Number(await ask(primary, `select current_setting('server_version_num')`));
  context.skip(version < 170_000, 'slots follow to a standby from PostgreSQL 17 on');
  const standby = opened.use(await startStandby(primary));
  const all = opened.move();
  return { primary, standby, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

async function ask(server: TestServer, sql: string): Promise<string> {
  await using client = await pgClient(server.url);
  return await scalar(client, sql);
}

async function set(server: TestServer, name: string, value: string): Promise<void> {
  await ask(server, `alter system set ${name} = '${value}'`);
  await ask(server, 'select pg_reload_conf()');
  await until(async () => (await ask(server, `show ${name}`)) === value, name);
}

/** The standby would keep the logical slots that it follows, were it promoted now. */
async function slotsKept({ standby }: Group): Promise<boolean> {
  const kept = await ask(
    standby,
    `select coalesce(bool_and(synced and not temporary and invalidation_reason is null), false)
     from pg_replication_slots where slot_type = 'logical'`,
  );
  return kept === 't';
}

async function takeOver({ primary, standby }: Group): Promise<void> {
  await primary.kill();
  expect(await ask(standby, 'select pg_promote()')).toBe('t');
}

test('daemon and users go on with a promoted standby, and nothing is lost', async (context) => {
  await using group = await startGroup(context);
  const { primary, standby } = group;
  await using erp = await startMariadb();
  await using proxy = await startProxy(primary.port);
  await makeGoods(primary.url);
  await makeGoods(erp.url);
  // Nobody, Carrick included, is told of a commit that the standby does not have.
  await set(primary, 'synchronized_standby_slots', 'standby');
  await set(primary, 'synchronous_standby_names', 'standby');
  const rows = await survive({
    urls: { crm: proxy.urlOf(primary.url), erp: erp.url },
    final: { crm: standby.url, erp: erp.url },
    async change() {
      await until(() => slotsKept(group), 'slots on the standby');
      await takeOver(group);
      proxy.aim(standby.port);
    },
  });
  expect(rows).toBeGreaterThan(80);
}, 180_000);

const goods = { name: 'goods', key: ['id'], columns: ['id'] };

/**
 * Reads and settles until the standby keeps the slot: it takes one over that moves. Returns the
 * position that was reached; the table is empty again.
 */
async function settleIn(group: Group, it: Installation): Promise<Position> {
  const source = it.source();
  let position = await source.start();
  let done = false;
  const reading = (async () => {
    for await (const batch of source.tail(position)) {
      source.settle(batch.position);
      position = batch.position;
      if (done && batch.transactions.length > 0) return;
    }
  })();
  for (let n = 1; !done; n++) {
    await it.db.query(`insert into goods values (${-n}); delete from goods`);
    // What else only the server's background writer logs, every 15 s: the slot moves with it.
    await it.db.query('select pg_log_standby_snapshot()');
    await sleep(200);
    done = await slotsKept(group);
  }
  await it.db.query('insert into goods values (0); delete from goods');
  await reading;
  return position;
}

test('a position inside of a transaction goes on there', async (context) => {
  await using group = await startGroup(context);
  await using it = await install(group.primary, 'create table goods (id int primary key)', [goods]);
  const from = await settleIn(group, it);
  const source = it.source({ changes: 100 });
  await it.db.query('insert into goods select generate_series(1, 1000)');
  const ids = (batches: readonly SourceBatch[]) =>
    changesOf(batches).map(({ row }) => Number(row[0]));
  const before = await collect(source, from, ({ length }) => length >= 300);
  const position = before.at(-1)!.position;
  expect(position).toContain('#');
  await takeOver(group);
  await using system = systemAt(group.standby.url, it.name.replace('carrick_', ''));
  await using promoted = await system.source([goods]);
  const after = await collect(
    promoted,
    position,
    ({ length }) => length >= 1000 - ids(before).length,
  );
  expect([...ids(before), ...ids(after)]).toEqual(Array.from({ length: 1000 }, (_, i) => i + 1));
  expect(after.at(-1)!.position).toMatch(/@\d+:2$/);
  // The former primary comes back with what it was: it is not the system any more.
  await group.primary.start();
  await expect(firstBatch(group.primary, it.name, after.at(-1)!.position)).rejects.toMatchObject({
    code: 'source.lost',
    message: expect.stringContaining('timeline 1'),
  });
});

test('what was read of the primary and never came to the standby is refused', async (context) => {
  await using group = await startGroup(context);
  const { primary, standby } = group;
  await using it = await install(primary, 'create table goods (id int primary key)', [goods]);
  const from = await settleIn(group, it);
  const source = it.source();
  await it.db.query('insert into goods values (1)');
  await standby.stop();
  await it.db.query('insert into goods values (2)');
  const read = await collect(source, from, ({ length }) => length === 2);
  const ahead = read.at(-1)!.position;
  await primary.kill();
  await standby.start();
  expect(await ask(standby, 'select pg_promote()')).toBe('t');
  // The new primary's log soon reaches the position, with other changes before it.
  await ask(standby, 'insert into goods select generate_series(10, 20000)');
  await expect(firstBatch(standby, it.name, ahead)).rejects.toMatchObject({
    code: 'source.lost',
    disposition: 'halt',
    fix: expect.stringContaining('rejoin'),
  });
});

/** The first batch that the server gives from the position. */
async function firstBatch(server: TestServer, name: string, from: Position): Promise<unknown> {
  await using system = systemAt(server.url, name.replace('carrick_', ''));
  await using source = await system.source([goods]);
  for await (const batch of source.tail(from)) return batch;
  return undefined;
}
