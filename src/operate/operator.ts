import type { Entity } from '../contract/entity.ts';
import type { JournalEntry, LedgerDesk, LinkKey, Parked, ParkedHold } from '../contract/ledger.ts';
import type { Choice, Explanation, Operator, Resync, Status } from '../contract/operator.ts';
import type { Decisions } from '../decide/decisions.ts';
import { type Forgettable, forget } from '../decide/forget.ts';
import type { Unit } from '../decide/pass.ts';
import { beginResync } from '../decide/tables.ts';
import { CarrickError } from '../errors.ts';
import type { RecordId, RecordState } from '../model/record.ts';
import { compileCondition } from '../normalize/condition.ts';
import { masksOf } from '../observe/mask.ts';
import { parkedEvent } from '../reconcile/row-event.ts';
import { FORGOTTEN } from '../reconcile/set-aside.ts';
import type { Working } from '../reconcile/working.ts';
import { endHold, noDaemon, OPERATOR, resolveAct, retryDelivery, unknown } from './acts.ts';
import { type ComparingParts, comparing } from './compare.ts';
import { explainFed } from './explain-fed.ts';
import { type FedParts, fedParts, nothingKept, notSettled, resyncFed, retryFed } from './fed.ts';

const HISTORY = 50;
const PAGE = 1000;

const now = (): number => Date.now() * 1000;

/** Decides one act of a person, or rows that are looked at again. */
function decide(
  decisions: Decisions,
  act: ((w: Working) => void) | null,
  events: Unit['events'] = [],
) {
  const at = now();
  const unit: Unit = {
    system: OPERATOR,
    transaction: `${OPERATOR}:${at}`,
    at,
    origin: 'reading',
    events,
    echo: null,
    complete: true,
    ...(act === null ? {} : { act }),
  };
  return decisions.decide([unit]);
}

export interface OperatorParts extends ComparingParts {
  readonly status: () => Promise<Status>;
}

/**
 * What a person can see and do, over the ledger that `decisions` writes: the daemon's own, or one
 * that the command line opened while no daemon runs. What leaves here is masked unless asked for.
 */
export function createOperator(decisions: Decisions, parts: OperatorParts): Operator {
  const { desk } = decisions.ledger;
  const masks = masksOf(parts.mapped);
  const fed = fedParts(decisions, parts);
  const isFed = (entity: string): boolean => fed.sources.has(entity);
  const isShown = (method: keyof Operator, personal: boolean): boolean => {
    if (personal) parts.log?.event('personal.shown', { method });
    return personal;
  };
  return {
    status: parts.status,
    async conflicts({ id, personal = false, ...filter }) {
      const found = id === undefined ? await desk.conflicts(filter) : [await desk.conflict(id)];
      const entries = found.filter((entry) => entry !== null);
      if (id !== undefined && entries.length === 0) {
        throw unknown(`no conflict has the number ${id}`);
      }
      return isShown('conflicts', personal) ? entries : entries.map(masks.entry);
    },
    async resolve(id, choice, personal = false) {
      const entry = await resolve(decisions, fed, { id, choice });
      return isShown('resolve', personal) ? entry : masks.entry(entry);
    },
    async parked({ id, state, personal = false, ...filter }) {
      const reason = state === undefined ? {} : { reason: state };
      const items =
        id === undefined
          ? await desk.parked({ ...filter, ...reason })
          : [await parkedItem(desk, id)];
      return isShown('parked', personal) ? items : items.map(masks.parked);
    },
    async retry(ids) {
      const outcomes: { id: number; outcome: string }[] = [];
      for await (const { id, item } of eachParked(desk, ids)) {
        if (item === null) outcomes.push({ id, outcome: 'settled meanwhile' });
        else if (isFed(item.entity)) outcomes.push({ id, outcome: await retryFed(fed, item) });
        else outcomes.push({ id, outcome: await retryOne(decisions, item) });
      }
      return outcomes;
    },
    async discard(ids) {
      for await (const { item } of eachParked(desk, ids)) {
        if (item === null || parts.feeds?.discard(item) === true) continue;
        await giveUp(decisions, item);
      }
    },
    async forget(entity, key) {
      if (isFed(entity)) throw nothingKept(fed, entity);
      const done = await forget(decisions, await findForgettable(decisions, entity, key));
      const { record, rows, journal, parked } = done;
      const counts = { rows: rows.length, journal, parked };
      parts.log?.event('record.forgotten', { entity, record: record ?? 0, ...counts });
      return done;
    },
    async explain(entity, key, personal = false) {
      if (isFed(entity)) {
        const found = [await explainFed(fed, entity, key)];
        return isShown('explain', personal) ? found : found.map(masks.explanation);
      }
      const records = await findRecords(decisions, entity, key);
      if (records.length === 0) throw unknown(`no ${entity} record is known by that key`);
      const all = await Promise.all(records.map((record) => explanation(decisions, record)));
      return isShown('explain', personal) ? all : all.map(masks.explanation);
    },
    async resync(entity, system, where = null) {
      if (parts.alone) throw noDaemon();
      if (isFed(entity)) return resyncFed(fed, { entity, system, where });
      return resync(decisions, entity, system, where);
    },
    ...comparing(decisions, parts, fed, masks),
  };
}

