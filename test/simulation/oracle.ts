import type { Entity, Lens } from '../../src/contract/entity.ts';
import type { JournalEntry, Parked } from '../../src/contract/ledger.ts';
import { RECORD_UNIT, type RecordState } from '../../src/model/record.ts';
import type { Cell, Value } from '../../src/model/value.ts';
import type { Write } from './history.ts';
import { FOLLOWED, SHAPES } from './installation.ts';
import { checkJournal } from './judge.ts';
import { checkSums } from './sums.ts';
import type { RowChange, StoredRow } from './system.ts';
import { type Outcome, Violation } from './world.ts';

/** Everything the ledger holds at the end. */
export interface State {
  readonly outcome: Outcome;
  readonly records: ReadonlyMap<number, RecordState>;
  readonly journal: readonly JournalEntry[];
  readonly parked: readonly Parked[];
  readonly outbox: Readonly<Record<string, { depth: number }>>;
}

const ALL = { limit: 1_000_000 };

/**
 * Judges a finished run by what the systems hold and by what their users did; the ledger is asked
 * only for what it claims.
 */
export async function judge(outcome: Outcome): Promise<Violation[]> {
  if (outcome.violations.length > 0 || outcome.lost) return outcome.violations;
  const { desk } = outcome.ledger;
  const records = new Map<number, RecordState>();
  for (const entity of outcome.entities) {
    for (const system of entity.lenses.keys()) {
      for (const record of await desk.linked(system, entity.name, null, ALL.limit)) {
        records.set(record.id, record);
      }
    }
  }
  const parked = await desk.parked(ALL);
  const named = parked.flatMap((one) => (one.kind === 'delivery' ? [one.record] : []));
  for (const record of (await outcome.ledger.find({ records: named })).records) {
    if (record !== null) records.set(record.id, record);
  }
  const state: State = {
    outcome,
    records,
    journal: await desk.conflicts(ALL),
    parked,
    outbox: (await desk.counts()).outbox,
  };
  const found: Violation[] = [];
  const fail = (check: string, detail: string): void =>
    void found.push(new Violation(check, detail));
  checkRest(state, fail);
  for (const entity of outcome.entities) {
    for (const lens of entity.lenses.values()) checkRows(state, entity, lens, fail);
  }
  for (const record of records.values()) checkRecord(state, record, fail);
  checkParked(state, fail);
  checkJournal(state, fail);
  checkNothingLost(state, fail);
  checkSums(state, fail);
  return found;
}

export type Fail = (check: string, detail: string) => void;

export const entityOf = ({ outcome }: State, name: string): Entity => {
  const entity = outcome.entities.find((one) => one.name === name);
  if (entity === undefined) throw new Error(`no entity ${name}`);
  return entity;
};

/** Which real-world thing a record is about. */
export const whoOf = (record: RecordState): string => (record.values[0] ?? '').replace(/~.*/, '');

/** Invariant 5 and the ledger's own order: nothing is left to do, and it did not take for ever. */
function checkRest(state: State, fail: Fail): void {
  const { outcome, records, outbox } = state;
  for (const [system, { depth }] of Object.entries(outbox)) {
    const orphans = [...records.values()].filter((record) => isOrphan(state, record, system));
    const left = depth - orphans.length;
    if (left > 0) fail('outbox', `${left} deliveries to ${system} are left`);
  }
  for (const record of records.values()) {
    const dangling = Object.keys(record.outbox).filter((one) => !isOrphan(state, record, one));
    if (dangling.length > 0) fail('outbox', `record ${record.id} waits for ${dangling}`);
  }
  const { stopped, ended, writes } = outcome.figures;
  if (ended - stopped > 200 + 10 * writes) {
    fail('termination', `${ended - stopped} transactions after the users stopped`);
  }
}

/** The system took it along when its parent was deleted. */
export const wentAlong = ({ outcome }: State, who: string): boolean =>
  outcome.history.removals.some((one) => one.who === who && one.cascaded === true);

const isParked = ({ parked }: State, id: number, system: string): boolean =>
  parked.some((one) => one.kind === 'delivery' && one.system === system && one.record === id);

/**
 * It waits for a row of its parent there, which in turn waits for a person. Only who is to say the
 * parent's key there has to wait.
 */
function isOrphan(state: State, record: RecordState, system: string): boolean {
  if (record.outbox[system] === undefined || record.deleted !== null) return false;
  return entityOf(state, record.entity).fields.some(({ ref }, f) => {
    if (record.views[system]?.values[f] === record.values[f]) return false;
    const parent = ref === null ? undefined : state.records.get(Number(record.values[f] ?? 0));
    if (parent === undefined || parent.views[system]?.status === 'linked') return false;
    // A person has to decide whether the parent is deleted, or somebody's rows keep it elsewhere.
    const kept = Object.keys(parent.views).some((name) => isParked(state, parent.id, name));
    const open =
      isHeld(entityOf(state, parent.entity), parent, 0) || (parent.deleted !== null && kept);
    return open || isParked(state, parent.id, system);
  });
}

