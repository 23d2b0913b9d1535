import type { Entity } from '../contract/entity.ts';
import type {
  Identity,
  JournalEntry,
  LedgerFound,
  LedgerQuery,
  Link,
  LinkKey,
  Parked,
  ParkedRow,
} from '../contract/ledger.ts';
import type { TableSpec } from '../model/change.ts';
import type { RecordId, RecordState } from '../model/record.ts';
import type { Value } from '../model/value.ts';
import { identityOf } from './identity.ts';

/** The next free numbers; a pass that is thrown away gives its numbers back. */
export interface Numbers {
  record: RecordId;
  case: number;
  seq: number;
}

/**
 * What one batch sees of the ledger, with its own decisions on top. A look-up of something that
 * was not loaded is noted in `missing` and answers `undefined`: the caller loads it and runs the
 * batch again, which is safe because deciding is pure.
 */
export interface Working {
  readonly numbers: Numbers;
  readonly missing: Missing;
  readonly touched: Map<RecordId, RecordState>;
  /** Records put since the caller last cleared it: those of one transaction. */
  readonly recent: Set<RecordId>;
  readonly erased: Set<RecordId>;
  readonly journal: JournalEntry[];
  readonly closed: number[];
  readonly parked: Map<number, Parked>;
  /** The rows among `parked`, by link; null: no longer parked. */
  readonly parkedRows: Map<string, ParkedRow | null>;
  readonly unparked: Set<number>;
  /** The flood holds among `parked`, by entity and system; they grow in place. */
  readonly holds: Map<string, { readonly id: number; readonly records: RecordId[] }>;
  readonly links: Map<string, { key: LinkKey; record: RecordId | null }>;
  /** Match tuples that records gained (`present`) or lost, by tuple and record. */
  readonly identities: Map<string, Map<RecordId, { identity: Identity; present: boolean }>>;
  /** Rows of which an image told too little, by link: they have to be read from their table. */
  readonly unread: Map<string, RowName>;
  readonly loaded: Loaded;
}

/** A row by its table and key columns. */
export interface RowName {
  readonly table: TableSpec;
  readonly key: readonly Value[];
}

export interface Missing {
  links: Map<string, LinkKey>;
  identities: Map<string, { entity: string; alternative: number; value: string }>;
  records: Set<RecordId>;
  parkedRows: Map<string, LinkKey>;
}

/** Everything fetched so far for this batch; it grows from pass to pass. */
export interface Loaded {
  readonly records: Map<RecordId, RecordState | null>;
  readonly links: Map<string, RecordId | null>;
  readonly identities: Map<string, readonly RecordId[]>;
  readonly parkedRows: Map<string, ParkedRow | null>;
}

export const linkText = (link: LinkKey): string =>
  `${link.system}\u0000${link.entity}\u0000${link.key}`;

const identityText = (entity: string, alternative: number, value: string): string =>
  `${entity}\u0000${alternative}\u0000${value}`;

export const nothingLoaded = (): Loaded => ({
  records: new Map(),
  links: new Map(),
  identities: new Map(),
  parkedRows: new Map(),
});

/** Adds what the ledger answered to `query`. */
export function remember(loaded: Loaded, query: LedgerQuery, found: LedgerFound): void {
  query.links?.forEach((link, i) => {
    const record = found.links[i] ?? null;
    loaded.links.set(linkText(link), record?.id ?? null);
    if (record !== null) loaded.records.set(record.id, record);
  });
  query.identities?.forEach((identity, i) => {
    const records = found.identities[i] ?? [];
    const text = identityText(identity.entity, identity.alternative, identity.value);
    loaded.identities.set(
      text,
      records.map((record) => record.id),
    );
    for (const record of records) loaded.records.set(record.id, record);
  });
  query.records?.forEach((id, i) => {
    loaded.records.set(id, found.records[i] ?? null);
  });
  query.parkedRows?.forEach((link, i) => {
    loaded.parkedRows.set(linkText(link), found.parkedRows[i] ?? null);
  });
}

export const queryOf = (missing: Missing): LedgerQuery => ({
  links: [...missing.links.values()],
  identities: [...missing.identities.values()],
  records: [...missing.records],
  parkedRows: [...missing.parkedRows.values()],
});

export const isComplete = (missing: Missing): boolean =>
  missing.links.size + missing.identities.size + missing.records.size + missing.parkedRows.size ===
  0;

export const startWorking = (loaded: Loaded, numbers: Numbers): Working => ({
  numbers: { ...numbers },
  missing: { links: new Map(), identities: new Map(), records: new Set(), parkedRows: new Map() },
  touched: new Map(),
  recent: new Set(),
  erased: new Set(),
  journal: [],
  closed: [],
  parked: new Map(),
  parkedRows: new Map(),
  unparked: new Set(),
  holds: new Map(),
  links: new Map(),
  identities: new Map(),
  unread: new Map(),
  loaded,
});

