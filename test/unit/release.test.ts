import { expect, test } from 'vitest';
import { openRelease } from '../../src/capture/release.ts';
import type { Position } from '../../src/model/position.ts';

const settling = () => {
  const settled: string[] = [];
  const release = openRelease({ settle: (position) => void settled.push(position) });
  return { settled, release };
};

test('a position is released when the commit that covers it is on disk, not before', async () => {
  const { settled, release } = settling();
  const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  release.behind(first.promise, '1' as Position);
  release.behind(second.promise, '2' as Position);
  await Promise.resolve();
  expect(settled).toEqual([]);
  first.resolve();
  await first.promise;
  expect(settled).toEqual(['1']);
  second.resolve();
  await second.promise;
  expect(settled).toEqual(['1', '2']);
});

test('what did not reach the disk ends the loop, and its position is never released', async () => {
  const { settled, release } = settling();
  const failure = new Error('the disk is gone');
  const lost = Promise.reject(failure);
  release.behind(lost, '1' as Position);
  await lost.catch(() => undefined);
  expect(() => release.behind(Promise.resolve(), '2' as Position)).toThrow(failure);
  expect(settled).toEqual([]);
});
