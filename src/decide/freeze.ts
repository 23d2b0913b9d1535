import type { OutboxEntry, ParkedDelivery } from '../contract/ledger.ts';
import {
  type Delivery,
  type Group,
  type Plan,
  parentsOf,
  plan,
  soleUpdate,
} from '../deliver/plan.ts';
import type { RecordId, RecordState } from '../model/record.ts';
import type { Decisions } from './decisions.ts';
import { refusalText } from './pass.ts';
import { isPaused } from './pauses.ts';
import { stoppedEntities } from './tables.ts';

/** A batch that was frozen in the ledger: it may be sent, and after a crash it is known. */
export interface Batch {
  readonly number: number;
  /** Resolves when the freeze is in the ledger. */
  readonly written: Promise<void>;
  /** Resolves when the freeze is on disk: before that the target must not commit (invariant 4). */
  readonly frozen: Promise<void>;
  /** Taken out as they are sent: who still holds a part of a large batch holds no rows of it. */
  readonly deliveries: Delivery[];
  /** Row keys in the target: of parents, and what the transaction inserts is added. */
  readonly keys: Map<RecordId, string>;
  /** More of the same source transaction waits for `freezeMore`; null: this is all. */
  readonly rest: Rest | null;
  /** All of the batch, where one statement does it. */
  readonly sole: Group | null;
}

/** Of more rows than this the keys that an open transaction gave are forgotten between parts. */
const MAX_KEYS = 20_000;

/** Where a source transaction that is too large for one part goes on in the outbox. */
interface Rest {
  readonly origin: string;
  readonly transaction: string;
  readonly afterSeq: number;
}

/** `null`: nothing can be sent now. `progress`: nothing to send, but the outbox moved. */
export type Prepared = Batch | 'progress' | null;

/**
 * Takes what waits for `system`, plans it, and freezes the plan in the ledger before the target can
 * commit any of it (invariant 4): the number in the mark then says exactly what was committed.
 * `told` learns what cannot be planned and waits for a person; `begun` what will be sent, before it
 * is frozen.
 */
export async function prepare(
  decisions: Decisions,
  system: string,
  number: number,
  told: Told,
  begun?: (sole: Group | null) => void,
): Promise<Prepared> {
  const batch = await decisions.exclusively(async () => {
    if (isPaused(decisions.ledger, 'system', system)) return null;
    const { entries, rest } = await take(decisions, system);
    if (entries.length === 0) return null;
    const part = await planPart(decisions, system, entries, new Map());
    const { planned, keys } = part;
    const sole = rest === null ? soleUpdate(planned.deliveries, keyIn(keys)) : null;
    if (planned.deliveries.length > 0) begun?.(sole);
    return freeze(decisions, system, part, { number, rest, sole }, told);
  });
  if (batch === null || batch.deliveries.length > 0) return batch;
  await batch.written;
  return 'progress';
}

type Told = (parked: readonly ParkedDelivery[]) => void;

/**
 * The next part of a batch whose target transaction is open; null: there is none. However large a
 * source transaction is, it is one transaction in the target (invariant 7), and one part of it is
 * in memory (invariant 8).
 */
export async function freezeMore(
  decisions: Decisions,
  system: string,
  { number, keys: known, rest }: Batch,
  told: Told,
): Promise<Batch | null> {
  if (rest === null) return null;
  // A child whose parent was forgotten waits for the parent's echo.
  const keys = known.size > MAX_KEYS ? new Map<RecordId, string>() : known;
  return decisions.exclusively(async () => {
    const taken = await takeMore(decisions, system, rest);
    const part = await planPart(decisions, system, taken.entries, keys);
    return freeze(decisions, system, part, { number, rest: taken.rest, sole: null }, told);
  });
}

/** What becomes of some entries, and the records and keys that they were planned with. */
interface Part {
  readonly planned: Plan;
  readonly records: ReadonlyMap<RecordId, RecordState>;
  readonly keys: Map<RecordId, string>;
}

/** The row key of a record, if it is known. */
export const keyIn =
  (keys: ReadonlyMap<RecordId, string>) =>
  (id: RecordId): string | null =>
    keys.get(id) ?? null;

async function planPart(
  decisions: Decisions,
  system: string,
  entries: readonly OutboxEntry[],
  keys: Map<RecordId, string>,
): Promise<Part> {
  const { ledger, entities } = decisions;
  const found = await ledger.find({ records: entries.map((entry) => entry.record) });
  const records = new Map<RecordId, RecordState>();
  for (const record of found.records) if (record !== null) records.set(record.id, record);
  const gone = await findKeys(decisions, system, [...records.values()], keys);
  const planned = plan(
    entries,
    (id) => records.get(id) ?? null,
    (name) => entities.get(name),
    { keyOf: keyIn(keys), isGone: (id) => gone.has(id) },
  );
  return { planned, records, keys };
}

