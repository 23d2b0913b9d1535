import type { Ledger, Parked } from '../contract/ledger.ts';

const PAGE = 1000;

/** All that is parked, of one entity or of any, the newest first; a page of it is in memory. */
export async function* everyParked({ desk }: Ledger, entity?: string): AsyncGenerator<Parked> {
  const filter = entity === undefined ? {} : { entity };
  for (let before = Number.MAX_SAFE_INTEGER; ; ) {
    const page = await desk.parked({ ...filter, before, limit: PAGE });
    yield* page;
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) return;
    before = last.id;
  }
}
