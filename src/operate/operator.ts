import type { Entity } from '../contract/entity.ts';
import type { JournalEntry, LinkKey, Parked, ParkedHold } from '../contract/ledger.ts';
import type { Choice, Explanation, Operator, Status } from '../contract/operator.ts';
import type { Decisions } from '../decide/decisions.ts';
import type { Unit } from '../decide/pass.ts';
import type { RecordId, RecordState } from '../model/record.ts';
import { parkedEvent } from '../reconcile/row-event.ts';
import type { Working } from '../reconcile/working.ts';
import { endHold, OPERATOR, resolveAct, retryDelivery, truncatePage, unknown } from './acts.ts';

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

/**
 * What a person can see and do, over the ledger that `decisions` writes: the daemon's own, or one
 * that the command line opened while no daemon runs.
 */
export function createOperator(decisions: Decisions, status: () => Promise<Status>): Operator {
  const { desk } = decisions.ledger;
  const parkedItem = async (id: number): Promise<Parked> => {
    const found = await desk.parkedOne(id);
    if (found === null) throw unknown(`nothing is parked under ${id}`);
    return found;
  };
  return {
    status,
    async conflicts({ id, ...filter }) {
      if (id === undefined) return desk.conflicts(filter);
      const found = await desk.conflict(id);
      if (found === null) throw unknown(`no conflict has the number ${id}`);
      return [found];
    },
    resolve: (id, choice) => resolve(decisions, id, choice),
    async parked({ id, state, ...filter }) {
      if (id !== undefined) return [await parkedItem(id)];
      return desk.parked(state === undefined ? filter : { ...filter, reason: state });
    },
    async retry(ids) {
      const outcomes: { id: number; outcome: string }[] = [];
      for (const id of ids) {
        outcomes.push({ id, outcome: await retryOne(decisions, await parkedItem(id)) });
      }
      return outcomes;
    },
    async discard(ids) {
      for (const id of ids) await end(decisions, await parkedItem(id), false);
    },
    async explain(entity, key) {
      const records = await findRecords(decisions, entity, key);
      if (records.length === 0) throw unknown(`no ${entity} record is known by that key`);
      return Promise.all(records.map((record) => explanation(decisions, record)));
    },
  };
}

async function resolve(decisions: Decisions, id: number, choice: Choice): Promise<JournalEntry> {
  const entry = await decisions.ledger.desk.conflict(id);
  if (entry === null) throw unknown(`no conflict has the number ${id}`);
  const entity = decisions.entities.get(entry.entity);
  if (entity === undefined) throw unknown(`${entry.entity} is no longer mapped`);
  const { journal } = await decide(decisions, resolveAct(entity, entry, choice, now()));
  const resolution = journal.find(({ kind }) => kind === 'resolution');
  if (resolution === undefined) throw new Error(`conflict ${id} left no resolution`);
  return resolution;
}

async function retryOne(decisions: Decisions, parked: Parked): Promise<string> {
  if (parked.kind === 'hold') {
    await end(decisions, parked, true);
    return 'carried out';
  }
  if (parked.kind === 'delivery') {
    await decide(decisions, retryDelivery(parked));
    return 'sent again';
  }
  const event = parkedEvent(parked, decisions.entities);
  if (event === null) return 'its entity or system is no longer mapped';
  await decide(decisions, null, [event]);
  const left = await decisions.ledger.desk.parkedOne(parked.id);
  return left === null ? 'taken' : `still parked: ${left.detail}`;
}

/** Takes an item out of the parked ones; held deletes are carried out or undone. */
async function end(decisions: Decisions, parked: Parked, carryOut: boolean): Promise<void> {
  const entity = decisions.entities.get(parked.entity);
  if (parked.kind === 'hold' && entity !== undefined && parked.reason !== 'schema_drift') {
    if (parked.reason === 'truncate') await endTruncate(decisions, entity, parked, carryOut);
    await decide(decisions, endHold(entity, parked, carryOut, now()));
    return;
  }
  await decide(decisions, (w) => void w.unparked.add(parked.id));
}

async function endTruncate(
  decisions: Decisions,
  entity: Entity,
  { system }: ParkedHold,
  carryOut: boolean,
): Promise<void> {
  const { desk } = decisions.ledger;
  for (let after: string | null = null; ; ) {
    const page: RecordState[] = await desk.linked(system, entity.name, after, PAGE);
    const last = page.at(-1);
    if (last === undefined) return;
    after = last.views[system]?.key ?? null;
    const ids: RecordId[] = page.map((record) => record.id);
    await decide(decisions, truncatePage(entity, system, ids, carryOut, now()));
  }
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
  const [system = '', ...rest] = key.split(':');
  const named = entity.lenses.has(system) && rest.length > 0;
  const systems = named ? [system] : [...entity.lenses.keys()];
  const rowKey = named ? rest.join(':') : key;
  const links: LinkKey[] = systems.map((one) => ({ system: one, entity: name, key: rowKey }));
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