/** Invariant 6 from the rows' side: each is linked, and its record's view is what it holds. */
function checkRows(state: State, entity: Entity, lens: Lens, fail: Fail): void {
  const { outcome, records, parked } = state;
  const system = outcome.systems.get(lens.system);
  if (system === undefined) return;
  const linked = new Map<string, RecordState>();
  for (const record of records.values()) {
    const view = record.views[lens.system];
    if (record.entity !== entity.name || view?.status !== 'linked') continue;
    const other = linked.get(view.key);
    if (other) fail('links', `${lens.system} ${view.key}: records ${other.id} and ${record.id}`);
    linked.set(view.key, record);
  }
  for (const row of system.visible(lens.table.name)) {
    const key = system.keyOf(lens.table.name, row.cells);
    const cells = lens.table.columns.map((column) => row.cells[column] ?? null);
    const read = lens.read(cells, () => undefined);
    const record = linked.get(key);
    linked.delete(key);
    const aside = parked.some(
      (one) => one.kind === 'row' && one.system === lens.system && one.key === key,
    );
    if (read.kind !== 'row') {
      if (record) fail('links', `${lens.system} ${key} is ${read.kind} but linked`);
    } else if (record === undefined) {
      if (!aside) fail('lost', `row ${key} of ${lens.system} ${entity.name} has no record`);
    } else checkView(state, record, entity, lens, read.values, fail);
  }
  for (const [key, record] of linked) {
    fail('links', `record ${record.id} is linked to ${lens.system} ${key}, which is gone`);
  }
}

function checkView(
  { records }: State,
  record: RecordState,
  entity: Entity,
  lens: Lens,
  values: readonly Cell[],
  fail: Fail,
): void {
  const view = record.views[lens.system];
  for (const [f, field] of entity.fields.entries()) {
    let value = values[f];
    if (field.ref !== null && typeof value === 'string') {
      const key = value;
      const parent = [...records.values()].find(
        ({ entity: name, views }) => name === field.ref && views[lens.system]?.key === key,
      );
      value = parent === undefined ? `no ${field.ref} ${key}` : String(parent.id);
    }
    if (value !== view?.values[f]) {
      const [holds, thinks] = [JSON.stringify(value), JSON.stringify(view?.values[f])];
      fail('view', `${lens.system} ${view?.key} ${field.name} holds ${holds}, the view ${thinks}`);
    }
  }
}

export const isHeld = (entity: Entity, record: RecordState, f: number): boolean => {
  const unit = entity.units[entity.unitOf[f] ?? -1]?.name ?? '';
  return record.held?.[RECORD_UNIT] !== undefined || record.held?.[unit] !== undefined;
};

/** Invariant 6 from the record's side: every system agrees with it, or a person has to decide. */
function checkRecord(state: State, record: RecordState, fail: Fail): void {
  const { outcome } = state;
  const entity = entityOf(state, record.entity);
  const systems = Object.keys(record.views);
  const left = systems.filter((system) => !isParked(state, record.id, system));
  if (record.deleted !== null && record.held === null && left.length > 0) {
    fail('deleted', `record ${record.id} is deleted but linked to ${Object.keys(record.views)}`);
  }
  for (const lens of entity.lenses.values()) {
    const view = record.views[lens.system];
    const stuck = isParked(state, record.id, lens.system) || isOrphan(state, record, lens.system);
    if (view === undefined || view.status === 'unlinked') {
      // Its number is in dispute: nobody knows yet which row it would be.
      if (stuck || isHeld(entity, record, 0)) continue;
      if (view === undefined && record.deleted === null) {
        fail('missing', `record ${record.id} (${whoOf(record)}) has no row in ${lens.system}`);
      }
      const disturbed = outcome.diary.disturbed.has(whoOf(record));
      if (view !== undefined && !disturbed && !wentAlong(state, whoOf(record))) {
        fail('missing', `record ${record.id} left ${lens.system} though nobody took it out`);
      }
      continue;
    }
    for (const [f, field] of entity.fields.entries()) {
      if (!lens.writes[f] || stuck || isHeld(entity, record, f)) continue;
      const [has, wants] = [view.values[f] ?? null, record.values[f] ?? null];
      if (has === wants || isRewritten(outcome, lens.system, field.name, has, wants)) continue;
      const values = `${JSON.stringify(has)} instead of ${JSON.stringify(wants)}`;
      fail('convergence', `${lens.system} ${view.key} (${whoOf(record)}) ${field.name}: ${values}`);
    }
  }
  for (const [f, field] of entity.fields.entries()) {
    const value = record.values[f] ?? null;
    if (value === null || !FOLLOWED.has(field.name)) continue;
    const write = outcome.history.find(`${entity.name}.${field.name}`, value);
    if (write === null && isBack(outcome, entity, record, field.name, value)) continue;
    if (write === null) fail('invented', `nobody wrote ${field.name} ${value}`);
    else if (write.who !== whoOf(record)) {
      fail('crossed', `${field.name} ${value} of ${write.who} is in ${whoOf(record)}`);
    }
  }
}

