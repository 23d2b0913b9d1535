import type { ASTNode, Environment } from '@marcbachmann/cel-js';
import { baseEnvironment } from './functions.ts';

/** CEL types of what an expression may name. `fields`: an object with these members. */
export type VariableType =
  | 'string'
  | 'int'
  | 'double'
  | 'bool'
  | 'Decimal'
  | 'list<string>'
  | 'dyn'
  | { readonly fields: ReadonlyMap<string, VariableType> };

export interface Expression {
  readonly text: string;
  /** The variables that it reads, in order of first use. */
  readonly names: readonly string[];
  /** Its type by CEL's rules; `dyn` when only values can tell. */
  readonly type: string;
  /** It mentions null or coalesce: it wants to see NULLs. */
  readonly handlesNull: boolean;
  /** Throws what CEL throws: such messages may quote values and are not for logs. */
  run(scope: Readonly<Record<string, unknown>>): unknown;
}

export interface ExpressionFault {
  readonly message: string;
  /** Characters into the text. */
  readonly offset: number;
  readonly expected?: string | undefined;
  readonly near?: readonly [string, Iterable<string>];
}

export type Compiled =
  | { readonly ok: true; readonly expression: Expression }
  | { readonly ok: false; readonly faults: readonly ExpressionFault[] };

const base = baseEnvironment();
const functionNames = new Set(base.getDefinitions().functions.map(({ name }) => name));
/** Names that CEL gives to its types; a column may have one all the same. */
const TYPE_NAMES = new Set([
  ...['bool', 'bytes', 'double', 'dyn', 'int', 'list', 'map', 'null', 'null_type', 'string'],
  ...['type', 'uint', 'timestamp', 'duration', 'optional', 'google', 'cel', 'Decimal'],
]);
const BINDING = new Set(['all', 'exists', 'exists_one', 'map', 'filter', 'bind']);

/**
 * Compiles an expression over `variables`; with `open` any other name is a variable of unknown
 * type. Types are checked as if nothing were NULL; NULL is met when it runs.
 */
export function compileExpression(
  text: string,
  variables: ReadonlyMap<string, VariableType>,
  open = false,
): Compiled {
  let syntax: Syntax;
  try {
    syntax = survey(base.clone().parse(text).ast);
  } catch (error) {
    return { ok: false, faults: [celFault(error)] };
  }
  const faults = [...unknownNames(syntax, variables, open), ...unknownFunctions(syntax)];
  faults.push(...unknownMembers(syntax, variables));
  if (faults.length > 0) return { ok: false, faults };

  const names = [...new Set(syntax.names.map(({ name }) => name))];
  const used = names.filter((name) => variables.has(name) || (open && !TYPE_NAMES.has(name)));
  const source = withoutTypeNames(text, syntax, new Set(used));
  try {
    const checked = declare(used, (name) => variables.get(name) ?? 'dyn').check(source);
    if (!checked.valid) return { ok: false, faults: [celFault(checked.error)] };
    const run = declare(used, () => 'dyn').parse(source);
    return {
      ok: true,
      expression: {
        text,
        names: used,
        type: checked.type ?? 'dyn',
        handlesNull: syntax.handlesNull,
        run: scopeOf(used, run),
      },
    };
  } catch (error) {
    return { ok: false, faults: [celFault(error)] };
  }
}

/** Columns named like a CEL type go under another name inside. */
const inside = (name: string): string => (TYPE_NAMES.has(name) ? `${name}_` : name);

function scopeOf(
  names: readonly string[],
  run: (scope: Record<string, unknown>) => unknown,
): (scope: Readonly<Record<string, unknown>>) => unknown {
  const renamed = names.filter((name) => inside(name) !== name);
  if (renamed.length === 0) return run;
  return (scope) => {
    const own: Record<string, unknown> = { ...scope };
    for (const name of renamed) own[inside(name)] = scope[name];
    return run(own);
  };
}

function declare(names: readonly string[], typeOf: (name: string) => VariableType): Environment {
  const environment = base.clone();
  for (const name of names) {
    const type = typeOf(name);
    if (typeof type === 'string') {
      environment.registerVariable(inside(name), type);
    } else {
      const schema = Object.fromEntries(type.fields) as Record<string, string>;
      environment.registerVariable({ name: inside(name), schema });
    }
  }
  return environment;
}

