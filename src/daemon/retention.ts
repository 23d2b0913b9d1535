import type { Config } from '../config/load.ts';
import type { JournalEntry } from '../contract/ledger.ts';
import type { Decisions } from '../decide/decisions.ts';
import type { Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import { troubleOf } from '../observe/trouble.ts';

const ROUND_MS = 60_000;
/** So many entries go in one commit: nothing else waits for long. */
const PAGE = 500;

export interface Keeping {
  readonly limits: Pick<Config, 'journalKeep' | 'ledgerLimit'>;
  readonly log: Log;
  readonly metrics: Metrics;
}

/**
 * The journal is what grows without bound: records are as many as the systems have rows, and the
 * outbox has at most one entry of a record for each system. So its settled entries go when they are
 * older than is wanted, or, the oldest first, when the ledger is larger than it may be. Entries
 * that wait for a person stay.
 */
export function keepJournal(decisions: Decisions, keeping: Keeping): AsyncDisposable {
  let round = Promise.resolve();
  let busy = false;
  const begin = (): void => {
    if (busy) return;
    busy = true;
    round = removeExpired(decisions, keeping)
      .catch((error) => keeping.log.event('journal.failed', troubleOf(error)))
      .finally(() => {
        busy = false;
      });
  };
  const timer = setInterval(begin, ROUND_MS);
  timer.unref();
  begin();
  return {
    [Symbol.asyncDispose]() {
      clearInterval(timer);
      return round;
    },
  };
}

/** One round; what it removed is counted and told. */
export async function removeExpired(decisions: Decisions, keeping: Keeping): Promise<void> {
  const { journalKeep: keep, ledgerLimit: limit } = keeping.limits;
  const { desk } = decisions.ledger;
  if (keep !== null) {
    const before = Date.now() * 1000 - keep;
    await removeWhile(decisions, keeping, 'age', async ({ at }) => at < before);
  }
  if (limit !== null) {
    await removeWhile(decisions, keeping, 'limit', async () => (await desk.usedBytes()) > limit);
  }
}

async function removeWhile(
  { ledger, exclusively }: Decisions,
  { log, metrics }: Keeping,
  cause: 'age' | 'limit',
  isDue: (oldest: JournalEntry) => Promise<boolean>,
): Promise<void> {
  let removed = 0;
  for (;;) {
    const page = await exclusively(async () => {
      const closed = await ledger.desk.oldestClosed(PAGE);
      const [oldest] = closed;
      if (oldest === undefined || !(await isDue(oldest))) return 0;
      const last = cause === 'limit' ? closed.length : await dueOf(closed, isDue);
      await ledger.commit({ expired: closed.slice(0, last).map(({ id }) => id) });
      return last;
    });
    removed += page;
    if (page === 0) break;
  }
  metrics.add('carrick_journal_removed_total', { cause }, removed);
  if (removed > 0) log.event('journal.removed', { cause, entries: removed });
}

/** How many from the oldest on are due. */
async function dueOf(
  closed: readonly JournalEntry[],
  isDue: (entry: JournalEntry) => Promise<boolean>,
): Promise<number> {
  let due = 0;
  for (const entry of closed) {
    if (!(await isDue(entry))) break;
    due++;
  }
  return due;
}
