/** The deployment's files name only what there is: metrics, labels, codes, commands, paragraphs. */

import { describe, expect, test } from 'vitest';
import { runCommandLine } from '../../src/cli/cli.ts';
import { EVENTS } from '../../src/observe/events.ts';
import { METRICS } from '../../src/observe/metrics.ts';
import { PARK_REASONS } from '../../src/observe/park-reasons.ts';
import { sourceFiles } from '../support/sources.ts';
import { dashboard, dashboardExpressions, rules, textOf } from './deploy-expressions.ts';

const RUNBOOK = textOf('deploy/RUNBOOK.md');
/** As GitHub and others make them of headings. */
const anchors = new Set(
  [...RUNBOOK.matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  ),
);

describe('dashboard and rules', () => {
  /** Exported by prom-client and Prometheus itself. */
  const FOREIGN = /^(process|nodejs|ALERTS)/;
  const recorded = rules().flatMap(({ record }) => record ?? []);
  const asked = [
    ...dashboardExpressions(),
    ...rules().map(({ alert, record, expr }) => ({ where: alert ?? record ?? '', expr })),
  ];

  test('every metric is one of ours, recorded by us, or a known foreign one', () => {
    const unknown = asked.flatMap(({ where, expr }) =>
      metricsIn(expr)
        .filter((name) => !recorded.includes(name) && !FOREIGN.test(name))
        .filter((name) => !(name.replace(/_(bucket|count|sum)$/, '') in METRICS))
        .map((name) => `${where}: ${name}`),
    );
    expect(unknown).toEqual([]);
  });

  test('every label in braces is one that its metric has', () => {
    const wrong = asked.flatMap(({ where, expr }) =>
      [...expr.matchAll(/(carrick_\w+)\{([^}]*)\}/g)].flatMap(([, name = '', selector = '']) => {
        const metric = METRICS[name.replace(/_(bucket|count|sum)$/, '') as keyof typeof METRICS];
        const known = ['job', 'instance', ...metric.labels];
        return [...selector.matchAll(/(\w+)[!=]/g)]
          .filter(([, label = '']) => !known.includes(label))
          .map(([, label]) => `${where}: ${name} has no ${label}`);
      }),
    );
    expect(wrong).toEqual([]);
  });

  test('every metric of ours is on the dashboard', () => {
    const shown = dashboardExpressions().flatMap(({ expr }) => metricsIn(expr));
    const plain = new Set(shown.map((name) => name.replace(/_(bucket|count|sum)$/, '')));
    expect(Object.keys(METRICS).filter((name) => !plain.has(name))).toEqual([]);
  });

  test('every panel says what to do, and no two lie over each other', () => {
    const { panels } = dashboard();
    const shown = panels.filter(({ type }) => type !== 'row');
    expect(shown.filter(({ description = '' }) => description.length < 40)).toEqual([]);
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, i) => `${x + (i % w)}/${y + Math.floor(i / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
  });

  test('every alert has a paragraph of its name and a panel, every link of a panel one too', () => {
    const { panels } = dashboard();
    for (const { alert, annotations = {} } of rules()) {
      if (alert === undefined) continue;
      expect(annotations.runbook_url).toBe(`deploy/RUNBOOK.md#${alert.toLowerCase()}`);
      expect(anchors).toContain(alert.toLowerCase());
      const [, id] = /^\/d\/carrick\?viewPanel=(\d+)$/.exec(annotations.dashboard_url ?? '') ?? [];
      const panel = panels.find((one) => one.id === Number(id));
      const about = panel?.links?.map(({ url }) => url.split('#')[1]) ?? [];
      // One panel shows all that is parked, for several alerts.
      expect(about.includes('parked-items') || about.includes(alert.toLowerCase()), alert).toBe(
        true,
      );
    }
    const linked = panels.flatMap(({ links = [] }) => links.map(({ url }) => url));
    for (const url of linked) expect(anchors).toContain(url.split('#')[1]);
  });
});

/** Names before `{`, `[`, an operator or the end, that are no function, keyword or label list. */
function metricsIn(expr: string): string[] {
  const bare = expr
    .replace(/"[^"]*"/g, '')
    .replace(/\{[^}]*\}/g, ' ')
    .replace(/\b(by|on) \([^)]*\)/g, ' ');
  return [...bare.matchAll(/[a-zA-Z_:][\w:]*(?!\w*\s*\()/g)]
    .filter(({ index }) => !/[\d.]/.test(bare[index - 1] ?? ''))
    .map(([name]) => name)
    .filter((name) => /[_:]|^ALERTS$/.test(name));
}

describe('runbook', () => {
  test('its own links lead somewhere', () => {
    const links = [...RUNBOOK.matchAll(/\]\(#([^)]*)\)/g)].map(([, anchor]) => anchor);
    expect(links.filter((anchor) => !anchors.has(anchor ?? ''))).toEqual([]);
  });

  test('tells every reason of a parked item', () => {
    for (const reason of Object.keys(PARK_REASONS)) expect(RUNBOOK).toContain(`| \`${reason}\``);
  });

  test('tells every code that an operator may meet', () => {
    const codes = sourceFiles('src', 'connectors').flatMap(({ text }) => [
      ...[
        ...text.matchAll(/'((?:source|target|ledger|mapping|http|operator|mysql)\.[a-z_]+)'/g),
      ].map(([, code = '']) => code),
      ...[...text.matchAll(/`\$\{side\}\.([a-z]+)`/g)].flatMap(([, code]) => [
        `source.${code}`,
        `target.${code}`,
      ]),
    ]);
    expect(codes).toContain('source.lost');
    const missing = new Set(codes.filter((code) => !(code in EVENTS) && !RUNBOOK.includes(code)));
    expect(
      [...missing].filter((code) => !/^http\.(?!listen|token|no_token|host)/.test(code)),
    ).toEqual([]);
  });

  test('its commands are there, with their options', async () => {
    const commands = [...RUNBOOK.matchAll(/`(?:[^`]* )?carrick ((?:[a-z]+ ?)[^`]*)`/g)]
      .map(([, command = '']) => command)
      // What it says is not there.
      .filter((command) => !/^(resync|--help)/.test(command) && !/^carrick$/.test(command));
    expect(commands.length).toBeGreaterThan(30);
    for (const command of new Set(commands)) {
      const words = command.split(' ');
      const verbs = words.filter((word) => /^[a-z][a-z-]*$/.test(word)).slice(0, 2);
      const help = await helpOf(verbs);
      expect(help, command).toMatch(new RegExp(`^carrick ${verbs[0]}\\b`));
      for (const option of words.filter((word) => word.startsWith('--'))) {
        expect(help, command).toContain(option);
      }
    }
  });
});

async function helpOf(verbs: readonly string[]): Promise<string> {
  let text = '';
  await runCommandLine([...verbs, '--help'], {
    compose: { load: () => Promise.reject(new Error()), schema: () => Promise.reject(new Error()) },
    env: {},
    out: (line) => {
      text += `${line}\n`;
    },
    err: () => {},
    terminal: false,
    colours: false,
    columns: 100,
    now: () => 0,
    stopOnSignal: () => new AbortController().signal,
    onHangup: () => {},
  });
  return text;
}
