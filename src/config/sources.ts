import { createHash } from 'node:crypto';
import { globSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

/** What a configuration was read from, to see whether it would be read otherwise now. */
export interface Sources {
  /** carrick.yaml; patterns of mapping files are relative to its folder. */
  readonly file: string;
  readonly patterns: readonly string[];
  /** All files that were read, secrets included, by path; null: could not be read. */
  readonly texts: ReadonlyMap<string, string | null>;
}

const CASES = /\.cases\.ya?ml$/;

/** The mapping files that a pattern of `file` names, as paths relative to its folder. */
export function mappingFiles(pattern: string, file: string): string[] {
  const cwd = dirname(file);
  const isMapping = (name: string) => !CASES.test(name) && resolve(cwd, name) !== resolve(file);
  return globSync(pattern, { cwd }).filter(isMapping);
}

export function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

/** Tells contents apart; equal for equal contents of the same files. */
export function digestOf(texts: Sources['texts']): string {
  const hash = createHash('sha256');
  for (const [path, text] of [...texts].sort(([a], [b]) => (a < b ? -1 : 1))) {
    hash.update(JSON.stringify([path, text]));
  }
  return hash.digest('hex');
}

/**
 * The digest of what is there now. Contents are compared and not times or inodes: editors replace
 * files, and Kubernetes swaps a link above them.
 */
export function digestNow({ file, patterns, texts }: Sources): string {
  const directory = dirname(file);
  const found = patterns.flatMap((pattern) => mappingFiles(pattern, file));
  const paths = new Set([...texts.keys(), ...found.map((name) => resolve(directory, name))]);
  return digestOf(new Map([...paths].map((path) => [path, readText(path)])));
}
