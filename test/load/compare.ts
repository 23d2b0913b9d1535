/** Whether both databases hold the same, asked of nobody but themselves, page by page. */
import { CONTENT } from './data.ts';

export type Ask = (sql: string) => Promise<readonly (readonly (string | null)[])[]>;

const PAGE = 20_000;

/** Every row of one side, in the order of its number. */
async function* rowsOf(
  ask: Ask,
  page: (after: string, limit: number) => string,
): AsyncGenerator<readonly (string | null)[]> {
  for (let after = ''; ; ) {
    const rows = await ask(page(after, PAGE));
    yield* rows;
    if (rows.length < PAGE) return;
    after = rows.at(-1)?.[0] ?? '';
  }
}

/** The rows that both hold alike, and the first differences. */
export async function compare(crm: Ask, erp: Ask): Promise<{ same: number; apart: string[] }> {
  let same = 0;
  const apart: string[] = [];
  for (const page of [CONTENT.customers, CONTENT.invoices]) {
    const [left, right] = [rowsOf(crm, page.crm), rowsOf(erp, page.erp)];
    let [a, b] = [await left.next(), await right.next()];
    while (!a.done || !b.done) {
      const [one, other] = [a.done ? null : a.value, b.done ? null : b.value];
      const order = compareKeys(one?.[0] ?? null, other?.[0] ?? null);
      const equal = order === 0 && JSON.stringify(one) === JSON.stringify(other);
      if (equal) same += 1;
      else if (apart.length < 20) apart.push(`${JSON.stringify(one)} ${JSON.stringify(other)}`);
      if (order <= 0) a = await left.next();
      if (order >= 0) b = await right.next();
    }
  }
  return { same, apart };
}

/** Null, the end, comes last. */
const compareKeys = (a: string | null, b: string | null): number =>
  a === b ? 0 : b === null || (a !== null && a < b) ? -1 : 1;
