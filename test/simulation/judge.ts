import type { Entity, Policy, Unit } from '../../src/contract/entity.ts';
import type { JournalEntry, JournalSide } from '../../src/contract/ledger.ts';
import { RECORD_UNIT } from '../../src/model/record.ts';
import type { Value } from '../../src/model/value.ts';
import { descends, type Write } from './history.ts';
import { FOLLOWED, shapeOf } from './installation.ts';
import { entityOf, type Fail, type State } from './oracle.ts';
import type { Outcome } from './world.ts';

/** Each conflict was one, was decided as its policy says, and is open only where it has to be. */
export function checkJournal(state: State, fail: Fail): void {
  for (const entry of state.journal) {
    if (entry.kind === 'resolution') continue;
    if (entry.unit === RECORD_UNIT) {
      checkDelete(state, entry, fail);
      continue;
    }
    const entity = entityOf(state, entry.entity);
    const unit = entity.units.find(({ name }) => name === entry.unit);
    if (unit === undefined) {
      fail('journal', `no unit ${entry.unit}`);
      continue;
    }
    checkOpen(state, entity, unit, entry, fail);
    checkPolicy(state, unit, entry, fail);
    if (entry.kind === 'conflict') checkConcurrent(state, entity, unit, entry, fail);
  }
}

const told = ({ id, entity, unit, policy, incoming, standing, outcome }: JournalEntry): string =>
  `case ${id} ${entity}.${unit} ${policy}: ${side(incoming)} against ${side(standing)}, ` +
  `outcome ${JSON.stringify(outcome)}`;

const side = ({ system, values, stamp }: JournalSide): string =>
  `${system} ${JSON.stringify(values)} @${stamp?.wall}`;

const toleranceOf = ({ outcome }: State): number =>
  ({ '0s': 0, '10ms': 10_000, '1s': 1_000_000 })[outcome.scenario.setup.tolerance] ?? 0;

function lead({ incoming, standing }: JournalEntry): number | null {
  if (!incoming.stamp?.wall || !standing.stamp?.wall) return null;
  return incoming.stamp.wall - standing.stamp.wall;
}

function undecidable(state: State, entry: JournalEntry): boolean {
  const gap = lead(entry);
  return gap === null || Math.abs(gap) <= toleranceOf(state);
}

function checkOpen(
  state: State,
  entity: Entity,
  unit: Unit,
  entry: JournalEntry,
  fail: Fail,
): void {
  const { triggers } = state.outcome.scenario.setup;
  if (entry.state !== 'open') return;
  const chain = entry.kind === 'first_contact' ? entity.firstContact : unit.chain;
  const explained =
    (entry.policy === 'park' && chain.some(({ kind }) => kind === 'park')) ||
    (entry.policy === 'undecided' && chain.every((one) => !decides(state, one, entry))) ||
    (entry.policy === 'flipping' && (triggers.includes('fight') || unit.name === 'tier'));
  if (!explained) fail('parked', told(entry));
}

/** Whether it has to choose: one that prefers a third system or goes by the clock may not. */
function decides(state: State, policy: Policy, entry: JournalEntry): boolean {
  const { incoming, standing } = entry;
  if (policy.kind === 'prefer') return [incoming.system, standing.system].includes(policy.system);
  return !undecidable(state, entry);
}

function checkPolicy(state: State, unit: Unit, entry: JournalEntry, fail: Fail): void {
  const { policy, incoming, standing, outcome, winner } = entry;
  const wrong = (): void => fail('policy', told(entry));
  if (outcome === null) return;
  const by = unit.fields.map((_, i): readonly [Value, Value, Value] => [
    incoming.values?.[i] ?? null,
    standing.values?.[i] ?? null,
    outcome[i] ?? null,
  ]);
  if (winner === incoming.system && winner !== standing.system) {
    if (by.some(([a, , c]) => a !== c)) wrong();
  }
  if (winner === standing.system && winner !== incoming.system) {
    if (by.some(([, b, c]) => b !== c)) wrong();
  }
  if (policy.startsWith('prefer: ') && winner !== null && winner !== policy.slice(8)) wrong();
  if (policy === 'max' && by.some(([a, b, c]) => c !== extreme(a, b))) wrong();
  if (policy === 'union' && by.some(([a, b, c]) => !isUnion(a, b, c))) wrong();
  if (policy === 'last_writer' || policy === 'first_writer') {
    const gap = lead(entry);
    const late = (gap ?? 0) > 0 === (policy === 'last_writer');
    if (undecidable(state, entry) || winner !== (late ? incoming : standing).system) wrong();
  }
  if (entry.kind === 'conflict' && policy !== 'held' && unit.name === 'tier') {
    // Both sides count, whether or not their systems have a row any more.
    const erp = [incoming, standing].find(({ system }) => system === 'erp');
    if (erp?.values?.[0] === 'platinum' && outcome[0] !== 'platinum') wrong();
  }
}

function extreme(a: Value, b: Value): Value {
  if (a === null || b === null) return a ?? b;
  return Number(a) > Number(b) ? a : b;
}

function isUnion(a: Value, b: Value, c: Value): boolean {
  const members = (value: Value): string[] => JSON.parse(value ?? '[]') as string[];
  const all = [...new Set([...members(a), ...members(b)])].sort();
  return JSON.stringify(all) === (c ?? '[]');
}

