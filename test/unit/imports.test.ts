/** Imports point one way: a reader who goes down the list below never has to come back up. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT, type SourceFile, sourceFiles } from '../support/sources.ts';

const files = sourceFiles('src', 'connectors');

const BASE = ['errors', 'model', 'contract'];
const BESIDE = ['config', 'observe'];
const STAGES = ['capture', 'normalize', 'reconcile', 'deliver', 'ledger'];

/** What each part may import, itself apart. A file outside these parts fails the test. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  model: [],
  contract: ['errors', 'model'],
  ...Object.fromEntries([...STAGES, ...BESIDE].map((part) => [part, BASE])),
  decide: [...BASE, ...STAGES],
  feed: [...BASE, ...STAGES, ...BESIDE, 'decide'],
  pipeline: [...BASE, ...STAGES, ...BESIDE, 'decide', 'feed'],
  operate: [...BASE, ...STAGES, ...BESIDE, 'decide', 'feed'],
  daemon: [...BASE, ...STAGES, ...BESIDE, 'decide', 'feed', 'operate', 'pipeline'],
  compose: [...BASE, ...STAGES, ...BESIDE, 'decide', 'feed', 'operate', 'daemon', 'registry'],
  cli: [...BASE, ...STAGES, ...BESIDE, 'compose'],
  main: [...BASE, ...BESIDE, 'compose', 'cli'],
  connector: BASE,
  registry: [...BASE, 'connector'],
};

/** Parts that decide and do nothing else: no I/O, no clock, no chance (DESIGN.md, Layout). */
const PURE = /^src\/(errors\.ts|model\/|contract\/|normalize\/|reconcile\/|deliver\/plan\.ts)/;
const IMPURE_MODULES = new Set(
  ['child_process', 'dgram', 'dns', 'fs', 'http', 'http2', 'https', 'net', 'os', 'perf_hooks']
    .concat(['process', 'sqlite', 'timers', 'tls', 'worker_threads'])
    .map((name) => `node:${name}`),
);
const IMPURE_CALLS = [
  /\b(Date\.now|new Date|performance\.now|Math\.random|randomUUID)\(\)/,
  /\b(Temporal\.Now|process\.(hrtime|env|cwd))\b/,
  /\b(fetch|setTimeout|setInterval|setImmediate)\(/,
];

/** The part a file belongs to; `connectors/postgres/…` is `connector`, told apart by `homeOf`. */
function partOf(path: string): string {
  if (path === 'connectors/registry.ts') return 'registry';
  if (path.startsWith('connectors/')) return 'connector';
  return path.split('/')[1]!.replace(/\.ts$/, '');
}

/** Files that share a home may import one another: a stage, or one connector. */
function homeOf(path: string): string {
  return path.split('/').slice(0, 2).join('/');
}

test('every file belongs to a part of the design', () => {
  const strays = files.map((file) => file.path).filter((path) => !(partOf(path) in ALLOWED));
  expect(strays).toEqual([]);
});

test('imports point one way', () => {
  const wrong: string[] = [];
  for (const { path, imports } of files) {
    for (const target of imports) {
      if (homeOf(path) === homeOf(target)) continue;
      const inside = /^(src|connectors)\//.test(target);
      if (!inside || !ALLOWED[partOf(path)]?.includes(partOf(target))) {
        wrong.push(`${path} imports ${target}`);
      }
    }
  }
  expect(wrong).toEqual([]);
});

test('every relative import names a file that exists', () => {
  const missing = files.flatMap(({ path, imports }) =>
    imports
      .filter((target) => !existsSync(join(ROOT, target)))
      .map((target) => `${path} imports ${target}`),
  );
  expect(missing).toEqual([]);
});

test('no files import each other in a circle, types included', () => {
  expect(findCycle(files)).toBeUndefined();
});

test('pure parts do no I/O and read no clock', () => {
  const impure = files
    .filter(({ path }) => PURE.test(path))
    .flatMap(({ path, packages, text }) => [
      ...packages.filter(isImpureModule).map((name) => `${path}: ${name}`),
      ...codeLines(text)
        .filter((line) => IMPURE_CALLS.some((call) => call.test(line)))
        .map((line) => `${path}: ${line.trim()}`),
    ]);
  expect(impure).toEqual([]);
});

test('the model and the contract need no package', () => {
  const dependent = files
    .filter(({ path }) => /^src\/(errors\.ts|model\/|contract\/)/.test(path))
    .filter(({ packages }) => packages.some((name) => !name.startsWith('node:')));
  expect(dependent.map(({ path }) => path)).toEqual([]);
});

/** `node:fs/promises` counts as `node:fs`. */
function isImpureModule(name: string): boolean {
  return IMPURE_MODULES.has(name.split('/')[0]!);
}

function codeLines(text: string): string[] {
  return text.split('\n').filter((line) => !/^\s*(\*|\/\/|\/\*)/.test(line));
}

/** The files of one import cycle in order, or undefined. */
function findCycle(sources: readonly SourceFile[]): string[] | undefined {
  const byPath = new Map(sources.map((file) => [file.path, file]));
  const finished = new Set<string>();
  const visit = (path: string, trail: readonly string[]): string[] | undefined => {
    const start = trail.indexOf(path);
    if (start >= 0) return [...trail.slice(start), path];
    if (finished.has(path)) return undefined;
    for (const target of byPath.get(path)?.imports ?? []) {
      const cycle = visit(target, [...trail, path]);
      if (cycle !== undefined) return cycle;
    }
    finished.add(path);
    return undefined;
  };
  for (const path of byPath.keys()) {
    const cycle = visit(path, []);
    if (cycle !== undefined) return cycle;
  }
  return undefined;
}