/**
 * A row that nobody knew any longer says what it says, as the ERP spells that: a user brought it
 * back that was hidden; or it was a parked copy of ours, and the one in its place was deleted, by
 * name or with all others, or a user changed the copy.
 */
function isBack(
  outcome: Outcome,
  { name }: Entity,
  record: RecordState,
  field: string,
  value: Value,
): boolean {
  const who = whoOf(record);
  const { hidden, renumbered, deletes } = outcome.diary;
  const { isOurs, isChanged } = makingOf(outcome, record);
  const left = deletes.some((one) => one.who === who) || (isOurs && isChanged);
  const isCopy = (left && renumbered.has(who)) || (isOurs && isTruncated(outcome, who));
  if (!isCopy && !hidden.has(who)) return false;
  return outcome.history.writes.some(
    (write) =>
      write.field === `${name}.${field}` &&
      write.who === who &&
      isRewritten(outcome, 'erp', field, value, write.value),
  );
}

/** Whether a TRUNCATE took a row of the thing, of which nobody knows until a person releases it. */
const isTruncated = ({ systems }: Outcome, who: string): boolean => {
  const system = systems.get('erp');
  const isIts = ({ table, before }: RowChange): boolean =>
    before !== null && system?.tables.get(table)?.who(before.cells) === who;
  return system?.log.some((one) => one.truncated !== null && one.changes.some(isIts)) === true;
};

/** Whether we inserted the row in the ERP, and whether a user changed it since. */
function makingOf({ systems }: Outcome, { entity, views }: RecordState) {
  const system = systems.get('erp');
  const table = SHAPES.erp?.find((shape) => shape.entity === entity)?.table ?? '';
  const images = (system?.log ?? []).flatMap(({ mark, changes }) =>
    changes.flatMap(({ table: of, before, after }) => {
      const isIts = of === table && after && system?.keyOf(table, after.cells) === views.erp?.key;
      return isIts ? [{ isNew: before === null, isOurs: mark !== null }] : [];
    }),
  );
  const made = images.findLastIndex(({ isNew }) => isNew);
  return {
    isOurs: images[made]?.isOurs === true,
    isChanged: images.slice(made + 1).some(({ isOurs }) => !isOurs),
  };
}

/** Whether a trigger made `has` out of `wants`. */
function isRewritten(
  { scenario }: Outcome,
  system: string,
  field: string,
  has: Value,
  wants: Value,
): boolean {
  const { triggers } = scenario.setup;
  if (system === 'crm' && field === 'note' && triggers.includes('fill')) {
    return has?.startsWith('crm:') === true;
  }
  if (triggers.includes('fight') && field === (system === 'crm' ? 'city' : 'note')) return true;
  if (system !== 'erp' || wants === null) return false;
  if (field === 'name' && triggers.includes('upper')) return has === wants.toUpperCase();
  return field === 'amount' && triggers.includes('round') && has === `${Number(wants).toFixed(1)}0`;
}

/** Nothing gives a row or a delivery a reason to be parked, but for a number that is taken. */
function checkParked(state: State, fail: Fail): void {
  for (const parked of state.parked) {
    if (parked.kind === 'delivery' && isTaken(state, parked)) continue;
    if (parked.kind === 'delivery' && isBound(state, parked)) continue;
    if (parked.kind === 'row' && parked.reason === 'duplicate' && isRenumbered(state, parked))
      continue;
    const { kind, reason, system, detail } = parked;
    fail('parked', `${kind} ${reason} in ${system}: ${detail}`);
  }
}

/**
 * While our insert was on its way somebody made the same thing there and gave it another number:
 * its guards could not see that they are one.
 */
const isRenumbered = ({ outcome }: State, { cells }: Extract<Parked, { kind: 'row' }>): boolean =>
  Object.values(cells ?? {}).some((cell) =>
    outcome.diary.renumbered.has(cell?.split('~')[0] ?? ''),
  );

