import type { Entity } from '../contract/entity.ts';

/** What a ledger has to keep from whoever reads its file. */
export interface Privacy {
  /** Master keys of 32 bytes: the first is written with, the others are only read with. */
  readonly keys: readonly Buffer[];
  /** By entity that is mapped; null: it has no personal field. */
  readonly guards: ReadonlyMap<string, Guard | null>;
}

/**
 * What of an entity is personal. Its documents (record with views, what was sent, journal, parked)
 * are sealed whole. Indexes hold keyed hashes where the clear text would be personal.
 */
export interface Guard {
  /** Match alternatives by their field names. */
  readonly match: readonly { readonly fields: readonly string[]; readonly personal: boolean }[];
  /** Systems in which the row key is personal. */
  readonly keys: readonly string[];
}

export const NO_PRIVACY: Privacy = { keys: [], guards: new Map() };

export function guardOf({ fields, match, lenses }: Entity): Guard | null {
  if (!fields.some(({ pii }) => pii)) return null;
  return {
    match: match.map((alternative) => ({
      fields: alternative.map((f) => fields[f]?.name ?? ''),
      personal: alternative.some((f) => fields[f]?.pii === true),
    })),
    keys: [...lenses.values()].flatMap(({ system, table, personal }) =>
      table.key.some((name) => personal[table.columns.indexOf(name)] === true) ? [system] : [],
    ),
  };
}
