import type { JournalEntry } from '../../src/contract/ledger.ts';
import { births } from './acts/births.ts';
import { burst } from './acts/burst.ts';
import { clashes } from './acts/clashes.ts';
import { deletes } from './acts/deletes.ts';
import { edits } from './acts/edits.ts';
import { ENTITIES, firstLoad } from './acts/load.ts';
import { outage } from './acts/outage.ts';
import { quiet } from './acts/quiet.ts';
import { differences, rowCount } from './books.ts';
import { journal, type Stage } from './stage.ts';

export interface Plan {
  readonly seed: number;
  /** kill -9 of Carrick in the middle of the last edits. */
  readonly kill: boolean;
  /** Seconds for which the ERP's database is stopped; null: it is not. */
  readonly outage: number | null;
}

/** The whole story. Throws where something did not come as the mappings say. */
export async function tellStory(stage: Stage, plan: Plan): Promise<void> {
  await firstLoad(stage);
  await edits(stage);
  await births(stage);
  await clashes(stage);
  await deletes(stage);
  await burst(stage, plan.seed, plan.kill);
  if (plan.outage !== null) await outage(stage, plan.seed + 7, plan.outage);
  await quiet(stage);
  await figures(stage);
}

async function figures(stage: Stage): Promise<void> {
  const { say, edits: made, carrick } = stage;
  say.act('Both databases, compared through the mappings by business keys');
  const books = await stage.readBooks();
  for (const entity of ENTITIES) {
    const counts = [rowCount(books.crm, entity), rowCount(books.erp, entity)];
    say.line(`${entity.padEnd(11)} ${counts[0]} in the CRM, ${counts[1]} in the ERP`);
  }
  say.line(`edits       ${made.crm} in the CRM, ${made.erp} in the ERP`);
  for (const [what, count] of Object.entries(await tally(stage))) say.line(`${what}: ${count}`);
  const { parked, openConflicts } = await carrick.operator.status();
  const left = Object.values(parked).reduce((sum, n) => sum + n, 0);
  say.line(`parked      ${left} rows or deliveries, ${openConflicts} open conflicts`);

  const found = differences(books.crm, books.erp, new Set());
  if (found.length > 0) throw new Error(`the systems differ:\n   ${found.join('\n   ')}`);
  if (left > 0 || openConflicts > 0) throw new Error('something is left parked');
  say.done('the CRM and the ERP agree in every field of every record');
}

const KINDS: Readonly<Record<JournalEntry['kind'], string>> = {
  conflict: 'conflicts',
  delete: 'conflicts',
  first_contact: 'first met',
  repair: 'repaired',
  resolution: 'resolved',
};

/** Journal entries by what decided, in words for the terminal. */
async function tally(stage: Stage): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { kind, policy } of await journal(stage)) {
    // A rule is known by its condition.
    const [short = ''] = policy.split(' → ');
    const name = `${KINDS[kind].padEnd(11)} ${short}`;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}
