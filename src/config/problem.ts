/** One mistake in a file that a person wrote. Never holds a secret or a row value. */
export interface Problem {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly column: number;
  readonly message: string;
  /** What would have been right there. */
  readonly expected?: string;
  /** The valid name that comes closest to the one written. */
  readonly nearest?: string;
  /** What may be a secret: the value, then the line is shown up to its colon; or all of it. */
  readonly secret?: 'value' | 'line';
}

export type Checked<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/**
 * The problems as a terminal shows them, in file order, each with its source line and a caret.
 * `read` gives the text of a file, or null where it cannot be read.
 */
export function formatProblems(
  problems: readonly Problem[],
  read: (file: string) => string | null,
): string {
  const texts = new Map<string, readonly string[]>();
  const linesOf = (file: string): readonly string[] => {
    const known = texts.get(file);
    if (known !== undefined) return known;
    const lines = (read(file) ?? '').split(/\r?\n/);
    texts.set(file, lines);
    return lines;
  };
  const files = [...new Set(problems.map((problem) => problem.file))];
  const ordered = problems.toSorted(
    (a, b) =>
      files.indexOf(a.file) - files.indexOf(b.file) || a.line - b.line || a.column - b.column,
  );
  const blocks = ordered.map((problem) => formatOne(problem, linesOf(problem.file)));
  const count = ordered.length === 1 ? '1 problem' : `${ordered.length} problems`;
  return `${blocks.join('\n\n')}\n\n${count}\n`;
}

function formatOne(problem: Problem, lines: readonly string[]): string {
  const hints = [
    ...(problem.expected === undefined ? [] : [`expected ${problem.expected}`]),
    ...(problem.nearest === undefined ? [] : [`did you mean "${problem.nearest}"?`]),
  ].join('; ');
  const head = `${problem.file}:${problem.line}:${problem.column}: ${problem.message}`;
  const source = lines[problem.line - 1];
  if (source === undefined || source.trim() === '' || problem.secret === 'line') {
    return hints ? `${head}\n  ${hints}` : head;
  }
  const shown = problem.secret === 'value' ? maskValue(source) : source.replace(LOGIN, '//…@');
  const gutter = String(problem.line);
  // Tabs stay tabs, so that the caret stands under its character at any tab width.
  const indent = shown
    .slice(0, problem.column - 1)
    .replace(/[^\t]/gu, ' ')
    .padEnd(Math.min(problem.column - 1, shown.length));
  const caret = hints ? `^ ${hints}` : '^';
  return `${head}\n  ${gutter} | ${shown}\n  ${' '.repeat(gutter.length)} | ${indent}${caret}`;
}

/** Of a URL: whatever the file was taken for, it may have been another one. */
const LOGIN = /\/\/[^\s"']*@/g;

/** A wrapped scalar can be a secret without a key on its line: then all of the line is hidden. */
function maskValue(line: string): string {
  const colon = line.indexOf(':');
  const key = colon < 0 ? null : /^\s*(?:- )?[\w"'-]+$/.exec(line.slice(0, colon));
  return key === null ? `${/^\s*/.exec(line)?.[0] ?? ''}…` : `${line.slice(0, colon + 1)} …`;
}
