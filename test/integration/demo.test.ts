/** The demonstration is the widest test there is: the real daemon, both servers, the examples. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const PROGRAM = join(import.meta.dirname, '../../deploy/demo/main.ts');
const MINUTES = 60_000;

/** Exit code and all that was printed. */
function demo(...args: string[]): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [PROGRAM, ...args], (error, stdout, stderr) => {
      const code = error === null ? 0 : Number(error.code ?? -1);
      resolve({ code, output: `${stdout}${stderr}` });
    });
  });
}

test('the story ends in agreement', { timeout: 5 * MINUTES }, async () => {
  const { code, output } = await demo('--once');
  expect(code, output).toBe(0);
});

test('so it does with a kill -9 and with an outage of the ERP', {
  timeout: 5 * MINUTES,
}, async () => {
  const { code, output } = await demo('--once', '--kill', '--outage', '5', '--seed', '3');
  expect(code, output).toBe(0);
});

test('an unknown option starts nothing', async () => {
  const { code, output } = await demo('--onec');
  expect(code).toBe(2);
  expect(output).toContain('--once');
});
