import type { OutboxEntry } from '../contract/ledger.ts';

/**
 * Outbox entries as they were written lately, so that they need not be read back: nearly all are
 * sent, and come back from the target's log, soon after. Everything is on disk too; what is not
 * here, because it is older or was too much, is read from there.
 */
export interface Fresh {
  /** Entries that may be sent with this seq or a higher one are all here; see `readyFrom`. */
  ready(system: string): readonly OutboxEntry[];
  readyFrom(system: string): number;
  /** Nothing that may be sent is on disk below `readyFrom`. */
  caughtUp(system: string): void;
  /** By system: up to this seq nothing on disk may be sent but what `left` says is left out. */
  readonly passed: Map<string, { readonly left: string; readonly seq: number }>;
  /** What was sent in a batch; null: it is not here as a whole. */
  sent(system: string, batch: number): readonly OutboxEntry[] | null;
  add(entry: OutboxEntry): void;
  /** The entry was frozen into a batch. */
  send(entry: OutboxEntry): void;
  /** The entry may not be sent for now. */
  wait(system: string, seq: number): void;
  remove(system: string, seq: number): void;
  /** An entry that may have waited may be sent now: whoever it is, if that is not known. */
  freed(system: string, seq?: number): void;
  forget(): void;
}

interface Box {
  ready: Map<number, OutboxEntry>;
  readyFrom: number;
  sent: Map<number, Map<number, OutboxEntry>>;
  /** What was sent in this batch and in later ones is here. */
  sentFrom: number;
  weight: number;
}

/** Estimated heap bytes. */
const weigh = ({ sent }: OutboxEntry): number =>
  sent === null ? 250 : sent.values.reduce((sum, value) => sum + 10 + (value?.length ?? 0), 400);

const has = ({ ready, sent }: Box, seq: number): boolean =>
  ready.has(seq) || sent.values().some((entries) => entries.has(seq));

function hold(box: Box, seq: number): boolean {
  const entry = box.ready.get(seq);
  if (entry === undefined) return false;
  box.ready.delete(seq);
  box.weight -= weigh(entry);
  return true;
}

function take(box: Box, seq: number): void {
  if (hold(box, seq)) return;
  for (const [batch, entries] of box.sent) {
    const entry = entries.get(seq);
    if (entry === undefined) continue;
    entries.delete(seq);
    box.weight -= weigh(entry);
    if (entries.size === 0) box.sent.delete(batch);
    return;
  }
}

const inOrder = (entries: Iterable<OutboxEntry>): OutboxEntry[] =>
  [...entries].sort((a, b) => a.seq - b.seq);

/**
 * `limit` in bytes for each system. Of what was put so far `next` tells the next seq, and `highest`
 * the highest batch of which a system has entries.
 */
export function openFresh(
  limit: number,
  next: () => number,
  highest: (system: string) => number,
): Fresh {
  const boxes = new Map<string, Box>();
  const passed: Fresh['passed'] = new Map();
  const boxOf = (system: string): Box => {
    const known = boxes.get(system);
    if (known !== undefined) return known;
    const sentFrom = highest(system) + 1;
    const box = { ready: new Map(), readyFrom: next(), sent: new Map(), sentFrom, weight: 0 };
    boxes.set(system, box);
    return box;
  };
  const put = (entry: OutboxEntry, into: Map<number, OutboxEntry>, box: Box): void => {
    into.set(entry.seq, entry);
    box.weight += weigh(entry);
    if (box.weight > limit) boxes.delete(entry.system);
  };
  const freed = (system: string, seq?: number): void => {
    const box = boxOf(system);
    if (seq !== undefined && has(box, seq)) return;
    for (const entry of box.ready.values()) box.weight -= weigh(entry);
    box.ready = new Map();
    box.readyFrom = next();
    passed.delete(system);
  };
  return {
    passed,
    ready: (system) => inOrder(boxOf(system).ready.values()),
    readyFrom: (system) => boxOf(system).readyFrom,
    caughtUp(system) {
      boxOf(system).readyFrom = 0;
    },
    sent(system, batch) {
      const box = boxOf(system);
      return batch < box.sentFrom ? null : inOrder(box.sent.get(batch)?.values() ?? []);
    },
    add(entry) {
      const box = boxOf(entry.system);
      take(box, entry.seq);
      if (entry.seq >= box.readyFrom) put(entry, box.ready, box);
      else passed.delete(entry.system);
    },
    send(entry) {
      const { system, seq, batch } = entry;
      const box = boxOf(system);
      take(box, seq);
      if (batch === null) freed(system);
      if (batch === null || batch < box.sentFrom) return;
      const entries = box.sent.get(batch) ?? new Map<number, OutboxEntry>();
      box.sent.set(batch, entries);
      put(entry, entries, box);
    },
    wait: (system, seq) => void hold(boxOf(system), seq),
    remove(system, seq) {
      const box = boxes.get(system);
      if (box !== undefined) take(box, seq);
    },
    freed,
    forget() {
      boxes.clear();
      passed.clear();
    },
  };
}
