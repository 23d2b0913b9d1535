/** People who go on writing in both systems while Carrick loads them. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Extent } from './data.ts';

export type Run = (statement: string) => Promise<unknown>;

/** Mulberry32 (Tommy Ettinger, 2017). */
function seeded(seed: number): (n: number) => number {
  let state = seed;
  return (n) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4294967296) * n);
  };
}

const digits = (n: number): string => String(n).padStart(9, '0');

/** Writes about `perSecond` transactions a second until told to stop; returns how many it were. */
export async function write(
  side: 'crm' | 'erp',
  run: Run,
  { customers, invoices, shift }: Extent,
  { seed, perSecond, stop }: { seed: number; perSecond: number; stop: AbortSignal },
): Promise<number> {
  const pick = seeded(seed);
  const offset = side === 'crm' ? { customers: 0, invoices: 0 } : shift;
  const [no, city, paid] = side === 'crm' ? ['no', 'city', `'P'`] : ['code', 'town', '2'];
  const customer = (): string => `C${digits(1 + offset.customers + pick(customers))}`;
  const invoice = (): string => `INV-${digits(1 + offset.invoices + pick(invoices))}`;
  let count = 0;
  const statements = (): string[] => {
    const chance = pick(20);
    if (chance < 9) {
      return [
        `update customers set ${city} = 'Moved ${side} ${count}' where ${no} = '${customer()}'`,
      ];
    }
    if (chance < 12) {
      return [`update customers set credit = ${pick(9999)} where ${no} = '${customer()}'`];
    }
    if (chance < 16) return [`update invoices set state = ${paid} where doc = '${invoice()}'`];
    if (chance < 17) return [`delete from invoices where doc = '${invoice()}'`];
    const made = `N-${side.toUpperCase()}-${count}`;
    return [
      `insert into customers (${no}, name) values ('${made}', 'New ${count}')`,
      side === 'crm'
        ? `insert into invoices select '${made}', id, 7, 'O'
            from customers where no = '${made}'`
        : `insert into invoices select '${made}', cust_id, 7, 1
            from customers where code = '${made}'`,
    ];
  };
  while (!stop.aborted) {
    await run('begin');
    for (const statement of statements()) await run(statement);
    await run('commit');
    count += 1;
    await sleep(1000 / perSecond, undefined, { signal: stop }).catch(() => {});
  }
  return count;
}
