/**
 * `npm run test:engines`: the tests of the connectors, the conformance suite and the demonstration
 * on newer servers than the machine's own. Ends with a table and fails if anything failed; an
 * engine that cannot be had is named as not tested.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Engine, type EngineKind, mariadb11, mysql9, obtain, postgres18 } from './engines.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const CACHE = resolve(process.env.CARRICK_ENGINES || join(ROOT, '.cache/engines'));

/** Test files by the beginning of their path, and the engines that take the machine's place. */
interface Part {
  readonly what: string;
  readonly engines: readonly EngineKind[];
  readonly files: readonly string[];
}

const PARTS: readonly Part[] = [
  { what: 'connector', engines: [postgres18], files: ['test/integration/postgres-'] },
  { what: 'connector', engines: [mysql9], files: ['test/integration/mysql-'] },
  { what: 'conformance', engines: [postgres18, mysql9], files: ['test/conformance/'] },
  { what: 'demonstration', engines: [postgres18, mysql9], files: ['test/integration/demo'] },
  { what: 'connector', engines: [mariadb11], files: ['test/integration/mysql-'] },
  { what: 'conformance', engines: [postgres18, mariadb11], files: ['test/conformance/'] },
  { what: 'demonstration', engines: [postgres18, mariadb11], files: ['test/integration/demo'] },
];

interface Row {
  readonly engines: string;
  readonly what: string;
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** Why it was not tested. */
  readonly reason?: string;
}

/** A server that somebody runs would take the place of the engine that is to be tested. */
const REPLACEMENTS = ['CRM_URL', 'POSTGRES_URL', 'ERP_URL', 'MARIADB_URL', 'MYSQL_URL'];

async function main(): Promise<void> {
  const obtained = new Map<EngineKind, Engine | Error>();
  for (const kind of new Set(PARTS.flatMap(({ engines }) => engines))) {
    console.log(`${kind.name}: unpacking into ${CACHE}, unless it is there`);
    obtained.set(kind, await obtain(CACHE, kind).catch((error: Error) => error));
  }
  const rows: Row[] = [];
  for (const part of PARTS) rows.push(await runPart(part, obtained));
  console.log(`\n${table(rows)}`);
  process.exitCode = rows.every(({ failed, reason }) => failed === 0 && !reason) ? 0 : 1;
}

async function runPart(
  { what, engines: kinds, files }: Part,
  obtained: ReadonlyMap<EngineKind, Engine | Error>,
): Promise<Row> {
  const found = kinds.map((kind) => obtained.get(kind)!);
  const names = kinds.map(({ name }, i) => {
    const engine = found[i]!;
    return engine instanceof Error ? name : `${name.split(' ')[0]} ${engine.version}`;
  });
  const engines = names.join(' ↔ ');
  const missing = found.find((engine) => engine instanceof Error);
  const nothing = { engines, what, passed: 0, failed: 0, skipped: 0 };
  if (missing !== undefined) return { ...nothing, reason: (missing as Error).message };
  console.log(`\n${engines}: ${what}`);
  const variables = (found as Engine[]).map((engine) => engine.variables);
  return { ...nothing, ...(await runTests(files, Object.assign({}, ...variables))) };
}

async function runTests(
  files: readonly string[],
  variables: Readonly<Record<string, string>>,
): Promise<Pick<Row, 'passed' | 'failed' | 'skipped'>> {
  const folder = mkdtempSync(join(tmpdir(), 'carrick-engines-'));
  const report = join(folder, 'report.json');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const environment = { ...process.env, ...variables };
  for (const name of REPLACEMENTS) delete environment[name];
  const vitest = join(ROOT, 'node_modules/vitest/vitest.mjs');
  const choice = ['run', '--project', 'integration', '--no-file-parallelism'];
  const child = spawn(process.execPath, [vitest, ...choice, ...reporters, ...files], {
    cwd: ROOT,
    stdio: 'inherit',
    env: environment,
  });
  const code = await new Promise((done) => child.once('exit', done));
  try {
    return counts(readFileSync(report, 'utf8'), code === 0);
  } catch {
    return { passed: 0, failed: 1, skipped: 0 };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A file that could not be loaded has no tests of its own; it counts as one that failed. */
function counts(report: string, succeeded: boolean): Pick<Row, 'passed' | 'failed' | 'skipped'> {
  const { testResults } = JSON.parse(report) as {
    testResults: { status: string; assertionResults: { status: string }[] }[];
  };
  const tests = testResults.flatMap(({ assertionResults }) => assertionResults);
  const number = (status: string) => tests.filter((test) => test.status === status).length;
  const broken = testResults.filter(
    ({ status, assertionResults }) =>
      status === 'failed' && !assertionResults.some((test) => test.status === 'failed'),
  );
  const passed = number('passed');
  const failed = number('failed') + broken.length;
  const silent = failed === 0 && (!succeeded || passed === 0);
  return { passed, failed: silent ? 1 : failed, skipped: tests.length - passed - number('failed') };
}

function table(rows: readonly Row[]): string {
  const lines = rows.map(({ engines, what, passed, failed, skipped, reason }) => {
    const outcome =
      reason === undefined
        ? `${passed} passed, ${failed} failed, ${skipped} skipped`
        : `NOT TESTED: ${reason.split('\n')[0]}`;
    return `| ${engines} | ${what} | ${outcome} |`;
  });
  return ['| engines | tests | outcome |', '| --- | --- | --- |', ...lines].join('\n');
}

await main();
