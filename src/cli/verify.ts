import { setTimeout as sleep } from 'node:timers/promises';
import type { Difference, Operator, Verified, VerifyPart } from '../contract/operator.ts';
import { CarrickError } from '../errors.ts';
import { MASK } from '../observe/mask.ts';
import { PERSONAL, type Register, show, styleOf, withOperator } from './command.ts';
import { EXIT } from './exit.ts';
import { count, type Drawn, type Style, table, valueText } from './terminal.ts';

/** What a difference is given to settle: what is on its way is not reported. */
const SETTLE_MS = 2000;
/** A row that changes all the time is looked at so often, and then left out. */
const LOOKS = 5;
const SUSPECTS = 200;
/** Differences that are shown; all are counted. */
const SHOWN = 1000;

export interface Verdict {
  readonly checked: number;
  readonly found: number;
  readonly leftOut: number;
  /** Tables that do not fit their mapping: nothing was compared. */
  readonly unchecked: readonly { readonly system: string; readonly entity: string }[];
  readonly differences: readonly (Difference & { readonly entity: string })[];
}

export const verify: Register = (cli, act) =>
  cli.command(
    'verify [entity]',
    'compare what every system holds with the records, row by row',
    (options) =>
      options
        .positional('entity', { type: 'string', describe: 'only this one' })
        .options(PERSONAL)
        .epilogue('Exit code 0: all agree. 1: differences. 3: a table could not be compared.'),
    act(async (args, context) => {
      const verdict = await withOperator(args, context, async (operator, { entities }) => {
        const wanted = args.entity === undefined ? [...entities.values()] : [];
        const one = entities.get(args.entity ?? '');
        if (args.entity !== undefined && one === undefined) throw noEntity(args.entity);
        return verifyAll(operator, one === undefined ? wanted : [one], args.showPersonal);
      });
      show(args, context, verdict, () => renderVerdict(verdict, styleOf(context)));
      if (verdict.found > 0) return EXIT.problem;
      return verdict.unchecked.length > 0 ? EXIT.unreachable : EXIT.ok;
    }),
  );

const noEntity = (name: string): CarrickError =>
  new CarrickError('operator.unknown', 'park', `no entity is called ${name}`, 'see the mappings');

type Mapped = { readonly name: string; readonly lenses: ReadonlyMap<string, unknown> };

/** Every row and every record of the entities, in pages; only differences are kept. */
export async function verifyAll(
  operator: Operator,
  entities: readonly Mapped[],
  personal: boolean,
): Promise<Verdict> {
  let [checked, found, leftOut] = [0, 0, 0];
  const unchecked: { system: string; entity: string }[] = [];
  const differences: Verdict['differences'][number][] = [];
  for (const { name: entity, lenses } of entities) {
    for (const system of lenses.keys()) {
      for (const kind of ['rows', 'records'] as const) {
        for (let after: string | null = null; ; ) {
          const page: Verified = await operator.verify(entity, system, { kind, after }, personal);
          if (page.held && kind === 'rows') unchecked.push({ system, entity });
          const standing = await settle(page.differences, (part) =>
            operator.verify(entity, system, part, personal),
          );
          if (kind === 'rows')
            [checked, leftOut] = [checked + page.checked, leftOut + page.leftOut];
          found += standing.length;
          const room = Math.max(0, SHOWN - differences.length);
          differences.push(...standing.slice(0, room).map((one) => ({ ...one, entity })));
          after = page.next;
          if (after === null) break;
        }
      }
    }
  }
  return { checked, found, leftOut, unchecked, differences };
}

/** Which differences stand: two looks in a row, a settling time apart, that show the same. */
async function settle(
  suspected: readonly Difference[],
  look: (part: VerifyPart) => Promise<Verified>,
): Promise<Difference[]> {
  const standing: Difference[] = [];
  for (let at = 0; at < suspected.length; at += SUSPECTS) {
    let open = new Map(suspected.slice(at, at + SUSPECTS).map((one) => [nameOf(one), one]));
    for (let looks = 0; open.size > 0 && looks < LOOKS; looks++) {
      await sleep(SETTLE_MS);
      const part: VerifyPart = { kind: 'keys', keys: [...new Set([...open.values()].map(keyOf))] };
      const again = await look(part);
      const next = new Map<string, Difference>();
      for (const one of again.differences) {
        const before = open.get(nameOf(one));
        if (before === undefined) continue;
        if (JSON.stringify(before) === JSON.stringify(one)) standing.push(one);
        else next.set(nameOf(one), one);
      }
      open = next;
    }
  }
  return standing;
}

const keyOf = ({ key }: Difference): string => key;

const nameOf = ({ kind, system, key }: Difference): string => JSON.stringify([kind, system, key]);

const MEANINGS: Readonly<Record<Difference['kind'], string>> = {
  extra: 'belongs to no record',
  missing: 'its row is gone',
  absent: 'has no row there',
  differs: '',
};

export function renderVerdict(verdict: Verdict, style: Style): string {
  const { checked, found, leftOut, unchecked, differences } = verdict;
  const rows = differences.map(({ entity, system, key, of, kind, fields }): Drawn[] => [
    system,
    entity,
    of === undefined ? valueText(key, 40) : `${of}: ${valueText(key, 40)}`,
    { text: kind, colour: 'yellow' },
    kind === 'differs' ? fields.map(fieldText).join('; ') : MEANINGS[kind],
  ]);
  const left = leftOut === 0 ? '' : `, ${count(leftOut)} parked, held or on their way`;
  const sum = `${count(checked)} rows compared, ${count(found)} differences${left}`;
  const notes = unchecked.map(
    ({ system, entity }) => `${system} ${entity}: does not fit its mapping, not compared`,
  );
  const heads = ['SYSTEM', 'ENTITY', 'KEY', 'WHAT', 'FIELDS'];
  return [...(rows.length === 0 ? [] : [table(heads, rows, style), '']), ...notes, sum].join('\n');
}

function fieldText({ name, row, record }: Difference['fields'][number]): string {
  if (row === MASK && record === MASK) return name;
  return `${name}: ${valueText(row, 30)}, should be ${valueText(record, 30)}`;
}
