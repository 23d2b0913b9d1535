/**
 * `npm run torture`: two real databases, the real daemon, people at work on both sides, and
 * everything that can go wrong. Exit code 0 only if nothing was lost or doubled. `CARRICK_CRM` and
 * `CARRICK_ERP` choose the databases (test/support/systems.ts).
 */
import { parseArgs } from 'node:util';
import { LOSSES } from './losses.ts';
import { run } from './run.ts';

const USAGE = `npm run torture -- [options]
  --minutes N                  how long the faults go on (1); every kind comes at least once
  --seed N                     other work and other faults (1)
  --only storm                 the faults, without the losses after them
  --only crm|erp|ledger        this loss alone: the log of a system, or the ledger`;

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
  const stormy = values.only === undefined || values.only === 'storm';
  if (!stormy && only === undefined) throw new Error(`nothing is called ${values.only}`);
  if (!/^\d+(\.\d+)?$/.test(values.minutes)) throw new Error(`${values.minutes} is no number`);
  if (!/^\d{1,9}$/.test(values.seed)) throw new Error(`${values.seed} is no whole number`);
  return {
    seed: Number(values.seed),
    minutes: stormy ? Number(values.minutes) : 0,
    losses: values.only === undefined ? LOSSES : LOSSES.filter((loss) => loss === only),
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
