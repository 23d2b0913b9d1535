import { setTimeout as sleep } from 'node:timers/promises';
import { startMariadb, startPostgres, type TestServer } from '../../test/support/index.ts';
import type { Bench, Contender, Figure, Goal, Sizes } from '../bench.ts';
import { prepareDaemon } from '../daemon.ts';
import { buildDebezium, type Debezium, prepareDebezium } from '../debezium.ts';
import { replicate, type Subscription, subscribe } from '../native.ts';
import { serverSeconds } from '../process.ts';
import { ask, mustAgree, openSide, type Side, untilVisible } from '../side.ts';

type Product = 'postgres' | 'mariadb';
const PRODUCTS = {
  postgres: {
    name: 'PostgreSQL',
    // A subscription that is enabled again would else wait 5 s for its worker.
    start: () =>
      startPostgres({ durable: true, settings: { wal_retrieve_retry_interval: '50ms' } }),
  },
  mariadb: { name: 'MariaDB', start: () => startMariadb({ durable: true }) },
} as const;

/** How a product replicates to its like. */
const OWN: Readonly<Record<Product, (from: Side, to: Side) => Promise<Subscription>>> = {
  postgres: (from, to) => subscribe(from, to, 'accounts'),
  mariadb: replicate,
};

const COMMON = [
  'The large transaction is timed from its commit to its last row in the target, the backlog ' +
    'from the start of the replicating program to the last update; both sides are then compared.',
  'Commits reach the disk on both servers; but PostgreSQL applies a subscription with ' +
    'synchronous_commit = off, its default.',
  'Processor time is that of the same span; what a server still writes behind it is not in it.',
  'Reading the echoes of the last deliveries, after the target shows them, is not timed.',
  'Only one side is written to. Carrick is told so (a feed); Carrick settling is not: it keeps ' +
    'links, views and stamps, and reads both logs.',
];

const DEBEZIUM = [
  'Debezium runs with Java defaults, its engine and sink in one process without Kafka; its sink ' +
    'writes blindly (upsert) and one-way.',
];

export const oneWay: readonly Bench[] = [
  bench('postgres', 'postgres', [
    'Native replication keeps neither links nor views, and detects no conflict.',
  ]),
  bench('mariadb', 'mariadb', [
    'A replica keeps neither links nor views, and detects no conflict.',
  ]),
  bench('postgres', 'mariadb', DEBEZIUM),
  bench('mariadb', 'postgres', DEBEZIUM),
];

function bench(from: Product, to: Product, leavesOut: readonly string[]): Bench {
  return {
    name: `${from}-to-${to}`,
    leavesOut: [...COMMON, ...leavesOut],
    async open(sizes, stack) {
      const source = stack.use(await PRODUCTS[from].start());
      const target = stack.use(await PRODUCTS[to].start());
      const native = from === to;
      const contenders = [
        carrick('Carrick', source, target, sizes.replicated, true),
        carrick('Carrick settling', source, target, sizes.replicated, false),
      ];
      if (native) contenders.push(nativeReplication(source, target, sizes.replicated, OWN[from]));
      const way = `${PRODUCTS[from].name} → ${PRODUCTS[to].name}`;
      const figures = figuresOf(way, sizes.replicated, native && from === 'mariadb');
      if (native) return { figures, contenders };
      const debezium = await buildDebezium();
      if ('absent' in debezium) return { figures, contenders, absent: [debezium.absent] };
      contenders.push(jdbcSink(debezium.classPath, source, target, sizes.replicated));
      return { figures, contenders };
    },
  };
}

function figuresOf(
  way: string,
  { bulk, singles }: Sizes['replicated'],
  withoutGoals: boolean,
): Figure[] {
  const goals = (native: number): Record<string, Goal> =>
    withoutGoals
      ? {}
      : {
          'native replication': { atLeast: native },
          'Debezium + JDBC': { atLeast: 5 },
        };
  const [rows, transactions] = [bulk.toLocaleString('en'), singles.toLocaleString('en')];
  const peak: Figure = {
    ...{ key: 'peak', work: `${way}, peak memory of the former`, unit: 'MiB' },
    goals: { 'Debezium + JDBC': { atMost: 0.25 } },
    limit: 200,
  };
  const rates = [
    { key: 'bulk', work: `${way}, one transaction of ${rows} inserts`, goals: goals(1) },
    { key: 'singles', work: `${way}, backlog of ${transactions} updates`, goals: goals(3) },
  ].map((figure): Figure => ({ ...figure, unit: 'rows/s' }));
  const times = [
    { key: 'bulkAll', work: `${way}, inserts, processor time of all that takes part` },
    { key: 'bulkServers', work: `${way}, inserts, of it the two servers` },
    { key: 'singlesAll', work: `${way}, updates, processor time of all that takes part` },
    { key: 'singlesServers', work: `${way}, updates, of it the two servers` },
  ].map((figure): Figure => ({ ...figure, unit: 'µs/row', goals: {} }));
  return [...rates, peak, ...times];
}

