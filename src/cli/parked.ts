import type { Argv } from 'yargs';
import type { Parked } from '../contract/ledger.ts';
import { CarrickError } from '../errors.ts';
import { PARK_REASONS } from '../observe/park-reasons.ts';
import {
  type Act,
  filterOf,
  type Global,
  ID,
  older,
  PAGE,
  PERSONAL,
  positive,
  type Register,
  show,
  styleOf,
  withOperator,
} from './command.ts';
import { EXIT } from './exit.ts';
import {
  ageSince,
  count,
  type Drawn,
  instant,
  printable,
  type Style,
  table,
  valueText,
} from './terminal.ts';

export const parked: Register = (cli, act) =>
  cli.command('parked', 'what waits for a person, and why', (sub) =>
    discard(retry(one(list(sub, act), act), act), act).demandCommand(
      1,
      'say what: list, show, retry or discard',
    ),
  );

const list = (cli: Argv<Global>, act: Act) =>
  cli.command(
    'list',
    'parked items, the newest first',
    (options) =>
      options
        .option('reason', { choices: Object.keys(PARK_REASONS), describe: 'only these' })
        .options({ ...PAGE, ...PERSONAL }),
    act(async (args, context) => {
      const filter = { ...filterOf({ ...args, state: args.reason }), personal: args.showPersonal };
      const items = await withOperator(args, context, (operator) => operator.parked(filter));
      show(args, context, items, () =>
        items.length === 0
          ? 'nothing is parked'
          : renderParkedList(items, styleOf(context)) + older(items, args.limit),
      );
      return EXIT.ok;
    }),
  );

const one = (cli: Argv<Global>, act: Act) =>
  cli.command(
    'show <id>',
    'one parked item, and what to do about it',
    (options) => options.positional('id', ID).options(PERSONAL),
    act(async (args, context) => {
      const { id } = args;
      await withOperator(args, context, async (operator) => {
        const [item] = await operator.parked({ id, limit: 1, personal: args.showPersonal });
        if (item === undefined) {
          const fix = 'see `carrick parked list`';
          throw new CarrickError('operator.unknown', 'park', `nothing is parked as ${id}`, fix);
        }
        show(args, context, item, () => renderParked(item, styleOf(context)));
      });
      return EXIT.ok;
    }),
  );

const IDS = {
  type: 'number',
  array: true,
  demandOption: true,
  coerce: (given: number[]) => given.map(positive),
} as const;

const retry = (cli: Argv<Global>, act: Act) =>
  cli.command(
    'retry <ids..>',
    'read rows anew, send deliveries again, carry out held deletes',
    (options) => options.positional('ids', IDS),
    act(async (args, context) => {
      const done = await withOperator(args, context, (operator) => operator.retry(args.ids));
      show(args, context, done, () => {
        const rows = done.map(({ id, outcome }) => [String(id), outcome]);
        return table(['>ID', 'OUTCOME'], rows, styleOf(context));
      });
      return EXIT.ok;
    }),
  );

const discard = (cli: Argv<Global>, act: Act) =>
  cli.command(
    'discard <ids..>',
    'give parked items up: what they hold is gone for good',
    (options) => options.positional('ids', IDS),
    act(async (args, context) => {
      const { ids } = args;
      await withOperator(args, context, (operator) => operator.discard(ids));
      show(args, context, { discarded: ids }, () => `discarded ${ids.join(', ')}`);
      return EXIT.ok;
    }),
  );

export function renderParkedList(items: readonly Parked[], style: Style): string {
  const rows = items.map((item): Drawn[] => [
    String(item.id),
    ageSince(item.since, style),
    item.system,
    item.entity,
    whatIsParked(item),
    item.reason === 'waiting' ? item.reason : { text: item.reason, colour: 'yellow' },
    valueText(item.detail, 70),
  ]);
  return table(['>ID', '>AGE', 'SYSTEM', 'ENTITY', 'WHAT', 'REASON', 'DETAIL'], rows, style);
}

function whatIsParked(item: Parked): string {
  if (item.kind === 'row') return `row ${valueText(item.key, 40)}`;
  if (item.kind === 'delivery') return `delivery of ${item.record}`;
  return `${count(item.records.length)} record${item.records.length === 1 ? '' : 's'}`;
}

export function renderParked(item: Parked, style: Style): string {
  const reason: Readonly<Record<string, { meaning: string; next: string }>> = PARK_REASONS;
  const lines = [
    `${item.id}: ${printable(whatIsParked(item))} of ${item.entity} in ${item.system}`,
    `since ${instant(item.since)}`,
    `${item.reason}: ${reason[item.reason]?.meaning ?? ''}`,
    ...(item.detail === '' ? [] : [`  ${printable(item.detail)}`]),
    ...(reason[item.reason] === undefined ? [] : [`  do: ${reason[item.reason]?.next}`]),
  ];
  if (item.kind === 'hold') lines.push('', `records ${item.records.slice(0, 50).join(', ')}`);
  if (item.kind !== 'row') return lines.join('\n');
  if (item.waits !== null) {
    const how = item.reason === 'duplicate' ? 'the other one is' : 'waits for';
    lines.push('', `${how} ${item.waits.entity} row ${printable(item.waits.key)}`);
  }
  if (item.cells !== null && Object.keys(item.cells).length === 0) return lines.join('\n');
  const cells =
    item.cells === null
      ? 'the row was deleted meanwhile'
      : table(
          ['COLUMN', 'LAST KNOWN'],
          Object.entries(item.cells).map(([name, value]) => [name, valueText(value)]),
          style,
        );
  return [...lines, '', cells].join('\n');
}
