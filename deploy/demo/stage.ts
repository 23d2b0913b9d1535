/** What every act has at hand, and how it waits for what must come. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { JournalEntry } from '../../src/contract/ledger.ts';
import type { Value } from '../../src/model/value.ts';
import type { TestServer } from '../../test/support/index.ts';
import { type Book, differences, type Entry, entry, nameOf } from './books.ts';
import type { Daemon } from './daemon.ts';
import type { Desk, Param, SystemName } from './desk.ts';
import type { Speech } from './speech.ts';

export interface Stage {
  readonly desks: Readonly<Record<SystemName, Desk>>;
  readonly servers: Readonly<Record<SystemName, TestServer>>;
  readonly carrick: Daemon;
  readonly say: Speech;
  /** Both databases through the mappings, now. */
  readBooks(): Promise<Books>;
  /** How often people have written, by system. */
  readonly edits: Record<SystemName, number>;
}

export type Books = Readonly<Record<SystemName, Book>>;

/** One write of a person in one system. */
export interface Move {
  readonly system: SystemName;
  readonly sql: string;
  readonly values: readonly Param[];
}

export const inCrm = (sql: string, ...values: Param[]): Move => ({ system: 'crm', sql, values });
export const inErp = (sql: string, ...values: Param[]): Move => ({ system: 'erp', sql, values });

export const otherThan = (system: SystemName): SystemName => (system === 'crm' ? 'erp' : 'crm');

const PATIENCE_MS = 120_000;

export async function make(stage: Stage, move: Move): Promise<void> {
  await stage.desks[move.system].sql(move.sql, move.values);
  stage.edits[move.system]++;
}

/** Asks until the answer is empty; what is still wrong in the end becomes the error. */
export async function until(
  what: string,
  missing: () => Promise<readonly string[]>,
  patience = PATIENCE_MS,
): Promise<void> {
  const deadline = Date.now() + patience;
  for (;;) {
    const problems = await missing();
    if (problems.length === 0) return;
    if (Date.now() > deadline) {
      const shown = problems.slice(0, 12).map((problem) => `\n   ${problem}`);
      throw new Error(
        `${what} did not come about; ${problems.length} still wrong:${shown.join('')}`,
      );
    }
    await sleep(100);
  }
}

/** Waits until a system holds a record with these values, or (null) holds it no more. */
export async function arrives(
  stage: Stage,
  system: SystemName,
  entity: string,
  key: string,
  want: Entry | null,
): Promise<void> {
  await until(`${nameOf(entity, key)} in the ${system}`, async () => {
    const books = await stage.readBooks();
    return unlike(entry(books[system], entity, key), want);
  });
}

/** What keeps an entry from being as wanted. */
export function unlike(found: Entry | undefined, want: Entry | null): string[] {
  if (want === null) return found === undefined ? [] : ['is still there'];
  if (found === undefined) return ['is not there'];
  return Object.entries(want)
    .filter(([field, value]: [string, Value]) => found[field] !== value)
    .map(([field]) => `${field} is not as expected`);
}

/** Waits until nothing is on its way and both systems hold the same; `except` names exceptions. */
export async function agreement(stage: Stage, except: readonly string[] = []): Promise<void> {
  const exempt = new Set(except);
  await until('agreement', async () => {
    const [books, status] = await Promise.all([stage.readBooks(), stage.carrick.operator.status()]);
    const waiting = status.systems
      .filter(({ outboxDepth }) => outboxDepth > 0)
      .map(({ system, outboxDepth }) => `${outboxDepth} deliveries wait for the ${system}`);
    return [...differences(books.crm, books.erp, exempt), ...waiting];
  });
}

/** All journal entries, oldest first. */
export async function journal(stage: Stage): Promise<JournalEntry[]> {
  const all: JournalEntry[] = [];
  for (;;) {
    const before = all.at(-1)?.id;
    const page = await stage.carrick.operator.conflicts({
      limit: 1000,
      ...(before === undefined ? {} : { before }),
    });
    all.push(...page);
    if (page.length < 1000) return all.reverse();
  }
}

/** One journal entry as a line: what stood against what, and what came of it. */
export function told(found: JournalEntry): string {
  const sides = [found.incoming, found.standing]
    .toSorted((a, b) => (a.system < b.system ? -1 : 1))
    .map(({ system, values }) => `${system} ${values === null ? '(deleted)' : brief(values)}`);
  const settled = found.winner ?? brief(found.outcome ?? ['(deleted)']);
  const verdict = found.state === 'settled' ? settled : found.state;
  const what = `#${found.id} ${found.entity} ${found.unit}`;
  return `${what}: ${sides.join(' | ')} → ${verdict} by ${found.policy}`;
}

function brief(values: readonly Value[]): string {
  const text = values.map((value) => value ?? '–').join(', ');
  return text.length > 48 ? `${text.slice(0, 47)}…` : text;
}
