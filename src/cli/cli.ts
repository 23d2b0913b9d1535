import yargs from 'yargs';
import { troubleOf } from '../observe/trouble.ts';
import { version } from '../observe/version.ts';
import { check } from './check.ts';
import type { Act, Context, Global } from './command.ts';
import { problemText } from './composition.ts';
import { conflicts } from './conflicts.ts';
import { EXIT, type Exit, epilogue, exitOf } from './exit.ts';
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
import { printable } from './terminal.ts';
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

/** Runs one command line and returns its exit code; never throws. */
export async function runCommandLine(argv: readonly string[], context: Context): Promise<Exit> {
  let exit: Exit = EXIT.ok;
  const act: Act = (action) => async (args) => {
    try {
      exit = await action(args, context);
    } catch (error) {
      tell(error, args, context);
      exit = exitOf(error);
    }
  };
  let cli = yargs()
    .scriptName('carrick')
    .usage('$0 <command>\n\nKeeps a CRM and an ERP in agreement, both ways.')
    .locale('en')
    .option('config', { type: 'string', default: 'carrick.yaml', describe: 'the configuration' })
    .option('json', { type: 'boolean', default: false, describe: 'results and errors as JSON' });
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
  } catch (error) {
    context.err(`carrick: ${error instanceof Error ? error.message : String(error)}`);
    context.err('see `carrick --help`');
    return EXIT.usage;
  }
  return exit;
}

/** Says an error on stderr: what, and what to do; a stack only for those who asked for it. */
export function tell(error: unknown, args: Pick<Global, 'json'>, context: Context): void {
  const text = problemText(error);
  const trouble = troubleOf(error);
  if (args.json) {
    const what = text === null ? trouble : { code: 'config', message: text, fix: '' };
    context.err(JSON.stringify(what));
  } else if (text !== null) {
    context.err(text.trimEnd());
  } else {
    context.err(`${trouble.code}: ${printable(trouble.message)}`);
    context.err(`  do: ${printable(trouble.fix)}`);
  }
  if (context.env.CARRICK_DEBUG && error instanceof Error) context.err(error.stack ?? '');
}
