import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FIRST_ROWS, nextLimit } from '../../src/capture/chunk-size.ts';
import { openPace } from '../../src/capture/pace.ts';

/** Chunks of a table whose rows take so much each; the limits one after the other. */
function limits(bytes: number, perRow: number, latency: number, chunks = 30): number[] {
  const all = [FIRST_ROWS];
  for (let limit = FIRST_ROWS; all.length < chunks; all.push(limit)) {
    const seconds = latency + limit * perRow;
    limit = nextLimit(limit, { rows: limit, bytes: limit * bytes, seconds });
  }
  return all;
}

describe('the size of chunks', () => {
  test('grows to what is allowed where rows are small and fast', () => {
    expect(limits(100, 1e-6, 0.001).slice(0, 5)).toEqual([500, 1000, 2000, 4000, 4000]);
  });

  test('settles where a chunk takes half a second', () => {
    expect(limits(100, 0.001, 0).at(-1)).toBe(500);
    expect(limits(100, 0.0004, 0).at(-1)).toBe(1250);
  });

  test('does not shrink away where only the way to the server is slow', () => {
    expect(limits(100, 0, 30).at(-1)).toBe(100);
  });

  test('holds about a mebibyte of wide rows, down to a single one', () => {
    expect(limits(10_000, 0, 0).at(-1)).toBe(104);
    expect(limits(50_000_000, 0, 0).at(-1)).toBe(1);
  });

  test('is within its bounds, whatever is measured', () => {
    const took = fc.record({
      rows: fc.nat({ max: 5000 }),
      bytes: fc.nat({ max: 1e9 }),
      seconds: fc.double({ min: 0, max: 1e4, noNaN: true }),
    });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4000 }), took, (limit, measured) => {
        const next = nextLimit(limit, measured);
        expect(next).toBeGreaterThanOrEqual(1);
        expect(next).toBeLessThanOrEqual(Math.min(4000, 2 * limit));
        const { rows, bytes } = measured;
        if (rows > 0) expect((next - 1) * (bytes / rows)).toBeLessThanOrEqual(1024 * 1024);
      }),
    );
  });
});

describe('the share of load', () => {
  const clockOf = () => {
    const slept: number[] = [];
    const clock = { now: () => 0, sleep: async (seconds: number) => void slept.push(seconds) };
    return { slept, clock };
  };

  test('rests in proportion behind each piece of work, and not behind what failed', async () => {
    const { slept, clock } = clockOf();
    const pace = openPace(0.25, clock);
    await pace(async () => 2);
    await expect(pace(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
    await pace(async () => 1);
    await Promise.resolve();
    expect(slept).toEqual([6, 3]);
  });

  test('lets work run one after the other below 1, and side by side at 1', async () => {
    for (const [share, most] of [
      [0.5, 1],
      [1, 3],
    ] as const) {
      let now = 0;
      let found = 0;
      const pace = openPace(share, clockOf().clock);
      const work = async (): Promise<number> => {
        now += 1;
        found = Math.max(found, now);
        await new Promise(setImmediate);
        now -= 1;
        return 1;
      };
      await Promise.all([pace(work), pace(work), pace(work)]);
      expect(found).toBe(most);
    }
  });
});
