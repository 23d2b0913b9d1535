import { connectors } from '../../connectors/registry.ts';
import { startMariadb } from '../../test/support/index.ts';
import { COLUMNS } from '../account.ts';
import type { Bench, Sizes } from '../bench.ts';
import { secondsOf } from '../process.ts';
import type { Job } from '../readers/job.ts';
import { readRate } from '../reading.ts';
import { openSide, type Side } from '../side.ts';

/** A piece of the log; all of it lies in one file. */
interface Load extends Job {
  readonly end: number;
}

export const mariadbCapture: Bench = {
  name: 'mariadb-capture',
  leavesOut: [
    'Updates carry both row images (binlog_row_image = FULL).',
    'Node programs are timed from before their connection, mariadb-binlog with its start.',
    'mariadb-binlog -v prints what it decodes to /dev/null; zongji verifies no checksum.',
  ],
  async open(sizes, stack) {
    const server = stack.use(await startMariadb({ durable: true, settings: SETTINGS }));
    const side = stack.use(await openSide(server));
    const loads = await makeLoads(side, sizes);
    const inTurn = async (rateOf: (load: Load) => Promise<number>) => {
      const rates: Record<string, number> = {};
      for (const [key, load] of Object.entries(loads)) rates[key] = await rateOf(load);
      return rates;
    };
    return {
      figures: [
        figure('bulk', `one transaction of ${sizes.bulk.toLocaleString('en')} inserts`),
        figure('singles', `${sizes.singles.toLocaleString('en')} transactions of one update`),
      ],
      contenders: [
        { name: 'Carrick', run: () => inTurn((load) => readRate('carrick', load)) },
        { name: '@vlasky/zongji', run: () => inTurn((load) => readRate('zongji', load)) },
        { name: 'mariadb-binlog -v', run: () => inTurn(binlogRate) },
      ],
    };
  },
};

/** No load runs over the end of a file. */
const SETTINGS = { 'max-binlog-size': '1073741824' };

const figure = (key: string, what: string) => ({
  key,
  work: `MariaDB capture, ${what}`,
  unit: 'rows/s' as const,
  goals: { '@vlasky/zongji': { atLeast: 1.8 }, 'mariadb-binlog -v': { atLeast: 0.6 } },
});

async function makeLoads(side: Side, sizes: Sizes): Promise<Record<string, Load>> {
  const connector = await connectors.mysql!();
  const parsed = connector.parse({ url: side.url });
  if (!parsed.ok) throw new Error('the connector refuses its URL');
  await using system = connector.connect(parsed.options, { system: 'erp', instance: 'bench' });
  const tables = [{ name: 'accounts', key: ['id'], columns: COLUMNS }];
  const load = async (rows: number, work: () => Promise<void>): Promise<Load> => {
    await side.run('FLUSH BINARY LOGS');
    await using source = await system.source(tables);
    const position = await source.start();
    const { file, offset } = await endOfLog(side);
    await work();
    const after = await endOfLog(side);
    if (after.file !== file) throw new Error('the load ran over the end of its file');
    const from = { position, file, offset };
    return { url: side.url, name: 'carrick_bench', ...from, rows, end: after.offset };
  };
  return {
    bulk: await load(sizes.bulk, () => side.insert(1, sizes.bulk)),
    singles: await load(sizes.singles, () => side.update(1, sizes.singles, 1)),
  };
}

async function endOfLog(side: Side): Promise<{ file: string; offset: number }> {
  const [file, offset] = (await side.row('SHOW MASTER STATUS'))!;
  return { file: file!, offset: Number(offset) };
}

async function binlogRate({ url, file, offset, end, rows }: Load): Promise<number> {
  const { hostname, port, username, password } = new URL(url);
  const place = [`--start-position=${offset}`, `--stop-position=${end}`, file];
  const seconds = await secondsOf([
    ...['mariadb-binlog', '--no-defaults', '-v', '--read-from-remote-server'],
    ...[`--host=${hostname}`, `--port=${port}`, `--user=${username}`, `--password=${password}`],
    ...place,
  ]);
  return rows / seconds;
}
