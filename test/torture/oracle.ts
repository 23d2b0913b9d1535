/**
 * Judges what both systems hold by what their users did. Carrick is asked only for what it claims:
 * its conflict journal and what it parked.
 */
import type { JournalEntry, Parked } from '../../src/contract/ledger.ts';
import { type Book, type Entry, isInside } from './books.ts';
import type { Diary } from './diary.ts';
import { type History, thingOf, type Write } from './history.ts';
import { type EntityName, FOLLOWED, plain, SUMMED, SYSTEMS, type SystemName } from './shapes.ts';

export interface Evidence {
  readonly history: History;
  readonly books: Readonly<Record<SystemName, Book>>;
  /** Of every ledger that there was. */
  readonly journal: readonly JournalEntry[];
  readonly parked: readonly ParkedThing[];
  readonly diary: Diary;
  /**
   * Things that a user wrote while no ledger existed: where rows differed afterwards first contact
   * chose, deletes were not seen (RUNBOOK, Beginning anew), and sums are not plain.
   */
  readonly unwatched: ReadonlySet<string>;
  /**
   * Things that may be there twice: made and renumbered while what was on its way was lost with a
   * log, or renumbered without a ledger (RUNBOOK, Rejoining a system, Beginning anew).
   */
  readonly twofold: ReadonlySet<string>;
  /** Things whose sums were being written to a system when its log was lost (the same place). */
  readonly unconfirmed: ReadonlySet<string>;
}

export interface ParkedThing {
  readonly parked: Parked;
  /** `entity who`, where it can be told. */
  readonly thing: string;
}

export interface Violation {
  readonly check: string;
  readonly detail: string;
  /** `entity who` and values: what its history is searched for. */
  readonly about: readonly string[];
}

type Fail = (check: string, detail: string, ...about: string[]) => void;

export function judge(evidence: Evidence): Violation[] {
  const found: Violation[] = [];
  const fail: Fail = (check, detail, ...about) => void found.push({ check, detail, about });
  checkDiary(evidence, fail);
  checkDoubles(evidence, fail);
  checkAgreement(evidence, fail);
  checkTotals(evidence, fail);
  checkNothingLost(evidence, fail);
  checkNothingInvented(evidence, fail);
  checkSums(evidence, fail);
  checkParked(evidence, fail);
  return found;
}

/** The databases kept what they acknowledged, and nothing that was rolled back. */
function checkDiary({ history, diary }: Evidence, fail: Fail): void {
  const known = new Set(history.changes.map(({ tx }) => tx));
  for (const [tx, { outcome, rows }] of diary.attempts) {
    if (outcome === 'committed' && rows > 0 && !known.has(tx)) fail('diary', `${tx} is gone`, tx);
    if (outcome === 'rolled back' && known.has(tx)) fail('diary', `${tx} was rolled back`, tx);
  }
}

function checkDoubles({ history, books, twofold }: Evidence, fail: Fail): void {
  // Hidden and renumbered in one system, it comes back as another thing.
  const excused = history.hidden.union(twofold);
  for (const { system, thing, by } of history.doubles) {
    if (!excused.has(thing)) {
      fail('doubled', `${thing} in the ${system}, by ${by}`, thing.split(' ')[1] ?? '');
    }
  }
  for (const system of SYSTEMS) {
    for (const [entity, things] of books[system]) {
      for (const [who, entries] of things) {
        const count = entries.filter(isInside).length;
        if (count > 1 && !excused.has(thingOf(entity, who)))
          fail('doubled', `${system} has ${count} rows of ${entity} ${who}`, who);
      }
    }
  }
}

/** Both systems say the same of every thing. */
function checkAgreement({ books, history, parked, twofold }: Evidence, fail: Fail): void {
  const stuck = new Set(parked.map(({ thing }) => thing));
  for (const [entity, ours] of books.crm) {
    const theirs = books.erp.get(entity) ?? new Map<string, readonly Entry[]>();
    for (const who of new Set([...ours.keys(), ...theirs.keys()])) {
      const thing = thingOf(entity, who);
      // Once hidden in one system a thing need not be there any more (README, Limits).
      if (history.hidden.has(thing) || stuck.has(thing) || twofold.has(thing)) continue;
      const [crm] = (ours.get(who) ?? []).filter(isInside);
      const [erp] = (theirs.get(who) ?? []).filter(isInside);
      if (crm === undefined && erp === undefined) continue;
      if (crm === undefined || erp === undefined) {
        fail('agreement', `${thing} is only in the ${crm === undefined ? 'erp' : 'crm'}`, who);
        continue;
      }
      for (const field of Object.keys(crm)) {
        if (crm[field] === erp[field]) continue;
        fail('agreement', `${thing} ${field}: crm ${crm[field]}, erp ${erp[field]}`, who);
      }
    }
  }
}