/** A foreign key says no: rows refer to what is to be deleted, or the parent is not there. */
function isBound(
  state: State,
  { system: name, record: id, detail }: Extract<Parked, { kind: 'delivery' }>,
): boolean {
  const record = state.records.get(id);
  const system = state.outcome.systems.get(name);
  const foreign = state.outcome.scenario.setup.foreign?.[name];
  if (foreign === undefined || record === undefined || system === undefined) return false;
  if (record.entity === 'order') return isWithoutParent(state, record, name);
  if (record.deleted === null || !detail.startsWith('23503')) return false;
  const orders = [...system.tables.values()].find(({ references }) => references !== null);
  const column = orders?.references?.column ?? '';
  const key = record.views[name]?.key;
  return system.visible(orders?.name ?? '').some(({ cells }) => cells[column] === key);
}

function isWithoutParent({ records }: State, { entity, values }: RecordState, system: string) {
  const parent = records.get(Number(values[1] ?? 0));
  return entity === 'order' && values[1] !== null && parent?.views[system]?.status !== 'linked';
}

/**
 * A row that is outside of `where`, or of a record that a person has to decide about, keeps its
 * number and address: another row with one of them cannot be inserted.
 */
function isTaken(
  state: State,
  { system: name, record: id, entity: of }: Extract<Parked, { kind: 'delivery' }>,
): boolean {
  const record = state.records.get(id);
  const lens = entityOf(state, of).lenses.get(name);
  const system = state.outcome.systems.get(name);
  if (record === undefined || lens === undefined || system === undefined) return false;
  const own = record.views[name]?.status === 'linked' ? record.views[name].key : null;
  const columnOf = (f: number): string => lens.table.columns[lens.columnsOf[f]?.[0] ?? -1] ?? '';
  const unique = system.tables.get(lens.table.name)?.unique.flat() ?? [];
  const match = own === null ? entityOf(state, of).match.flat() : [];
  const fields = record.values.flatMap((_, f) =>
    match.includes(f) || unique.includes(columnOf(f)) ? [f] : [],
  );
  return system.visible(lens.table.name).some(({ cells }) => {
    if (system.keyOf(lens.table.name, cells) === own) return false;
    return fields.some((f) => {
      const cell = cells[columnOf(f)] ?? null;
      return cell !== null && cell.toLowerCase() === record.values[f]?.toLowerCase();
    });
  });
}

/**
 * Invariant 2: every write is in a row or in the record, or stands in the journal, or was
 * overwritten by one that had seen it and of which the same can be said.
 */
function checkNothingLost(state: State, fail: Fail): void {
  const { outcome, records, journal } = state;
  const { history, systems } = outcome;
  const covered = new Set<Write>();
  const cover = (write: Write | null): void => {
    const open = write === null ? [] : [write];
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      if (covered.has(at)) continue;
      covered.add(at);
      // Who saw one of two equal texts saw what the other says.
      open.push(...history.all(at.field, at.value));
      if (at.seen !== null) open.push(at.seen);
    }
  };
  for (const system of systems.values()) {
    for (const table of system.tables.keys()) {
      const rows: StoredRow[] = system.visible(table);
      for (const { authors } of rows) for (const write of Object.values(authors)) cover(write);
    }
  }
  const coverValues = (entity: Entity, fields: readonly number[], values: readonly Value[]) => {
    fields.forEach((f, i) => {
      const name = `${entity.name}.${entity.fields[f]?.name}`;
      for (const write of history.all(name, values[i] ?? null)) cover(write);
    });
  };
  for (const record of records.values()) {
    const entity = entityOf(state, record.entity);
    coverValues(entity, [...entity.fields.keys()], record.values);
  }
  for (const entry of journal) {
    const entity = entityOf(state, entry.entity);
    const unit = entity.units.find(({ name }) => name === entry.unit);
    const fields = unit?.fields ?? [...entity.fields.keys()];
    for (const values of [entry.incoming.values, entry.standing.values, entry.outcome]) {
      if (values !== null) coverValues(entity, fields, values);
    }
  }
  for (const { seen } of history.removals) for (const write of seen) cover(write);
  for (const write of history.writes) {
    if (covered.has(write) || write.value === null) continue;
    // What an insert of ours leaves out and the system fills is a default, nobody's opinion.
    if (write.trigger && write.seen === null) continue;
    const [entity = '', field = ''] = write.field.split('.');
    const unseen = history.removals.some(({ system, who }) => {
      const shape = SHAPES[system]?.find((one) => one.entity === entity);
      return who === write.who && shape?.columns[field] === undefined;
    });
    // Deleted from where the field is not shown.
    if (unseen) continue;
    fail('lost', `${write.field} ${write.value} of ${write.who}, written in ${write.system}`);
  }
}
