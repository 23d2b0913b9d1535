import { nameOf, rowCount } from '../books.ts';
import { custId, customerNo, UNKNOWN_TIER } from '../seed.ts';
import { seconds } from '../speech.ts';
import {
  agreement,
  arrives,
  type Books,
  inErp,
  journal,
  make,
  type Stage,
  until,
} from '../stage.ts';

export const ENTITIES = ['customer', 'product', 'order', 'order_line'] as const;

/** Both systems are full already: partly of the same customers, under different keys. */
export async function firstLoad(stage: Stage): Promise<void> {
  const { say, carrick } = stage;
  say.act('First load: both systems already hold rows, partly of the same records');
  const before = await stage.readBooks();
  for (const entity of ENTITIES) say.line(census(before, entity));

  const began = Date.now();
  await carrick.start();
  const faulty = nameOf('customer', `row ${custId(UNKNOWN_TIER)}`);
  await agreement(stage, [faulty]);
  say.done(`both hold the same after ${seconds(began)}`);

  const met = (await journal(stage)).filter(({ kind }) => kind === 'first_contact').length;
  say.done(`${met} fields differed when rows met; settled as first_contact says, and journalled`);

  await until('the parked row', async () => {
    const parked = await carrick.operator.parked({ state: 'invalid', limit: 10 });
    return parked.length === 1 ? [] : [`${parked.length} rows are parked as invalid`];
  });
  say.done('one ERP row has a tier that the mapping does not know: parked, the rest went on');
  await make(stage, correction);
  await arrives(stage, 'crm', 'customer', customerNo(UNKNOWN_TIER), { tier: 'platinum' });
  await agreement(stage);
  say.done('somebody in the ERP corrected it: it is read again by itself, nothing is left parked');
}

/** What makes the row readable whose tier the mapping does not know. */
export const correction = inErp(
  'UPDATE customers SET tier = 3 WHERE cust_code = ?',
  customerNo(UNKNOWN_TIER),
);

function census(books: Books, entity: (typeof ENTITIES)[number]): string {
  const crm = books.crm.entities.get(entity);
  const erp = books.erp.entities.get(entity);
  const shared = [...(crm?.keys() ?? [])].filter((key) => erp?.has(key)).length;
  const [there, here] = [rowCount(books.crm, entity), rowCount(books.erp, entity)];
  const counts = `${there} in the CRM, ${here} in the ERP`;
  return `${entity.padEnd(11)} ${counts}, ${shared} of them under the same number`;
}
