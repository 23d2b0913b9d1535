import type { Micros } from '../model/value.ts';

const UNITS: Readonly<Record<string, Micros>> = {
  us: 1,
  ms: 1_000,
  s: 1_000_000,
  m: 60_000_000,
  h: 3_600_000_000,
  d: 86_400_000_000,
};

/** `1s`, `500ms`, `10m`, `2h`, `1d` as microseconds; null when the text is no duration. */
export function parseDuration(text: string): Micros | null {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)\s*(us|ms|s|m|h|d)$/.exec(text) ?? [];
  return amount === undefined ? null : Math.round(Number(amount) * UNITS[unit!]!);
}