interface Named {
  readonly name: string;
  readonly start: number;
}

interface Syntax {
  readonly names: readonly Named[];
  readonly functions: readonly Named[];
  readonly members: readonly (Named & { readonly of: string })[];
  readonly handlesNull: boolean;
}

/** Everything the expression names, but for variables that its own macros bind. */
function survey(ast: ASTNode): Syntax {
  const names: Named[] = [];
  const functions: Named[] = [];
  const members: (Named & { of: string })[] = [];
  let handlesNull = false;
  const visit = (node: ASTNode, bound: ReadonlySet<string>): void => {
    const { start } = node;
    if (node.op === 'id') {
      if (!bound.has(node.args)) names.push({ name: node.args, start });
      return;
    }
    if (node.op === 'value') {
      if (node.args === null) handlesNull = true;
      return;
    }
    let inner = bound;
    if (node.op === 'call' || node.op === 'rcall') {
      const [name] = node.args;
      functions.push({ name, start: node.op === 'rcall' ? node.args[1].end + 1 : start });
      if (name === 'coalesce') handlesNull = true;
      const first = node.op === 'rcall' ? node.args[2][0] : undefined;
      if (BINDING.has(name) && first?.op === 'id') inner = new Set([...bound, first.args]);
    }
    if (node.op === '.') {
      const [of, name] = node.args;
      if (of.op === 'id' && !bound.has(of.args)) {
        members.push({ of: of.args, name, start: of.end + 1 });
      }
    }
    for (const child of children(node)) visit(child, inner);
  };
  visit(ast, new Set(['cel']));
  return { names, functions, members, handlesNull };
}

function children(node: ASTNode): ASTNode[] {
  const found: ASTNode[] = [];
  const collect = (part: unknown): void => {
    if (Array.isArray(part)) for (const item of part) collect(item);
    else if (typeof part === 'object' && part !== null && 'op' in part) found.push(part as ASTNode);
  };
  collect(node.args);
  return found;
}

function unknownNames(
  { names }: Syntax,
  variables: ReadonlyMap<string, VariableType>,
  open: boolean,
): ExpressionFault[] {
  if (open) return [];
  return names
    .filter(({ name }) => !variables.has(name) && !TYPE_NAMES.has(name))
    .map(({ name, start }) => ({
      message: `unknown name "${name}"`,
      offset: start,
      expected: `one of ${[...variables.keys()].join(', ')}`,
      near: [name, variables.keys()],
    }));
}

function unknownFunctions({ functions }: Syntax): ExpressionFault[] {
  return functions.flatMap(({ name, start }): ExpressionFault[] => {
    if (name === 'matches') {
      const message = 'matches() is not available: a pattern may take for ever on some text';
      return [
        { message, offset: start, expected: 'contains, startsWith, endsWith, before or after' },
      ];
    }
    if (functionNames.has(name)) return [];
    return [{ message: `unknown function "${name}"`, offset: start, near: [name, functionNames] }];
  });
}

function unknownMembers(
  { members }: Syntax,
  variables: ReadonlyMap<string, VariableType>,
): ExpressionFault[] {
  return members.flatMap(({ of, name, start }): ExpressionFault[] => {
    const type = variables.get(of);
    if (typeof type !== 'object' || type.fields.has(name)) return [];
    const known = [...type.fields.keys()];
    return [
      {
        message: `${of} has no field "${name}"`,
        offset: start,
        expected: `one of ${known.join(', ')}`,
        near: [name, known],
      },
    ];
  });
}

function withoutTypeNames(text: string, { names }: Syntax, used: ReadonlySet<string>): string {
  const clashing = names.filter(({ name }) => used.has(name) && TYPE_NAMES.has(name));
  return clashing
    .toSorted((a, b) => b.start - a.start)
    .reduce((source, { name, start }) => {
      const end = start + name.length;
      return `${source.slice(0, start)}${inside(name)}${source.slice(end)}`;
    }, text);
}

function celFault(error: unknown): ExpressionFault {
  const { summary, message, range, code } = error as {
    summary?: string;
    message: string;
    range?: { start: number };
    code?: string;
  };
  const text = summary ?? message.split('\n')[0] ?? 'not an expression';
  const branches = code === 'incompatible_ternary_branches' ? '; write dyn(null) for null' : '';
  return { message: `${text}${branches}`, offset: range?.start ?? 0 };
}
