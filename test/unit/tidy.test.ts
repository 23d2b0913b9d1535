/**
 * Taste that neither the compiler nor the linter checks. Function length, unused names, `any` and
 * floating promises are biome's (biome.json).
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT, sourceFiles } from '../support/sources.ts';

const files = sourceFiles('src', 'connectors', 'test', 'bench', 'deploy');
const product = files.filter(({ path }) => /^(src|connectors)\//.test(path));

const MAX_COLUMNS = 100;
const MAX_LINES = 400;
/** An address cannot be broken, so it does not count. */
const ADDRESS = /https?:\/\/[^\s'"`)]+/g;

test(`no line is longer than ${MAX_COLUMNS} columns`, () => {
  const long = files.flatMap(({ path, text }) =>
    text
      .split('\n')
      .map((line, index) => ({ line, place: `${path}:${index + 1}` }))
      .filter(({ line }) => [...line.replaceAll(ADDRESS, '')].length > MAX_COLUMNS)
      .map(({ place }) => place),
  );
  expect(long).toEqual([]);
});

test(`no file of the product is longer than ${MAX_LINES} lines`, () => {
  const long = product.filter(({ text }) => text.split('\n').length - 1 > MAX_LINES);
  expect(long.map(({ path }) => path)).toEqual([]);
});

test('no file or folder is named after nothing', () => {
  const vague = /^(utils?|commons?|helpers?|managers?|misc)$/i;
  const named = files
    .map(({ path }) => path)
    .filter((path) => path.split(/[/.\-_]/).some((word) => vague.test(word)));
  expect(named).toEqual([]);
});

test('nothing is left to do, and no type error is silenced', () => {
  const marks = new RegExp(
    `\\b(${['TO' + 'DO', 'FIX' + 'ME', 'X' + 'XX', 'HA' + 'CK'].join('|')})\\b`,
  );
  const silenced = /@ts-(ignore|expect-error|nocheck)|biome-ignore[^:]*noExplicitAny/;
  const found = files
    .filter(({ path }) => path !== 'test/unit/tidy.test.ts')
    .flatMap(({ path, text }) =>
      text
        .split('\n')
        .map((line, index) => ({ line, place: `${path}:${index + 1}` }))
        .filter(({ line }) => marks.test(line) || silenced.test(line))
        .map(({ place }) => place),
    );
  expect(found).toEqual([]);
});

test('every file of the product is reached from src/main.ts', () => {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const reached = new Set<string>();
  // Kept in memory, the ledger serves the simulation, which the product does not reach.
  const pending = ['src/main.ts', 'src/ledger/memory.ts'];
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    if (reached.has(path)) continue;
    reached.add(path);
    pending.push(...(byPath.get(path)?.imports ?? []));
  }
  expect(product.map(({ path }) => path).filter((path) => !reached.has(path))).toEqual([]);
});

test('every other file is imported or is a program of its own', () => {
  const imported = new Set(files.flatMap(({ imports }) => imports));
  const started = readFileSync(join(ROOT, 'package.json'), 'utf8');
  const config = readFileSync(join(ROOT, 'vitest.config.ts'), 'utf8');
  const dead = files
    .map(({ path }) => path)
    .filter((path) => !product.some((file) => file.path === path))
    .filter((path) => !imported.has(path) && !path.endsWith('.test.ts'))
    .filter((path) => !started.includes(path) && !config.includes(path));
  expect(dead).toEqual([]);
});

test('the lockfile names no registry', () => {
  expect(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')).not.toContain('"resolved"');
});

test('every dependency has one exact version', () => {
  const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const versions = Object.entries<string>({
    ...manifest.dependencies,
    ...manifest.devDependencies,
  });
  expect(versions.filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([]);
});
