/**
 * What must hold where nothing is left to do, by what users did and what rows hold; the ledger is
 * asked only for what it claims. Nothing in here knows how conflicts are found.
 */
import type { JournalEntry, JournalSide } from '../../src/contract/ledger.ts';
import { RECORD_UNIT, type RecordState } from '../../src/model/record.ts';
import type { Value } from '../../src/model/value.ts';
import type { Ground } from './moves.ts';
import { authorOf, KEY, type Operation, type World } from './world.ts';

export function violations(world: World, ground: Ground): string[] {
  const { disk } = world;
  const records = [...disk.records.values()];
  const found: string[] = [];
  if (disk.outbox.size > 0) found.push(`${disk.outbox.size} deliveries are left`);
  for (const { kind, reason, system } of disk.parked.values()) {
    found.push(`parked without need: ${kind} ${reason} in ${system}`);
  }
  if (records.length > 1) found.push(`doubled: ${records.length} records of one thing`);
  const [record] = records;
  found.push(...disagreements(world, record), ...lost(world, record));
  for (const entry of disk.journal.values()) {
    found.push(...(entry.unit === RECORD_UNIT ? judgeDelete : judgeConflict)(world, ground, entry));
  }
  return found;
}

/** Invariant 6, and no row twice (invariant 4). */
function disagreements({ systems }: World, record: RecordState | undefined): string[] {
  const found: string[] = [];
  for (const { name, rows } of systems.values()) {
    if (rows.length > 1) found.push(`doubled: ${name} has ${rows.length} rows of one thing`);
    const [row] = rows;
    if (record?.held?.[RECORD_UNIT] !== undefined) continue;
    const view = record?.views[name];
    if (row === undefined) {
      if (record !== undefined) found.push(`${name} has no row of record ${record.values}`);
      continue;
    }
    if (record === undefined || view?.key !== row.id) {
      found.push(`row ${row.id} of ${name} is linked to no record`);
      continue;
    }
    for (const [f, value] of row.values.entries()) {
      if (view.values[f] !== value) found.push(`view of ${name}: ${view.values[f]}, not ${value}`);
      const held = record.held?.[['k', 'a', 'b'][f] ?? ''] !== undefined;
      if (!held && record.values[f] !== value) {
        found.push(`${name} holds ${value}, the record ${record.values[f]}`);
      }
    }
  }
  return found;
}

/** Invariant 2: each write stands somewhere, or was overwritten by one that had seen it. */
function lost(world: World, record: RecordState | undefined): string[] {
  const { systems, disk, operations } = world;
  const kept = new Set<string>();
  const keep = (values: readonly Value[] | null | undefined): void => {
    for (const value of values ?? []) if (value !== null) kept.add(value);
  };
  const rows = [...systems.values()].flatMap((system) => system.rows);
  for (const { values } of rows) keep(values);
  keep(record?.values);
  const entries = [...disk.journal.values()];
  for (const { incoming, standing } of entries) {
    keep(incoming.values);
    keep(standing.values);
  }
  for (const [i, removal] of operations.entries()) {
    if (removal.kind !== 'delete') continue;
    const name = `d${i + 1}`;
    const journalled = entries.some(
      ({ incoming, standing }) => incoming.values === null || standing.values === null,
    );
    const madeAnew = operations.some(({ kind }, j) => {
      return kind === 'insert' && !removal.seen.has(`a${j + 1}`);
    });
    if (rows.length === 0 || journalled || madeAnew) kept.add(name);
  }
  for (let size = -1; size !== kept.size; ) {
    size = kept.size;
    for (const { wrote, seen } of operations) {
      if (wrote.some((value) => kept.has(value))) for (const value of seen) kept.add(value);
    }
  }
  return operations.flatMap(({ wrote }) =>
    wrote.filter((value) => !kept.has(value)).map((value) => `lost: ${value}`),
  );
}

const told = ({ kind, unit, policy, state, incoming, standing, outcome }: JournalEntry): string =>
  `${kind} of ${unit}: ${side(incoming)} against ${side(standing)}, ${policy} ${state} ${outcome}`;

