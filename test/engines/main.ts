/**
 * `npm run test:engines [-- --pair CRM-ERP]`: every engine through the tests of its connector and
 * the conformance suite, every pair through the demonstration's story and a short torture. Ends
 * with a table and a line `N passed, N failed`. Exit codes: 0 well, 1 something failed, 2 bad
 * usage, 3 an engine cannot be had: it is named as not tested.
 */
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import {
  ENGINES,
  type Engine,
  type EngineKind,
  obtain,
  PAIRS,
  type Pair,
  titleOf,
} from './engines.ts';
import { type Counts, ROOT, runProgram, runTests, type Variables } from './suite.ts';

const CACHE = resolve(process.env.CARRICK_ENGINES || join(ROOT, '.cache/engines'));

interface Part {
  readonly what: string;
  readonly engines: readonly EngineKind[];
  run(engines: readonly Engine[]): Promise<Counts>;
}

interface Row {
  readonly engines: string;
  readonly what: string;
  /** Or why it was not tested. */
  readonly outcome: Counts | string;
}

const CONNECTORS = { postgres: 'postgres-', mysql: 'mysql-', mariadb: 'mysql-' } as const;

const partsOfEngine = (kind: EngineKind): Part[] => {
  const part = (what: string, file: string): Part => ({
    what,
    engines: [kind],
    run: ([engine]) => runTests([file], { ...engine!.variables, ...playing(engine!, engine!) }),
  });
  return [
    part('connector', `test/integration/${CONNECTORS[kind.product]}`),
    part('conformance', 'test/conformance/'),
  ];
};

/** So short that each lane of faults ends with its first deck, which has every kind once. */
const TORTURE = ['test/torture/main.ts', '--minutes', '0.1', '--seed', '1'];

const partsOfPair = (pair: Pair): Part[] => [
  {
    what: 'demonstration',
    engines: pair,
    run: ([crm, erp]) => runTests(['test/integration/demo'], playing(crm!, erp!)),
  },
  {
    what: 'torture, every fault and every loss once',
    engines: pair,
    run: ([crm, erp]) => runProgram(TORTURE, playing(crm!, erp!)),
  },
];

const playing = (crm: Engine, erp: Engine): Variables => ({
  CARRICK_CRM: crm.choice,
  CARRICK_ERP: erp.choice,
});

const idOf = ([crm, erp]: Pair): string => `${crm.id}-${erp.id}`;

async function main(): Promise<number> {
  const { pair } = parseArgs({ options: { pair: { type: 'string' } } }).values;
  const pairs = PAIRS.filter((candidate) => pair === undefined || idOf(candidate) === pair);
  if (pairs.length === 0) {
    console.error(`--pair is one of ${PAIRS.map(idOf).join(', ')}`);
    return 2;
  }
  const kinds = pair === undefined ? ENGINES : pairs.flat();
  const obtained = new Map<EngineKind, Engine | string>();
  for (const kind of kinds) {
    console.log(`${titleOf(kind)}: taken from ${CACHE}, or brought there`);
    const nothing = ({ message }: Error): string => message.split('\n')[0]!;
    obtained.set(kind, await obtain(CACHE, kind).catch(nothing));
  }
  const rows: Row[] = [];
  const parts = [...kinds.flatMap(partsOfEngine), ...pairs.flatMap(partsOfPair)];
  for (const part of parts) {
    rows.push(await runPart(part, obtained));
  }
  console.log(`\n${table(rows)}`);
  const outcomes = rows.map(({ outcome }) => outcome);
  const counted = outcomes.filter((outcome) => typeof outcome !== 'string');
  const sum = (of: (counts: Counts) => number) => counted.reduce((n, counts) => n + of(counts), 0);
  const failed = sum((counts) => counts.failed);
  console.log(`${sum(({ passed }) => passed)} passed, ${failed} failed`);
  if (failed > 0) return 1;
  return [...obtained.values()].some((engine) => typeof engine === 'string') ? 3 : 0;
}

async function runPart(
  { what, engines: kinds, run }: Part,
  obtained: ReadonlyMap<EngineKind, Engine | string>,
): Promise<Row> {
  const found = kinds.map((kind) => obtained.get(kind)!);
  const names = found.map((engine, i) =>
    typeof engine === 'string' ? titleOf(kinds[i]!) : engine.title,
  );
  const engines = names.join(' ↔ ');
  const reason = found.find((engine) => typeof engine === 'string');
  if (reason !== undefined) return { engines, what, outcome: reason };
  console.log(`\n${engines}: ${what}`);
  return { engines, what, outcome: await run(found as Engine[]) };
}

function table(rows: readonly Row[]): string {
  const lines = rows.map(({ engines, what, outcome }) => {
    const told =
      typeof outcome === 'string'
        ? `NOT TESTED: ${outcome}`
        : `${outcome.passed} passed, ${outcome.failed} failed, ${outcome.skipped} skipped`;
    return `| ${engines} | ${what} | ${told} |`;
  });
  return ['| engines | tests | outcome |', '| --- | --- | --- |', ...lines].join('\n');
}

process.exitCode = await main();
