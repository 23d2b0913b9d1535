import type { Argv } from 'yargs';
import type { Entity } from '../contract/entity.ts';
import type { JournalEntry, JournalSide } from '../contract/ledger.ts';
import type { Choice } from '../contract/operator.ts';
import { CarrickError } from '../errors.ts';
import type { Stamp } from '../model/stamp.ts';
import type { Value } from '../model/value.ts';
import {
  type Act,
  filterOf,
  type Global,
  ID,
  older,
  PAGE,
  PERSONAL,
  type Register,
  show,
  styleOf,
  withOperator,
} from './command.ts';
import { EXIT } from './exit.ts';
import { ageSince, type Drawn, instant, paint, type Style, table, valueText } from './terminal.ts';

export const conflicts: Register = (cli, act) =>
  cli.command('conflicts', 'the conflict journal: what was settled and what waits', (sub) =>
    resolve(one(list(sub, act), act), act).demandCommand(1, 'say what: list, show or resolve'),
  );

const list = (cli: Argv<Global>, act: Act) =>
  cli.command(
    'list',
    'conflicts, the newest first',
    (options) =>
      options
        .option('state', { choices: ['open', 'settled', 'resolved'], describe: 'only these' })
        .options({ ...PAGE, ...PERSONAL }),
    act(async (args, context) => {
      const filter = { ...filterOf(args), personal: args.showPersonal };
      const entries = await withOperator(args, context, (operator) => operator.conflicts(filter));
      show(args, context, entries, () =>
        entries.length === 0
          ? 'no conflicts'
          : renderConflicts(entries, styleOf(context)) + older(entries, args.limit),
      );
      return EXIT.ok;
    }),
  );

const one = (cli: Argv<Global>, act: Act) =>
  cli.command(
    'show <id>',
    'one conflict: both values, their stamps, what decided',
    (options) => options.positional('id', ID).options(PERSONAL),
    act(async (args, context) => {
      const { id } = args;
      await withOperator(args, context, async (operator, { entities }) => {
        const personal = args.showPersonal;
        const [entry] = await operator.conflicts({ id, limit: 1, personal });
        if (entry === undefined) throw noSuch(id);
        const entity = entities.get(entry.entity);
        show(args, context, entry, () => renderConflict(entry, entity, styleOf(context)));
      });
      return EXIT.ok;
    }),
  );

const resolve = (cli: Argv<Global>, act: Act) =>
  cli.command(
    'resolve <id>',
    'settle an open conflict, or restore the loser of a settled one',
    (options) =>
      options
        .positional('id', ID)
        .option('take', { type: 'string', describe: 'the system whose value is to stand' })
        .option('set', {
          type: 'string',
          array: true,
          nargs: 1,
          describe: 'field=value; the field alone empties it (may be repeated)',
        })
        .conflicts('take', 'set')
        .options(PERSONAL)
        .check(({ take, set }) => {
          if (take === undefined && set === undefined) throw new Error('give --take or --set');
          return true;
        }),
    act(async (args, context) => {
      await withOperator(args, context, async (operator, { entities }) => {
        const choice = choiceOf(args.take, args.set ?? []);
        const entry = await operator.resolve(args.id, choice, args.showPersonal);
        const entity = entities.get(entry.entity);
        show(args, context, entry, () => renderConflict(entry, entity, styleOf(context)));
      });
      return EXIT.ok;
    }),
  );

const noSuch = (id: number) =>
  new CarrickError(
    'operator.unknown',
    'park',
    `there is no conflict ${id}`,
    'see `carrick conflicts list`',
  );

export function choiceOf(take: string | undefined, set: readonly string[]): Choice {
  if (take !== undefined) return { take };
  const values: Record<string, Value> = {};
  for (const text of set) {
    const at = text.indexOf('=');
    if (at < 0) values[text] = null;
    else values[text.slice(0, at)] = text.slice(at + 1);
  }
  return { values };
}

export function renderConflicts(entries: readonly JournalEntry[], style: Style): string {
  const rows = entries.map((entry): Drawn[] => [
    String(entry.id),
    ageSince(entry.at, style),
    entry.entity,
    String(entry.record),
    entry.unit,
    entry.state === 'open' ? { text: 'open', colour: 'yellow' } : entry.state,
    valueText(entry.policy, 40),
    entry.winner ?? '–',
    sideText(entry.incoming),
    sideText(entry.standing),
  ]);
  const names = ['>ID', '>AGE', 'ENTITY', '>RECORD', 'UNIT', 'STATE', 'POLICY', 'WINNER'];
  return table([...names, 'INCOMING', 'STANDING'], rows, style);
}

function sideText({ system, values }: JournalSide): string {
  const text = values === null ? '(deleted)' : values.map((v) => valueText(v, 24)).join(', ');
  return `${system}: ${text}`;
}

export function renderConflict(
  entry: JournalEntry,
  entity: Entity | undefined,
  style: Style,
): string {
  const { incoming, standing, outcome } = entry;
  const ordinals = entity?.units.find(({ name }) => name === entry.unit)?.fields;
  const names = ordinals?.map((ordinal) => entity?.fields[ordinal]?.name ?? '?') ??
    (entry.unit === '(record)' ? entity?.fields.map(({ name }) => name) : undefined) ?? [
      entry.unit,
    ];
  const cell = (values: readonly Value[] | null, i: number): Drawn =>
    values === null ? { text: '(deleted)', colour: 'grey' } : valueText(values[i]);
  const decided =
    entry.state === 'open'
      ? paint(`open: carrick conflicts resolve ${entry.id} --take SYSTEM`, 'yellow', style)
      : `${entry.state} by ${entry.policy}${entry.winner === null ? '' : `, ${entry.winner} won`}`;
  return [
    `${entry.kind} ${entry.id}: ${entry.entity} ${entry.record}, ${entry.unit}`,
    decided,
    '',
    table(
      ['FIELD', `INCOMING ${incoming.system}`, `STANDING ${standing.system}`, 'OUTCOME'],
      [
        ...names.map((name, i): Drawn[] => [
          name,
          cell(incoming.values, i),
          cell(standing.values, i),
          entry.state === 'open' ? '' : cell(outcome, i),
        ]),
        [
          { text: 'written', colour: 'grey' },
          stampText(incoming.stamp),
          stampText(standing.stamp),
          instant(entry.at),
        ],
      ],
      style,
    ),
  ].join('\n');
}

export const stampText = (stamp: Stamp | null): string =>
  stamp === null ? '' : `${instant(stamp.wall)} ${stamp.system}`;