async function parkedItem(desk: LedgerDesk, id: number): Promise<Parked> {
  const found = await desk.parkedOne(id);
  if (found === null) throw unknown(`nothing is parked under ${id}`);
  return found;
}

/** Each in turn; null: one before it settled it. A wrong number is told before any is touched. */
async function* eachParked(desk: LedgerDesk, ids: readonly number[]) {
  for (const id of ids) await parkedItem(desk, id);
  for (const id of ids) yield { id, item: await desk.parkedOne(id) };
}

async function resolve(
  decisions: Decisions,
  fed: FedParts,
  { id, choice }: { readonly id: number; readonly choice: Choice },
): Promise<JournalEntry> {
  const entry = await decisions.ledger.desk.conflict(id);
  if (entry === null) throw unknown(`no conflict has the number ${id}`);
  if (fed.sources.has(entry.entity)) throw notSettled(fed, entry.entity);
  const entity = decisions.entities.get(entry.entity);
  if (entity === undefined) throw unknown(`${entry.entity} is no longer mapped`);
  const { journal } = await decide(decisions, resolveAct(entity, entry, choice, now()));
  const resolution = journal.find(({ kind }) => kind === 'resolution');
  if (resolution === undefined) throw new Error(`conflict ${id} left no resolution`);
  return resolution;
}

async function retryOne(decisions: Decisions, parked: Parked): Promise<string> {
  if (parked.reason === 'schema_drift') return mend(decisions, parked);
  if (parked.kind === 'hold') {
    await endHeld(decisions, parked, true);
    return 'carried out';
  }
  if (parked.kind === 'delivery') {
    await decide(decisions, retryDelivery(parked));
    return 'sent again';
  }
  if (parked.reason === FORGOTTEN) {
    await decide(decisions, (w) => void w.unparked.add(parked.id));
    return 'read again when it changes';
  }
  const event = parkedEvent(parked, decisions.entities);
  if (event === null) return 'its entity or system is no longer mapped';
  await decide(decisions, null, [event]);
  const left = await decisions.ledger.desk.parkedOne(parked.id);
  return left === null ? 'taken' : `still parked: ${left.detail}`;
}

/** The table is taken to fit again; if it does not, it is held anew as soon as it is looked at. */
async function mend(decisions: Decisions, { id, system, entity }: Parked): Promise<string> {
  await beginResync(decisions, { system, entity, mends: true }, (w) => void w.unparked.add(id));
  return 'read again, if it fits now';
}

async function giveUp(decisions: Decisions, parked: Parked): Promise<void> {
  if (parked.reason === 'schema_drift') {
    throw new CarrickError(
      'operator.drift',
      'park',
      `the table of ${parked.entity} in ${parked.system} does not fit its mapping`,
      'bring the column back, or change the mapping: it goes on by itself',
    );
  }
  if (parked.kind === 'hold') await endHeld(decisions, parked, false);
  else await decide(decisions, (w) => void w.unparked.add(parked.id));
}

/** Held deletes are carried out or undone. */
async function endHeld(decisions: Decisions, parked: ParkedHold, carryOut: boolean): Promise<void> {
  const entity = decisions.entities.get(parked.entity);
  if (entity === undefined) {
    await decide(decisions, (w) => void w.unparked.add(parked.id));
    return;
  }
  if (parked.reason === 'truncate') await endTruncate(decisions, parked, carryOut);
  else await decide(decisions, endHold(entity, parked, carryOut, now()));
}

/** Rows may have come since: the table is read again, and those that are not there went with it. */
async function endTruncate(
  decisions: Decisions,
  { id, system, entity, since: at }: ParkedHold,
  carryOut: boolean,
): Promise<void> {
  const absent = { restore: !carryOut, at };
  const how = { system, entity, mends: true, absent };
  await beginResync(decisions, how, (w) => void w.unparked.add(id));
}

