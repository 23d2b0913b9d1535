/**
 * The demonstration's people, for deploy/compose.yaml: `seed` fills both databases once, `work`
 * edits on both sides until it is stopped. CRM_URL and ERP_URL name the databases.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { clerks, random } from '../demo/clerks.ts';
import { type Desk, openDesk } from '../demo/desk.ts';
import { seed } from '../demo/seed.ts';
import type { Move } from '../demo/stage.ts';

export interface Desks {
  readonly crm: Desk;
  readonly erp: Desk;
}

/** Says whether there was anything to do: rows are put into empty tables only. */
export async function seedOnce({ crm, erp }: Desks): Promise<boolean> {
  const [counted] = await crm.sql('select count(*) as n from accounts');
  if (Number(counted?.n) > 0) return false;
  await seed(crm, erp);
  return true;
}

/** One piece of work after another, now and then the same on both sides at once. */
export async function work(desks: Desks, pauseMs: number, stop: AbortSignal): Promise<number> {
  const draw = clerks(Date.now() % 1_000_000);
  const next = random(Date.now() % 1_000_000);
  let edits = 0;
  while (!stop.aborted) {
    const { crm, erp } = draw();
    const side = next();
    const moves: readonly Move[] = side < 0.2 ? [crm, erp] : [side < 0.6 ? crm : erp];
    // A database that is away for a while is part of the show.
    const made = await Promise.allSettled(
      moves.map(({ system, sql, values }) => desks[system].sql(sql, values)),
    );
    edits += made.filter(({ status }) => status === 'fulfilled').length;
    await sleep(pauseMs, undefined, { signal: stop }).catch(() => {});
  }
  return edits;
}

if (import.meta.main) {
  const { CRM_URL = '', ERP_URL = '' } = process.env;
  await using crm = openDesk('crm', CRM_URL);
  await using erp = openDesk('erp', ERP_URL);
  const stop = new AbortController();
  process.once('SIGTERM', () => stop.abort());
  process.once('SIGINT', () => stop.abort());
  if (process.argv[2] === 'seed') await seedOnce({ crm, erp });
  else await work({ crm, erp }, 300, stop.signal);
}
