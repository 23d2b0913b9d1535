import type { Applier, ApplyTransaction, Outcome } from '../contract/applier.ts';
import type { OutboxEntry } from '../contract/ledger.ts';
import { type Delivery, type Group, groupWrites, revival } from '../deliver/plan.ts';
import { halt } from '../errors.ts';
import type { RecordId, RecordState } from '../model/record.ts';
import { rowKey } from '../model/value.ts';
import { generatedText } from '../reconcile/echo.ts';
import type { Decisions } from './decisions.ts';
import { echoName } from './echoes.ts';
import { type Batch, keyIn } from './freeze.ts';

/** What came of one part of a batch. */
export interface Applied {
  readonly outcomes: ReadonlyMap<Delivery, Outcome>;
  /** Row keys that the target gave in the whole transaction so far, by `generatedText`. */
  readonly generated: ReadonlyMap<string, RecordId>;
}

/** Of more rows than this the echo is told by what was sent, as it is after a crash. */
const MAX_GENERATED = 20_000;

/** How `apply` goes on. */
export interface Steps {
  readonly buried: Buried;
  /** Before the target's log can tell anything, unless they are plain updates. */
  written(applied: Applied): void;
  /** The next part of the same transaction. */
  more(part: Batch): Promise<Batch | null>;
}

/**
 * Opens the target's transaction while what it will carry is frozen, if it takes more than one
 * statement; one that is not taken is rolled back.
 */
export function beginAhead(applier: Applier, batch: number) {
  let opened: Promise<ApplyTransaction> | null = null;
  return {
    start(sole: Group | null) {
      if (sole !== null && applier.update !== undefined) return;
      opened = applier.begin(batch);
      // Whoever takes it learns of a failure.
      opened.catch(() => undefined);
    },
    begin() {
      const taken = opened ?? applier.begin(batch);
      opened = null;
      return taken;
    },
    ...(applier.update === undefined ? {} : { update: applier.update }),
    async [Symbol.asyncDispose]() {
      const left = await opened?.catch(() => null);
      await left?.[Symbol.asyncDispose]();
    },
  };
}

/**
 * One target transaction, however many parts it has: the mark first, then part after part. They are
 * sent while the ledger is synced, and committed behind it.
 */
export async function apply(
  applier: Pick<Applier, 'begin' | 'update'>,
  batch: Batch,
  { buried, written, more }: Steps,
): Promise<void> {
  if (await applySole(applier, batch, written)) return;
  const generated = new Map<string, RecordId>();
  let frozen = batch.frozen;
  await using transaction = await applier.begin(batch.number);
  // A function of its own: what is left of a part when the next one is planned is garbage.
  const send = async (part: Batch): Promise<void> => {
    const outcomes = await applyPart(transaction, part, buried, generated);
    // Nothing is noted of rows whose freeze failed: nobody would find them to take it back. And the
    // next part's freeze, which the commit waits for, stands for this one.
    await part.written;
    written({ outcomes, generated });
  };
  for (let part: Batch | null = batch; part !== null; part = await more(part)) {
    await send(part);
    frozen = part.frozen;
  }
  await frozen;
  await transaction.commit();
}

/** False: it takes more than one statement, or something was refused; nothing was done. */
async function applySole(
  applier: Pick<Applier, 'update'>,
  { number, frozen, sole }: Batch,
  written: Steps['written'],
): Promise<boolean> {
  if (sole === null || applier.update === undefined) return false;
  // It commits, and nothing may commit before that (invariant 4).
  await frozen;
  const outcomes = await applier.update(number, sole.write);
  if (outcomes === null) return false;
  const settled = sole.deliveries.map((delivery, i) => [delivery, outcomes[i]!] as const);
  written({ outcomes: new Map(settled), generated: new Map() });
  return true;
}

/**
 * Parents before children, deletes last and children first. What the system refused is tried once
 * more at the end: another row of the same part may have stood in its way.
 */
async function applyPart(
  transaction: ApplyTransaction,
  { deliveries: planned, keys }: Batch,
  buried: Buried,
  generated: Map<string, RecordId>,
): Promise<Map<Delivery, Outcome>> {
  const deliveries = planned.splice(0);
  const outcomes = new Map<Delivery, Outcome>();
  const keyOf = keyIn(keys);
  const inserted = ({ record, entity }: Delivery, key: string): void => {
    keys.set(record.id, key);
    if (generated.size < MAX_GENERATED) generated.set(generatedText(entity.name, key), record.id);
  };
  const write = async (some: readonly Delivery[]): Promise<void> => {
    for (const group of groupWrites(some, keyOf)) {
      await writeGroup(transaction, group, outcomes, inserted);
    }
  };
  const deletes = deliveries.filter(({ need }) => need.op === 'delete');
  await writeWaves(
    deliveries.filter(({ need }) => need.op !== 'delete'),
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
  return outcomes;
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
      const entries = await ledger.sent(system, batch, 0, decisions.partEntries);
      for (const { seq } of entries) {
        decisions.refused.delete(seq);
        decisions.already.delete(seq);
      }
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
