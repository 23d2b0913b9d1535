import { setTimeout as sleep } from 'node:timers/promises';
import { startPostgres, type TestServer } from '../../test/support/index.ts';
import type { Bench, Contender } from '../bench.ts';
import { prepareDaemon } from '../daemon.ts';
import { subscribe } from '../native.ts';
import { openSide, type Side, untilVisible } from '../side.ts';
import { quantile } from '../statistics.ts';

/** Transactions a second, on each of the two sides. */
const RATE = 250;
const ROWS = 2000;
const POLL_MS = 1;

/** Each side changes rows of its own: the CRM the first half, the ERP the second. */
interface Writer {
  readonly from: Side;
  readonly to: Side;
  readonly table: string;
  readonly first: number;
}

export const latency: Bench = {
  name: 'latency',
  leavesOut: [
    `Single-row updates, ${RATE} a second on each of two PostgreSQL servers; from the moment a ` +
      'commit has returned until a query in the other database sees it, polled every ms.',
    'Native replication before PostgreSQL 16 cannot take one table both ways: it gets one table ' +
      'for each direction, Carrick one table for both.',
  ],
  async open({ latencySeconds }, stack) {
    const settings = { wal_retrieve_retry_interval: '50ms' };
    const start = () => startPostgres({ durable: true, settings });
    const [one, other] = [stack.use(await start()), stack.use(await start())];
    const goals = (atMost: number) => ({ 'native replication': { atMost } });
    return {
      figures: [
        { key: 'p50', work: 'commit to visible, two-way, p50', unit: 'ms', goals: goals(2) },
        { key: 'p99', work: 'commit to visible, two-way, p99', unit: 'ms', goals: goals(3) },
      ],
      contenders: [
        carrick(one, other, latencySeconds),
        nativeReplication(one, other, latencySeconds),
      ],
    };
  },
};

const carrick = (one: TestServer, other: TestServer, seconds: number): Contender => ({
  name: 'Carrick',
  async run() {
    await using crm = await openSide(one);
    await using erp = await openSide(other);
    await using daemon = await prepareDaemon(crm, erp);
    await crm.insert(1, ROWS);
    daemon.start();
    await daemon.ready();
    await untilVisible(erp, ROWS, 0);
    await daemon.drained();
    return await measureBoth(
      { from: crm, to: erp, table: 'accounts', first: 1 },
      { from: erp, to: crm, table: 'accounts', first: ROWS / 2 + 1 },
      seconds,
    );
  },
});

const nativeReplication = (one: TestServer, other: TestServer, seconds: number): Contender => ({
  name: 'native replication',
  async run() {
    await using crm = await openSide(one);
    await using erp = await openSide(other);
    const back = 'accounts_back';
    for (const side of [crm, erp]) {
      await side.insert(1, ROWS);
      await side.run(`create table ${back} (like accounts including all)`);
      await side.run(`insert into ${back} select * from accounts`);
    }
    await using forth = await subscribe(crm, erp, 'accounts');
    await using returning = await subscribe(erp, crm, back);
    await forth.enable();
    await returning.enable();
    return await measureBoth(
      { from: crm, to: erp, table: 'accounts', first: 1 },
      { from: erp, to: crm, table: back, first: ROWS / 2 + 1 },
      seconds,
    );
  },
});

async function measureBoth(forth: Writer, back: Writer, seconds: number) {
  const both = await Promise.all([delays(forth, seconds), delays(back, seconds)]);
  const sorted = both.flat().sort((a, b) => a - b);
  return { p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99) };
}

/** Milliseconds from commit to visible, one a transaction; the first second is left out. */
async function delays(writer: Writer, seconds: number): Promise<number[]> {
  const count = seconds * RATE;
  const committed: number[] = [];
  const seen: number[] = [];
  const watching = watch(writer, count, seen);
  const started = performance.now();
  for (let n = 0; n < count; n++) {
    const early = started + (n * 1000) / RATE - performance.now();
    if (early > 1) await sleep(early);
    const id = writer.first + (n % (ROWS / 2));
    await writer.from.run(`update ${writer.table} set rev = ${n + 1} where id = ${id}`);
    committed.push(performance.now());
  }
  await watching;
  return committed.map((at, n) => Math.max(0, seen[n]! - at)).slice(RATE);
}

/** One writer's transactions become visible in order: the highest `rev` tells of all before it. */
async function watch({ to, table, first }: Writer, count: number, seen: number[]): Promise<void> {
  const last = first + ROWS / 2 - 1;
  const sql = `select max(rev) from ${table} where id between ${first} and ${last}`;
  while (seen.length < count) {
    const highest = Number((await to.row(sql))?.[0]);
    const now = performance.now();
    while (seen.length < highest) seen.push(now);
    await sleep(POLL_MS);
  }
}