type Load = 'bulk' | 'singles';

interface Follower {
  /** Processor time so far of what stands between the servers. */
  cpuSeconds(): number;
}

/** Starts measuring a load; `seen` ends it with the last row, the last that a follower brings. */
function timing(load: Load, rows: number, servers: readonly TestServer[]) {
  const folders = servers.flatMap(({ dataDir }) => dataDir ?? []);
  const used = (): number => folders.reduce((sum, folder) => sum + serverSeconds(folder), 0);
  const [started, before] = [performance.now(), used()];
  return {
    async seen(target: Side, rev: number, follower?: Follower, already = 0) {
      await untilVisible(target, rows, rev);
      const rate = (rows * 1000) / (performance.now() - started);
      const micros = (seconds: number): number => (seconds * 1e6) / rows;
      const own = follower === undefined ? 0 : follower.cpuSeconds() - already;
      const shared = used() - before;
      return {
        [load]: rate,
        ...(folders.length < servers.length
          ? {}
          : { [`${load}All`]: micros(shared + own), [`${load}Servers`]: micros(shared) }),
      };
    },
  };
}

function carrick(
  name: string,
  source: TestServer,
  target: TestServer,
  { bulk, singles }: Sizes['replicated'],
  fed: boolean,
): Contender {
  return {
    name,
    async run() {
      await using crm = await openSide(source);
      await using erp = await openSide(target);
      await using daemon = await prepareDaemon(crm, erp, { fed });
      daemon.start();
      await daemon.ready();
      await crm.insert(1, bulk);
      const large = timing('bulk', bulk, [source, target]);
      const loaded = await large.seen(erp, 0, daemon, daemon.cpuSeconds());
      await mustAgree(crm, erp);
      await daemon.drained();
      const peak = daemon.peakMiB();
      await daemon.stop();
      await crm.update(1, singles, 1);
      const backlog = timing('singles', singles, [source, target]);
      daemon.start();
      const updated = await backlog.seen(erp, 1, daemon);
      await mustAgree(crm, erp);
      return { ...loaded, ...updated, peak };
    },
  };
}

function nativeReplication(
  source: TestServer,
  target: TestServer,
  { bulk, singles }: Sizes['replicated'],
  follow: (from: Side, to: Side) => Promise<Subscription>,
): Contender {
  return {
    name: 'native replication',
    async run() {
      await using crm = await openSide(source);
      await using erp = await openSide(target);
      await using subscription = await follow(crm, erp);
      await subscription.enable();
      await crm.insert(1, bulk);
      const loaded = await timing('bulk', bulk, [source, target]).seen(erp, 0);
      await mustAgree(crm, erp);
      await subscription.disable();
      await crm.update(1, singles, 1);
      const catchingUp = timing('singles', singles, [source, target]).seen(erp, 1);
      await subscription.enable();
      const updated = await catchingUp;
      await mustAgree(crm, erp);
      return { ...loaded, ...updated };
    },
  };
}

function jdbcSink(
  classPath: string,
  source: TestServer,
  target: TestServer,
  { bulk, singles }: Sizes['replicated'],
): Contender {
  return {
    name: 'Debezium + JDBC',
    async run() {
      await using crm = await openSide(source);
      await using erp = await openSide(target);
      await using debezium = await prepareDebezium(classPath, crm, erp);
      debezium.start();
      await untilFollowed(crm, erp, debezium);
      await crm.insert(1, bulk);
      const large = timing('bulk', bulk, [source, target]);
      const loaded = await large.seen(erp, 0, debezium, debezium.cpuSeconds());
      await mustAgree(crm, erp);
      // Its offsets reach their file after the rows reach the target.
      await sleep(2000);
      const peak = debezium.peakMiB();
      await debezium.stop();
      await crm.update(1, singles, 1);
      const backlog = timing('singles', singles, [source, target]);
      debezium.start();
      const updated = await backlog.seen(erp, 1, debezium);
      await mustAgree(crm, erp);
      return { ...loaded, ...updated, peak };
    },
  };
}

/** What was committed before it followed the log does not come; rows below 1 do not count. */
async function untilFollowed(from: Side, to: Side, debezium: Debezium): Promise<void> {
  for (let id = 0; id > -120; id--) {
    debezium.peakMiB();
    await from.insert(id, id);
    await sleep(500);
    if ((await ask(to, 'select max(id) from accounts')) !== null) return;
  }
  throw new Error('Debezium does not follow the log');
}
