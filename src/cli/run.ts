import type { Context, Global, Register } from './command.ts';
import { EXIT, type Exit } from './exit.ts';

export const run: Register = (cli, act) =>
  cli.command(
    'run',
    'keep the systems in agreement until told to stop',
    (options) => options,
    act(keepRunning),
  );

export async function keepRunning(args: Global, context: Context): Promise<Exit> {
  const stop = context.stopOnSignal();
  const composition = await context.compose.load(args.config, context.env, { offline: false });
  await composition.run(stop, context.onHangup);
  return EXIT.ok;
}
