import type { Pause } from '../contract/ledger.ts';
import { type Register, show, styleOf, withOperator } from './command.ts';
import { EXIT } from './exit.ts';
import { ageSince, type Style, table } from './terminal.ts';

const NAME = {
  type: 'string',
  describe: 'a system or an entity; all systems unless given',
} as const;

export const pause: Register = (cli, act) =>
  cli.command(
    'pause [name]',
    'deliver nothing to a system, or of an entity, until resumed; logs are read on',
    (options) => options.positional('name', NAME),
    act(async (args, context) => {
      const found = await withOperator(args, context, (daemon) => daemon.pause(args.name ?? null));
      show(args, context, found, () => renderPauses(found, styleOf(context)));
      return EXIT.ok;
    }),
  );

export const resume: Register = (cli, act) =>
  cli.command(
    'resume [name]',
    'end a pause, or all of them: what waited is delivered',
    (options) => options.positional('name', { ...NAME, describe: 'what was paused' }),
    act(async (args, context) => {
      const found = await withOperator(args, context, (daemon) => daemon.resume(args.name ?? null));
      show(args, context, found, () => renderPauses(found, styleOf(context)));
      return EXIT.ok;
    }),
  );

export function renderPauses(found: readonly Pause[], style: Style): string {
  if (found.length === 0) return 'nothing is paused';
  const rows = found.map(({ kind, name, since }) => [kind, name, ageSince(since, style)]);
  return table(['PAUSED', 'NAME', '>FOR'], rows, style);
}
