import type { Entity } from '../contract/entity.ts';
import type { Difference, Operator } from '../contract/operator.ts';
import { CarrickError } from '../errors.ts';
import { type Comparing, compareAll, type Verdict } from '../observe/comparison.ts';
import { MASK } from '../observe/mask.ts';
import { PERSONAL, type Register, show, styleOf, withOperator } from './command.ts';
import type { Composition } from './composition.ts';
import { EXIT, type Exit } from './exit.ts';
import { count, type Drawn, type Style, table, valueText } from './terminal.ts';

export const verify: Register = (cli, act) =>
  cli.command(
    'verify [entity]',
    'compare what all systems hold: by digests where that can be, else row by row',
    (options) =>
      options
        .positional('entity', { type: 'string', describe: 'only this one' })
        .options(PERSONAL)
        .epilogue('Exit code 0: all agree. 1: differences. 3: something could not be compared.'),
    act(async (args, context) => {
      const verdict = await withOperator(args, context, (operator, composition) => {
        const wanted = entitiesOf(composition, args.entity);
        return compareAll(comparingOf(operator, args.showPersonal), wanted);
      });
      show(args, context, verdict, () => renderVerdict(verdict, styleOf(context)));
      return exitOf(verdict);
    }),
  );

export function entitiesOf({ entities }: Composition, name: string | undefined): Entity[] {
  if (name === undefined) return [...entities.values()];
  const one = entities.get(name);
  if (one !== undefined) return [one];
  const message = `no entity is called ${name}`;
  throw new CarrickError('operator.unknown', 'park', message, 'see the mappings');
}

/** At full speed, and with nobody to tell. */
export const comparingOf = (operator: Operator, personal: boolean): Comparing => ({
  operator,
  pace: async () => undefined,
  mostRows: null,
  personal,
  tell: async () => undefined,
});

export function exitOf({ found, unchecked }: Verdict): Exit {
  if (found > 0) return EXIT.problem;
  return unchecked.length > 0 ? EXIT.unreachable : EXIT.ok;
}

export const uncheckedLines = (unchecked: Verdict['unchecked']): string[] =>
  unchecked.map(({ system, entity, why }) => `${system} ${entity}: not compared, ${why}`);

const MEANINGS: Readonly<Record<Difference['kind'], string>> = {
  extra: 'is only there',
  missing: 'its row is gone',
  absent: 'has no row there',
  differs: '',
};

export function renderVerdict(verdict: Verdict, style: Style): string {
  const { checked, found, leftOut, unchecked, compared, differences } = verdict;
  const rows = differences.map(({ entity, system, key, of, kind, fields }): Drawn[] => [
    system,
    entity,
    of === undefined ? valueText(key, 40) : `${of}: ${valueText(key, 40)}`,
    { text: kind, colour: 'yellow' },
    kind === 'differs' ? fields.map(fieldText).join('; ') : MEANINGS[kind],
  ]);
  const left = leftOut === 0 ? '' : `, ${count(leftOut)} parked, held or on their way`;
  const sum = `${count(checked)} rows compared, ${count(found)} differences${left}`;
  const notes = [
    ...compared.map(({ entity, by, why }) =>
      by === 'rows' ? `${entity}: row by row, because ${why}` : `${entity}: by digests`,
    ),
    ...uncheckedLines(unchecked),
  ];
  const heads = ['SYSTEM', 'ENTITY', 'KEY', 'WHAT', 'FIELDS'];
  return [...(rows.length === 0 ? [] : [table(heads, rows, style), '']), ...notes, sum].join('\n');
}

function fieldText({ name, row, record }: Difference['fields'][number]): string {
  if (row === MASK && record === MASK) return name;
  return `${name}: ${valueText(row, 30)}, should be ${valueText(record, 30)}`;
}
