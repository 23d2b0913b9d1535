export interface Summary {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

/** Median and full range; the numbers of repetitions are too small for anything finer. */
export function summary(values: readonly number[]): Summary {
  const sorted = values.toSorted((a, b) => a - b);
  return { median: quantile(sorted, 0.5), low: sorted[0]!, high: sorted.at(-1)! };
}

/** Linear between the two nearest of the sorted values. */
export function quantile(sorted: readonly number[], share: number): number {
  const at = (sorted.length - 1) * share;
  const below = sorted[Math.floor(at)]!;
  return below + (sorted[Math.ceil(at)]! - below) * (at - Math.floor(at));
}

/** Each repetition's own ratio: what the machine did meanwhile touched both sides of it. */
export function ratios(ours: readonly number[], theirs: readonly number[]): Summary {
  return summary(ours.map((value, repetition) => value / theirs[repetition]!));
}
