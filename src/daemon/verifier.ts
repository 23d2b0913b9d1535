import { setTimeout as sleep } from 'node:timers/promises';
import type { Operator, VerifyStatus } from '../contract/operator.ts';
import type { Micros } from '../model/value.ts';
import { compareAll, type Verdict } from '../observe/comparison.ts';
import type { Mapped } from '../observe/digests.ts';
import type { Log } from '../observe/log.ts';
import type { Metrics, SetGauge } from '../observe/metrics.ts';
import { troubleOf } from '../observe/trouble.ts';

/** How often, and at which pace, the systems are compared. */
export interface VerifyPlan {
  readonly every: Micros;
  readonly rowsPerSecond: number;
}

/** What stays of background verification when the configuration is read anew. */
export interface Verified {
  readonly since: Micros;
  /** The last full pass; null: none yet. */
  last: (VerifyStatus & { readonly byEntity: Readonly<Record<string, number>> }) | null;
}

export interface VerifierParts {
  readonly operator: Operator;
  readonly entities: readonly Mapped[];
  readonly verified: Verified;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** How long it rests after a failure, and before it looks again whether all tables are loaded. */
const REST_MS = 10_000;

/** Compares the systems again and again, slowly, until told to stop. Never throws. */
export async function verifyInBackground(
  parts: VerifierParts,
  plan: VerifyPlan,
  stop: AbortSignal,
): Promise<void> {
  const rest = (ms: number): Promise<unknown> =>
    sleep(ms, undefined, { signal: stop, ref: false }).catch(() => undefined);
  while (!stop.aborted) {
    const { last } = parts.verified;
    const due = last === null ? 0 : last.endedAt / 1000 + plan.every / 1000 - Date.now();
    if (due > 0) await rest(Math.min(due, REST_MS));
    else if (!(await isLoaded(parts.operator))) await rest(REST_MS);
    else await pass(parts, plan, stop).catch((error) => failed(parts, error, stop, rest));
  }
}

async function failed(
  { log }: VerifierParts,
  error: unknown,
  stop: AbortSignal,
  rest: (ms: number) => Promise<unknown>,
): Promise<void> {
  if (stop.aborted) return;
  log.event('verify.failed', { ...troubleOf(error) });
  await rest(REST_MS);
}

async function isLoaded(operator: Operator): Promise<boolean> {
  const { systems } = await operator.status();
  return systems.every(
    ({ snapshots }) => snapshots.length > 0 && snapshots.every(({ done }) => done),
  );
}

async function pass(
  { operator, entities, verified, log, metrics }: VerifierParts,
  { rowsPerSecond }: VerifyPlan,
  stop: AbortSignal,
): Promise<void> {
  const started = Date.now();
  const byEntity: Record<string, number> = {};
  const verdicts: Verdict[] = [];
  for (const entity of entities) {
    const { name } = entity;
    const pace = async (rows: number): Promise<void> => {
      metrics.add('carrick_verified_rows_total', { entity: name }, rows);
      await sleep((rows / rowsPerSecond) * 1000, undefined, { signal: stop, ref: false });
    };
    const mostRows = Math.max(1000, rowsPerSecond * 10);
    const tell = async (): Promise<void> => undefined;
    const verdict = await compareAll({ operator, pace, mostRows, personal: false, tell }, [entity]);
    byEntity[name] = verdict.found;
    verdicts.push(verdict);
    if (verdict.found > 0) {
      log.event('verify.differs', { entity: name, differences: verdict.found });
    }
  }
  const sum = (of: (one: Verdict) => number): number => verdicts.reduce((n, one) => n + of(one), 0);
  const last = {
    endedAt: Date.now() * 1000,
    seconds: (Date.now() - started) / 1000,
    rows: sum(({ checked }) => checked),
    differences: sum(({ found }) => found),
    unchecked: sum(({ unchecked }) => unchecked.length),
    byEntity,
  };
  verified.last = last;
  const { seconds, rows, differences } = last;
  log.event('verify.done', { seconds, rows, differences });
}

/** Nothing where no background verification is configured. */
export function verifyGauges(set: SetGauge, { since, last }: Verified): void {
  set('carrick_verify_age_seconds', {}, Date.now() / 1000 - (last?.endedAt ?? since) / 1e6);
  if (last === null) return;
  set('carrick_verify_seconds', {}, last.seconds);
  for (const [entity, found] of Object.entries(last.byEntity)) {
    set('carrick_verify_differences', { entity }, found);
  }
}
