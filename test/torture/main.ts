/**
 * `npm run torture`: real PostgreSQL and MariaDB, the real daemon, people at work on both sides,
 * and everything that can go wrong. Exit code 0 only if nothing was lost or doubled.
 */
import { parseArgs } from 'node:util';
import { LOSSES } from './losses.ts';
import { run } from './run.ts';

const USAGE = `npm run torture -- [options]
  --minutes N                 how long the faults go on (1); every kind comes at least once
  --seed N                    other work and other faults (1)
  --only slot|binlog|ledger   this loss alone, without the storm of faults before it`;

function plan(argv: string[]) {
  const { values } = parseArgs({
    args: argv,
    options: {
      minutes: { type: 'string', default: '1' },
      seed: { type: 'string', default: '1' },
      only: { type: 'string' },
    },
  });
  const only = LOSSES.find((loss) => loss === values.only);
  if (values.only !== undefined && only === undefined) throw new Error(`no loss ${values.only}`);
  if (!/^\d+(\.\d+)?$/.test(values.minutes)) throw new Error(`${values.minutes} is no number`);
  if (!/^\d{1,9}$/.test(values.seed)) throw new Error(`${values.seed} is no whole number`);
  return {
    seed: Number(values.seed),
    minutes: only === undefined ? Number(values.minutes) : 0,
    losses: only === undefined ? LOSSES : [only],
  };
}

async function main(): Promise<number> {
  let wanted: ReturnType<typeof plan>;
  try {
    wanted = plan(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${USAGE}\n`);
    return 2;
  }
  // Through the exit handlers, which end the daemon.
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => process.exit(130));
  return run(wanted, (line) => process.stdout.write(`${line}\n`));
}

process.exit(await main());
