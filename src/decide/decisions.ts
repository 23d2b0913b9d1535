import type { Entity } from '../contract/entity.ts';
import type {
  JournalEntry,
  Ledger,
  LedgerCommit,
  LinkKey,
  OutboxEntry,
  Parked,
  SourceState,
} from '../contract/ledger.ts';
import { enqueue } from '../deliver/queue.ts';
import type { RecordId, RecordState } from '../model/record.ts';
import type { Micros } from '../model/value.ts';
import { decideRows } from '../reconcile/batch.ts';
import { type Echo, openEcho } from '../reconcile/echo.ts';
import { type FloodCounts, floodGauge } from '../reconcile/flood.ts';
import type { RowEvent } from '../reconcile/row-event.ts';
import {
  eraseIfGone,
  identityChanges,
  isComplete,
  type Loaded,
  linkChanges,
  linkText,
  type Numbers,
  nothingLoaded,
  putRecord,
  queryOf,
  recordById,
  remember,
  startWorking,
  type Working,
} from '../reconcile/working.ts';
import { type Bell, bell } from './bell.ts';
import { type Exclusively, mutex } from './mutex.ts';

/** A delivery that comes back without effect so often is parked: the row is not what its log said. */
export const MAX_ATTEMPTS = 12;

/** The row news of one transaction or of one snapshot chunk: decided and enqueued together. */
export interface Unit {
  readonly system: string;
  readonly transaction: string;
  readonly at: Micros;
  readonly events: readonly RowEvent[];
  /** Our own apply transaction: what it carried. */
  readonly echo: EchoOf | null;
  /** The transaction ends with this unit. */
  readonly complete: boolean;
}

/** One object for all parts of one apply transaction. */
export interface EchoOf {
  readonly batch: number;
  readonly entries: readonly OutboxEntry[];
  readonly keys: ReadonlyMap<string, RecordId>;
  /** Seqs that committed parts have shown. */
  readonly shown: Set<number>;
}

/** Anything else that goes into the same commit, decided with the working set in hand. */
export type Extra = (w: Working) => Partial<LedgerCommit>;

/** What was committed, for metrics and logs. */
export interface Decided {
  readonly journal: readonly JournalEntry[];
  readonly parked: readonly Parked[];
  readonly echoes: number;
  readonly created: Readonly<Record<string, number>>;
  /** Rows that were linked now and that parked rows have been waiting for. */
  readonly due: readonly LinkKey[];
}

/**
 * The one place where anything is decided: units are decided one after the other with the ledger's
 * content in hand, and committed at once. Everything that reads and then writes the ledger runs in
 * `exclusively`, so no decision is made on what another one is just changing.
 */
export interface Decisions {
  readonly ledger: Ledger;
  readonly entities: ReadonlyMap<string, Entity>;
  readonly numbers: Numbers;
  readonly exclusively: Exclusively;
  /** Rung when a system's outbox got something that can be sent. */
  readonly bells: ReadonlyMap<string, Bell>;
  /** Keys that the appliers were told by the target, until their echo: by system and batch. */
  readonly generated: Map<string, Map<string, RecordId>>;
  /** The rows that parked rows wait for, as link texts. */
  readonly awaited: Set<string>;
  /** What targets refused, by seq: set before the target commits, parked at the echo. */
  readonly refused: Map<number, string>;
  /** Parked deliveries, by system and record: a new try makes them void. */
  readonly refusals: Map<string, number>;
  decide(
    units: readonly Unit[],
    source?: { readonly system: string; readonly state: SourceState },
    extra?: Extra,
  ): Promise<Decided>;
}

export const refusalText = (system: string, record: RecordId): string => `${system}:${record}`;

interface Pass {
  readonly refused: ReadonlyMap<number, string>;
  readonly refusals: ReadonlyMap<string, number>;
  readonly w: Working;
  readonly added: OutboxEntry[];
  readonly removed: number[];
  /** What the apply transactions have shown by now, this batch's parts included. */
  readonly shown: Map<EchoOf, ReadonlySet<number>>;
  readonly floods: FloodCounts;
  echoes: number;
}

