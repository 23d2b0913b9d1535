import type { Resync } from '../contract/operator.ts';
import { type Context, type Register, show, styleOf, withOperator } from './command.ts';
import { EXIT } from './exit.ts';
import { bars, watch } from './progress.ts';
import { type Drawn, table } from './terminal.ts';

export const resync: Register = (cli, act) =>
  cli.command(
    'resync <entity>',
    'read its tables again while everything goes on: what differs counts as a change',
    (options) =>
      options
        .positional('entity', { type: 'string', demandOption: true })
        .option('system', { type: 'string', describe: 'only in this system' })
        .option('where', {
          type: 'string',
          describe: 'only records for which this holds or held, in CEL over the fields',
        })
        .option('wait', {
          type: 'boolean',
          default: false,
          describe: 'until the tables are read; Ctrl-C ends the waiting, not the reading',
        }),
    act(async (args, context) =>
      withOperator(args, context, async (operator) => {
        const begun = await operator.resync(args.entity, args.system ?? null, args.where ?? null);
        show(args, context, begun, () => drawn(begun, args.wait, context));
        if (!args.wait) return EXIT.ok;
        const waits = begun.filter(({ state }) => state !== 'held');
        const isWaitedFor = (system: string, name: string): boolean =>
          waits.some((one) => one.system === system && one.table === name);
        const look = async (): Promise<string | null> => {
          const lines = bars(await operator.status(), styleOf(context), isWaitedFor);
          return lines.length === 0 ? null : lines.join('\n');
        };
        const shown = args.json ? { ...context, out: () => {} } : context;
        await watch(shown, look, context.stopOnSignal());
        return EXIT.ok;
      }),
    ),
  );

function drawn(begun: readonly Resync[], waits: boolean, context: Context): string {
  const rows = begun.map(({ system, table: name, state }): Drawn[] => [
    system,
    name,
    STATES[state],
  ]);
  const list = table(['SYSTEM', 'TABLE', 'STATE'], rows, styleOf(context));
  return waits ? `${list}\n` : `${list}\n\nhow far it is: carrick status --watch`;
}

const STATES: Readonly<Record<Resync['state'], string>> = {
  begun: 'begun',
  'first load': 'is being loaded for the first time, which goes on',
  held: 'does not fit its mapping; read again as soon as it does',
};
