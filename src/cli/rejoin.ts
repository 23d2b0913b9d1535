import { type Register, show } from './command.ts';
import { EXIT } from './exit.ts';

export const rejoin: Register = (cli, act) =>
  cli.command(
    'rejoin <system>',
    'after source.lost, while Carrick is stopped: follow from now on, read its tables again',
    (options) => options.positional('system', { type: 'string', demandOption: true }),
    act(async (args, context) => {
      const composition = await context.compose.load(args.config, context.env, { offline: false });
      const { position, tables } = await composition.rejoin(args.system);
      const system = args.system;
      show(args, context, { system, position, tables }, () =>
        [
          `${system} will be followed from ${position} on`,
          `its tables are read again when Carrick is started: ${tables.join(', ')}`,
        ].join('\n'),
      );
      return EXIT.ok;
    }),
  );
