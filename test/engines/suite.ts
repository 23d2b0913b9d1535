/** Runs test files, or a program, on chosen engines, and counts what became of them. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

export const ROOT = resolve(import.meta.dirname, '../..');

export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export type Variables = Readonly<Record<string, string>>;

/** A server that somebody runs would take the place of the engine that is to be tested. */
const REPLACEMENTS = ['CRM_URL', 'POSTGRES_URL', 'ERP_URL', 'MARIADB_URL', 'MYSQL_URL'];

/** Test files by the beginning of their path. */
export async function runTests(files: readonly string[], variables: Variables): Promise<Counts> {
  const folder = mkdtempSync(join(tmpdir(), 'carrick-engines-'));
  const report = join(folder, 'report.json');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const choice = ['run', '--project', 'integration', ...reporters, ...files];
  const ended = await run([join(ROOT, 'node_modules/vitest/vitest.mjs'), ...choice], variables);
  try {
    return counts(readFileSync(report, 'utf8'), ended);
  } catch {
    return { passed: 0, failed: 1, skipped: 0 };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A program that ends with 0 when all is well: one test. */
export async function runProgram(command: string[], variables: Variables): Promise<Counts> {
  const [passed, failed] = (await run(command, variables)) ? [1, 0] : [0, 1];
  return { passed, failed, skipped: 0 };
}

/** True: the program ended with 0. */
function run(command: readonly string[], variables: Variables): Promise<boolean> {
  const environment = { ...process.env, ...variables };
  for (const name of REPLACEMENTS) delete environment[name];
  const child = spawn(process.execPath, command, { cwd: ROOT, stdio: 'inherit', env: environment });
  return new Promise((done) => child.once('exit', (code) => done(code === 0)));
}

/** A file that could not be loaded has no tests of its own; it counts as one that failed. */
function counts(report: string, succeeded: boolean): Counts {
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
