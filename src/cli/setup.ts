import { type Register, show } from './command.ts';
import { EXIT } from './exit.ts';

export const setup: Register = (cli, act) =>
  cli.command(
    'setup',
    'create what Carrick needs in the systems: publication, slot, mark table',
    (options) =>
      options.option('print', {
        type: 'boolean',
        default: false,
        describe: 'print the SQL and the least grants for a DBA, change nothing',
      }),
    act(async (args, context) => {
      const offline = args.print;
      const composition = await context.compose.load(args.config, context.env, { offline });
      if (args.print) {
        const script = await composition.setupScript();
        show(args, context, { script }, () => script.trimEnd());
      } else {
        const done = await composition.setup();
        show(args, context, { done }, () => done.join('\n') || 'nothing was missing');
      }
      return EXIT.ok;
    }),
  );
