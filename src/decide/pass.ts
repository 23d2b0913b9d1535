import type { Entity } from '../contract/entity.ts';
import type { OutboxEntry } from '../contract/ledger.ts';
import { enqueue, freedEntries } from '../deliver/queue.ts';
import type { RecordId } from '../model/record.ts';
import type { Micros } from '../model/value.ts';
import { decideRows } from '../reconcile/batch.ts';
import { type Echo, openEcho, type Sending } from '../reconcile/echo.ts';
import { type FloodCounts, floodGauge } from '../reconcile/flood.ts';
import type { RowEvent } from '../reconcile/row-event.ts';
import { storedAlready } from '../reconcile/view.ts';
import {
  eraseIfGone,
  type Loaded,
  type Numbers,
  putRecord,
  recordById,
  startWorking,
  type Working,
} from '../reconcile/working.ts';

/** Coming back without effect so often parks a delivery: the row is not what its log said. */
export const MAX_ATTEMPTS = 12;

/** The row news of one transaction or of one snapshot chunk: decided and enqueued together. */
export interface Unit {
  readonly system: string;
  readonly transaction: string;
  readonly at: Micros;
  /** `reading`: rows as they were found, not changes of the log. */
  readonly origin: 'log' | 'reading';
  readonly events: readonly RowEvent[];
  /** What a person decided, done before the rows. Pure but for the working set. */
  readonly act?: (w: Working) => void;
  /** Our own apply transaction: what it carried. */
  readonly echo: EchoOf | null;
  /** The transaction ends with this unit. */
  readonly complete: boolean;
}

/** One object for all parts of one apply transaction; see `echoes.ts`. */
export interface EchoOf {
  readonly batch: number;
  sending: Sending;
  /** Row keys that the target gave; see `generatedText`. */
  readonly keys: ReadonlyMap<string, RecordId>;
  /** Seqs that committed parts have shown. */
  readonly shown: Set<number>;
  /** Loads more of what was sent into `sending`. */
  more(): Promise<void>;
}

export const refusalText = (system: string, record: RecordId): string => `${system}:${record}`;

export const driftText = (system: string, entity: string): string => `${system}:${entity}`;

/** What a pass starts from; it changes none of it. */
export interface Ground {
  readonly entities: ReadonlyMap<string, Entity>;
  readonly numbers: Numbers;
  readonly floods: FloodCounts;
  readonly population: Readonly<Record<string, number>>;
  /** See `Decisions`. */
  readonly refused: ReadonlyMap<number, string>;
  readonly already: ReadonlySet<number>;
  readonly refusals: ReadonlyMap<string, number>;
}

/** Everything that one run over a batch decided. */
export interface Pass {
  readonly ground: Ground;
  readonly w: Working;
  readonly added: OutboxEntry[];
  readonly removed: number[];
  /** Entries that need not wait for a parent any longer. */
  readonly freed: OutboxEntry['seq'][];
  /** What the apply transactions have shown by now, this batch's parts included. */
  readonly shown: Map<EchoOf, ReadonlySet<number>>;
  readonly floods: FloodCounts;
  /** Of which more has to be loaded before the pass counts. */
  readonly short: Set<EchoOf>;
  echoes: number;
}

/** Decides units one after the other, each enqueued as a whole. Pure: it may be run again. */
export function runPass(ground: Ground, units: readonly Unit[], loaded: Loaded): Pass {
  const pass: Pass = {
    ground,
    w: startWorking(loaded, ground.numbers),
    added: [],
    removed: [],
    freed: [],
    shown: new Map(),
    floods: new Map(ground.floods),
    short: new Set(),
    echoes: 0,
  };
  const gauge = floodGauge(pass.floods, (entity) => ground.population[entity] ?? 0);
  for (const unit of units) {
    pass.w.recent.clear();
    const echo = unit.echo === null ? null : echoFor(unit.echo, pass);
    unit.act?.(pass.w);
    decideRows(pass.w, unit.events, echo, gauge);
    const again = echo === null ? null : closeEcho(pass, unit, echo);
    enqueueRecent(pass, unit, again);
  }
  dropRefusals(pass);
  return pass;
}