export function recordById(w: Working, id: RecordId): RecordState | null | undefined {
  if (w.erased.has(id)) return null;
  const own = w.touched.get(id) ?? w.loaded.records.get(id);
  if (own === undefined) w.missing.records.add(id);
  return own;
}

/** The record that a row belongs to: null when it has no link, `undefined` when not loaded. */
export function recordByLink(w: Working, link: LinkKey): RecordState | null | undefined {
  const text = linkText(link);
  const own = w.links.get(text);
  const id = own === undefined ? w.loaded.links.get(text) : own.record;
  if (id === undefined) {
    w.missing.links.set(text, link);
    return undefined;
  }
  return id === null ? null : recordById(w, id);
}

/** Records with this match tuple as of now, this batch's own included. */
export function recordsByIdentity(
  w: Working,
  entity: Entity,
  alternative: number,
  value: string,
): RecordState[] | undefined {
  const text = identityText(entity.name, alternative, value);
  const known = w.loaded.identities.get(text);
  if (known === undefined) {
    w.missing.identities.set(text, { entity: entity.name, alternative, value });
    return undefined;
  }
  const ids = new Set(known);
  for (const id of w.identities.get(text)?.keys() ?? []) ids.add(id);
  const records: RecordState[] = [];
  for (const id of ids) {
    const record = recordById(w, id);
    if (record === undefined) return undefined;
    if (record !== null && identityOf(entity, alternative, record.values) === value)
      records.push(record);
  }
  return records;
}

export function parkedRow(w: Working, link: LinkKey): ParkedRow | null | undefined {
  const text = linkText(link);
  const own = w.parkedRows.get(text);
  if (own !== undefined) return own;
  const known = w.loaded.parkedRows.get(text);
  if (known === undefined) w.missing.parkedRows.set(text, link);
  return known;
}

export function parkRow(w: Working, row: ParkedRow): void {
  w.parked.set(row.id, row);
  w.parkedRows.set(linkText(row), row);
}

export function unparkRow(w: Working, row: ParkedRow): void {
  w.parked.delete(row.id);
  w.unparked.add(row.id);
  w.parkedRows.set(linkText(row), null);
}

/** Puts a decided record; its identities and its end of life follow from what it holds. */
export function putRecord(w: Working, entity: Entity, next: RecordState): void {
  const before = w.touched.get(next.id) ?? w.loaded.records.get(next.id) ?? null;
  for (const [alternative, fields] of entity.match.entries()) {
    if (before !== null && fields.every((f) => before.values[f] === next.values[f])) continue;
    const was = before === null ? null : identityOf(entity, alternative, before.values);
    const is = identityOf(entity, alternative, next.values);
    const named = { entity: entity.name, alternative, record: next.id };
    if (was !== null) setIdentity(w, { ...named, value: was }, false);
    if (is !== null) setIdentity(w, { ...named, value: is }, true);
  }
  w.touched.set(next.id, next);
  w.recent.add(next.id);
}

function setIdentity(w: Working, identity: Identity, present: boolean): void {
  const text = identityText(identity.entity, identity.alternative, identity.value);
  const holders = w.identities.get(text) ?? new Map();
  holders.set(identity.record, { identity, present });
  w.identities.set(text, holders);
}

export function setLink(w: Working, key: LinkKey, record: RecordId | null): void {
  w.links.set(linkText(key), { key, record });
}

/** A record that no system holds any more and that nothing waits for is forgotten. */
export function eraseIfGone(w: Working, id: RecordId): void {
  const record = w.touched.get(id);
  if (record === undefined || Object.keys(record.outbox).length > 0) return;
  if (record.held !== null) return;
  if (Object.values(record.views).some((view) => view.status === 'linked')) return;
  if (record.deleted === null && Object.keys(record.views).length === 0) return;
  w.touched.delete(id);
  w.recent.delete(id);
  w.erased.add(id);
}

export function linkChanges(w: Working): { add: Link[]; remove: LinkKey[] } {
  const add: Link[] = [];
  const remove: LinkKey[] = [];
  for (const { key, record } of w.links.values()) {
    if (record === null) remove.push(key);
    else add.push({ ...key, record });
  }
  return { add, remove };
}

export function identityChanges(w: Working): { add: Identity[]; remove: Identity[] } {
  const add: Identity[] = [];
  const remove: Identity[] = [];
  for (const holders of w.identities.values()) {
    for (const { identity, present } of holders.values()) {
      if (!present) remove.push(identity);
      else if (!w.erased.has(identity.record)) add.push(identity);
    }
  }
  return { add, remove };
}
