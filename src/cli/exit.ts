import { CarrickError } from '../errors.ts';
import { problemText } from './composition.ts';

/** Exit codes of every command; `healthcheck` uses 0 and 1 alone, as containers expect. */
export const EXIT = {
  ok: 0,
  problem: 1,
  usage: 2,
  unreachable: 3,
  halted: 4,
  defect: 5,
} as const;

export type Exit = (typeof EXIT)[keyof typeof EXIT];

const MEANINGS: Readonly<Record<keyof typeof EXIT, string>> = {
  ok: 'all is well; run: stopped cleanly',
  problem: 'found a problem, or there is no such item',
  usage: 'bad usage or configuration; nothing was started',
  unreachable: 'could not check or reach something, or could not stop in time',
  halted: 'halted: needs an operator',
  defect: 'unexpected: a defect of Carrick',
};

export const STOP_SECONDS = 30;

export function epilogue(): string {
  const codes = Object.entries(EXIT).map(
    ([name, code]) => `  ${code}  ${MEANINGS[name as keyof typeof EXIT]}`,
  );
  return [
    'Exit codes:',
    ...codes,
    '',
    `SIGTERM or SIGINT: run finishes what is on its way and stops within ${STOP_SECONDS} s;`,
    'a second one ends it at once, which loses nothing either.',
    'CARRICK_DEBUG=1 shows stacks, NO_COLOR=1 leaves colours out.',
  ].join('\n');
}

export function exitOf(error: unknown): Exit {
  if (problemText(error) !== null) return EXIT.usage;
  if (!(error instanceof CarrickError)) {
    const system = error instanceof Error && 'syscall' in error;
    return system ? EXIT.unreachable : EXIT.defect;
  }
  if (/^(config|mapping|http)\./.test(error.code)) return EXIT.usage;
  if (error.disposition === 'retry') return EXIT.unreachable;
  return error.disposition === 'halt' ? EXIT.halted : EXIT.problem;
}
