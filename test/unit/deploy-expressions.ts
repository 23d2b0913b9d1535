/** What the dashboard and the rules ask Prometheus, and where they send the person on call. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { ROOT } from '../support/sources.ts';

export interface Asked {
  /** `panel "Lag"`, `alert CarrickDown`, `rule carrick:loading`. */
  readonly where: string;
  readonly expr: string;
}

export interface Rule {
  readonly record?: string;
  readonly alert?: string;
  readonly expr: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

interface Link {
  readonly url: string;
}

export interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly links?: readonly Link[];
  readonly targets?: readonly { readonly expr: string }[];
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; h: number };
}

export interface Dashboard {
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly Variable[] };
  readonly annotations: { readonly list: readonly { name: string; expr: string }[] };
}

interface Variable {
  readonly name: string;
  readonly definition?: string;
}

export const textOf = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

export const RULES = 'deploy/prometheus/rules.yaml';
export const RULE_TESTS = 'deploy/prometheus/rules.test.yaml';

export function rules(): Rule[] {
  const { groups } = parse(textOf(RULES)) as { groups: { rules: Rule[] }[] };
  return groups.flatMap((group) => group.rules);
}

export const dashboard = (): Dashboard => JSON.parse(textOf('deploy/grafana/carrick.json'));

/** Grafana's variables when everything is chosen, with a window of a test's length. */
const CHOSEN: Readonly<Record<string, string>> = {
  $__rate_interval: '30s',
  $job: '.+',
  $system: '.+',
};

export function dashboardExpressions({ panels, annotations }: Dashboard = dashboard()): Asked[] {
  const asked = [
    ...panels.flatMap(({ title, targets = [] }) =>
      targets.map(({ expr }) => ({ where: `panel "${title}"`, expr })),
    ),
    ...annotations.list.map(({ name, expr }) => ({ where: `annotation "${name}"`, expr })),
  ];
  return asked.map(({ where, expr }) => ({
    where,
    expr: Object.entries(CHOSEN).reduce(
      (text, [name, value]) => text.replaceAll(name, value),
      expr,
    ),
  }));
}

/**
 * Every rule as questions that have an answer while nothing is wrong: an alert is empty then, so
 * each side of a comparison, of `or`, `and` and `unless` is asked by itself, and numbers are not.
 */
export function ruleExpressions(): Asked[] {
  return rules().flatMap(({ record, alert, expr }) => {
    const where = alert === undefined ? `rule ${record}` : `alert ${alert}`;
    return operands(expr).map((part) => ({ where, expr: part }));
  });
}

const OPERATOR = /^(?:(?:or|and|unless)(?: on \([^)]*\))?|==|>|<)\s/;
const NUMBER = /^[\d.\s*^]+$/;

function operands(expr: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let i = 0; i < expr.length; i++) {
    if (expr[i] === '(') depth++;
    else if (expr[i] === ')') depth--;
    const operator = depth === 0 && /\s/.test(expr[i - 1] ?? '') && OPERATOR.exec(expr.slice(i));
    if (!operator) continue;
    parts.push(expr.slice(start, i));
    start = i + operator[0].length;
  }
  parts.push(expr.slice(start));
  if (parts.length > 1) return parts.flatMap((part) => operands(part.trim()));
  const alone = expr.trim();
  if (isWrapped(alone)) return operands(alone.slice(1, -1).trim());
  return NUMBER.test(alone) ? [] : [alone];
}

/** Whether the first parenthesis is closed by the last character alone. */
function isWrapped(expr: string): boolean {
  if (!expr.startsWith('(') || !expr.endsWith(')')) return false;
  let depth = 0;
  for (let i = 0; i < expr.length - 1; i++) {
    if (expr[i] === '(') depth++;
    else if (expr[i] === ')') depth--;
    if (depth === 0) return false;
  }
  return true;
}
