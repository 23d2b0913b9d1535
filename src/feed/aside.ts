import type { Parked, ParkedHold, ParkedRow } from '../contract/ledger.ts';
import type { Decisions } from '../decide/decisions.ts';
import { everyParked } from '../decide/parked.ts';
import type { Micros } from '../model/value.ts';
import type { Feed } from './plan.ts';

/** Why a row of a feed is set aside; `detail` without row values. */
export interface AsideRow {
  readonly entity: string;
  readonly reason: 'invalid' | 'refused';
  /** Of the source; parked under the target's name, because another target may take the row. */
  readonly key: string;
  readonly detail: string;
}

/** What of a feed waits for a person: rows, and the entity itself while a flood is held. */
export interface Aside {
  /** On disk when it resolves: the target's place may then move behind them (invariant 2). */
  put(rows: readonly AsideRow[]): Promise<void>;
  /** Rows that are in order again. */
  clear(names: readonly string[]): Promise<void>;
  has(name: string): boolean;
  names(): Iterable<string>;
  /** No row is set aside. */
  readonly isEmpty: boolean;
  /** Entities of which deletes are held. */
  readonly flooded: readonly string[];
  /** The hold of an entity, as it is or made now; `waiting` is called before anybody sees it. */
  hold(
    entity: string,
    reason: 'flood' | 'truncate',
    detail: string,
    waiting: (id: number) => void,
  ): Promise<number>;
  isHeld(id: number): Promise<boolean>;
  release(id: number): Promise<void>;
}

const now = (): Micros => Date.now() * 1000;

/** What names a row of the source, as one entity has it. */
export const nameOf = (entity: string, key: string): string => JSON.stringify([entity, key]);

export const namedBy = (name: string) => JSON.parse(name) as [entity: string, key: string];

export async function openAside(
  decisions: Decisions,
  { to, routes }: Feed,
  told: (parked: readonly Parked[]) => void,
): Promise<Aside> {
  const { desk } = decisions.ledger;
  const entities = new Set([...routes.values()].flat().map(({ entity }) => entity.name));
  /** Numbers by row; a row may be wrong in the source and refused by the target at once. */
  const rows = new Map<string, number[]>();
  const holds = new Map<string, number>();
  const flooded = new Set<string>();
  const note = (item: Parked): void => {
    if (item.kind === 'hold') {
      holds.set(nameOf(item.entity, item.reason), item.id);
      if (item.reason === 'flood') flooded.add(item.entity);
    } else if (item.kind === 'row') {
      const name = nameOf(item.entity, item.key);
      rows.set(name, [...(rows.get(name) ?? []), item.id]);
    }
  };
  for await (const item of everyParked(decisions.ledger)) {
    if (item.system === to && entities.has(item.entity)) note(item);
  }
  /** Known, and not discarded by a person since. */
  const isAside = async (name: string): Promise<boolean> => {
    for (const id of rows.get(name) ?? []) if ((await desk.parkedOne(id)) !== null) return true;
    rows.delete(name);
    return false;
  };
  return {
    get isEmpty() {
      return rows.size === 0;
    },
    has: (name) => rows.has(name),
    names: () => rows.keys(),
    flooded: [...flooded],
    async put(some) {
      const fresh: AsideRow[] = [];
      for (const row of some) if (!(await isAside(nameOf(row.entity, row.key)))) fresh.push(row);
      if (fresh.length === 0) return;
      const { parked } = await decisions.decide([], undefined, (w) => {
        for (const row of fresh) {
          const id = w.numbers.case++;
          const item: ParkedRow = {
            ...{ ...row, system: to, id, kind: 'row', since: now(), cells: {}, waits: null },
          };
          w.parked.set(id, item);
        }
      });
      for (const item of parked) note(item);
      told(parked);
    },
    async clear(names) {
      const ids = names.flatMap((name) => rows.get(name) ?? []);
      if (ids.length === 0) return;
      await decisions.decide([], undefined, (w) => {
        for (const id of ids) w.unparked.add(id);
      });
      for (const name of names) rows.delete(name);
    },
    async hold(entity, reason, detail, waiting) {
      const known = holds.get(nameOf(entity, reason));
      if (known !== undefined && (await desk.parkedOne(known)) !== null) {
        waiting(known);
        return known;
      }
      const { parked } = await decisions.decide([], undefined, (w) => {
        const id = w.numbers.case++;
        // Before anybody can see it, and answer.
        waiting(id);
        const item: ParkedHold = {
          ...{ id, kind: 'hold', system: to, entity, since: now(), reason, detail, records: [] },
        };
        w.parked.set(id, item);
      });
      for (const item of parked) note(item);
      told(parked);
      return parked[0]!.id;
    },
    async release(id) {
      await decisions.decide([], undefined, (w) => void w.unparked.add(id));
    },
    isHeld: async (id) => (await desk.parkedOne(id)) !== null,
  };
}
