import { type Register, show } from './command.ts';
import { EXIT } from './exit.ts';

export const rejoin: Register = (cli, act) =>
  cli.command(
    'rejoin <system>',
    'after source.lost, while Carrick is stopped: follow from now on, read its tables again',
    (options) =>
      options.positional('system', {
        type: 'string',
        demandOption: true,
        describe: "or a feed, in quotes: 'crm>erp'",
      }),
    act(async (args, context) => {
      const composition = await context.compose.load(args.config, context.env, { offline: false });
      const { position, tables } = await composition.rejoin(args.system);
      const system = args.system;
      show(args, context, { system, position, tables }, () =>
        [
          `${system} will be followed from ${position} on`,
          `its tables are read again when Carrick is started: ${tables.join(', ')}`,
          ...staying(system),
        ].join('\n'),
      );
      return EXIT.ok;
    }),
  );

function staying(name: string): string[] {
  const [from, to] = name.split('>');
  if (to === undefined) return [];
  return [`what ${from} deleted meanwhile stays in ${to}: see \`carrick repair --from ${from}\``];
}
