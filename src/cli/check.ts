import type { Finding } from '../contract/connector.ts';
import { type Register, show, styleOf } from './command.ts';
import { EXIT, type Exit } from './exit.ts';
import { type Colour, paint, printable, type Style } from './terminal.ts';

type Findings = Readonly<Record<string, readonly Finding[]>>;

export const check: Register = (cli, act) =>
  cli.command(
    'check',
    'look for mistakes in the configuration, the mappings and the servers',
    (options) =>
      options.option('offline', {
        type: 'boolean',
        default: false,
        describe: 'the files alone, no server',
      }),
    act(async (args, context) => {
      const { offline } = args;
      const composition = await context.compose.load(args.config, context.env, { offline });
      const findings = offline ? {} : await composition.preflight();
      const entities = [...composition.entities.keys()];
      show(args, context, { entities, systems: findings }, () =>
        [
          `${args.config} and the mappings of ${entities.join(', ')} are right`,
          ...(offline ? [] : ['', renderFindings(findings, styleOf(context))]),
        ].join('\n'),
      );
      return verdict(findings);
    }),
  );

/** A problem weighs more than what could not be checked: it is there whatever the rest says. */
export function verdict(findings: Findings): Exit {
  const outcomes = new Set(
    Object.values(findings)
      .flat()
      .map(({ outcome }) => outcome),
  );
  if (outcomes.has('problem')) return EXIT.problem;
  return outcomes.has('unknown') ? EXIT.unreachable : EXIT.ok;
}

const OUTCOMES: Readonly<Record<Finding['outcome'], [string, Colour]>> = {
  problem: ['problem', 'red'],
  unknown: ['could not check', 'yellow'],
  note: ['note', 'grey'],
};

export function renderFindings(findings: Findings, style: Style): string {
  return Object.entries(findings)
    .map(([system, found]) => {
      const lines = found.flatMap(({ outcome, check: name, message, fix }) => {
        const [word, colour] = OUTCOMES[outcome];
        const head = `  ${paint(word, colour, style)} ${name}: ${printable(message)}`;
        return fix === '' ? [head] : [head, `    do: ${printable(fix)}`];
      });
      const wrong = found.some(({ outcome }) => outcome !== 'note');
      const title = wrong ? system : `${system} ${paint('ready', 'green', style)}`;
      return [title, ...lines].join('\n');
    })
    .join('\n');
}
