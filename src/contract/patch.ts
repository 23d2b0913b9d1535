import type { Cell, Micros, Value } from '../model/value.ts';
import type { Entity, Lens } from './entity.ts';

/**
 * What a person wants of rows that differ: what `from` holds wins everywhere; null: the entity's
 * own policies choose, as among writes that are known to be concurrent.
 */
export interface Repair {
  readonly from: string | null;
}

/** A row that became canonical: what one system holds now, references already record ids. */
export interface Patch {
  readonly entity: Entity;
  readonly lens: Lens;
  readonly key: string;
  /** By field ordinal; `undefined`: not told, or unchanged. */
  readonly values: readonly Cell[];
  /** See `SystemView.raw`. */
  readonly raw: Readonly<Record<string, Value>> | null;
  /** When the row was written, µs; 0: unknown (a snapshot row without a declared writing time). */
  readonly at: Micros;
}
