/** A short torture with every kind of fault and every loss: the real daemon and both servers. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { mariadbReplacement, postgresReplacement } from '../support/index.ts';

const PROGRAM = join(import.meta.dirname, '../torture/main.ts');
const MINUTES = 60_000;

function torture(...args: string[]): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [PROGRAM, ...args], (error, stdout, stderr) => {
      const code = error === null ? 0 : Number(error.code ?? -1);
      resolve({ code, output: `${stdout}${stderr}` });
    });
  });
}

test('every fault and every loss once: nothing lost, nothing doubled', {
  timeout: 12 * MINUTES,
}, async (context) => {
  const replaced = postgresReplacement() ?? mariadbReplacement();
  context.skip(replaced !== undefined, `it kills the servers, and ${replaced} names one in use`);
  const { code, output } = await torture('--minutes', '0.1', '--seed', '1');
  expect(code, output).toBe(0);
});

test('an unknown loss starts nothing', async () => {
  const { code, output } = await torture('--only', 'sense');
  expect(code).toBe(2);
  expect(output).toContain('--only');
});
