import type { Assembler } from './assembler.ts';
import type { Charsets } from './charset.ts';
import type { BinlogEvent } from './event.ts';
import { compilePlan, type Followed, type Plan } from './plan.ts';
import { readTableMap, type TableMap, tableIdOf } from './table-map.ts';
import type { Tables } from './tables.ts';

/** The plans of the tables whose TABLE_MAP has come, by table id. */
export interface Plans {
  /** Takes a TABLE_MAP. A promise: definitions are being read from the server. */
  learn(event: BinlogEvent): Promise<void> | undefined;
  of(tableId: number): Plan | undefined;
  /** Definitions have changed: every next TABLE_MAP is compiled, even if it looks the same. */
  forget(): void;
  /** The table fits its specification no longer, or (empty detail) again. */
  announce(followed: Followed, detail: string): void;
}

export interface PlansOptions {
  readonly mariadb: boolean;
  readonly tables: Tables;
  readonly charsets: Charsets;
  readonly assembler: Assembler;
}

/** Table ids die with every change of a definition; this many are not worth keeping. */
const MOST_PLANS = 4096;

export function planBook({ mariadb, tables, charsets, assembler }: PlansOptions): Plans {
  const known = new Map<number, { readonly body: Buffer; readonly plan: Plan }>();

  const announce = (followed: Followed, detail: string): void => {
    followed.drift = detail;
    const { spec, mark } = followed;
    // Without a transaction there is nothing to put it in; the next TABLE_MAP says it again.
    if (mark || assembler.open === null) return;
    assembler.add({ table: spec, op: 'drift', row: [], old: null, detail }, 0);
  };

  const compile = (map: TableMap, followed: Followed | null): Plan => {
    const plan = compilePlan(map, followed, charsets);
    const drift = typeof plan === 'string' ? plan : '';
    if (followed !== null && drift !== followed.drift) announce(followed, drift);
    return typeof plan === 'string' ? (compilePlan(map, null, charsets) as Plan) : plan;
  };

  return {
    learn: (event) => {
      const { buf, pos, end } = event.body;
      const id = tableIdOf(event.body);
      const body = buf.subarray(pos, end);
      // Each statement repeats the TABLE_MAP of its tables: as long as it stays, the plan does.
      if (known.get(id)?.body.equals(body)) return undefined;
      const map = readTableMap(event.body, mariadb);
      const followed = tables.find(map.schema, map.table);
      const remember = (): void => {
        if (known.size >= MOST_PLANS) known.clear();
        known.set(id, { body: Buffer.from(body), plan: compile(map, followed) });
      };
      if (followed?.stale) return tables.refresh().then(remember);
      remember();
      return undefined;
    },
    of: (tableId) => known.get(tableId)?.plan,
    forget: () => known.clear(),
    announce,
  };
}
