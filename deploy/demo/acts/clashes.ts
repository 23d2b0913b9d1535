import { setTimeout as sleep } from 'node:timers/promises';
import type { JournalEntry } from '../../../src/contract/ledger.ts';
import { entry, nameOf } from '../books.ts';
import {
  agreement,
  inCrm,
  inErp,
  journal,
  make,
  type Stage,
  told,
  unlike,
  until,
} from '../stage.ts';
import { CLASHES, type Clash } from './clash-list.ts';

/** More than the mappings' skew_tolerance: the writers' order is beyond doubt. */
const APART_MS = 2500;
const TWIN = 'C-10901';

/**
 * Carrick is frozen while both sides write, so that neither can have seen the other: a conflict
 * for every policy of the mappings, and one customer entered twice.
 */
export async function clashes(stage: Stage): Promise<void> {
  const { say, carrick } = stage;
  say.act('Conflicts: both sides write the same while Carrick is frozen, once for every policy');
  const seen = (await journal(stage)).at(-1)?.id ?? 0;
  carrick.freeze();
  for (const { first } of CLASHES) await make(stage, first);
  await make(stage, twinInCrm);
  await sleep(APART_MS);
  for (const { second } of CLASHES) await make(stage, second);
  await make(stage, twinInErp);
  carrick.thaw();

  const left = CLASHES.filter(({ take }) => take !== undefined);
  for (const clash of CLASHES) {
    const found = await journalled(stage, clash, seen);
    say.conflict(told(found));
  }
  await agreement(stage, [...left.map(({ entity, key }) => nameOf(entity, key))]);
  say.done('everything is settled alike in both systems, but for what was left to a person');

  for (const clash of left) {
    const found = await journalled(stage, clash, seen);
    if (found.state !== 'open') throw new Error(`entry #${found.id} is not open`);
    const resolved = await stage.carrick.operator.resolve(found.id, { take: clash.take! });
    say.conflict(`a person takes what the ${clash.take} holds: #${found.id} is ${resolved.state}`);
  }
  await agreement(stage);
  for (const clash of CLASHES) await settled(stage, clash);
  say.done(`${CLASHES.length} conflicts ended as the mappings say, in both databases`);
  await settled(stage, { entity: 'customer', key: TWIN, want: { name: 'Tilda Zwilling' } });
  say.done('a customer entered in both systems at once is one record, one row in each');
}

const twinInCrm = inCrm(
  `insert into accounts (account_no, first_name, last_name, email)
   values (?, 'Tilda', 'Zwilling', 'tilda@zwilling.example')`,
  TWIN,
);
const twinInErp = inErp(
  `INSERT INTO customers (company_code, cust_code, display_name, mail)
   VALUES ('1000', ?, 'Tilda Zwilling', 'tilda@zwilling.example')`,
  TWIN,
);

/** The entry about a clash; there is one, because no two clashes share entity and unit. */
async function journalled(stage: Stage, clash: Clash, after: number): Promise<JournalEntry> {
  let found: JournalEntry | undefined;
  const what = `the journal entry of ${clash.entity} ${clash.unit}`;
  await until(what, async () => {
    found = (await journal(stage)).find(
      ({ id, entity, unit, kind }) =>
        id > after && entity === clash.entity && unit === clash.unit && kind !== 'first_contact',
    );
    if (found === undefined) return ['there is none'];
    return found.policy.includes(clash.policy) ? [] : [`it names ${found.policy}`];
  });
  return found!;
}

async function settled(stage: Stage, clash: Pick<Clash, 'entity' | 'key' | 'want'>): Promise<void> {
  const books = await stage.readBooks();
  for (const system of ['crm', 'erp'] as const) {
    const wrong = unlike(entry(books[system], clash.entity, clash.key), clash.want);
    if (wrong.length === 0) continue;
    throw new Error(`${nameOf(clash.entity, clash.key)} in the ${system}: ${wrong.join(', ')}`);
  }
}
