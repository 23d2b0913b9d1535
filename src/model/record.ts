import type { Stamp } from './stamp.ts';
import type { Cell, Value } from './value.ts';

/** The ledger's number for a record. A `ref` field holds it as decimal text. */
export type RecordId = number;

/**
 * What one system is known to hold for a record, as of the last change read from its log.
 * `linked`: it has a row, `key` names it. `unlinked`: it had one and wants none again.
 */
export interface SystemView {
  readonly status: 'linked' | 'unlinked';
  /** See `rowKey`; empty while unlinked. */
  readonly key: string;
  /** Canonical values by field ordinal; `undefined`: the system's mapping has no such field. */
  readonly values: readonly Cell[];
  /** Columns whose content cannot be computed back from `values` (lossy lenses), by column name. */
  readonly raw: Readonly<Record<string, Value>> | null;
  /**
   * Record values that this system stores differently (rounded, trimmed), by field ordinal: what
   * we sent, while `values` has what it holds. Not a difference, so not a change (invariant 5).
   * The same as in `values`: what we sent, and what the system made of it was not seen yet.
   */
  readonly represents: Readonly<Record<number, Value>> | null;
}

/** One record: the canonical values, when and where each was written, what every system holds. */
export interface RecordState {
  readonly id: RecordId;
  readonly entity: string;
  /** By field ordinal. */
  readonly values: readonly Value[];
  /** By field ordinal; null where no system has written the field yet. */
  readonly stamps: readonly (Stamp | null)[];
  /** Set while the record is deleted and some system still has to follow. */
  readonly deleted: Stamp | null;
  /** By system name. */
  readonly views: Readonly<Record<string, SystemView>>;
  /** Outbox entry that waits or is on its way, by system name (at most one a system). */
  readonly outbox: Readonly<Record<string, number>>;
  /** Open journal entries by conflict unit: its fields are written to no system until resolved. */
  readonly held: Readonly<Record<string, number>> | null;
  /** How often lately one system undid another's write; see `reconcile/flip.ts`. */
  readonly flips: Flips | null;
}

export interface Flips {
  readonly count: number;
  /** Wall time of the first flip counted, µs. */
  readonly since: number;
  /** The value each field had before its last change, by field ordinal. */
  readonly was: Readonly<Record<number, Value>>;
}

/** The unit that stands for the whole record: deletes, floods and flips hold it. */
export const RECORD_UNIT = '(record)';