/** A conflict is two writes of which the later read one had not seen the other. */
function checkConcurrent(
  state: State,
  entity: Entity,
  unit: Unit,
  entry: JournalEntry,
  fail: Fail,
): void {
  const { outcome } = state;
  if (entry.policy === 'flipping') return;
  const names = unit.fields.map((f) => entity.fields[f]?.name ?? '');
  if (!names.every((name) => FOLLOWED.has(name))) return;
  const writeOf = (of: JournalSide, i: number): Write | null =>
    writeBehind(outcome, of, `${entity.name}.${names[i]}`, of.values?.[i] ?? null);
  const pairs = names.map(
    (_, i) => [writeOf(entry.incoming, i), writeOf(entry.standing, i)] as const,
  );
  // Emptying a cell is no write that could be followed.
  if (entry.incoming.values?.some((value) => value === null)) return;
  if (!pairs.some(([write]) => write?.system === entry.incoming.system)) {
    fail('spurious', `nobody in ${entry.incoming.system} wrote it: ${told(entry)}`);
  }
  const concurrent = pairs.some(([a, b]) => b !== null && (a === null || !descends(a, b)));
  const decided = state.journal.some(
    (before) =>
      before.id < entry.id &&
      before.record === entry.record &&
      JSON.stringify(chosenFor(unit, before)) === JSON.stringify(entry.standing.values),
  );
  if (decided) return;
  const undone = names.some((_, i) => (entry.standing.values?.[i] ?? null) === null);
  if (!concurrent && !undone) fail('spurious', `its author had seen the other: ${told(entry)}`);
  if (names.length > 1 || entity.name !== 'customer') return;
  const [first] = pairs;
  const write = first?.[0] ?? null;
  const wall = entry.incoming.stamp?.wall;
  // What is met for the first time was written at a time that nobody knows.
  if (entry.policy === 'held' || outcome.early.has(write as Write)) return;
  if (write === null || wall === undefined || wall === 0) return;
  // What was written while the row was parked is taken when it is mended: a later image of it.
  const late = outcome.diary.spoiled.has(write.who) || isWithheld(outcome, write);
  const log = outcome.systems.get(write.system)?.log ?? [];
  // In the order of the log: clocks jump.
  if (late && log.findLastIndex(({ at }) => at === wall) > placeOf(outcome, write)) return;
  // A trigger may make the same text twice.
  const times = outcome.history.all(write.field, write.value).map(({ at }) => at);
  if (!times.includes(wall)) fail('stamp', `written at ${write.at}: ${told(entry)}`);
}

/** What a case made of a unit; who takes a side of a delete decides every field. */
function chosenFor({ name, fields }: Unit, { unit, kind, outcome }: JournalEntry) {
  if (unit === name || outcome === null) return outcome;
  const isWhole = unit === RECORD_UNIT && kind === 'resolution';
  return isWhole ? fields.map((f) => outcome[f]) : null;
}

/**
 * The write that a side of a case tells of: a trigger may have made the same text again since. One
 * that was taken late, or whose time nobody knows, is the last that there was.
 */
function writeBehind(
  outcome: Outcome,
  { system, stamp }: JournalSide,
  field: string,
  value: Value,
): Write | null {
  const same = outcome.history.all(field, value);
  const meant = same.findLast((write) => write.system === system && write.at === stamp?.wall);
  return meant ?? same.at(-1) ?? null;
}

/**
 * Written before its table fitted for good: while it does not, which is seen a little before the
 * log tells of it, rows are set aside. Such a write shows with a later image of its row, if at all.
 */
function isWithheld(outcome: Outcome, write: Write): boolean {
  const { system, field } = write;
  const { table } = shapeOf(system, field.startsWith('order.') ? 'order' : 'customer');
  const log = outcome.systems.get(system)?.log ?? [];
  return placeOf(outcome, write) <= log.findLastIndex(({ drift }) => drift?.table === table);
}

const placeOf = ({ systems }: Outcome, { system, at: written }: Write): number =>
  systems.get(system)?.log.findIndex(({ at }) => at === written) ?? -1;

function checkDelete(state: State, entry: JournalEntry, fail: Fail): void {
  const { deletes, triggers } = state.outcome.scenario.setup;
  const { policy, state: how } = entry;
  if (policy === 'flipping') {
    if (!triggers.includes('fight')) fail('parked', told(entry));
    return;
  }
  if (policy !== deletes) fail('policy', told(entry));
  const open = deletes === 'park' || (deletes === 'last_writer' && undecidable(state, entry));
  if ((how === 'open') !== open && how !== 'resolved') fail('policy', told(entry));
  if (open || how !== 'settled') return;
  const deleter = entry.incoming.values === null ? entry.incoming : entry.standing;
  const keeper = deleter === entry.incoming ? entry.standing : entry.incoming;
  const later = (deleter.stamp?.wall ?? 0) > (keeper.stamp?.wall ?? 0);
  const wins = deletes === 'delete_wins' || (deletes === 'last_writer' && later);
  if (entry.winner !== (wins ? deleter : keeper).system) fail('policy', told(entry));
}
