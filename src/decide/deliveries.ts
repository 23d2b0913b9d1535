import type { Applier, ApplyTransaction, Outcome } from '../contract/applier.ts';
import type { OutboxEntry, ParkedDelivery } from '../contract/ledger.ts';
import { type Delivery, groupWrites, parentsOf, plan, revival } from '../deliver/plan.ts';
import { halt } from '../errors.ts';
import type { RecordId, RecordState } from '../model/record.ts';
import { rowKey } from '../model/value.ts';
import { generatedText } from '../reconcile/echo.ts';
import type { Decisions } from './decisions.ts';
import { refusalText } from './pass.ts';
import { isPaused } from './pauses.ts';
import { stoppedEntities } from './tables.ts';

/** Entries that one apply transaction takes at most, unless a source transaction is larger. */
const BATCH_ENTRIES = 2000;
/** Beyond this a source transaction is applied in several (invariant 8 before invariant 7). */
export const MAX_BATCH_ENTRIES = 50_000;

/** A batch that was frozen in the ledger: it may be sent, and after a crash it is known. */
export interface Batch {
  readonly number: number;
  readonly deliveries: readonly Delivery[];
  readonly keys: ReadonlyMap<RecordId, string>;
}

/** `null`: nothing can be sent now. `progress`: nothing to send, but the outbox moved. */
export type Prepared = Batch | 'progress' | null;

/**
 * Takes what waits for `system`, plans it, and freezes the plan in the ledger before anything is
 * sent (invariant 4): the number in the mark then says exactly what was committed. `told` learns
 * what cannot be planned and waits for a person.
 */
export async function prepare(
  decisions: Decisions,
  system: string,
  number: number,
  told: Told,
): Promise<Prepared> {
  const prepared = await freeze(decisions, system, number, told);
  await decisions.ledger.synced();
  return prepared;
}

type Told = (parked: readonly ParkedDelivery[]) => void;

