import type { Applier } from '../contract/applier.ts';
import type { Source } from '../contract/source.ts';
import type { TableSpec } from '../model/change.ts';
import { type Cell, rowKey, type Value } from '../model/value.ts';
import { FIRST_ROWS, MOST_BYTES, nextLimit, weightOf } from './chunk-size.ts';
import type { Lane, Step } from './lane.ts';
import { type Clock, openPace } from './pace.ts';
import type { Progress, Sweep } from './progress.ts';
import { type Recent, recent } from './recent.ts';
import type { Shown } from './shown.ts';

/** Linked rows behind a sweep, and the sweep behind them; null: there are no more. */
export interface KnownRows {
  readonly keys: readonly (readonly Value[])[];
  /** Rows that are to be read with those of `keys` that are missing, met or not. */
  readonly besides: readonly (readonly Value[])[];
  readonly next: Sweep | null;
}

export interface ReaderParts {
  /** Of the rows that `progress` asks for. */
  readonly known: (
    table: TableSpec,
    from: Sweep,
    limit: number,
    progress: Progress,
  ) => Promise<KnownRows>;
  readonly source: Pick<Source, 'read' | 'estimate'>;
  readonly applier: () => Promise<Pick<Applier, 'fence'>>;
  readonly firstFence: number;
  /** Share of the time that chunks are read; see {@link openPace}. */
  readonly loadShare: number;
  readonly clock: Clock;
}

/** What the reader remembers of a table, for one pass over it. */
interface Acquaintance {
  readonly pass: number | undefined;
  /** Keys that a resync has met. */
  readonly met: Recent;
  /** Rows that the server says there are; null: it cannot say. */
  readonly estimate: number | null;
  limit: number;
}

/** How many keys of a resync are remembered as met; others are asked for once more. */
const MET_KEYS = 200_000;

/** Reads between two fences, with chunks of a fitting size and at the pace that is allowed. */
export function openReader(parts: ReaderParts, shown: Shown) {
  const { source, clock } = parts;
  const tables = new Map<string, Acquaintance>();
  const pace = openPace(parts.loadShare, clock);
  const fence = openFences(parts);

  const acquainted = async ({ table, before: { pass } }: Lane): Promise<Acquaintance> => {
    const known = tables.get(table.name);
    if (known !== undefined && known.pass === pass) return known;
    // A load goes on without the figure.
    const estimate = await source.estimate(table).catch(() => null);
    const fresh = { pass, met: recent(MET_KEYS), estimate, limit: known?.limit ?? FIRST_ROWS };
    tables.set(table.name, fresh);
    return fresh;
  };

  return {
    async read(lane: Lane): Promise<void> {
      const { table, before } = lane;
      const about = await acquainted(lane);
      const { limit, met } = about;
      const { step, sweep } = await stepOf(parts.known, table, before, limit, (k) => !met.has(k));
      const after = step.kind === 'order' ? step.after : null;
      const keys = step.kind === 'order' ? {} : { keys: step.keys };
      await pace(async () => {
        await fence((number) => {
          lane.low = number;
        });
        const noteRead = shown.reading();
        const started = clock.now();
        const chunk = await source.read({ table, after, limit, bytes: MOST_BYTES, ...keys });
        const seconds = clock.now() - started;
        noteRead(chunk);
        about.limit = nextLimit(limit, {
          rows: chunk.rows.length,
          bytes: weightOf(chunk.rows),
          seconds,
        });
        lane.read = { step, chunk, sweep };
        await fence((number) => {
          lane.high = number;
        });
        return seconds;
      });
    },
    met({ table, before }: Lane, rows: readonly (readonly Cell[])[]): void {
      if (before.sweep == null) return;
      const met = tables.get(table.name)?.met;
      for (const row of rows) met?.add(rowKey(keyIn(table, row)));
    },
    estimateOf: ({ name }: TableSpec): number | null => tables.get(name)?.estimate ?? null,
  };
}

/**
 * Fences of all lanes go through one connection, one after the other, with growing numbers. The
 * number is made known before the log can show it.
 */
function openFences({ applier, firstFence }: ReaderParts) {
  let next = firstFence;
  let turn: Promise<void> = Promise.resolve();
  return (announce: (number: number) => void): Promise<void> => {
    const mine = turn.then(async () => {
      const writer = await applier();
      const number = next++;
      announce(number);
      await writer.fence(number);
    });
    turn = mine.catch(() => undefined);
    return mine;
  };
}

/** The next step of a table, and where its sweep stands behind that. */
async function stepOf(
  known: ReaderParts['known'],
  table: TableSpec,
  progress: Progress,
  limit: number,
  unmet: (key: string) => boolean,
): Promise<{ step: Step; sweep: Sweep | null }> {
  const { after, ended, again, sweep = null } = progress;
  if (again.length > 0) return { step: { kind: 'again', keys: again.slice(0, limit) }, sweep };
  if (!ended) return { step: { kind: 'order', after }, sweep };
  const keys: (readonly Value[])[] = [];
  let from = sweep;
  while (from !== null && keys.length === 0) {
    const page = await known(table, from, limit, progress);
    keys.push(...page.keys.filter((key) => unmet(rowKey(key))));
    if (keys.length > 0) keys.push(...page.besides);
    from = page.next;
  }
  return { step: { kind: 'sweep', keys }, sweep: from };
}

export const keyIn = (table: TableSpec, row: readonly Cell[]): Value[] =>
  table.key.map((name) => row[table.columns.indexOf(name)] ?? null);