async function resync(
  decisions: Decisions,
  name: string,
  system: string | null,
  text: string | null,
): Promise<Resync[]> {
  const entity = decisions.entities.get(name);
  if (entity === undefined) throw unknown(`no entity is called ${name}`);
  if (system !== null && !entity.lenses.has(system)) throw unknown(`${system} has no ${name}`);
  if (text !== null) {
    const compiled = compileCondition(entity, text);
    if (!compiled.ok) throw notACondition(compiled.why);
  }
  const where = text === null ? undefined : { entity: name, text };
  const begun: Resync[] = [];
  for (const one of system === null ? entity.lenses.keys() : [system]) {
    begun.push(await beginResync(decisions, { system: one, entity: name, mends: false, where }));
  }
  return begun;
}

const notACondition = (why: string): CarrickError =>
  new CarrickError(
    'operator.where',
    'park',
    `the condition is not understood: ${why}`,
    'write it in CEL over the fields of the entity that are neither pii nor references',
  );

async function findForgettable(
  decisions: Decisions,
  entity: string,
  key: string,
): Promise<Forgettable> {
  const { ledger } = decisions;
  const [record, ...more] = await findRecords(decisions, entity, key);
  if (more.length > 0) {
    const numbers = [record, ...more].map((one) => `#${one?.id}`).join(', ');
    throw unknown(`the key names several records: say which, ${numbers}`);
  }
  if (record !== undefined) return { entity, record: record.id, links: [] };
  const numbered = /^#(\d+)$/.exec(key);
  const number = Number(numbered?.[1] ?? 0);
  const { records } = await ledger.find({ records: [number] });
  const history = records[0] == null ? await ledger.desk.history(entity, number, 1) : [];
  if (history.length > 0) return { entity, record: number, links: [] };
  const links = linksNamed(decisions.entities.get(entity), key);
  const { parkedRows } = await ledger.find({ parkedRows: links });
  const parked = links.filter((_, i) => parkedRows[i] != null);
  if (parked.length > 0) return { entity, record: null, links: parked };
  throw unknown(`no ${entity} record and no parked row is known by that key`);
}

/** `crm:KEY` a row key of one system, else of any. */
function linksNamed(entity: Entity | undefined, key: string): LinkKey[] {
  if (entity === undefined) return [];
  const [system = '', ...rest] = key.split(':');
  const named = entity.lenses.has(system) && rest.length > 0;
  const systems = named ? [system] : [...entity.lenses.keys()];
  const rowKey = named ? rest.join(':') : key;
  return systems.map((one) => ({ system: one, entity: entity.name, key: rowKey }));
}

/** `#17` a record number; `crm:KEY` a row key of one system; else a match value or any row key. */
async function findRecords(
  { ledger, entities }: Decisions,
  name: string,
  key: string,
): Promise<RecordState[]> {
  const entity = entities.get(name);
  if (entity === undefined) throw unknown(`no entity is called ${name}`);
  if (/^#\d+$/.test(key)) {
    const { records } = await ledger.find({ records: [Number(key.slice(1))] });
    return records.filter((record) => record !== null && record.entity === name) as RecordState[];
  }
  const links = linksNamed(entity, key);
  const value = key.startsWith('[') ? key : JSON.stringify([key]);
  const identities = entity.match.map((_, alternative) => ({ entity: name, alternative, value }));
  const found = await ledger.find({ links, identities });
  const records = new Map<RecordId, RecordState>();
  for (const record of [...found.links, ...found.identities.flat()]) {
    if (record !== null) records.set(record.id, record);
  }
  return [...records.values()];
}

async function explanation(decisions: Decisions, record: RecordState): Promise<Explanation> {
  const { ledger, entities } = decisions;
  const entity = entities.get(record.entity);
  const parked = await ledger.desk.parked({ entity: record.entity, limit: PAGE });
  const units = entity?.units ?? [];
  const keys = new Set(Object.entries(record.views).map(([system, { key }]) => `${system} ${key}`));
  return {
    entity: record.entity,
    record: record.id,
    deleted: record.deleted !== null,
    fields: (entity?.fields ?? []).map((field, f) => ({
      name: field.name,
      pii: field.pii,
      value: record.values[f] ?? null,
      stamp: record.stamps[f] ?? null,
      held: record.held?.[units[entity?.unitOf[f] ?? -1]?.name ?? ''] ?? null,
    })),
    views: record.views,
    outbox: await outboxOf(decisions, record),
    history: await ledger.desk.history(record.entity, record.id, HISTORY),
    parked: parked.filter((item) =>
      item.kind === 'row'
        ? keys.has(`${item.system} ${item.key}`)
        : item.kind === 'delivery'
          ? item.record === record.id
          : item.records.includes(record.id),
    ),
  };
}

async function outboxOf({ ledger }: Decisions, record: RecordState) {
  const entries = await ledger.desk.outbox(Object.values(record.outbox));
  return entries.map(({ system, since, batch, attempts }) => ({ system, since, batch, attempts }));
}
