import type { Figure, Goal, Measured } from './bench.ts';
import { ratios, type Summary, summary } from './statistics.ts';

export interface Line {
  readonly work: string;
  readonly unit: string;
  readonly carrick: Summary;
  readonly peer: string | null;
  readonly peers: Summary | null;
  readonly ratio: Summary | null;
  readonly goal: string;
  readonly met: boolean | null;
}

/** One line a peer, or one for a figure that has none. */
export function linesOf({ figure, samples }: Measured): Line[] {
  const [ours, ...peers] = Object.entries(samples);
  if (ours === undefined) return [];
  const carrick = summary(ours[1]);
  const { work, unit } = figure;
  if (peers.length === 0) {
    const goal = figure.limit === undefined ? '' : `≤ ${figure.limit} ${unit}`;
    const met = figure.limit === undefined ? null : carrick.median <= figure.limit;
    return [{ work, unit, carrick, peer: null, peers: null, ratio: null, goal, met }];
  }
  return peers.map(([peer, values]) => {
    const ratio = ratios(ours[1], values);
    const goal = figure.goals[peer];
    return {
      ...{ work, unit, carrick, peer, peers: summary(values), ratio },
      goal: goal === undefined ? '' : goalText(goal),
      met: goal === undefined ? null : isMet(goal, ratio.median),
    };
  });
}

const goalText = (goal: Goal): string =>
  'atLeast' in goal ? `≥ ${goal.atLeast} ×` : `≤ ${goal.atMost} ×`;

const isMet = (goal: Goal, ratio: number): boolean =>
  'atLeast' in goal ? ratio >= goal.atLeast : ratio <= goal.atMost;

const HEAD = ['work', 'Carrick', 'peer', 'its figure', 'ratio (median, range)', 'goal', ''];

/** GitHub's Markdown, aligned for the terminal: the README takes it as it is. */
export function tableOf(lines: readonly Line[]): string {
  const cells = lines.map((line) => [
    line.work,
    `${amount(line.carrick.median, line.unit)} ${line.unit}`,
    line.peer ?? '',
    line.peers === null ? '' : amount(line.peers.median, line.unit),
    line.ratio === null ? range(line.carrick, line.unit) : ratioText(line.ratio),
    line.goal,
    line.met === null ? '' : line.met ? 'met' : 'not met',
  ]);
  const widths = HEAD.map((head, i) =>
    Math.max(head.length, ...cells.map((row) => row[i]!.length)),
  );
  const format = (row: readonly string[]): string =>
    `| ${row.map((cell, i) => cell.padEnd(widths[i]!)).join(' | ')} |`;
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`;
  return [format(HEAD), rule, ...cells.map(format)].join('\n');
}

const ratioText = ({ median, low, high }: Summary): string =>
  `${median.toFixed(2)} × (${low.toFixed(2)}–${high.toFixed(2)})`;

const range = ({ low, high }: Summary, unit: Figure['unit'] | string): string =>
  `(${amount(low, unit)}–${amount(high, unit)})`;

function amount(value: number, unit: string): string {
  return unit.endsWith('/s')
    ? Math.round(value).toLocaleString('en')
    : value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0);
}
