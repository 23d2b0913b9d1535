import type { Clock } from '../capture/pace.ts';
import type { ProgressByTable } from '../capture/progress.ts';
import type { Applier } from '../contract/applier.ts';
import type { Copier, FeedPlace } from '../contract/copier.ts';
import type { Source } from '../contract/source.ts';
import type { Decisions } from '../decide/decisions.ts';
import { secondLook } from '../decide/tables.ts';
import { CarrickError, retry } from '../errors.ts';
import type { Report } from '../observe/report.ts';
import type { Aside } from './aside.ts';
import type { Asks } from './asks.ts';
import type { Guard } from './flood.ts';
import type { Feed } from './plan.ts';

export interface FeedParts {
  readonly feed: Feed;
  /** Of the source's own connection: its slot, and its fences in the source's mark. */
  readonly instance: string;
  openSource(): Promise<Source>;
  openFences(): Promise<Applier>;
  openCopier(): Promise<Copier>;
  /** Reads key columns of the target, in key order: what a truncated source has no longer. */
  openTarget(): Promise<Pick<Source, 'read'> & AsyncDisposable>;
  /** Why tables of the source do not fit their mappings, by name. */
  misfits(): Promise<ReadonlyMap<string, string>>;
  readonly decisions: Decisions;
  readonly report: Report;
  readonly asks: Asks;
  readonly loading: { readonly share: number; readonly clock: Clock };
}

/** Rows of an entity in the source: as far as they were read, and as the server estimated. */
export interface Sizes {
  readonly known: Map<string, number>;
  readonly estimated: Map<string, number>;
}

/** What outlives a connection. */
export interface Memory extends FeedParts {
  readonly aside: Aside;
  readonly guard: Guard;
  readonly sizes: Sizes;
  /** Of truncates, by transaction: whether they are passed on. */
  readonly decided: Map<string, boolean>;
}

export const progressOf = ({ progress }: FeedPlace): ProgressByTable =>
  JSON.parse(progress) as ProgressByTable;

/** A table that refused to be read may not fit its mapping, and the log tells of it only later. */
export async function blamed(
  { feed: { name, from }, misfits, decisions }: FeedParts,
  error: unknown,
): Promise<unknown> {
  if (!(error instanceof CarrickError) || error.disposition === 'retry') return error;
  for (const [table, why] of await misfits().catch(() => [])) return misfit(from, table, why);
  return secondLook(decisions, name, error);
}

export const misfit = (from: string, table: string, why: string): Error =>
  retry(
    'feed.misfit',
    `table ${table} of ${from} does not fit its mapping: ${why}`,
    'bring the column back, or change the mapping: it goes on by itself, and nothing is lost',
  );

/** What a system says of its log is said of the whole system: a feed is taken up by its name. */
export function lostBy({ name }: Feed, error: unknown): unknown {
  if (!(error instanceof CarrickError) || error.code !== 'source.lost') return error;
  const fix = `Changes may be missing: stop Carrick, \`carrick rejoin '${name}'\`, start it again.`;
  const { code, disposition, message } = error;
  return new CarrickError(code, disposition, message, fix, { cause: error });
}
