import { setTimeout as sleep } from 'node:timers/promises';
import type { Entity } from '../contract/entity.ts';
import type { Operator, Repaired } from '../contract/operator.ts';
import { CarrickError } from '../errors.ts';
import { compareAll, type Found, type Verdict } from '../observe/comparison.ts';
import { PERSONAL, type Register, show, styleOf, withOperator } from './command.ts';
import { EXIT, type Exit } from './exit.ts';
import { count, type Drawn, type Style, table, valueText } from './terminal.ts';
import { comparingOf, entitiesOf, uncheckedLines } from './verify.ts';

/** Rows of one request. */
const PAGE = 200;
/** Writes that are shown; all are counted. */
const SHOWN = 1000;
const LOOK_MS = 500;
/** So often it is looked, in all, whether the writes have come back. */
const LOOKS = 120;

type Write = Repaired['writes'][number] & { readonly entity: string };

export interface RepairReport {
  readonly dryRun: boolean;
  readonly found: number;
  readonly unchecked: Verdict['unchecked'];
  /** How many writes of each kind, by `system operation`. */
  readonly counts: Readonly<Record<string, number>>;
  readonly writes: readonly Write[];
  readonly journalled: number;
  readonly open: number;
  readonly parked: Readonly<Record<string, number>>;
  /** Differences that are still there; null: nothing was done. */
  readonly left: number | null;
  /** Rows that are parked, held or on their way. */
  readonly waiting: number;
}

export const repair: Register = (cli, act) =>
  cli.command(
    'repair [entity]',
    'verify, and settle the differences: what is written goes through the outbox and the journal',
    (options) =>
      options
        .positional('entity', { type: 'string', describe: 'only this one' })
        .option('from', { type: 'string', describe: 'what this system holds wins everywhere' })
        .option('by-policy', {
          type: 'boolean',
          describe: 'the policies of the mapping choose, as between concurrent writes',
        })
        .option('dry-run', {
          type: 'boolean',
          default: false,
          describe: 'only say what it would do',
        })
        .conflicts('from', 'by-policy')
        .options(PERSONAL)
        .epilogue(
          'Of an entity that is fed its source is right; what only another system has goes with ' +
            '--from alone.\n\n' +
            'Exit code 0: all agree now. 1: differences are left, or with --dry-run: were found. ' +
            '3: something could not be compared.',
        ),
    act(async (args, context) => {
      if (args.from === undefined && args.byPolicy !== true) throw noChoice();
      const report = await withOperator(args, context, (operator, composition) => {
        const wanted = entitiesOf(composition, args.entity);
        const how = { from: args.from ?? null, dryRun: args.dryRun, personal: args.showPersonal };
        return repairAll(operator, wanted, how);
      });
      show(args, context, report, () => renderReport(report, styleOf(context)));
      return exitOf(report);
    }),
  );

const noChoice = (): CarrickError =>
  new CarrickError(
    'config.repair',
    'park',
    'a repair must know who is right',
    'say --from SYSTEM, or --by-policy',
  );

const NOTHING = { left: null, waiting: 0 };

interface How {
  readonly from: string | null;
  readonly dryRun: boolean;
  readonly personal: boolean;
}

async function repairAll(
  operator: Operator,
  entities: readonly Entity[],
  { from, dryRun, personal }: How,
): Promise<RepairReport> {
  const isSpared = ({ entity, kind }: Found): boolean =>
    from === null && kind === 'extra' && fed.has(entity);
  const fed = new Set(entities.filter(({ feed }) => feed !== undefined).map(({ name }) => name));
  const rows = differingRows(isSpared);
  const { found, unchecked } = await compareAll(
    { ...comparingOf(operator, personal), tell: rows.add },
    entities,
  );
  const sum = summing();
  for (const { entity, system, keys } of rows.pages(from)) {
    sum.add(entity, await operator.repair({ entity, system, keys, from, dryRun }));
  }
  if (dryRun) return { dryRun, found, unchecked, ...sum.all(), ...NOTHING };
  const { left, waiting } = await leftOver(operator, rows.pages(from), personal);
  return { dryRun, found, unchecked, ...sum.all(), left: left + rows.spared(), waiting };
}

