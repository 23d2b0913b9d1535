/** The project's own TypeScript files and how they import one another, for tests about taste. */
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

export const ROOT = join(import.meta.dirname, '../..');

export interface SourceFile {
  /** Path from the root of the project, with forward slashes. */
  readonly path: string;
  readonly text: string;
  /** Project files that this one imports in any way, type-only imports included. */
  readonly imports: readonly string[];
  /** Other modules it imports: packages and `node:` built-ins. */
  readonly packages: readonly string[];
}

/**
 * Every way in which a file names another: static, side-effect, dynamic and type imports, exports
 * from another file, and the addresses of workers and programs. Formatted code begins a static
 * import at the start of a line, which keeps examples in comments out.
 */
const REFERENCES = [
  /^(?:import|export)\b[^'"`;]*?\bfrom\s+'([^']+)'/gm,
  /^import\s+'([^']+)'/gm,
  /\bimport\(\s*'([^']+)'\s*\)/g,
  /\bnew URL\(\s*'(\.[^']+\.ts)',\s*import\.meta\.url\s*\)/g,
  /\bimport\.meta\.resolve\(\s*'(\.[^']+\.ts)'\s*\)/g,
];

/** The TypeScript files under `folders`, sorted by path. */
export function sourceFiles(...folders: string[]): SourceFile[] {
  const patterns = folders.map((folder) => `${folder}/**/*.ts`);
  return globSync(patterns, { cwd: ROOT }).toSorted().map(readSource);
}

function readSource(path: string): SourceFile {
  const text = readFileSync(join(ROOT, path), 'utf8');
  const references = REFERENCES.flatMap((pattern) => [...text.matchAll(pattern)]);
  const named = [...new Set(references.map((match) => match[1]!))];
  return {
    path,
    text,
    imports: named
      .filter((name) => name.startsWith('.'))
      .map((name) => normalize(join(dirname(path), name))),
    packages: named.filter((name) => !name.startsWith('.')),
  };
}
