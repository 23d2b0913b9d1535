/** The audits of both systems as what the oracle asks for: who wrote what, having seen what. */
import type { Change } from './audit.ts';
import { type EntityName, FOLLOWED, SUMMED, type SystemName } from './shapes.ts';

/** One value that a user gave to one field. */
export interface Write {
  readonly system: SystemName;
  readonly tx: string;
  readonly entity: EntityName;
  readonly who: string;
  readonly field: string;
  readonly value: string;
  /** What the row held before it. */
  readonly seen: string | null;
}

export interface History {
  readonly changes: readonly Change[];
  readonly writes: readonly Write[];
  /** What users removed, with what it held. */
  readonly removed: readonly Change[];
  /** `entity who`: what users added to the summed field, over both systems. */
  readonly sums: ReadonlyMap<string, number>;
  /** `entity who` of things that were deleted, hidden or renumbered by a user at some time. */
  readonly disturbed: ReadonlySet<string>;
  /** `entity who` of things that were made dead or none of the mapping's business. */
  readonly hidden: ReadonlySet<string>;
  /** Rows of one thing that were there at the same time, though they should be one. */
  readonly doubles: readonly Double[];
}

export interface Double {
  readonly system: SystemName;
  readonly thing: string;
  /** Whose transaction made the second row. */
  readonly by: string;
}

export const thingOf = (entity: EntityName, who: string): string => `${entity} ${who}`;

export function historyOf(changes: readonly Change[]): History {
  const writes: Write[] = [];
  const removed: Change[] = [];
  const sums = new Map<string, number>();
  const disturbed = new Set<string>();
  const hidden = new Set<string>();
  for (const change of changes) {
    const { entity, who, before, after, tx } = change;
    const thing = thingOf(entity, who);
    const gone = before !== null && !before.outside && (after === null || after.outside);
    if (after?.outside) hidden.add(thing);
    if (gone || after?.outside || (before && after && before.no !== after.no)) disturbed.add(thing);
    if (tx === null) continue;
    if (gone) removed.push(change);
    if (after === null) continue;
    writes.push(...writesOf(change, tx));
    const field = SUMMED[entity];
    if (field === undefined) continue;
    const by = Number(after.fields[field]) - Number(before?.fields[field] ?? 0);
    sums.set(thing, (sums.get(thing) ?? 0) + by);
  }
  return { changes, writes, removed, sums, disturbed, hidden, doubles: doublesOf(changes) };
}

function writesOf({ system, entity, who, before, after }: Change, tx: string): Write[] {
  return FOLLOWED[entity].flatMap((field) => {
    const value = after?.fields[field] ?? null;
    const seen = before?.fields[field] ?? null;
    // An amount of nothing, and an empty text, are what a new row holds by itself.
    if (value === null || value === '' || value === '0' || value === seen) return [];
    return [{ system, tx, entity, who, field, value, seen }];
  });
}

/** Follows the rows of each system through its audit. */
function doublesOf(changes: readonly Change[]): Double[] {
  const doubles: Double[] = [];
  const living = new Map<string, Set<string>>();
  for (const { system, entity, who, before, after, tx } of changes) {
    const thing = thingOf(entity, who);
    const name = `${system} ${thing}`;
    const rows = living.get(name) ?? new Set();
    living.set(name, rows);
    if (before !== null) rows.delete(before.key + (entity === 'line' ? before.no : ''));
    if (after === null || after.outside) continue;
    rows.add(after.key + (entity === 'line' ? after.no : ''));
    if (rows.size > 1) doubles.push({ system, thing, by: tx ?? 'Carrick' });
  }
  return doubles;
}
