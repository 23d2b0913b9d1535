import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  type Scalar,
} from 'yaml';
import { nearest } from './nearest.ts';
import type { Problem } from './problem.ts';

export type Path = readonly (string | number)[];

/** A YAML file, its plain value, and where in the text each part of the value stands. */
export interface YamlFile {
  readonly file: string;
  readonly value: unknown;
  /**
   * A problem at a place: at the key itself with `key`, else at its value; `offset` counts
   * characters into a one-line text. A place that does not exist is that of its nearest parent.
   */
  problem(path: Path, message: string, more?: ProblemDetail): Problem;
}

export interface ProblemDetail {
  readonly key?: boolean;
  readonly offset?: number | undefined;
  readonly expected?: string | undefined;
  /** A name that was written, and the names that would have been valid. */
  readonly near?: readonly [written: string, valid: Iterable<string>] | undefined;
}

/** What a problem with a name says of the names that there are. */
export const oneOf = (
  written: string,
  valid: readonly string[],
): Pick<ProblemDetail, 'expected' | 'near'> => ({
  expected: valid.length > 1 ? `one of ${valid.join(', ')}` : valid[0],
  near: [written, valid],
});

/**
 * Parses YAML 1.2. Duplicate keys, unknown anchors and other mistakes become problems. With
 * `spelling`, a number whose digits would change (`1.10`, `007`, beyond 2^53) stays the text that
 * was written, because constants and codes are texts to Carrick.
 */
export function parseYaml(
  file: string,
  text: string,
  options: { readonly spelling: boolean; readonly secret: boolean },
): { readonly yaml: YamlFile; readonly problems: readonly Problem[] } {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const place = (offset: number): { line: number; column: number } => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const problems = document.errors.map(
    (error): Problem => ({
      file,
      ...place(error.pos[0]),
      // The library's messages quote the source, which may be a secret, after a colon.
      message: options.secret ? `not valid YAML (${error.code})` : error.message,
      ...(options.secret ? { secret: 'line' as const } : {}),
    }),
  );
  const problem = (path: Path, message: string, more: ProblemDetail = {}): Problem => {
    const found = locate(document, path);
    const node = more.key === true || found.node === null ? found.key : found.node;
    const start = node?.range?.[0] ?? 0;
    const closest = more.near === undefined ? undefined : nearest(...more.near);
    return {
      file,
      ...place(start + (more.offset === undefined ? 0 : inner(node, text, more.offset))),
      message,
      ...(more.expected === undefined ? {} : { expected: more.expected }),
      ...(closest === undefined ? {} : { nearest: closest }),
    };
  };
  const value =
    problems.length > 0
      ? null
      : plain(document, document.contents as Node | null, options.spelling);
  return { yaml: { file, value, problem }, problems };
}

interface Found {
  readonly key: Node | null;
  readonly node: Node | null;
}

function locate(document: Document, path: Path): Found {
  let found: Found = { key: null, node: document.contents as Node | null };
  if (found.node !== null) found = { key: found.node, node: found.node };
  for (const step of path) {
    const node = resolved(document, found.node);
    if (isMap(node)) {
      const pair = node.items.find((item) => keyText(item.key) === String(step));
      if (pair === undefined) return { key: found.key, node: found.key };
      found = { key: pair.key as Node, node: pair.value as Node | null };
    } else if (isSeq(node) && typeof step === 'number' && node.items[step] !== undefined) {
      const item = node.items[step] as Node;
      found = { key: item, node: item };
    } else {
      return found;
    }
  }
  return found;
}

function resolved(document: Document, node: Node | null): Node | null {
  return isAlias(node) ? (node.resolve(document) ?? null) : node;
}

/** The offset of a character of a scalar's value; 0 where escapes or folding moved it. */
function inner(node: Node | null, text: string, offset: number): number {
  if (!isScalar(node) || typeof node.value !== 'string' || !node.range) return 0;
  const quote = node.type === 'QUOTE_DOUBLE' || node.type === 'QUOTE_SINGLE' ? 1 : 0;
  const start = node.range[0] + quote;
  return text.startsWith(node.value, start) ? quote + offset : 0;
}

function keyText(key: unknown): string {
  if (!isScalar(key)) return String(key);
  return key.type === 'PLAIN' && key.source !== undefined ? key.source : String(key.value);
}

function plain(document: Document, node: Node | null, spelling: boolean): unknown {
  const at = resolved(document, node);
  if (isMap(at)) {
    // A null prototype: a key such as `__proto__` is a key like any other.
    const object: Record<string, unknown> = Object.create(null);
    for (const { key, value } of at.items) {
      object[keyText(key)] = plain(document, value as Node | null, spelling);
    }
    return { ...object };
  }
  if (isSeq(at)) return at.items.map((item) => plain(document, item as Node | null, spelling));
  return isScalar(at) ? scalar(at, spelling) : null;
}

function scalar(node: Scalar, spelling: boolean): unknown {
  const { value, source } = node;
  if (!spelling || typeof value !== 'number' || source === undefined) return value;
  return String(value) === source ? value : source;
}
