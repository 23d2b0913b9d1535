import { type Register, show, withOperator } from './command.ts';
import { EXIT } from './exit.ts';

export const logLevel: Register = (cli, act) =>
  cli.command(
    'log-level [level]',
    'what the running daemon logs, until it is restarted; without a level it is told',
    (options) =>
      options.positional('level', { choices: ['debug', 'info', 'warn', 'error'] as const }),
    act(async (args, context) => {
      const level = await withOperator(args, context, (daemon) =>
        daemon.logLevel(args.level ?? null),
      );
      show(args, context, { level }, () => level);
      return EXIT.ok;
    }),
  );