function freeze(
  decisions: Decisions,
  system: string,
  { planned, records, keys }: Part,
  { number, rest, sole }: Pick<Batch, 'number' | 'rest' | 'sole'>,
  told: Told,
): Batch {
  const frozen = planned.deliveries.map(({ entry, sent }) => ({ ...entry, batch: number, sent }));
  const stopped = [...planned.idle, ...planned.unwritable.map(({ entry }) => entry)];
  const parked = planned.unwritable.map(({ entry, fault }, i): ParkedDelivery => {
    const { entity, since, record } = entry;
    const base = { id: decisions.numbers.case + i, system, entity, since, record };
    return { ...base, kind: 'delivery', reason: 'refused', detail: fault };
  });
  const written = decisions.put({
    records: stopped.flatMap((entry) => {
      const record = records.get(entry.record);
      return record === undefined ? [] : [withoutEntry(record, entry)];
    }),
    parked: { put: parked, remove: [] },
    outbox: {
      add: [],
      send: frozen,
      remove: stopped.map((entry) => entry.seq),
      release: [],
      wait: planned.blocked.map(({ entry, waits }) => ({ seq: entry.seq, waits })),
    },
    ...(frozen.length === 0 ? {} : { batches: [{ system, batch: number }] }),
  });
  const onDisk = written.then(() => decisions.ledger.synced());
  // Whoever commits builds on it; a batch that is given up is of no interest.
  onDisk.catch(() => undefined);
  told(parked);
  decisions.numbers.case += parked.length;
  for (const { record, id } of parked) decisions.refusals.set(refusalText(system, record), id);
  const { deliveries } = planned;
  return { number, written, frozen: onDisk, deliveries, keys, rest, sole };
}

type Taken = { readonly entries: readonly OutboxEntry[]; readonly rest: Rest | null };

/**
 * The entries of the next batch: whole source transactions. Those of one system follow one another,
 * so of a full page the last of each system may go on behind it.
 */
async function take(decisions: Decisions, system: string): Promise<Taken> {
  const { ledger, partEntries } = decisions;
  const page = await ledger.ready(system, 0, partEntries, stoppedEntities(decisions, system));
  const [first] = page;
  if (first === undefined || page.length < partEntries) return { entries: page, rest: null };
  const open = new Map(page.map(({ origin, transaction }) => [origin, transaction]));
  const whole = page.filter(({ origin, transaction }) => open.get(origin) !== transaction);
  if (whole.length > 0) return { entries: whole, rest: null };
  const { origin, transaction } = first;
  return partOf(page, { origin, transaction });
}

/** A page without any of the transaction is its end. */
async function takeMore(
  decisions: Decisions,
  system: string,
  { origin, transaction, afterSeq }: Rest,
): Promise<Taken> {
  const { ledger, partEntries } = decisions;
  const stopped = stoppedEntities(decisions, system);
  const page = await ledger.ready(system, afterSeq, partEntries, stopped);
  const part = partOf(page, { origin, transaction });
  const isLast = part.entries.length === 0 || page.length < partEntries;
  return isLast ? { ...part, rest: null } : part;
}

function partOf(page: readonly OutboxEntry[], of: Omit<Rest, 'afterSeq'>): Taken {
  const entries = page.filter(
    ({ origin, transaction }) => origin === of.origin && transaction === of.transaction,
  );
  return { entries, rest: { ...of, afterSeq: page.at(-1)?.seq ?? 0 } };
}

/** Adds the parents' keys to `keys`; the result: parents that are gone. */
async function findKeys(
  { ledger, entities }: Decisions,
  system: string,
  records: readonly RecordState[],
  keys: Map<RecordId, string>,
): Promise<Set<RecordId>> {
  const parents = new Set<RecordId>();
  for (const record of records) {
    const entity = entities.get(record.entity);
    if (entity === undefined) continue;
    for (const parent of parentsOf(entity, record.values)) parents.add(parent);
    for (const parent of parentsOf(entity, record.views[system]?.values ?? [])) parents.add(parent);
  }
  const ids = [...parents].filter((id) => !keys.has(id));
  const gone = new Set<RecordId>();
  if (ids.length === 0) return gone;
  const found = await ledger.find({ records: ids });
  for (const [i, parent] of found.records.entries()) {
    const view = parent?.views[system];
    if (parent === null) gone.add(ids[i] ?? 0);
    else if (view?.status === 'linked') keys.set(parent.id, view.key);
  }
  return gone;
}

const withoutEntry = (record: RecordState, entry: OutboxEntry): RecordState => {
  const { [entry.system]: seq, ...outbox } = record.outbox;
  return seq === entry.seq ? { ...record, outbox } : record;
};