/** The ERP adds up an order by triggers, also when Carrick writes its lines. */
function checkTotals({ books }: Evidence, fail: Fail): void {
  const sums = new Map<string, number>();
  for (const [, [line]] of books.erp.get('line') ?? []) {
    const order = line?.order ?? '';
    const amount = Math.round(Number(line?.quantity) * Number(line?.each) * 100);
    sums.set(order, (sums.get(order) ?? 0) + amount);
  }
  for (const [who, [order]] of books.erp.get('order') ?? []) {
    const cents = Math.round(Number(order?.total) * 100);
    if (cents !== (sums.get(who) ?? 0)) {
      fail(
        'total',
        `order ${who} says ${order?.total}, its lines ${(sums.get(who) ?? 0) / 100}`,
        who,
      );
    }
  }
}

const valueName = (entity: string, field: string, value: string): string =>
  `${entity}.${field}=${value}`;

/** The fields of a record in the order of its mapping: what a journal entry of deletes holds. */
const RECORD_FIELDS: Readonly<Record<string, readonly string[]>> = {
  customer: ['no', 'name', 'phone', 'tier', 'credit', 'points', 'note', 'street', 'city'],
  product: ['no', 'title', 'price', 'stock'],
  order: ['no', 'customer', 'status', 'remark', 'total'],
};
const UNITS: Readonly<Record<string, readonly string[]>> = { address: ['street', 'city'] };

/**
 * Every user's write is in a row or in the journal, or somebody overwrote it who had seen it, or
 * who had seen what had seen it.
 */
function checkNothingLost({ history, books, journal }: Evidence, fail: Fail): void {
  const byValue = new Map<string, Write[]>();
  for (const write of history.writes) {
    const name = valueName(write.entity, write.field, write.value);
    byValue.set(name, [...(byValue.get(name) ?? []), write]);
  }
  const kept = new Set<string>();
  const keep = (entity: string, field: string, value: string | null | undefined): void => {
    const open = value == null ? [] : [value];
    for (let one = open.pop(); one !== undefined; one = open.pop()) {
      const name = valueName(entity, field, one);
      if (kept.has(name)) continue;
      kept.add(name);
      for (const { seen } of byValue.get(name) ?? []) if (seen !== null) open.push(seen);
    }
  };
  for (const system of SYSTEMS) {
    for (const [entity, things] of books[system]) {
      for (const entry of [...things.values()].flat()) {
        for (const field of FOLLOWED[entity]) keep(entity, field, entry[field]);
      }
    }
  }
  for (const { entity, before } of history.removed) {
    for (const field of FOLLOWED[entity]) keep(entity, field, before?.fields[field]);
  }
  for (const entry of journal) {
    const fields =
      entry.unit === '(record)' ? RECORD_FIELDS[entry.entity] : (UNITS[entry.unit] ?? [entry.unit]);
    for (const values of [entry.incoming.values, entry.standing.values, entry.outcome]) {
      values?.forEach((value, i) => {
        const field = fields?.[i] ?? '';
        keep(entry.entity, field, plain('crm', field, value));
      });
    }
  }
  for (const [name, writes] of byValue) {
    if (kept.has(name)) continue;
    const [{ system, tx, who, value }] = writes as [Write];
    fail('lost', `${name} of ${who}, written in the ${system} by ${tx}`, who, value);
  }
}

/** What a row holds somebody wrote, and wrote of that thing. */
function checkNothingInvented({ history, books }: Evidence, fail: Fail): void {
  const authors = new Map<string, Set<string>>();
  for (const { entity, field, value, who } of history.writes) {
    const name = valueName(entity, field, value);
    authors.set(name, (authors.get(name) ?? new Set()).add(who));
  }
  for (const system of SYSTEMS) {
    for (const [entity, things] of books[system]) {
      for (const [who, entries] of things) {
        for (const entry of entries) {
          for (const field of FOLLOWED[entity]) {
            const value = entry[field] ?? '';
            if (value === '' || value === '0') continue;
            const by = authors.get(valueName(entity, field, value));
            if (by?.has(who)) continue;
            const whose = by === undefined ? 'nobody' : [...by].join(', ');
            fail('invented', `${system} ${entity} ${who} ${field} ${value}: of ${whose}`, who);
          }
        }
      }
    }
  }
}

/** Every addition counts once, wherever it was made. */
function checkSums({ history, books, unwatched, unconfirmed }: Evidence, fail: Fail): void {
  const excused = history.disturbed.union(unwatched).union(unconfirmed);
  for (const [entity, field] of Object.entries(SUMMED) as [EntityName, string][]) {
    for (const system of SYSTEMS) {
      for (const [who, [entry]] of books[system].get(entity) ?? []) {
        const thing = thingOf(entity, who);
        if (entry === undefined || excused.has(thing)) continue;
        const wanted = history.sums.get(thing) ?? 0;
        if (Number(entry[field]) === wanted) continue;
        fail('sum', `${system} ${thing} ${field}: ${entry[field]} instead of ${wanted}`, who);
      }
    }
  }
}

/** A row that is dead or none of ours is not revived: the write to it waits (README, Limits). */
function checkParked({ parked, history }: Evidence, fail: Fail): void {
  for (const { parked: item, thing } of parked) {
    if (history.hidden.has(thing)) continue;
    const { kind, reason, system, detail } = item;
    fail(
      'parked',
      `${kind} ${reason} in ${system}, ${thing}: ${detail}`,
      thing.split(' ')[1] ?? '',
    );
  }
}
