import { beforeAll, expect, test } from 'vitest';
import { RULE_TESTS, RULES, rules, textOf } from '../unit/deploy-expressions.ts';
import { ensurePrometheus, promtool } from './deploy-prometheus.ts';

beforeAll(ensurePrometheus, 600_000);

test('promtool accepts the rules and their tests', () => {
  const checked = promtool('check', 'rules', RULES);
  expect(checked.ok, checked.text).toBe(true);
  const tested = promtool('test', 'rules', RULE_TESTS);
  expect(tested.ok, tested.text).toBe(true);
});

test('every alert is tested firing and not firing', () => {
  const tests = textOf(RULE_TESTS);
  for (const { alert } of rules()) {
    if (alert === undefined) continue;
    expect(tests).toMatch(
      new RegExp(`alertname: ${alert}\\n +eval_time: \\d+m\\n +exp_alerts:\\n`),
    );
    expect(tests).toMatch(new RegExp(`alertname: ${alert}, eval_time: \\d+m, exp_alerts: \\[\\]`));
  }
});
