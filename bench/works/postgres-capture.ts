import { setTimeout as sleep } from 'node:timers/promises';
import { connectors } from '../../connectors/registry.ts';
import { startPostgres } from '../../test/support/index.ts';
import { COLUMNS } from '../account.ts';
import type { Bench, Sizes } from '../bench.ts';
import { secondsOf } from '../process.ts';
import type { Job } from '../readers/job.ts';
import { readRate } from '../reading.ts';
import { ask, openSide, type Side } from '../side.ts';

const INSTANCE = 'bench';
/** Of the slot that is read and of the publication. */
const NAME = `carrick_${INSTANCE}`;

/** A piece of the log, from the slot `kept` to the LSN `end`. */
interface Load {
  readonly kept: string;
  readonly position: string;
  readonly rows: number;
  readonly end: string;
}

export const postgresCapture: Bench = {
  name: 'postgres-capture',
  leavesOut: [
    'The server decodes in the time that is measured, for every reader alike.',
    'Node programs are timed from before their connection, pg_recvlogical with its start.',
    'Carrick takes the large transaction as a stream through an encrypted file, as it does when ' +
      'it settles; for the others but the last the server spills it.',
    'The stock plugin acknowledges nothing; pg_recvlogical decodes nothing; the last one only ' +
      'counts messages, which shows how fast the server sends them.',
  ],
  async open(sizes, stack) {
    const server = stack.use(await startPostgres({ durable: true }));
    const side = stack.use(await openSide(server));
    const loads = await makeLoads(side, sizes);
    const inTurn = async (rateOf: (load: Load) => Promise<number>) => {
      const rates: Record<string, number> = {};
      for (const [key, load] of Object.entries(loads)) {
        await renewSlot(side, load.kept);
        rates[key] = await rateOf(load);
      }
      return rates;
    };
    const jobOf = ({ position, rows }: Load): Job => ({
      ...{ url: side.url, name: NAME, position, rows },
      ...{ file: '', offset: 0 },
    });
    return {
      figures: [
        figure('bulk', `one transaction of ${thousands(sizes.bulk)} inserts`, 1.5),
        figure('singles', `${thousands(sizes.singles)} transactions of one update`),
      ],
      contenders: [
        { name: 'Carrick', run: () => inTurn((load) => readRate('carrick', jobOf(load))) },
        { name: 'pg_recvlogical', run: () => inTurn((load) => recvlogicalRate(side, load)) },
        {
          name: 'pg-logical-replication',
          run: () => inTurn((load) => readRate('stock', jobOf(load))),
        },
        {
          name: 'bytes thrown away',
          run: () => inTurn((load) => readRate('bytes', jobOf(load))),
        },
      ],
    };
  },
};

const figure = (key: string, what: string, stock?: number) => ({
  key,
  work: `PostgreSQL capture, ${what}`,
  unit: 'rows/s' as const,
  goals: {
    pg_recvlogical: { atLeast: 0.8 },
    ...(stock === undefined ? {} : { 'pg-logical-replication': { atLeast: stock } }),
  },
});

const thousands = (n: number): string => n.toLocaleString('en');

/** Both loads, each with a slot before it that is copied for every reading. */
async function makeLoads(side: Side, sizes: Sizes): Promise<Record<string, Load>> {
  const connector = await connectors.postgres!();
  const parsed = connector.parse({ url: side.url });
  if (!parsed.ok) throw new Error('the connector refuses its URL');
  await using system = connector.connect(parsed.options, { system: 'crm', instance: INSTANCE });
  const table = { name: 'accounts', key: ['id'], columns: COLUMNS };
  await system.setup({ tables: [{ ...table, written: true }] });
  const load = async (kept: string, rows: number, work: () => Promise<void>): Promise<Load> => {
    await side.run(`select pg_create_logical_replication_slot('${kept}', 'pgoutput')`);
    await renewSlot(side, kept);
    await using source = await system.source([table]);
    const position = await source.start();
    await work();
    const end = (await ask(side, 'select pg_current_wal_lsn()'))!;
    return { kept, position, rows, end };
  };
  return {
    bulk: await load('kept_bulk', sizes.bulk, () => side.insert(1, sizes.bulk)),
    singles: await load('kept_singles', sizes.singles, () => side.update(1, sizes.singles, 1)),
  };
}

/** The slot that readers move is a copy: the next one finds it where it was. */
async function renewSlot(side: Side, kept: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await side.run(`select pg_drop_replication_slot(slot_name) from pg_replication_slots
        where slot_name = '${NAME}'`);
      await side.run(`select pg_copy_logical_replication_slot('${kept}', '${NAME}')`);
      return;
    } catch (error) {
      // The last reader's walsender has not noticed its end yet.
      if (attempt === 40) throw error;
      await sleep(250);
    }
  }
}

async function recvlogicalRate({ url }: Side, { rows, end }: Load): Promise<number> {
  const options = ['-o', 'proto_version=1', '-o', `publication_names=${NAME}`];
  const reading = ['--start', '--no-loop', `--endpos=${end}`, '-f', '/dev/null'];
  const seconds = await secondsOf([
    ...['pg_recvlogical', '-d', url, `--slot=${NAME}`],
    ...reading,
    ...options,
  ]);
  return rows / seconds;
}
