import { startPostgres, type TestServer } from '../../test/support/index.ts';
import type { Bench, Sizes } from '../bench.ts';
import { prepareDaemon } from '../daemon.ts';
import { mustAgree, openSide, type Side, untilVisible } from '../side.ts';

const LIMIT_MIB = 200;
/** Updates between two looks at the clock while the target is down. */
const BURST = 500;
/** A revision that comes after all others. */
const LAST = 1_000_000;

export const memory: readonly Bench[] = [bench('memory', false), bench('memory-fed', true)];

function bench(name: string, fed: boolean): Bench {
  const of = fed ? 'fed, ' : '';
  return {
    name,
    leavesOut: [
      'Largest resident set of the daemon (VmHWM), about 50 MiB of Node itself included; the ' +
        'daemon runs with its defaults between two PostgreSQL servers.',
      'Start is timed from the process to the first change in the target.',
    ],
    async open(sizes, stack) {
      const start = () => startPostgres({ durable: true });
      const [one, other] = [stack.use(await start()), stack.use(await start())];
      const rows = sizes.memoryRows.toLocaleString('en');
      const peak = (key: string, work: string) => ({
        ...{
          key,
          work: `peak memory, ${of}${work}`,
          unit: 'MiB' as const,
          goals: {},
          limit: LIMIT_MIB,
        },
      });
      return {
        figures: [
          peak('load', `first load of ${rows} rows`),
          peak('bulk', `one transaction of ${rows} inserts`),
          peak('outage', `target down for ${sizes.outageSeconds} s under load, then caught up`),
          {
            ...{ key: 'start', work: `start to first change, ${of}${rows} records`, unit: 's' },
            ...{ goals: {}, limit: 1 },
          },
        ],
        contenders: [{ name: 'Carrick', run: () => peaks(one, other, sizes, fed) }],
      };
    },
  };
}

async function peaks(one: TestServer, other: TestServer, sizes: Sizes, fed: boolean) {
  const rows = sizes.memoryRows;
  await using crm = await openSide(one);
  await using erp = await openSide(other);
  await using daemon = await prepareDaemon(crm, erp, { fed });
  await crm.insert(1, rows);
  daemon.start();
  await untilVisible(erp, rows, 0);
  await daemon.drained();
  const first = daemon.peakMiB();
  await daemon.stop();

  await crm.update(1, 2, 1);
  const started = performance.now();
  daemon.start();
  await untilVisible(erp, 2, 1);
  const start = (performance.now() - started) / 1000;
  await daemon.drained();
  await crm.insert(rows + 1, 2 * rows);
  await untilVisible(erp, 2 * rows, 0);
  await daemon.drained();
  const bulk = daemon.peakMiB();
  await daemon.stop();

  daemon.start();
  await daemon.ready();
  await other.stop();
  await load(crm, rows, sizes.outageSeconds);
  await other.start();
  await crm.update(1, 2, LAST);
  await untilVisible(erp, 2, LAST);
  await daemon.drained();
  const outage = daemon.peakMiB();
  await mustAgree(crm, erp);
  return { load: first, bulk, outage, start };
}

/** Single-row updates of all rows, over and over. */
async function load(side: Side, rows: number, seconds: number): Promise<void> {
  const end = Date.now() + seconds * 1000;
  let [first, rev] = [1, 2];
  while (Date.now() < end) {
    if (first + BURST > rows) [first, rev] = [1, rev + 1];
    await side.update(first, first + BURST - 1, rev);
    first += BURST;
  }
}
