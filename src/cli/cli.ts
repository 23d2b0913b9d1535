import { parseArgs } from 'node:util';
import { troubleOf } from '../observe/trouble.ts';
import { type Act, type Context, GLOBAL, type Global } from './command.ts';
import { problemText } from './composition.ts';
import { EXIT, type Exit, exitOf } from './exit.ts';
import { keepRunning } from './run.ts';
import { printable } from './terminal.ts';

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
  const plain = plainRun(argv);
  if (plain !== null) {
    await act(keepRunning)(plain);
    return exit;
  }
  const { parse } = await import('./commands.ts');
  return (await parse(argv, context, act)) ? exit : EXIT.usage;
}

/**
 * The line that a service starts with is understood without yargs, which would be a fifth of the
 * daemon's start and stay in its memory. Null: another line, or one that only yargs can explain.
 */
function plainRun([command, ...args]: readonly string[]): Global | null {
  if (command !== 'run') return null;
  try {
    return parseArgs({ args, options: GLOBAL }).values;
  } catch {
    return null;
  }
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
