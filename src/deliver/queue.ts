import type { Entity, Lens } from '../contract/entity.ts';
import type { OutboxEntry } from '../contract/ledger.ts';
import type { RecordId, RecordState } from '../model/record.ts';
import type { Micros } from '../model/value.ts';
import { needOf, only } from './need.ts';
import { parentsOf } from './plan.ts';

export interface Enqueued {
  readonly record: RecordState;
  readonly entries: readonly OutboxEntry[];
}

/**
 * Makes outbox entries for every system that is behind a record that was just decided. A system
 * that already has an entry for the record needs no second one: what is sent is computed when it is
 * sent, so several decisions that wait together are delivered as one.
 */
export function enqueue(
  entity: Entity,
  record: RecordState,
  cause: {
    readonly since: Micros;
    readonly origin: string;
    readonly transaction: string;
    /** How often an entry of this record for a system came back without effect. */
    readonly attempts: (system: string) => number;
  },
  nextSeq: () => number,
): Enqueued {
  const entries: OutboxEntry[] = [];
  let outbox = record.outbox;
  for (const lens of entity.lenses.values()) {
    const { system } = lens;
    if (outbox[system] !== undefined || needOf(entity, lens, record) === null) continue;
    const seq = nextSeq();
    const { since, origin, transaction } = cause;
    entries.push({
      seq,
      system,
      record: record.id,
      entity: entity.name,
      since,
      origin,
      transaction,
      batch: null,
      sent: null,
      attempts: cause.attempts(system),
    });
    outbox = { ...outbox, [system]: seq };
  }
  return { record: entries.length === 0 ? record : { ...record, outbox }, entries };
}

/**
 * Entries of before that may wait for the row of a parent that is not needed any more: the record
 * was deleted, or refers to another one by now. Their parent may never have a row there.
 */
export function freedEntries(entity: Entity, before: RecordState, record: RecordState): number[] {
  if (entity.fields.every(({ ref }) => ref === null)) return [];
  return [...entity.lenses.values()].flatMap((lens) => {
    const seq = record.outbox[lens.system];
    if (seq === undefined || before.outbox[lens.system] !== seq) return [];
    const needed = new Set(parentsNeeded(entity, lens, record));
    return parentsNeeded(entity, lens, before).every((id) => needed.has(id)) ? [] : [seq];
  });
}

function parentsNeeded(entity: Entity, lens: Lens, record: RecordState): RecordId[] {
  const fields = needOf(entity, lens, record)?.fields ?? [];
  return parentsOf(entity, only(record.values, fields));
}
