import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { installPackages } from '../support/packages.ts';

/** In place of apt-get: notes what it is called for, and whether another one is at work. */
const APT = `#!/bin/sh
mkdir "$0.busy" || echo busy >>"$0.log"
sleep 0.2
echo "$*" >>"$0.log"
rmdir "$0.busy"
`;

test('packages are installed one after the other', async (context) => {
  const may = process.getuid?.() === 0 && existsSync('/usr/bin/apt-get');
  context.skip(!may, 'only root on Debian installs packages');
  const folder = mkdtempSync(join(tmpdir(), 'carrick-apt-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  onTestFinished(() => void vi.unstubAllEnvs());
  const apt = join(folder, 'apt-get');
  writeFileSync(apt, APT);
  chmodSync(apt, 0o755);
  vi.stubEnv('PATH', `${folder}:${process.env.PATH}`);
  await Promise.all([installPackages(['one'], ''), installPackages(['two'], '')]);
  const calls = readFileSync(`${apt}.log`, 'utf8').trim().split('\n');
  expect(calls.map((call) => call.replace(/^.*=600 /, ''))).toEqual([
    'update',
    expect.stringMatching(/^install .* (one|two)$/),
    'update',
    expect.stringMatching(/^install .* (one|two)$/),
  ]);
});
