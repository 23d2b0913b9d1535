import yargs from 'yargs';
import { version } from '../observe/version.ts';
import { check } from './check.ts';
import { type Act, type Context, GLOBAL } from './command.ts';
import { conflicts } from './conflicts.ts';
import { epilogue } from './exit.ts';
import { explain } from './explain.ts';
import { forget } from './forget.ts';
import { healthcheck } from './healthcheck.ts';
import { logLevel } from './log-level.ts';
import { parked } from './parked.ts';
import { pause, resume } from './pause.ts';
import { plan } from './plan.ts';
import { rejoin } from './rejoin.ts';
import { repair } from './repair.ts';
import { resync } from './resync.ts';
import { run } from './run.ts';
import { schema } from './schema.ts';
import { setup } from './setup.ts';
import { status } from './status.ts';
import { supportBundle } from './support-bundle.ts';
import { test } from './test.ts';
import { verify } from './verify.ts';

const COMMANDS = [
  run,
  setup,
  check,
  plan,
  test,
  status,
  conflicts,
  parked,
  explain,
  forget,
  resync,
  rejoin,
  verify,
  repair,
  pause,
  resume,
  logLevel,
  supportBundle,
  schema,
  healthcheck,
];

/** Parses one command line and acts on it; false: it makes no sense, as was said on stderr. */
export async function parse(argv: readonly string[], context: Context, act: Act): Promise<boolean> {
  let cli = yargs()
    .scriptName('carrick')
    .usage('$0 <command>\n\nKeeps a CRM and an ERP in agreement, both ways.')
    .locale('en')
    .options(GLOBAL);
  for (const register of COMMANDS) cli = register(cli, act);
  cli
    .demandCommand(1, 'say which command')
    .strict()
    .recommendCommands()
    .version(version)
    .help()
    .epilogue(epilogue())
    .wrap(Math.min(context.columns, 100))
    .exitProcess(false)
    .fail(false);
  try {
    await cli.parseAsync([...argv], {}, (_error, _args, output) => {
      if (output !== '') context.out(output);
    });
    return true;
  } catch (error) {
    context.err(`carrick: ${error instanceof Error ? error.message : String(error)}`);
    context.err('see `carrick --help`');
    return false;
  }
}
