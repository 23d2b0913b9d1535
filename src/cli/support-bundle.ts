import { writeFileSync } from 'node:fs';
import { loadOffline, type Register, show, withOperator } from './command.ts';
import { EXIT } from './exit.ts';

export const supportBundle: Register = (cli, act) =>
  cli.command(
    'support-bundle',
    'all that helps to find out what is wrong, without secrets, keys or values, as JSON',
    (options) =>
      options.option('output', {
        alias: 'o',
        type: 'string',
        describe: 'write it to this file instead of stdout',
      }),
    act(async (args, context) => {
      const daemon = await withOperator(args, context, (operator) => operator.support());
      const { files, preflight } = await loadOffline(args, context);
      const made = new Date(context.now() / 1000).toISOString();
      const bundle = { made, ...files(), preflight: await preflight(), daemon };
      const text = JSON.stringify(bundle, null, 2);
      if (args.output === undefined) context.out(text);
      else {
        writeFileSync(args.output, `${text}\n`, { mode: 0o600 });
        const written = { file: args.output };
        show(args, context, written, () => `written to ${args.output}`);
      }
      return EXIT.ok;
    }),
  );
