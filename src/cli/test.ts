import { loadOffline, type Register, show, styleOf } from './command.ts';
import type { CaseResult } from './composition.ts';
import { EXIT } from './exit.ts';
import { paint, printable, type Style } from './terminal.ts';

export const test: Register = (cli, act) =>
  cli.command(
    'test',
    'run the cases files beside the mappings; no server is needed',
    (options) => options,
    act(async (args, context) => {
      const results = await (await loadOffline(args, context)).cases();
      show(args, context, results, () => renderCases(results, styleOf(context)));
      return results.every(({ faults }) => faults.length === 0) ? EXIT.ok : EXIT.problem;
    }),
  );

export function renderCases(results: readonly CaseResult[], style: Style): string {
  const failed = results.filter(({ faults }) => faults.length > 0);
  const lines = failed.flatMap(({ file, name, faults }) => [
    `${paint('failed', 'red', style)} ${file}: ${printable(name)}`,
    ...faults.map((fault) => `  ${printable(fault)}`),
  ]);
  return [...lines, `${results.length - failed.length} of ${results.length} cases passed`].join(
    '\n',
  );
}
