import type {
  JournalEntry,
  LedgerCommit,
  LedgerHead,
  OutboxEntry,
  Parked,
  Pause,
  SourceState,
} from '../contract/ledger.ts';
import type { RecordId, RecordState } from '../model/record.ts';
import { isSpent } from './spent.ts';

/** What is durable. Rows are the objects that were committed, frozen. */
export interface Disk {
  readonly sources: Map<string, SourceState>;
  readonly batches: Map<string, number>;
  readonly fields: Map<string, string[]>;
  readonly records: Map<RecordId, RecordState>;
  /** By {@link linkText}. */
  readonly links: Map<string, RecordId>;
  /** By JSON of entity, alternative and value. */
  readonly identities: Map<string, Set<RecordId>>;
  readonly outbox: Map<number, { entry: OutboxEntry; waits: RecordId | null }>;
  readonly journal: Map<number, JournalEntry>;
  readonly parked: Map<number, Parked>;
  /** By kind and name. */
  readonly paused: Map<string, Pause>;
  next: Pick<LedgerHead, 'nextRecord' | 'nextSeq' | 'nextCase'>;
}

export function emptyDisk(): Disk {
  return {
    sources: new Map(),
    batches: new Map(),
    fields: new Map(),
    records: new Map(),
    links: new Map(),
    identities: new Map(),
    outbox: new Map(),
    journal: new Map(),
    parked: new Map(),
    paused: new Map(),
    next: { nextRecord: 1, nextSeq: 1, nextCase: 1 },
  };
}

/** A disk with the same content: what either gets from now on the other does not see. */
export const copyDisk = (disk: Disk): Disk => ({
  sources: new Map(disk.sources),
  batches: new Map(disk.batches),
  fields: new Map(disk.fields),
  records: new Map(disk.records),
  links: new Map(disk.links),
  identities: new Map([...disk.identities].map(([key, records]) => [key, new Set(records)])),
  outbox: new Map([...disk.outbox].map(([seq, held]) => [seq, { ...held }])),
  journal: new Map(disk.journal),
  parked: new Map(disk.parked),
  paused: new Map(disk.paused),
  next: disk.next,
});

/** Readers must not change what they are given: here they cannot. */
function frozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const part of Object.values(value)) frozen(part);
  return Object.freeze(value);
}

export function linkText(link: { system: string; entity: string; key: string }): string {
  return JSON.stringify([link.system, link.entity, link.key]);
}

export function identityText(of: { entity: string; alternative: number; value: string }): string {
  return JSON.stringify([of.entity, of.alternative, of.value]);
}

export function fieldOrdinals(disk: Disk, entity: string, names: readonly string[]): string[] {
  const known = [...new Set([...(disk.fields.get(entity) ?? []), ...names])];
  disk.fields.set(entity, known);
  return [...known];
}

export function applyCommit(disk: Disk, changes: LedgerCommit): void {
  const commit = frozen(changes);
  if (commit.source) disk.sources.set(commit.source.system, commit.source.state);
  for (const { system, batch } of commit.batches ?? []) handOut(disk, system, batch);
  for (const state of commit.records ?? []) {
    disk.next = { ...disk.next, nextRecord: Math.max(disk.next.nextRecord, state.id + 1) };
    if (isSpent(state)) erase(disk, state.id);
    else disk.records.set(state.id, state);
  }
  for (const id of commit.erased ?? []) erase(disk, id);
  for (const link of commit.links?.remove ?? []) disk.links.delete(linkText(link));
  for (const link of commit.links?.add ?? []) disk.links.set(linkText(link), link.record);
  for (const key of commit.identities?.remove ?? []) {
    disk.identities.get(identityText(key))?.delete(key.record);
  }
  for (const key of commit.identities?.add ?? []) {
    const records = disk.identities.get(identityText(key)) ?? new Set();
    disk.identities.set(identityText(key), records.add(key.record));
  }
  if (commit.outbox) applyOutbox(disk, commit.outbox);
  const pauseText = ({ kind, name }: Pause) => `${kind} ${name}`;
  for (const pause of commit.paused?.remove ?? []) disk.paused.delete(pauseText(pause));
  for (const pause of commit.paused?.add ?? []) disk.paused.set(pauseText(pause), pause);
  applyCases(disk, commit);
  for (const { entity, record } of commit.forgotten ?? []) forget(disk, entity, record);
}

function forget(disk: Disk, entity: string, record: RecordId): void {
  for (const [id, entry] of disk.journal) {
    if (entry.record === record && entry.entity === entity) disk.journal.delete(id);
  }
  for (const [seq, { entry }] of disk.outbox) {
    if (entry.record === record && entry.entity === entity) disk.outbox.delete(seq);
  }
}

function handOut(disk: Disk, system: string, batch: number): void {
  disk.batches.set(system, Math.max(batch, disk.batches.get(system) ?? batch));
}

function erase(disk: Disk, id: RecordId): void {
  for (const records of disk.identities.values()) records.delete(id);
  const state = disk.records.get(id);
  if (state === undefined) return;
  disk.records.delete(id);
  for (const [system, { status, key }] of Object.entries(state.views)) {
    if (status === 'unlinked') continue;
    const link = linkText({ system, entity: state.entity, key });
    if (disk.links.get(link) === id) disk.links.delete(link);
  }
  for (const seq of Object.values(state.outbox)) {
    if (disk.outbox.get(seq)?.entry.record === id) disk.outbox.delete(seq);
  }
  for (const held of disk.outbox.values()) if (held.waits === id) held.waits = null;
}

function applyOutbox(disk: Disk, changes: NonNullable<LedgerCommit['outbox']>): void {
  for (const entry of changes.add) {
    disk.next = { ...disk.next, nextSeq: Math.max(disk.next.nextSeq, entry.seq + 1) };
    disk.outbox.set(entry.seq, { entry, waits: null });
  }
  for (const { system, record } of changes.release) {
    for (const held of disk.outbox.values()) {
      if (held.entry.system === system && held.waits === record) held.waits = null;
    }
  }
  for (const { seq, waits } of changes.wait) {
    const held = disk.outbox.get(seq);
    if (held) held.waits = waits !== null && disk.records.has(waits) ? waits : null;
  }
  for (const { seq, system, batch, sent, attempts } of changes.send) {
    if (batch !== null) handOut(disk, system, batch);
    const held = disk.outbox.get(seq);
    if (held) held.entry = Object.freeze({ ...held.entry, batch, sent, attempts });
  }
  for (const seq of changes.remove) disk.outbox.delete(seq);
}

function applyCases(disk: Disk, changes: LedgerCommit): void {
  const { journal = [], closed = [], expired = [], parked } = changes;
  for (const entry of journal) disk.journal.set(entry.id, entry);
  for (const id of expired) if (disk.journal.get(id)?.state !== 'open') disk.journal.delete(id);
  for (const id of closed) {
    const entry = disk.journal.get(id);
    if (entry?.state === 'open') disk.journal.set(id, frozen({ ...entry, state: 'resolved' }));
  }
  for (const id of parked?.remove ?? []) disk.parked.delete(id);
  for (const item of parked?.put ?? []) disk.parked.set(item.id, item);
  for (const { id } of [...journal, ...(parked?.put ?? [])]) {
    disk.next = { ...disk.next, nextCase: Math.max(disk.next.nextCase, id + 1) };
  }
}