/** The rows in which differences were found, by entity and system, but for those that stay. */
function differingRows(isSpared: (found: Found) => boolean) {
  let spared = 0;
  const rows = new Map<string, { entity: string; system: string; keys: Set<string> }>();
  return {
    async add(found: readonly Found[]): Promise<void> {
      for (const one of found) {
        if (isSpared(one)) {
          spared += 1;
          continue;
        }
        const { entity, system: apart, of, key } = one;
        const system = of ?? apart;
        const name = JSON.stringify([entity, system]);
        const known = rows.get(name) ?? { entity, system, keys: new Set() };
        known.keys.add(key);
        rows.set(name, known);
      }
    },
    spared: () => spared,
    /** Those of the preferred system first: the others are settled by what it holds. */
    pages(from: string | null): { entity: string; system: string; keys: string[] }[] {
      const all = [...rows.values()];
      const own = (one: { system: string }) => one.system === from;
      const ordered = [...all.filter(own), ...all.filter((one) => !own(one))];
      return ordered.flatMap(({ entity, system, keys }) => {
        const list = [...keys];
        const pages = Math.ceil(list.length / PAGE);
        return Array.from({ length: pages }, (_, i) => {
          return { entity, system, keys: list.slice(i * PAGE, (i + 1) * PAGE) };
        });
      });
    },
  };
}

function summing() {
  const counts: Record<string, number> = {};
  const parked: Record<string, number> = {};
  const writes: Write[] = [];
  let [journalled, open] = [0, 0];
  return {
    add(entity: string, done: Repaired): void {
      journalled += done.journalled;
      open += done.open;
      for (const [reason, n] of Object.entries(done.parked)) {
        parked[reason] = (parked[reason] ?? 0) + n;
      }
      for (const one of done.writes) {
        const name = `${one.system} ${one.op}`;
        counts[name] = (counts[name] ?? 0) + 1;
        if (writes.length < SHOWN) writes.push({ ...one, entity });
      }
    },
    all: () => ({ counts, writes, journalled, open, parked }),
  };
}

/** Differences that stay once what was written has come back in the logs. */
async function leftOver(
  operator: Operator,
  pages: readonly { entity: string; system: string; keys: string[] }[],
  personal: boolean,
): Promise<{ left: number; waiting: number }> {
  let [looks, left, waiting] = [0, 0, 0];
  const settled = async (entity: string, system: string, keys: readonly string[]) => {
    for (;;) {
      const seen = await operator.verify(entity, system, { kind: 'keys', keys }, personal);
      if (seen.leftOut + seen.differences.length === 0 || looks >= LOOKS) return seen;
      looks += 1;
      await sleep(LOOK_MS);
    }
  };
  for (const { entity, system, keys } of pages) {
    const seen = await settled(entity, system, keys);
    const elsewhere = Map.groupBy(seen.elsewhere, (one) => one.system);
    const others = [...elsewhere].map(
      ([other, rows]) => [other, rows.map(({ key }) => key)] as const,
    );
    const all = [seen];
    for (const [other, own] of others) all.push(await settled(entity, other, own));
    for (const { differences, leftOut } of all) {
      left += differences.length;
      waiting += leftOut;
    }
  }
  return { left, waiting };
}

function exitOf({ dryRun, found, unchecked, left }: RepairReport): Exit {
  if (dryRun ? found > 0 : (left ?? 0) > 0) return EXIT.problem;
  return unchecked.length > 0 ? EXIT.unreachable : EXIT.ok;
}

export function renderReport(report: RepairReport, style: Style): string {
  const { dryRun, found, unchecked, counts, writes, journalled, open, parked } = report;
  const { left, waiting: late } = report;
  const rows = writes.map(({ entity, system, op, key, of, fields }): Drawn[] => {
    const others = Object.entries(of).map(([name, one]) => `${name}: ${valueText(one, 30)}`);
    return [
      system,
      entity,
      op,
      key === null ? others.join(', ') : valueText(key, 40),
      fields.join(),
    ];
  });
  const heads = ['SYSTEM', 'ENTITY', 'WRITE', 'KEY', 'FIELDS'];
  const kinds = Object.entries(counts).map(([name, n]) => `${count(n)} ${name}`);
  const waiting = Object.entries(parked).map(([reason, n]) => `${count(n)} parked: ${reason}`);
  const sum = [
    `${count(found)} differences`,
    `${dryRun ? 'would write' : 'wrote'} ${kinds.join(', ') || 'nothing'}`,
    `${count(journalled)} values kept in the journal`,
    ...(open > 0 ? [`${count(open)} wait for a person: carrick conflicts list --state open`] : []),
    ...waiting,
    ...(left === null ? [] : [`${count(left)} differences left`]),
    ...(late === 0 ? [] : [`${count(late)} rows parked, held or on their way`]),
  ];
  const list = rows.length === 0 ? [] : [table(heads, rows, style), ''];
  return [...list, ...uncheckedLines(unchecked), sum.join('; ')].join('\n');
}
