import { readFileSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import type { Path } from './yaml.ts';

/** The environment: variable values by name. */
export type Env = Readonly<Record<string, string | undefined>>;

interface Substitution {
  readonly value: unknown;
  readonly faults: readonly { readonly path: Path; readonly message: string }[];
  /** Everything that came from the environment or a secret file; must never be printed. */
  readonly secrets: readonly string[];
  /** The secret files that were read, by path. */
  readonly files: ReadonlyMap<string, string>;
}

const VARIABLE = /\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}/g;

/**
 * Replaces `${NAME}` and `${NAME:-default}` in all string values (the default also stands in for an
 * empty variable, as in a shell), then reads values of the form `file:/path` or `file:./path`
 * (relative to `directory`), without their last line break.
 */
export function substitute(value: unknown, env: Env, directory: string): Substitution {
  const faults: { path: Path; message: string }[] = [];
  const secrets: string[] = [];
  const files = new Map<string, string>();

  const variables = (text: string, path: Path): string =>
    text.replace(VARIABLE, (_, name: string, fallback: string | undefined) => {
      const found = env[name];
      if (found !== undefined && (found !== '' || fallback === undefined)) {
        secrets.push(found);
        return found;
      }
      if (fallback === undefined) {
        faults.push({ path, message: `environment variable ${name} is not set` });
      }
      return fallback ?? '';
    });

  const text = (written: string, path: Path): string => {
    const replaced = variables(written, path);
    const secret = /^file:(\.?\.?\/.*)$/s.exec(replaced);
    if (secret?.[1] === undefined) return replaced;
    try {
      const file = isAbsolute(secret[1]) ? secret[1] : join(directory, secret[1]);
      const read = readFileSync(file, 'utf8');
      files.set(file, read);
      const content = read.replace(/\r?\n$/, '');
      secrets.push(content);
      return content;
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? 'unreadable';
      faults.push({ path, message: `the secret file cannot be read (${code})` });
      return '';
    }
  };

  const walk = (at: unknown, path: Path): unknown => {
    if (typeof at === 'string') return text(at, path);
    if (Array.isArray(at)) return at.map((item, index) => walk(item, [...path, index]));
    if (typeof at !== 'object' || at === null) return at;
    return Object.fromEntries(
      Object.entries(at).map(([key, inner]) => [key, walk(inner, [...path, key])]),
    );
  };

  return { value: walk(value, []), faults, secrets, files };
}