/** With a record goes what a target refused of it: there is nothing left to try again. */
function dropRefusals({ w, ground }: Pass): void {
  if (ground.refusals.size === 0) return;
  for (const id of w.erased) {
    const entity = ground.entities.get(w.loaded.records.get(id)?.entity ?? '');
    for (const system of entity?.lenses.keys() ?? []) {
      const refusal = ground.refusals.get(refusalText(system, id));
      if (refusal !== undefined) w.unparked.add(refusal);
    }
  }
}

const shownBefore = (of: EchoOf, pass: Pass): ReadonlySet<number> => pass.shown.get(of) ?? of.shown;

const echoFor = (of: EchoOf, pass: Pass): Echo =>
  openEcho(of.sending, of.keys, shownBefore(of, pass));

/** A delivery that came back; `alone`: nothing else of its unit is about the record. */
interface Back {
  readonly entry: OutboxEntry;
  readonly alone: boolean;
}

/**
 * The end of our own transaction, or of a part. Deliveries that showed are confirmed; at the last
 * part those that did not (diverged, refused, nothing to write) are looked at again: every change
 * that stood in their way was read before this point of the log.
 */
function closeEcho(pass: Pass, unit: Unit, echo: Echo): ReadonlyMap<RecordId, Back> {
  const { w } = pass;
  const of = unit.echo;
  const again = new Map<RecordId, Back>();
  if (of === null) return again;
  const before = shownBefore(of, pass);
  if (echo.isShort || (unit.complete && of.sending.reach !== null)) pass.short.add(of);
  for (const entry of of.sending.entries) {
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
    if (record.outbox[entry.system] === entry.seq) {
      const already = pass.ground.already.has(entry.seq) && entry.sent !== null;
      const known = already ? storedAlready(record, entry.system, entry.sent) : record;
      w.touched.set(record.id, { ...known, outbox });
    }
    again.set(record.id, { entry, alone: !w.recent.has(record.id) });
    w.recent.add(record.id);
  }
  pass.shown.set(of, echo.taken);
  return again;
}

function enqueueRecent(pass: Pass, unit: Unit, again: ReadonlyMap<RecordId, Back> | null): void {
  const { w, ground } = pass;
  for (const id of [...w.recent]) {
    const record = w.touched.get(id) ?? w.loaded.records.get(id);
    const entity = record == null ? undefined : ground.entities.get(record.entity);
    if (record == null || entity === undefined) continue;
    const back = again?.get(id);
    const sent = back?.entry;
    const given = sent === undefined ? null : givenUp(pass, sent);
    const cause = {
      since: sent?.since ?? unit.at,
      origin: unit.system,
      transaction: unit.transaction,
      attempts: (system: string) => (sent?.system === system ? sent.attempts + 1 : 0),
    };
    const queued = enqueue(entity, record, cause, () => w.numbers.seq++);
    // What waits for a person in another system is not tried again for it: two of them would keep
    // each other going for ever (invariant 5).
    const stops = ({ system }: OutboxEntry): boolean =>
      system === sent?.system
        ? given !== null
        : back?.alone === true && ground.refusals.has(refusalText(system, id));
    const entries = queued.entries.filter((entry) => !stops(entry));
    let next = queued.record;
    for (const { system } of queued.entries.filter(stops)) {
      if (given !== null && system === sent?.system) {
        parkDelivery(w, sent, given.reason, given.detail);
      }
      const { [system]: _, ...outbox } = next.outbox;
      next = { ...next, outbox };
    }
    pass.added.push(...entries);
    const before = w.loaded.records.get(id);
    if (before != null) pass.freed.push(...freedEntries(entity, before, next));
    for (const { system } of entries) {
      const refusal = ground.refusals.get(refusalText(system, id));
      if (refusal !== undefined) w.unparked.add(refusal);
    }
    if (next !== record) putRecord(w, entity, next);
    if (w.touched.has(id)) eraseIfGone(w, id);
  }
}

/** Why a delivery that came back is not tried again; null: it is. */
function givenUp(pass: Pass, entry: OutboxEntry): { reason: string; detail: string } | null {
  const refused = pass.ground.refused.get(entry.seq);
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
