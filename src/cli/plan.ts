import type { EntityPlan, FieldPlan, RowsPlan } from '../contract/first-contact.ts';
import type { Value } from '../model/value.ts';
import { maskCell, maskKey } from '../observe/mask.ts';
import { type Context, PERSONAL, positive, type Register, show, styleOf } from './command.ts';
import type { Composition } from './composition.ts';
import { EXIT, type Exit } from './exit.ts';
import { count, type Drawn, paint, printable, type Style, table, valueText } from './terminal.ts';

export const plan: Register = (cli, act) =>
  cli.command(
    'plan [entity]',
    'what a first load would match, settle and write; reads both systems, changes nothing',
    (options) =>
      options
        .positional('entity', { type: 'string', describe: 'only this one' })
        .option('sample', {
          type: 'number',
          coerce: positive,
          default: 5,
          describe: 'at most so many examples of each kind',
        })
        .options(PERSONAL)
        .epilogue('Exit code 0: all is decided. 1: some of it would wait for a person.'),
    act(async (args, context) => {
      const composition = await context.compose.load(args.config, context.env, { offline: false });
      const plans = await composition.plan({
        entity: args.entity ?? null,
        samples: args.sample,
        progress: progressTo(context),
        stop: context.stopOnSignal(),
      });
      const shown = args.showPersonal
        ? plans
        : plans.map((one) => masked(one, composition.entities));
      const style = styleOf(context);
      show(args, context, shown, () =>
        shown.length === 0
          ? 'nothing is to be settled: every entity is fed'
          : shown.map((one) => renderPlan(one, style)).join('\n\n'),
      );
      return verdict(plans);
    }),
  );

const PROGRESS_MICROS = 5_000_000;

/** A line now and then on stderr: millions of rows take their time. */
function progressTo({ err, now }: Context): (system: string, name: string, rows: number) => void {
  let last = now();
  return (system, name, rows) => {
    if (now() - last < PROGRESS_MICROS) return;
    last = now();
    err(`${system} ${name}: ${count(rows)} rows read`);
  };
}

const verdict = (plans: readonly EntityPlan[]): Exit =>
  plans.some(
    ({ systems, fields, writes }) =>
      systems.some(({ parked }) => parked.length > 0) ||
      fields.some(({ winners }) => (winners.person ?? 0) > 0) ||
      writes.some(({ waiting, blocked, unwritable }) => waiting + blocked + unwritable > 0),
  )
    ? EXIT.problem
    : EXIT.ok;

function masked(one: EntityPlan, entities: Composition['entities']): EntityPlan {
  const hide = (values: Readonly<Record<string, Value>>) =>
    Object.fromEntries(Object.entries(values).map(([system, value]) => [system, maskCell(value)]));
  const keyIn = (system: string, key: string) => maskKey(entities, system, one.entity, key);
  const keysOf = (keys: Readonly<Record<string, string>>) =>
    Object.fromEntries(Object.entries(keys).map(([system, key]) => [system, keyIn(system, key)]));
  const fields = one.fields.map((field) => ({
    ...field,
    samples: field.samples.map((sample) => ({
      ...sample,
      keys: keysOf(sample.keys),
      values: field.pii ? hide(sample.values) : sample.values,
    })),
  }));
  const systems = one.systems.map(({ parked, ...rows }) => ({
    ...rows,
    parked: parked.map(({ samples, ...rest }) => ({
      ...rest,
      samples: samples.map((sample) => ({ ...sample, key: keyIn(rows.system, sample.key) })),
    })),
  }));
  return { ...one, fields, systems };
}

export function renderPlan(one: EntityPlan, style: Style): string {
  const records = one.matched.reduce((sum, { records: n }) => sum + n, 0);
  const by = one.matched
    .filter(({ records: n }) => n > 0)
    .map(({ by: names, records: n }) => `${count(n)} by ${names.join(' and ')}`);
  const matched = `${count(records)} matched${by.length === 0 ? '' : ` (${by.join(', ')})`}`;
  const only = Object.entries(one.only).map(([system, n]) => `${count(n)} only in ${system}`);
  const lines = [
    paint(one.entity, 'bold', style),
    ...one.systems.map(rowsLine),
    `  ${[matched, ...only].join(', ')}`,
    `  of the matched ${count(one.alike)} hold the same`,
  ];
  const section = (title: string, body: string) => lines.push('', title, body);
  if (one.fields.length > 0)
    section('differences, and whose value stands', fieldsTable(one, style));
  const samples = one.fields.flatMap(samplesOf);
  if (samples.length > 0) {
    section('examples', table(['FIELD', 'ROWS', 'VALUES', 'STANDS'], samples, style));
  }
  const parked = one.systems.flatMap(parkedOf);
  if (parked.length > 0) {
    section('would be parked', table(['SYSTEM', 'REASON', 'KEY', 'DETAIL'], parked, style));
  }
  section('would be written', writesTable(one, style));
  return lines.join('\n');
}

function rowsLine({ system, rows, outside, parked }: RowsPlan): string {
  const rest = [
    ...(outside > 0 ? [`${count(outside)} not of this entity`] : []),
    ...parked.map(({ reason, rows: n }) => `${count(n)} ${reason}`),
  ];
  return `  ${system}: ${[`${count(rows)} rows`, ...rest].join(', ')}`;
}

function fieldsTable({ fields, systems }: EntityPlan, style: Style): string {
  const names = [...systems.map(({ system }) => system), 'computed', 'person'].filter(
    (name, i) => i < systems.length || fields.some(({ winners }) => (winners[name] ?? 0) > 0),
  );
  const rows = fields.map(({ name, differ, filled, winners }): Drawn[] => [
    name,
    count(differ),
    ...names.map((winner) => count(winners[winner] ?? 0)),
    count(filled),
  ]);
  const heads = names.map(
    (name) => `>${name === 'person' ? 'A PERSON DECIDES' : name.toUpperCase()}`,
  );
  return table(['FIELD', '>DIFFER', ...heads, '>ONLY ONE HAS IT'], rows, style);
}

const samplesOf = ({ name, samples }: FieldPlan): Drawn[][] =>
  samples.map(({ keys, values, winner }) => [
    name,
    pairs(keys, (key) => printable(key)),
    pairs(values, (value) => valueText(value, 30)),
    winner ?? { text: 'a person decides', colour: 'yellow' },
  ]);

const pairs = <T>(of: Readonly<Record<string, T>>, text: (one: T) => string): string =>
  Object.entries(of)
    .map(([system, one]) => `${system}: ${text(one)}`)
    .join(', ');

const parkedOf = ({ system, parked }: RowsPlan): Drawn[][] =>
  parked.flatMap(({ reason, samples }) =>
    samples.map(({ key, detail }) => [system, reason, valueText(key, 40), printable(detail)]),
  );

function writesTable({ writes }: EntityPlan, style: Style): string {
  const rows = writes.map((one): Drawn[] => [
    one.system,
    count(one.inserts),
    count(one.updates),
    count(one.deletes),
    count(one.waiting),
    count(one.blocked),
    count(one.unwritable),
    Object.entries(one.fields)
      .map(([name, n]) => `${name} ${count(n)}`)
      .join(', '),
  ]);
  const heads = [
    'SYSTEM',
    '>INSERTS',
    '>UPDATES',
    '>DELETES',
    '>WAITING',
    '>BLOCKED',
    '>UNWRITABLE',
  ];
  return table([...heads, 'UPDATED FIELDS'], rows, style);
}
