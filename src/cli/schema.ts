import type { Register } from './command.ts';
import { EXIT } from './exit.ts';

export const schema: Register = (cli, act) =>
  cli.command(
    'schema [of]',
    'print the JSON Schema of the configuration or of mapping files, for editors',
    (options) =>
      options.positional('of', { choices: ['config', 'mapping'] as const, default: 'config' }),
    act(async (args, context) => {
      const of = args.of === 'mapping' ? 'mapping' : 'config';
      context.out(JSON.stringify(await context.compose.schema(of), null, 2));
      return EXIT.ok;
    }),
  );
