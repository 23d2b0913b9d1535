/** A replica takes over: positions continue by GTID, or are refused. */
import { expect, type TestContext, test } from 'vitest';
import type { Source } from '../../src/contract/source.ts';
import type { SourceBatch } from '../../src/model/change.ts';
import type { Position } from '../../src/model/position.ts';
import {
  mysqlClient,
  needsControl,
  startMariadb,
  startPostgres,
  startProxy,
  type TestServer,
} from '../support/index.ts';
import { caughtUp, promote, startReplica, stopReceiving } from '../support/replica.ts';
import { makeGoods, survive } from './failover.ts';
import { changesOf, endTable, makeEnd, readToEnd, sourceOn, table } from './mysql-source-log.ts';

interface Group extends AsyncDisposable {
  readonly primary: TestServer;
  readonly replica: TestServer;
}

async function startGroup(context: TestContext): Promise<Group> {
  await using opened = new AsyncDisposableStack();
  const primary = opened.use(await startMariadb());
  needsControl(context, primary);
  const replica = opened.use(await startReplica(primary));
  const all = opened.move();
  return { primary, replica, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

async function run(server: TestServer, sql: string): Promise<void> {
  await using client = await mysqlClient(server.url);
  await client.query(sql);
}

test('daemon and users go on with a promoted replica, and nothing is lost', async (context) => {
  await using group = await startGroup(context);
  const { primary, replica } = group;
  await using crm = await startPostgres();
  await using proxy = await startProxy(primary.port);
  await makeGoods(crm.url);
  await makeGoods(primary.url);
  const rows = await survive({
    urls: { crm: crm.url, erp: proxy.urlOf(primary.url) },
    final: { crm: crm.url, erp: replica.url },
    async change(calm) {
      // Replication does not wait for the replica: what is killed before is lost to everybody.
      const resume = await calm();
      await caughtUp(primary, replica);
      await primary.kill();
      resume();
      await promote(replica);
      proxy.aim(replica.port);
    },
  });
  expect(rows).toBeGreaterThan(80);
}, 180_000);

const goods = table('goods', ['id'], ['id']);
const ids = (batches: readonly SourceBatch[]) =>
  changesOf(batches).map(({ row }) => Number(row[0]));
const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1);

test('a position inside of a transaction, of several servers, goes on there', async (context) => {
  await using group = await startGroup(context);
  const { primary, replica } = group;
  await using client = await mysqlClient(primary.url);
  await makeEnd(client);
  await client.query('CREATE TABLE goods (id INT PRIMARY KEY)');
  await using source = await sourceOn(primary, [goods, endTable]);
  const from = await source.start();
  const rows = upTo(5000).map((id) => `(${id})`);
  await client.query(`INSERT INTO goods VALUES ${rows.join(', ')}`);
  const [first] = await batchesOf(source, from, 1);
  expect(first!.position).toContain('#');
  await caughtUp(primary, replica);
  await primary.kill();
  await promote(replica);
  await using there = await mysqlClient(replica.url);
  await there.query('INSERT INTO goods VALUES (5001)');
  await using promoted = await sourceOn(replica, [goods, endTable]);
  const rest = await readToEnd(promoted, there, first!.position);
  expect([...ids([first!]), ...ids(rest)]).toEqual(upTo(5001));
  const position = rest.at(-1)!.position;
  expect(position).toMatch(/^(mysql|mariadb):/);
  // The former primary comes back with what it was: it lacks what the new one wrote.
  await primary.start();
  await using former = await sourceOn(primary, [goods, endTable]);
  await expect(batchesOf(former, position, 1)).rejects.toMatchObject({ code: 'source.lost' });
});

test('what was read of the primary and never came to the replica is refused', async (context) => {
  await using group = await startGroup(context);
  const { primary, replica } = group;
  await run(primary, 'CREATE TABLE goods (id INT PRIMARY KEY)');
  await caughtUp(primary, replica);
  await stopReceiving(replica);
  await using source = await sourceOn(primary, [goods]);
  const from = await source.start();
  await run(primary, 'INSERT INTO goods VALUES (1)');
  const [ahead] = await batchesOf(source, from, 1);
  await primary.kill();
  await promote(replica);
  await run(replica, 'INSERT INTO goods VALUES (2); INSERT INTO goods VALUES (3)');
  await using promoted = await sourceOn(replica, [goods]);
  await expect(batchesOf(promoted, ahead!.position, 1)).rejects.toMatchObject({
    code: 'source.lost',
    disposition: 'halt',
    fix: expect.stringContaining('rejoin'),
  });
});

/** The first batches with something in them. */
async function batchesOf(source: Source, from: Position, count: number): Promise<SourceBatch[]> {
  const batches: SourceBatch[] = [];
  for await (const batch of source.tail(from)) {
    if (batch.transactions.length > 0) batches.push(batch);
    if (batches.length === count) break;
  }
  return batches;
}
