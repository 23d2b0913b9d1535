import type { Entity } from '../contract/entity.ts';
import type { Cell } from '../model/value.ts';

/** The match tuple of one alternative as text; null where a value is missing: no match by it. */
export function identityOf(
  entity: Entity,
  alternative: number,
  values: readonly Cell[],
): string | null {
  const tuple = entity.match[alternative]?.map((f) => values[f] ?? null);
  return tuple === undefined || tuple.includes(null) ? null : JSON.stringify(tuple);
}