export function openDecisions(
  ledger: Ledger,
  entities: ReadonlyMap<string, Entity>,
  systems: readonly string[],
  population: Record<string, number>,
  onCommit: (seconds: number, changes: number) => void,
): Decisions {
  const head = ledger.head();
  const numbers: Numbers = { record: head.nextRecord, case: head.nextCase, seq: head.nextSeq };
  const bells = new Map(systems.map((system) => [system, bell()]));
  const referenced = new Set<string>();
  for (const entity of entities.values()) {
    for (const field of entity.fields) if (field.ref !== null) referenced.add(field.ref);
  }
  const refused = new Map<number, string>();
  const refusals = new Map<string, number>();
  const awaited = new Set<string>();
  let floods: FloodCounts = new Map();
  const exclusively = mutex();

  const runPass = (units: readonly Unit[], loaded: Loaded): Pass => {
    const pass: Pass = {
      refused,
      refusals,
      w: startWorking(loaded, numbers),
      added: [],
      removed: [],
      shown: new Map(),
      floods: new Map(floods),
      echoes: 0,
    };
    const gauge = floodGauge(pass.floods, (entity) => population[entity] ?? 0);
    for (const unit of units) {
      pass.w.recent.clear();
      const echo = unit.echo === null ? null : echoFor(unit.echo, pass);
      decideRows(pass.w, unit.events, echo, gauge);
      const again = echo === null ? null : closeEcho(pass, unit, echo);
      enqueueRecent(pass, unit, again, entities);
    }
    return pass;
  };

  const decide: Decisions['decide'] = (units, source, extra) =>
    exclusively(async () => {
      const loaded = nothingLoaded();
      await preload(ledger, loaded, units);
      let pass = runPass(units, loaded);
      let more = extra?.(pass.w) ?? {};
      while (!isComplete(pass.w.missing)) {
        const query = queryOf(pass.w.missing);
        remember(loaded, query, await ledger.find(query));
        pass = runPass(units, loaded);
        more = extra?.(pass.w) ?? {};
      }
      const { w } = pass;
      const links = linkChanges(w);
      const release = links.add.filter((link) => referenced.has(link.entity));
      const started = performance.now();
      await ledger.commit({
        ...more,
        ...(source === undefined ? {} : { source }),
        records: [...w.touched.values()],
        erased: [...w.erased],
        links,
        identities: identityChanges(w),
        outbox: {
          add: pass.added,
          send: [],
          remove: pass.removed,
          release: release.map(({ system, record }) => ({ system, record })),
          wait: [],
        },
        journal: w.journal,
        closed: w.closed,
        parked: { put: [...w.parked.values()], remove: [...w.unparked] },
      });
      onCommit((performance.now() - started) / 1000, w.touched.size);
      Object.assign(numbers, w.numbers);
      keepRefusals(refusals, w);
      for (const seq of pass.removed) refused.delete(seq);
      floods = pass.floods;
      for (const [of, taken] of pass.shown) for (const seq of taken) of.shown.add(seq);
      for (const system of new Set(pass.added.map((entry) => entry.system))) {
        bells.get(system)?.ring();
      }
      for (const { system } of release) bells.get(system)?.ring();
      noteAwaited(awaited, w);
      const due = links.add.filter((link) => awaited.delete(linkText(link)));
      return { ...summary(pass, loaded, population), due };
    });

  return {
    ledger,
    entities,
    numbers,
    exclusively,
    bells,
    generated: new Map(),
    refused,
    refusals,
    awaited,
    decide,
  };
}

/** What nearly every batch needs, in one question: the rows' records and parked rows. */
async function preload(ledger: Ledger, loaded: Loaded, units: readonly Unit[]): Promise<void> {
  const links = units.flatMap((unit) =>
    unit.events.map((event) => ({
      system: event.lens.system,
      entity: event.entity.name,
      key: event.oldKey,
    })),
  );
  const records = units.flatMap((unit) => unit.echo?.entries.map((entry) => entry.record) ?? []);
  if (links.length === 0 && records.length === 0) return;
  const query = { links, parkedRows: links, records };
  remember(loaded, query, await ledger.find(query));
}

const shownBefore = (of: EchoOf, pass: Pass): ReadonlySet<number> => pass.shown.get(of) ?? of.shown;

const echoFor = (of: EchoOf, pass: Pass): Echo =>
  openEcho(of.entries, of.keys, shownBefore(of, pass));

/**
 * The end of our own transaction, or of a part. Deliveries that showed are confirmed; at the last
 * part those that did not (diverged, refused, nothing to write) are looked at again: every change
 * that stood in their way was read before this point of the log.
 */
