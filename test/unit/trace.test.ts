import { tracingChannel } from 'node:diagnostics_channel';
import { expect, onTestFinished, test } from 'vitest';
import { traced } from '../../src/observe/trace.ts';

test('whoever listens hears of a stage from its start to its end, and of its failure', async () => {
  const channel = tracingChannel<unknown, object>('carrick:apply');
  const heard: unknown[] = [];
  const listener = {
    end: () => undefined,
    asyncStart: () => undefined,
    start: (context: object) => void heard.push(['start', { ...context }]),
    asyncEnd: (context: object) => void heard.push(['end', { ...context }]),
    error: (context: object) => void heard.push(['error', { ...context }]),
  };
  expect(await traced('apply', { system: 'erp', batch: 6 }, async () => 'unheard')).toBe('unheard');
  channel.subscribe(listener);
  onTestFinished(() => void channel.unsubscribe(listener));
  expect(await traced('apply', { system: 'erp', batch: 7 }, async () => 'Ada')).toBe('Ada');
  const failing = traced('apply', { system: 'erp', batch: 8 }, async () => {
    throw new Error('gone');
  });
  await expect(failing).rejects.toThrow('gone');
  expect(heard).toMatchObject([
    ['start', { system: 'erp', batch: 7 }],
    ['end', { system: 'erp', batch: 7 }],
    ['start', { system: 'erp', batch: 8 }],
    ['error', { batch: 8 }],
    ['end', { batch: 8 }],
  ]);
  expect(JSON.stringify(heard)).not.toContain('Ada');
});
