import type { Status, SystemStatus, Trouble, VerifyStatus } from '../contract/operator.ts';
import {
  type Context,
  type Global,
  type Register,
  show,
  styleOf,
  withOperator,
} from './command.ts';
import { EXIT, type Exit } from './exit.ts';
import { renderPauses } from './pause.ts';
import { bars, watch } from './progress.ts';
import {
  age,
  ageSince,
  bytes,
  type Colour,
  count,
  type Drawn,
  paint,
  printable,
  type Style,
  table,
} from './terminal.ts';

export const status: Register = (cli, act) =>
  cli.command(
    'status',
    'what flows, what waits and what is wrong',
    (options) =>
      options.option('watch', {
        type: 'boolean',
        default: false,
        describe: 'again every second (into a file: every ten), until Ctrl-C',
      }),
    act(async (args, context) => {
      if (args.watch) return watchStatus(args, context);
      const found = await withOperator(args, context, (operator) => operator.status());
      show(args, context, found, () => renderStatus(found, styleOf(context)));
      const halted = found.systems.some((s) => s.source === 'halted' || s.target === 'halted');
      return halted ? EXIT.halted : EXIT.ok;
    }),
  );

const watchStatus = (args: Global, context: Context): Promise<Exit> =>
  withOperator(args, context, async (operator) => {
    const look = async (): Promise<string> => {
      const found = await operator.status();
      return args.json ? JSON.stringify(found) : renderStatus(found, styleOf(context));
    };
    await watch(context, look, context.stopOnSignal());
    return EXIT.ok;
  });

const STATES: Readonly<Record<string, Colour>> = {
  following: 'green',
  idle: 'green',
  delivering: 'green',
  snapshot: 'yellow',
  waiting: 'yellow',
  retrying: 'yellow',
  halted: 'red',
  stopped: 'grey',
};

const state = (text: string): Drawn => {
  const colour = STATES[text];
  return colour === undefined ? text : { text, colour };
};

const systemRow = (s: SystemStatus): Drawn[] => [
  s.system,
  s.connector,
  state(s.source),
  state(s.target),
  age(s.lagSeconds),
  bytes(s.lagBytes),
  age(s.lastByteAgeSeconds),
  count(s.outboxDepth),
  age(s.outboxOldestSeconds),
];

export function renderStatus(found: Status, style: Style): string {
  const running =
    found.uptimeSeconds === null
      ? paint('not running (read from the ledger)', 'yellow', style)
      : `running for ${age(found.uptimeSeconds)}`;
  const heads = ['SYSTEM', 'CONNECTOR', 'SOURCE', 'TARGET', '>LAG', '>BEHIND', '>LAST BYTE'];
  const lines = [
    `${found.instance}: ${running}`,
    ...(found.reload?.refused ? refusedLines(found.reload.refused, style) : []),
    '',
    table([...heads, '>OUTBOX', '>OLDEST'], found.systems.map(systemRow), style),
    ...found.systems.flatMap((s) => troubleLines(s, style)),
    '',
    ...(found.paused.length > 0 ? [renderPauses(found.paused, style), ''] : []),
    `records    ${tally(found.records)}`,
    `conflicts  ${open(found.openConflicts)}`,
    `parked     ${tally(found.parked)}`,
    ...(found.verified === undefined ? [] : [verifiedLine(found.verified, style)]),
  ];
  return [...lines, ...bars(found, style).map((line) => `reading    ${line}`)].join('\n');
}

function troubleLines({ system, trouble }: SystemStatus, style: Style): string[] {
  return trouble === null ? [] : ['', ...reasonLines(system, trouble, style)];
}

const refusedLines = (refused: Trouble, style: Style): string[] => [
  '',
  'the configuration was changed and the change refused: what ran before goes on',
  ...reasonLines('refused', refused, style),
];

const reasonLines = (what: string, { code, message, fix }: Trouble, style: Style): string[] => [
  `${paint(`${what}: ${code}`, 'red', style)}: ${printable(message)}`,
  `  do: ${printable(fix)}`,
];

function verifiedLine({ endedAt, rows, differences }: VerifyStatus, style: Style): string {
  const what = `${count(differences)} differences`;
  return `verified   ${ageSince(endedAt, style)} ago: ${count(rows)} rows, ${what}`;
}

const open = (n: number): string =>
  n === 0 ? 'none open' : `${count(n)} open: carrick conflicts list --state open`;

function tally(counts: Readonly<Record<string, number>>): string {
  const parts = Object.entries(counts).filter(([, n]) => n > 0);
  return parts.map(([name, n]) => `${count(n)} ${name}`).join(', ') || 'none';
}
