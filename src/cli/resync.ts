import type { Resync } from '../contract/operator.ts';
import { type Register, show, styleOf, withOperator } from './command.ts';
import { EXIT } from './exit.ts';
import { type Drawn, table } from './terminal.ts';

export const resync: Register = (cli, act) =>
  cli.command(
    'resync <entity>',
    'read its tables again while everything goes on: what differs counts as a change',
    (options) =>
      options
        .positional('entity', { type: 'string', demandOption: true })
        .option('system', { type: 'string', describe: 'only in this system' }),
    act(async (args, context) => {
      const begun = await withOperator(args, context, (operator) =>
        operator.resync(args.entity, args.system ?? null),
      );
      show(args, context, begun, () => {
        const rows = begun.map(({ system, table: name, state }): Drawn[] => [
          system,
          name,
          STATES[state],
        ]);
        const list = table(['SYSTEM', 'TABLE', 'STATE'], rows, styleOf(context));
        return `${list}\n\nhow far it is: carrick status`;
      });
      return EXIT.ok;
    }),
  );

const STATES: Readonly<Record<Resync['state'], string>> = {
  begun: 'begun',
  'first load': 'is being loaded for the first time, which goes on',
  held: 'does not fit its mapping; read again as soon as it does',
};