function freeze(
  decisions: Decisions,
  system: string,
  number: number,
  told: Told,
): Promise<Prepared> {
  const { ledger, entities } = decisions;
  return decisions.exclusively(async () => {
    if (isPaused(ledger, 'system', system)) return null;
    const entries = await take(decisions, system);
    if (entries.length === 0) return null;
    const ids = entries.map((entry) => entry.record);
    const found = await ledger.find({ records: ids });
    const records = new Map<RecordId, RecordState>();
    for (const record of found.records) if (record !== null) records.set(record.id, record);
    const keys = await parentKeys(decisions, system, [...records.values()]);
    const keyOf = (id: RecordId): string | null => keys.get(id) ?? null;
    const planned = plan(
      entries,
      (id) => records.get(id) ?? null,
      (name) => entities.get(name),
      keyOf,
    );
    const frozen = planned.deliveries.map(({ entry, sent }) => ({ ...entry, batch: number, sent }));
    const stopped = [...planned.idle, ...planned.unwritable.map(({ entry }) => entry)];
    const parked = planned.unwritable.map(({ entry, fault }, i): ParkedDelivery => {
      const { entity, since, record } = entry;
      const base = { id: decisions.numbers.case + i, system, entity, since, record };
      return { ...base, kind: 'delivery', reason: 'refused', detail: fault };
    });
    await ledger.commit({
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
    told(parked);
    decisions.numbers.case += parked.length;
    for (const { record, id } of parked) decisions.refusals.set(refusalText(system, record), id);
    if (frozen.length === 0) return 'progress';
    return { number, deliveries: planned.deliveries, keys };
  });
}

/** The entries of the next batch, cut between source transactions where that is possible. */
async function take(decisions: Decisions, system: string): Promise<OutboxEntry[]> {
  const { ledger } = decisions;
  const stopped = stoppedEntities(decisions, system);
  const entries = await ledger.ready(system, 0, BATCH_ENTRIES, stopped);
  if (entries.length < BATCH_ENTRIES) return entries;
  const source = (entry: OutboxEntry | undefined) => `${entry?.origin} ${entry?.transaction}`;
  const last = source(entries.at(-1));
  const cut = entries.findIndex((entry) => source(entry) === last);
  if (cut > 0) return entries.slice(0, cut);
  while (entries.length < MAX_BATCH_ENTRIES) {
    const more = await ledger.ready(system, entries.at(-1)?.seq ?? 0, BATCH_ENTRIES, stopped);
    const same = more.findIndex((entry) => source(entry) !== last);
    entries.push(...(same < 0 ? more : more.slice(0, same)));
    if (same >= 0 || more.length < BATCH_ENTRIES) break;
  }
  return entries;
}

async function parentKeys(
  { ledger, entities }: Decisions,
  system: string,
  records: readonly RecordState[],
): Promise<Map<RecordId, string>> {
  const parents = new Set<RecordId>();
  for (const record of records) {
    const entity = entities.get(record.entity);
    if (entity === undefined) continue;
    for (const parent of parentsOf(entity, record.values)) parents.add(parent);
    for (const parent of parentsOf(entity, record.views[system]?.values ?? [])) parents.add(parent);
  }
  const ids = [...parents];
  const keys = new Map<RecordId, string>();
  if (ids.length === 0) return keys;
  const found = await ledger.find({ records: ids });
  for (const parent of found.records) {
    const view = parent?.views[system];
    if (parent !== null && view?.status === 'linked') keys.set(parent.id, view.key);
  }
  return keys;
}

const withoutEntry = (record: RecordState, entry: OutboxEntry): RecordState => {
  const { [entry.system]: seq, ...outbox } = record.outbox;
  return seq === entry.seq ? { ...record, outbox } : record;
};

export interface Applied {
  readonly outcomes: ReadonlyMap<Delivery, Outcome>;
  /** Row keys that the target gave, by `generatedText`. */
  readonly generated: ReadonlyMap<string, RecordId>;
}

/**
 * One target transaction: the mark, then parents before children, deletes last and children first.
 * What the system refused is tried once more at the end: another row of the same transaction may
 * have stood in its way. `beforeCommit` learns what came of it before the target's log can tell.
 */
export async function apply(
  applier: Applier,
  batch: Batch,
  buried: Buried,
  beforeCommit: (applied: Applied) => void,
): Promise<Applied> {
  const outcomes = new Map<Delivery, Outcome>();
  const generated = new Map<string, RecordId>();
  const keys = new Map(batch.keys);
  const keyOf = (id: RecordId): string | null => keys.get(id) ?? null;
  const inserted = (delivery: Delivery, key: string): void => {
    keys.set(delivery.record.id, key);
    generated.set(generatedText(delivery.entity.name, key), delivery.record.id);
  };
  await using transaction = await applier.begin(batch.number);
  const write = async (deliveries: readonly Delivery[]): Promise<void> => {
    for (const group of groupWrites(deliveries, keyOf)) {
      await writeGroup(transaction, group, outcomes, inserted);
    }
  };
  const deletes = batch.deliveries.filter(({ need }) => need.op === 'delete');
  await writeWaves(
    batch.deliveries.filter(({ need }) => need.op !== 'delete'),
    keyOf,
    write,
  );
  const blocked = [...outcomes].filter(
    ([{ lens, need }, { kind }]) =>
      need.op === 'insert' && kind === 'diverged' && lens.deletion.kind === 'soft',
  );
  for (const [delivery] of blocked) {
    const outcome = await revive(transaction, delivery, keyOf, buried);
    if (outcome !== null) outcomes.set(delivery, outcome);
    if (outcome?.kind === 'applied') inserted(delivery, rowKey(outcome.key));
  }
  for (const level of childrenFirst(deletes)) await write(level);
  const refused = [...outcomes].filter(([, outcome]) => outcome.kind === 'refused');
  if (refused.length > 0) await write(refused.map(([delivery]) => delivery));
  const applied = { outcomes, generated };
  beforeCommit(applied);
  await transaction.commit();
  return applied;
}

/** Soft-deleted rows that stood in the way of inserts: by record, at which try, and as what. */
export type Buried = Map<RecordId, { readonly attempts: number; readonly cells: string }>;

/**
 * An insert whose place a soft-deleted row holds brings that row back to life: at the second try,
 * if the row is as it was at the first. The mark of the first came back behind it, so that it has
 * been read (invariant 3).
 */
async function revive(
  transaction: ApplyTransaction,
  delivery: Delivery,
  keyOf: (id: RecordId) => string | null,
  buried: Buried,
): Promise<Outcome | null> {
  const { entry, record } = delivery;
  const before = buried.get(record.id);
  buried.delete(record.id);
  const [group] = groupWrites([delivery], keyOf);
  const [row] = group?.write.rows ?? [];
  if (group === undefined || row === undefined) return null;
  const { columns } = delivery.lens.table;
  const [found = []] = await transaction.inTheWay(group.write, columns);
  const [only] = found;
  if (only === undefined || found.length > 1) return null;
  const update = revival(delivery, { write: group.write, row }, only);
  if (update === null) return null;
  const cells = JSON.stringify(only);
  if (before?.cells !== cells || before.attempts >= entry.attempts) {
    buried.set(record.id, { attempts: entry.attempts, cells });
    return null;
  }
  const [outcome] = await transaction.write(update);
  return outcome ?? null;
}

async function writeGroup(
  transaction: ApplyTransaction,
  group: ReturnType<typeof groupWrites>[number],
  outcomes: Map<Delivery, Outcome>,
  inserted: (delivery: Delivery, key: string) => void,
): Promise<void> {
  const results = await transaction.write(group.write);
  group.deliveries.forEach((delivery, i) => {
    const outcome = results[i];
    if (outcome === undefined) throw new Error(`no outcome for row ${i} of ${group.write.table}`);
    outcomes.set(delivery, outcome);
    if (outcome.kind === 'applied' && delivery.need.op === 'insert') {
      inserted(delivery, rowKey(outcome.key));
    }
  });
}

/** Rows whose parents have keys go first, and give keys to the next wave. */
async function writeWaves(
  deliveries: readonly Delivery[],
  keyOf: (id: RecordId) => string | null,
  write: (deliveries: readonly Delivery[]) => Promise<void>,
): Promise<void> {
  let waiting = deliveries;
  while (waiting.length > 0) {
    const now = waiting.filter(({ parents }) => parents.every((id) => keyOf(id) !== null));
    // What is left has a parent that was not written: it stays unsent and is planned again.
    if (now.length === 0) return;
    const going = new Set(now);
    waiting = waiting.filter((delivery) => !going.has(delivery));
    await write(now);
  }
}

/** Deletes grouped so that no row goes before the rows that refer to it. */
function childrenFirst(deletes: readonly Delivery[]): Delivery[][] {
  const levels = new Map<string, number>();
  const byEntity = new Map(deletes.map(({ entity }) => [entity.name, entity]));
  const level = (name: string, seen: readonly string[]): number => {
    const known = levels.get(name);
    if (known !== undefined || seen.includes(name)) return known ?? 0;
    const refs = byEntity.get(name)?.fields.flatMap(({ ref }) => (ref === null ? [] : [ref])) ?? [];
    const depth = Math.max(0, ...refs.map((ref) => 1 + level(ref, [...seen, name])));
    levels.set(name, depth);
    return depth;
  };
  const groups = new Map<number, Delivery[]>();
  for (const delivery of deletes) {
    const depth = level(delivery.entity.name, []);
    groups.set(depth, [...(groups.get(depth) ?? []), delivery]);
  }
  return [...groups.entries()].sort(([a], [b]) => b - a).map(([, group]) => group);
}

/** Under which the generated keys of a batch are kept until its echo. */
export const echoName = (system: string, batch: number): string => `${system}:${batch}`;

/**
 * After a start or a lost connection: the mark says which batches were committed. Those wait for
 * their echo; the others go back to the outbox. Returns the highest number in use.
 */
export async function recover(
  decisions: Decisions,
  system: string,
  applier: Applier,
  handedOut: number,
): Promise<number> {
  const committed = await applier.committed();
  if (committed > handedOut) {
    throw halt(
      'ledger.behind',
      `${system} has batch ${committed} of this instance, the ledger knows only ${handedOut}`,
      'the ledger was lost or restored from a copy: follow "Ledger lost" in deploy/RUNBOOK.md',
    );
  }
  for (let batch = committed + 1; batch <= handedOut; batch++) {
    await takeBack(decisions, system, batch);
  }
  await decisions.ledger.synced();
  return handedOut;
}

/** Puts what was sent in a batch (null: in any) back into the outbox, to be decided again. */
export function takeBack(
  decisions: Decisions,
  system: string,
  batch: number | null,
): Promise<void> {
  const { ledger, numbers } = decisions;
  if (batch !== null) decisions.generated.delete(echoName(system, batch));
  return decisions.exclusively(async () => {
    for (;;) {
      const entries = await ledger.sent(system, batch, MAX_BATCH_ENTRIES);
      for (const { seq } of entries) decisions.refused.delete(seq);
      if (entries.length === 0) return;
      const { records } = await ledger.find({ records: entries.map((entry) => entry.record) });
      const changed: RecordState[] = [];
      const add: OutboxEntry[] = [];
      let seq = numbers.seq;
      entries.forEach((entry, i) => {
        const record = records[i];
        if (record == null || record.outbox[system] !== entry.seq) return;
        const again = { ...entry, seq: seq++, batch: null, sent: null };
        add.push(again);
        changed.push({ ...record, outbox: { ...record.outbox, [system]: again.seq } });
      });
      const remove = entries.map((entry) => entry.seq);
      const outbox = { add, send: [], remove, release: [], wait: [] };
      await ledger.commit({ records: changed, outbox });
      numbers.seq = seq;
    }
  });
}