const side = ({ system, values }: JournalSide): string => `${system} ${values ?? 'gone'}`;

/** A conflict is two writes of which neither author had seen the other's. */
function judgeConflict(world: World, { bound }: Ground, entry: JournalEntry): string[] {
  const { incoming, standing, policy, outcome, state } = entry;
  const [x, y] = [incoming.values?.[0] ?? null, standing.values?.[0] ?? null];
  if (x === null || y === null) return [`a side without a value: ${told(entry)}`];
  const [one, other] = [authorOf(world, x), authorOf(world, y)];
  const knowing = one?.seen.has(y) === true || other?.seen.has(x) === true;
  // Whose delete lost has no row until it is written anew; one that is made there meanwhile meets
  // the record as any new row does.
  const metAgain = entry.kind === 'first_contact' && hasLostDelete(world, entry);
  if (knowing && !metAgain && !broughtBack(world, one, y)) {
    return [`spurious, one had seen the other: ${told(entry)}`];
  }
  if (policy === 'held') return [];
  const chosen = outcome?.[0] ?? null;
  const expected = choice(bound, entry, x, y, one, other);
  // What a third system holds may win as well: it is one of the two by now.
  if (policy.startsWith('prefer') && expected === null)
    return [x, y].includes(`${chosen}`) ? [] : [told(entry)];
  if (state === 'settled' ? chosen !== expected : expected !== null) {
    return [`${expected} should win: ${told(entry)}`];
  }
  return [];
}

const hasLostDelete = ({ disk }: World, { id }: JournalEntry): boolean =>
  [...disk.journal.values()].some((earlier) => earlier.unit === RECORD_UNIT && earlier.id < id);

/**
 * A row of ours may arrive after the record was deleted in that very system: an older one is there
 * again, and who writes into it has that one before him, whatever he once deleted.
 */
const broughtBack = ({ operations }: World, author: Operation | undefined, value: string) =>
  operations.some(
    ({ kind, system, seen }) => kind === 'delete' && system === author?.system && seen.has(value),
  );

/** What the policies say, by their definition; null: a person decides. */
function choice(
  { policy, systems }: Ground['bound'],
  { kind, incoming, standing }: JournalEntry,
  x: string,
  y: string,
  one: Operation | undefined,
  other: Operation | undefined,
): string | null {
  const preferred = systems.at(-1);
  if (kind === 'first_contact' || policy === 'prefer') {
    if (incoming.system === preferred) return x;
    if (standing.system === preferred) return y;
  }
  if (kind === 'first_contact' || policy === 'park') return null;
  return (one?.at ?? 0) > (other?.at ?? 0) ? x : y;
}

/** A delete by someone who had seen all of what stands is no conflict. */
function judgeDelete(world: World, { bound }: Ground, entry: JournalEntry): string[] {
  const deleter = entry.incoming.values === null ? entry.incoming : entry.standing;
  const keeper = deleter === entry.incoming ? entry.standing : entry.incoming;
  const removals = world.operations.filter(
    ({ system, kind }) => kind === 'delete' && system === deleter.system,
  );
  const values = (keeper.values ?? []).filter((value) => value !== null && value !== KEY);
  const found: string[] = [];
  if (!removals.some(({ seen }) => values.some((value) => value !== null && !seen.has(value)))) {
    found.push(`spurious, it was deleted with open eyes: ${told(entry)}`);
  }
  const open = bound.deletes === 'park' && entry.state !== 'settled';
  if (entry.policy !== bound.deletes) found.push(`policy: ${told(entry)}`);
  if (bound.deletes === 'update_wins' && entry.winner !== keeper.system) {
    found.push(`the update should win: ${told(entry)}`);
  }
  if (bound.deletes === 'delete_wins' && entry.winner !== deleter.system) {
    found.push(`the delete should win: ${told(entry)}`);
  }
  if (bound.deletes === 'park' && !open) found.push(`a person should decide: ${told(entry)}`);
  return found;
}
