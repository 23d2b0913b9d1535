import { expect, test } from 'vitest';
import { halt, retry } from '../../src/errors.ts';
import { createLog } from '../../src/observe/log.ts';
import { createMetrics } from '../../src/observe/metrics.ts';
import { createReporter, troubleIn } from '../../src/observe/reporter.ts';

function reporter() {
  const made = createReporter(createMetrics('test'), createLog('error', { write: () => {} }));
  made.expect(['crm'], new Map());
  return { ...made, trouble: () => troubleIn(made.news.get('crm')!)?.code ?? null };
}

const lost = halt('source.lost', 'the slot is gone', 'rejoin');
const busy = retry('target.conflicted', 'deadlock', 'none');

test('why a loop halted is told for as long as it is halted', () => {
  const { trouble, halted, moved, retrying, target } = reporter();
  halted('crm', 'source', lost);
  moved('crm', 'target');
  expect(trouble()).toBe('source.lost');
  retrying('crm', 'target', busy, 1, 0.25);
  expect(trouble()).toBe('source.lost');
  target('crm', { kind: 'idle' });
  moved('crm', 'target');
  expect(trouble()).toBe('source.lost');
});

test('what was tried again is forgotten when that loop moves, not when the other does', () => {
  const { trouble, moved, retrying, target } = reporter();
  retrying('crm', 'target', busy, 1, 0.25);
  moved('crm', 'source');
  expect(trouble()).toBe('target.conflicted');
  target('crm', { kind: 'delivering' });
  moved('crm', 'target');
  expect(trouble()).toBeNull();
});
