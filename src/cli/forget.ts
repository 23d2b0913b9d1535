import type { Forgotten } from '../contract/operator.ts';
import { type Register, show, withOperator } from './command.ts';
import { EXIT } from './exit.ts';

export const forget: Register = (cli, act) =>
  cli.command(
    'forget <entity> <key>',
    'erase a record from the ledger, with its journal and what is parked; not to be undone',
    (options) =>
      options
        .positional('entity', { type: 'string', demandOption: true })
        .positional('key', {
          type: 'string',
          demandOption: true,
          describe: 'as `explain` takes it; #17 names a record that is gone already, too',
        })
        .option('system', { type: 'string', describe: 'whose row key it is' })
        .epilogue('The rows in the systems stay as they are, and are passed over until deleted.'),
    act(async (args, context) => {
      const key = args.system === undefined ? args.key : `${args.system}:${args.key}`;
      const done = await withOperator(args, context, (operator) =>
        operator.forget(args.entity, key),
      );
      show(args, context, done, () => renderForgotten(done));
      return EXIT.ok;
    }),
  );

function renderForgotten({ entity, record, rows, journal, parked }: Forgotten): string {
  const what = record === null ? `a parked row of ${entity}` : `${entity} ${record}`;
  const lines = [`forgotten: ${what}, ${journal} journal entries, ${parked} parked items`];
  if (rows.length > 0) lines.push(`its rows are passed over from now on: ${rows.join(', ')}`);
  return lines.join('\n');
}
