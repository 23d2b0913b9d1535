import Big from 'big.js';
import type { Field, Policy, Sides } from '../contract/entity.ts';
import type { Stamp } from '../model/stamp.ts';
import type { Micros, Value } from '../model/value.ts';

/** Two concurrent writes of one unit; arrays run over `fields`. */
export interface Contest {
  readonly fields: readonly number[];
  readonly kinds: readonly (Field | undefined)[];
  /** The system whose change is being read. */
  readonly system: string;
  /** When it was written; 0: unknown. */
  readonly at: Micros;
  /** What that system held before: the common ancestor. */
  readonly base: readonly Value[];
  readonly incoming: readonly Value[];
  readonly standing: readonly Value[];
  /** Latest stamp of the standing values. */
  readonly stamp: Stamp | null;
  readonly sides: Sides;
}

/** `policy` names what decided, for the journal and the metrics. */
export type Verdict = { readonly policy: string } & (
  | { readonly kind: 'incoming' | 'standing' | 'park' }
  | {
      readonly kind: 'values';
      readonly values: readonly Value[];
      /** The third system that holds them; null: computed. */
      readonly of: string | null;
    }
);

/** The first policy of the chain that decides wins; when none does a person has to. */
export function decide(chain: readonly Policy[], contest: Contest): Verdict {
  for (const policy of chain) {
    const verdict = apply(policy, contest);
    if (verdict !== null) return verdict;
  }
  return { kind: 'park', policy: 'undecided' };
}

function apply(policy: Policy, contest: Contest): Verdict | null {
  switch (policy.kind) {
    case 'last_writer':
      return byTime(policy.kind, contest, policy.tolerance, true);
    case 'first_writer':
      return byTime(policy.kind, contest, policy.tolerance, false);
    case 'prefer':
      return take(policy.system, contest, `prefer: ${policy.system}`);
    case 'rule': {
      if (!policy.when(contest.sides)) return null;
      if ('system' in policy.take) return take(policy.take.system, contest, policy.text);
      const value = policy.take.value(contest.sides);
      return computed(
        policy.text,
        contest.fields.map(() => value),
      );
    }
    case 'park':
      return { kind: 'park', policy: 'park' };
    case 'max':
    case 'min':
      return extreme(policy.kind, contest);
    case 'sum_of_deltas':
      return sumOfDeltas(contest);
    case 'union':
      return computed('union', contest.fields.map(unionOf(contest)));
  }
}

const computed = (policy: string, values: readonly Value[]): Verdict => ({
  kind: 'values',
  policy,
  values,
  of: null,
});

/**
 * Clocks choose only among writes that are known to be concurrent, and not where their distance is
 * inside the tolerance or a time is unknown: then the next policy is asked.
 */
function byTime(
  policy: string,
  { at, stamp }: Contest,
  tolerance: Micros,
  latest: boolean,
): Verdict | null {
  if (stamp === null || at === 0 || stamp.wall === 0) return null;
  const lead = at - stamp.wall;
  if (Math.abs(lead) <= tolerance) return null;
  return { kind: lead > 0 === latest ? 'incoming' : 'standing', policy };
}

/** What `system` holds wins: the incoming side, the standing side, or a third system's view. */
function take(system: string, contest: Contest, policy: string): Verdict | null {
  if (system === contest.system) return { kind: 'incoming', policy };
  if (contest.stamp?.system === system) return { kind: 'standing', policy };
  const held = contest.sides.systems[system];
  if (held === undefined) return null;
  const values = contest.fields.map((f) => held[f]);
  if (values.some((value) => value === undefined)) return null;
  return { kind: 'values', policy, values: values.map((value) => value ?? null), of: system };
}

function extreme(kind: 'max' | 'min', contest: Contest): Verdict {
  const values = contest.fields.map((_, i) => {
    const a = contest.incoming[i] ?? null;
    const b = contest.standing[i] ?? null;
    if (a === null || b === null) return a ?? b;
    const order = compareValues(a, b, contest.kinds[i]?.kind);
    return order > 0 === (kind === 'max') ? a : b;
  });
  return computed(kind, values);
}

/** Canonical text compares as numbers, instants or text, by the field's kind. */
function compareValues(a: string, b: string, kind: Field['kind'] | undefined): number {
  if (kind === 'integer' || kind === 'decimal') return new Big(a).cmp(b);
  if (kind === 'float') return Number(a) - Number(b);
  const [left, right] = [a.replace(/Z$/, ''), b.replace(/Z$/, '')];
  return left < right ? -1 : left > right ? 1 : 0;
}

/** base + Δa + Δb, where the standing value already holds the other systems' deltas. */
function sumOfDeltas(contest: Contest): Verdict {
  const values = contest.fields.map((_, i) => {
    const scale = contest.kinds[i]?.scale ?? 0;
    const big = (value: Value | undefined): Big => new Big(value ?? 0);
    const delta = big(contest.incoming[i]).minus(big(contest.base[i]));
    return big(contest.standing[i]).plus(delta).toFixed(scale);
  });
  return computed('sum_of_deltas', values);
}

const unionOf =
  (contest: Contest) =>
  (_: number, i: number): Value => {
    const a = contest.incoming[i] ?? null;
    const b = contest.standing[i] ?? null;
    if (a === null || b === null) return a ?? b;
    const members = new Set<string>([...JSON.parse(a), ...JSON.parse(b)]);
    return JSON.stringify([...members].sort());
  };