function closeEcho(pass: Pass, unit: Unit, echo: Echo): ReadonlyMap<RecordId, OutboxEntry> {
  const { w } = pass;
  const of = unit.echo;
  const again = new Map<RecordId, OutboxEntry>();
  if (of === null) return again;
  const before = shownBefore(of, pass);
  for (const entry of of.entries) {
    const shown = echo.taken.has(entry.seq);
    if (shown && !before.has(entry.seq)) {
      pass.removed.push(entry.seq);
      pass.echoes += 1;
    }
    if (shown || !unit.complete) continue;
    pass.removed.push(entry.seq);
    const record = recordById(w, entry.record);
    if (record === undefined || record === null) continue;
    const { [entry.system]: _, ...outbox } = record.outbox;
    if (record.outbox[entry.system] === entry.seq) w.touched.set(record.id, { ...record, outbox });
    w.recent.add(record.id);
    again.set(record.id, entry);
  }
  pass.shown.set(of, echo.taken);
  return again;
}

function enqueueRecent(
  pass: Pass,
  unit: Unit,
  again: ReadonlyMap<RecordId, OutboxEntry> | null,
  entities: ReadonlyMap<string, Entity>,
): void {
  const { w } = pass;
  for (const id of [...w.recent]) {
    const record = w.touched.get(id) ?? w.loaded.records.get(id);
    const entity = record == null ? undefined : entities.get(record.entity);
    if (record == null || entity === undefined) continue;
    const back = again?.get(id);
    const given = back === undefined ? null : givenUp(pass, back);
    const cause = {
      since: back?.since ?? unit.at,
      origin: unit.system,
      transaction: unit.transaction,
      attempts: (system: string) => (back?.system === system ? back.attempts + 1 : 0),
    };
    const queued = enqueue(entity, record, cause, () => w.numbers.seq++);
    const stops = (entry: OutboxEntry) => given !== null && entry.system === back?.system;
    const entries = queued.entries.filter((entry) => !stops(entry));
    let next = queued.record;
    if (given !== null && back !== undefined && entries.length < queued.entries.length) {
      parkDelivery(w, back, given.reason, given.detail);
      const { [back.system]: _, ...outbox } = next.outbox;
      next = { ...next, outbox };
    }
    pass.added.push(...entries);
    for (const { system } of entries) {
      const refusal = pass.refusals.get(refusalText(system, id));
      if (refusal !== undefined) w.unparked.add(refusal);
    }
    if (next !== record) putRecord(w, entity, next);
    if (w.touched.has(id)) eraseIfGone(w, id);
  }
}

/** Why a delivery that came back is not tried again; null: it is. */
function givenUp(pass: Pass, entry: OutboxEntry): { reason: string; detail: string } | null {
  const refused = pass.refused.get(entry.seq);
  if (refused !== undefined) return { reason: 'refused', detail: refused };
  if (entry.attempts + 1 < MAX_ATTEMPTS) return null;
  return { reason: 'drifted', detail: 'the row is not what its log said' };
}

/** A delivery that cannot get through waits for a person; the record goes on without it. */
function parkDelivery(w: Working, entry: OutboxEntry, reason: string, detail: string): void {
  const id = w.numbers.case++;
  const { system, entity, since, record } = entry;
  w.parked.set(id, { id, kind: 'delivery', system, entity, since, reason, detail, record });
}

function noteAwaited(awaited: Set<string>, w: Working): void {
  for (const parked of w.parked.values()) {
    if (parked.kind === 'row' && parked.waits !== null) {
      awaited.add(linkText({ system: parked.system, ...parked.waits }));
    }
  }
}

function keepRefusals(refusals: Map<string, number>, w: Working): void {
  if (w.unparked.size > 0) {
    for (const [text, id] of refusals) if (w.unparked.has(id)) refusals.delete(text);
  }
  for (const parked of w.parked.values()) {
    if (parked.kind === 'delivery') {
      refusals.set(refusalText(parked.system, parked.record), parked.id);
    }
  }
}

function summary(
  pass: Pass,
  loaded: Loaded,
  population: Record<string, number>,
): Omit<Decided, 'due'> {
  const created: Record<string, number> = {};
  const isNew = (record: RecordState): boolean => loaded.records.get(record.id) == null;
  for (const record of pass.w.touched.values()) {
    if (isNew(record)) created[record.entity] = (created[record.entity] ?? 0) + 1;
  }
  for (const [entity, count] of Object.entries(created)) {
    population[entity] = (population[entity] ?? 0) + count;
  }
  for (const id of pass.w.erased) {
    const entity = loaded.records.get(id)?.entity;
    if (entity !== undefined) population[entity] = Math.max(0, (population[entity] ?? 0) - 1);
  }
  const { journal, parked } = pass.w;
  return { journal, parked: [...parked.values()], echoes: pass.echoes, created };
}
