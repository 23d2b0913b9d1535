import type { Entity } from '../contract/entity.ts';
import type { OutboxEntry } from '../contract/ledger.ts';
import type { Patch } from '../contract/patch.ts';
import type { RecordId, RecordState } from '../model/record.ts';
import type { Cell } from '../model/value.ts';
import { identityOf } from './identity.ts';

/**
 * The deliveries that one marked transaction carries, matched with the rows it shows. Rows that no
 * delivery explains are the system's own (a trigger's work).
 */
export interface Echo {
  sentTo(record: RecordState): OutboxEntry | undefined;
  /** The delivery whose insert made this row, as yet untaken. */
  insertedBy(patch: Patch): OutboxEntry | null;
  take(entry: OutboxEntry): void;
  /** Deliveries that showed in the log. */
  readonly taken: Set<number>;
  /** A row may tell of a delivery that is not loaded yet: what was decided does not count. */
  isShort: boolean;
}

/** What one batch put on its way, as far as the part of its echo that is read now needs it. */
export interface Sending {
  readonly entries: readonly OutboxEntry[];
  /** The last that was loaded; null: there are no more. */
  readonly reach: Reach | null;
  readonly byRecord: ReadonlyMap<RecordId, OutboxEntry>;
  inserts(entity: Entity): InsertIndex;
}

export interface Reach {
  readonly system: string;
  readonly seq: number;
}

/** `refused`: what the target said it did not write, while this process still knows. */
export function indexSending(
  entries: readonly OutboxEntry[],
  refused: { has(seq: number): boolean } = new Set<number>(),
  reach: Reach | null = null,
): Sending {
  const indexes = new Map<string, InsertIndex>();
  const written = entries.filter(({ seq }) => !refused.has(seq));
  return {
    entries,
    reach,
    byRecord: new Map(written.map((entry) => [entry.record, entry])),
    inserts(entity) {
      const index = indexes.get(entity.name) ?? indexInserts(entity, written);
      indexes.set(entity.name, index);
      return index;
    },
  };
}

/** As appliers tell generated keys, and echoes look them up. */
export const generatedText = (entity: string, key: string): string => `${entity}\u0000${key}`;

/**
 * `keys` knows the generated keys of this batch where the applier is still the one that got them;
 * after a crash an insert is recognized by what was sent: match tuple, or all written values.
 * `taken` holds what earlier parts of the same transaction have shown.
 */
export function openEcho(
  sending: Sending,
  keys: ReadonlyMap<string, RecordId>,
  taken: ReadonlySet<number>,
): Echo {
  const { byRecord, reach } = sending;
  const now = new Set(taken);
  const free = (entry: OutboxEntry | undefined): entry is OutboxEntry =>
    entry !== undefined && entry.sent?.op === 'insert' && !now.has(entry.seq);
  const insertOf = (patch: Patch): OutboxEntry | null => {
    const { entity } = patch;
    const record = keys.get(generatedText(entity.name, patch.key));
    const known = record === undefined ? undefined : byRecord.get(record);
    if (free(known)) return known;
    const index = sending.inserts(entity);
    for (const text of identityTexts(entity, patch.values)) {
      const entry = index.byIdentity.get(text);
      if (free(entry)) return entry;
    }
    return index.nameless.find((entry) => free(entry) && sameValues(entry, patch)) ?? null;
  };
  const echo: Echo = {
    taken: now,
    isShort: false,
    take: (entry) => void now.add(entry.seq),
    sentTo(record) {
      const entry = byRecord.get(record.id);
      const isLater = reach !== null && (record.outbox[reach.system] ?? 0) > reach.seq;
      if (entry === undefined && isLater) echo.isShort = true;
      return entry;
    },
    insertedBy(patch) {
      const entry = insertOf(patch);
      if (entry === null && reach !== null) echo.isShort = true;
      return entry;
    },
  };
  return echo;
}

interface InsertIndex {
  readonly byIdentity: ReadonlyMap<string, OutboxEntry>;
  /** Inserts without any match tuple. */
  readonly nameless: readonly OutboxEntry[];
}

function indexInserts(entity: Entity, entries: readonly OutboxEntry[]): InsertIndex {
  const byIdentity = new Map<string, OutboxEntry>();
  const nameless: OutboxEntry[] = [];
  for (const entry of entries) {
    if (entry.entity !== entity.name || entry.sent?.op !== 'insert') continue;
    const texts = identityTexts(entity, entry.sent.values);
    if (texts.length === 0) nameless.push(entry);
    for (const text of texts) byIdentity.set(text, entry);
  }
  return { byIdentity, nameless };
}

function identityTexts(entity: Entity, values: readonly Cell[]): string[] {
  return entity.match.flatMap((_, alternative) => {
    const text = identityOf(entity, alternative, values);
    return text === null ? [] : [`${alternative}\u0000${text}`];
  });
}

/**
 * The delivery that a row of our own transaction tells of. The row may be there for another
 * reason: a trigger touched it, while our own write of it had diverged. So a row that is still
 * there tells of no delete, and of no update when it held something else than that was meant for:
 * at this point of the log the view is exactly what the row held.
 */
export function claim(echo: Echo, record: RecordState, row: 'there' | 'gone'): OutboxEntry | null {
  const entry = echo.sentTo(record);
  if (entry === undefined) return null;
  if (row === 'there' && !echo.taken.has(entry.seq)) {
    if (entry.sent?.op === 'delete') return null;
    const held = record.views[entry.system]?.values;
    const over = Object.entries(entry.sent?.over ?? {});
    if (over.some(([f, value]) => held?.[Number(f)] !== value)) return null;
  }
  echo.take(entry);
  return entry;
}

const sameValues = (entry: OutboxEntry, patch: Patch): boolean =>
  (entry.sent?.values ?? []).every((value, f) => value === undefined || value === patch.values[f]);
