import type { Difference, Operator, Verified, VerifyPart } from '../contract/operator.ts';
import { compareDigests, type Digesting, type Mapped, type Suspects } from './digests.ts';

/** A row that changes all the time is looked at so often, and then left out. */
const LOOKS = 5;
/** So often we ask whether the logs were read; each time takes some seconds. */
const PATIENCE = 8;
const SUSPECTS = 200;
/** Differences that are kept; all are counted. */
const SHOWN = 1000;

export type Found = Difference & { readonly entity: string };

export interface Verdict {
  readonly checked: number;
  readonly found: number;
  readonly leftOut: number;
  /** What could not be compared, and why. */
  readonly unchecked: readonly {
    readonly system: string;
    readonly entity: string;
    readonly why: 'does not fit its mapping' | 'its log is not read up to now';
  }[];
  /** How each entity was compared; `why` not by digests. */
  readonly compared: readonly {
    readonly entity: string;
    readonly by: 'digests' | 'rows';
    readonly why: string | null;
  }[];
  readonly differences: readonly Found[];
}

export interface Comparing extends Digesting {
  readonly personal: boolean;
  /** Told of all differences that stand, a few at a time. */
  readonly tell: (found: readonly Found[]) => Promise<void>;
}

/** Tallies of a comparison that is going on. */
interface Tally {
  checked: number;
  found: number;
  leftOut: number;
  readonly unchecked: Verdict['unchecked'][number][];
  readonly compared: Verdict['compared'][number][];
  readonly differences: Found[];
}

/** All of the entities, in bounded memory: only so many differences are kept. */
export async function compareAll(
  comparing: Comparing,
  entities: readonly Mapped[],
): Promise<Verdict> {
  const compared: Tally['compared'] = [];
  const tally: Tally = {
    ...{ checked: 0, found: 0, leftOut: 0 },
    ...{ unchecked: [], compared, differences: [] },
  };
  const { records } = await comparing.operator.status();
  for (const entity of entities) {
    const { name } = entity;
    const suspects = await compareDigests(comparing, entity, records[name] ?? 0);
    if (typeof suspects === 'string') {
      compared.push({ entity: name, by: 'rows', why: suspects });
      await compareRows(comparing, entity, tally);
    } else {
      compared.push({ entity: name, by: 'digests', why: null });
      tally.checked += suspects.checked;
      await lookAt(comparing, name, suspects, tally);
    }
  }
  return tally;
}

/** Every row with its record, and every record with its row. */
async function compareRows(
  comparing: Comparing,
  { name: entity, lenses }: Mapped,
  tally: Tally,
): Promise<void> {
  const { operator, pace, personal } = comparing;
  for (const system of lenses.keys()) {
    for (const kind of ['rows', 'records'] as const) {
      for (let after: string | null = null; ; ) {
        const page: Verified = await operator.verify(entity, system, { kind, after }, personal);
        if (kind === 'rows') {
          tally.checked += page.checked;
          tally.leftOut += page.leftOut;
          const why = 'does not fit its mapping';
          if (page.held) tally.unchecked.push({ system, entity, why });
        }
        await settle(comparing, { entity, system }, page.differences, tally);
        await pace(page.checked);
        after = page.next;
        if (after === null) break;
      }
    }
  }
}

/** Rows whose digests differ, and the rows of the same records in the other system. */
async function lookAt(
  comparing: Comparing,
  entity: string,
  { keys }: Suspects,
  tally: Tally,
): Promise<void> {
  const { operator, personal } = comparing;
  const wanted = new Map([...keys].map(([system, own]) => [system, new Set(own)] as const));
  const seen = new Map([...keys.keys()].map((system) => [system, new Set<string>()] as const));
  for (let left = true; left; ) {
    left = false;
    for (const [system, own] of wanted) {
      const page = [...own].slice(0, SUSPECTS);
      if (page.length === 0) continue;
      left = true;
      for (const key of page) {
        own.delete(key);
        seen.get(system)?.add(key);
      }
      const part: VerifyPart = { kind: 'keys', keys: page };
      const found = await operator.verify(entity, system, part, personal);
      tally.leftOut += found.leftOut;
      for (const { system: other, key } of found.elsewhere) {
        if (seen.get(other)?.has(key) === false) wanted.get(other)?.add(key);
      }
      await settle(comparing, { entity, system }, found.differences, tally);
    }
  }
}

interface Place {
  readonly entity: string;
  readonly system: string;
}

/**
 * Which differences stand: those that two looks show alike, between which all logs were read up to
 * the first. What was on its way then has arrived, or is in the outbox.
 */
async function settle(
  comparing: Comparing,
  { entity, system }: Place,
  suspected: readonly Difference[],
  tally: Tally,
): Promise<void> {
  const { operator, tell, personal } = comparing;
  for (let at = 0; at < suspected.length; at += SUSPECTS) {
    let open = new Map(suspected.slice(at, at + SUSPECTS).map((one) => [nameOf(one), one]));
    const standing: Found[] = [];
    for (let look = 0; open.size > 0 && look < LOOKS; look++) {
      if (!(await caughtUp(operator, entity))) {
        const known = tally.unchecked.some((one) => one.entity === entity && one.system === system);
        const why = 'its log is not read up to now';
        if (!known) tally.unchecked.push({ entity, system, why });
        return;
      }
      const keys = [...new Set([...open.values()].map(({ key }) => key))];
      const part: VerifyPart = { kind: 'keys', keys };
      const again = await operator.verify(entity, system, part, personal);
      const next = new Map<string, Difference>();
      for (const one of again.differences) {
        const before = open.get(nameOf(one));
        if (before === undefined) continue;
        if (before.as === one.as) standing.push({ ...one, entity });
        else next.set(nameOf(one), one);
      }
      open = next;
    }
    if (standing.length === 0) continue;
    tally.found += standing.length;
    tally.differences.push(...standing.slice(0, Math.max(0, SHOWN - tally.differences.length)));
    await tell(standing);
  }
}

async function caughtUp(operator: Operator, entity: string): Promise<boolean> {
  for (let time = 0; time < PATIENCE; time++) if (await operator.caughtUp(entity)) return true;
  return false;
}

const nameOf = ({ kind, system, key }: Difference): string => JSON.stringify([kind, system, key]);
