import type { Register } from './command.ts';
import { EXIT } from './exit.ts';

export const run: Register = (cli, act) =>
  cli.command(
    'run',
    'keep the systems in agreement until told to stop',
    (options) => options,
    act(async (args, context) => {
      const stop = context.stopOnSignal();
      const composition = await context.compose.load(args.config, context.env, { offline: false });
      await composition.run(stop, context.onHangup);
      return EXIT.ok;
    }),
  );
