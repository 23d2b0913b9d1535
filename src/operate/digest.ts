import type { Digest, DigestRequest } from '../contract/digest.ts';
import type { DigestPage, DigestPart } from '../contract/operator.ts';
import type { Decisions } from '../decide/decisions.ts';
import { driftText } from '../decide/pass.ts';
import { rowKey, rowKeyValues } from '../model/value.ts';
import { unknown } from './acts.ts';

/** Null: the system has none, or not of these fields; see `Source.digest`. */
export type ReadDigest = (system: string, request: DigestRequest) => Promise<Digest | null>;

/** `why`: in words for people. */
export const noDigests = (why: string): DigestPage => ({
  ...{ rows: 0, next: null, sums: [], found: [], never: why },
});

/**
 * One page of digests of what a system holds of an entity. They take the place of rows only where
 * two systems hold every field, as it is: then equal digests mean that the systems agree.
 */
export async function digestPart(
  decisions: Decisions,
  read: ReadDigest,
  { entity: name, system, part }: { entity: string; system: string; part: DigestPart },
): Promise<DigestPage> {
  const entity = decisions.entities.get(name);
  const lens = entity?.lenses.get(system);
  if (entity === undefined || lens === undefined) throw unknown(`${system} has no ${name}`);
  if (entity.lenses.size !== 2) return noDigests('it is not of two systems');
  if (decisions.drifted.has(driftText(system, name))) return noDigests(`${system} does not fit`);
  for (const one of entity.lenses.values()) {
    if ('never' in one.digest) return noDigests(`${one.system}: ${one.digest.never}`);
  }
  const fields = 'never' in lens.digest ? [] : lens.digest;
  const { table } = lens;
  const after = part.after === null ? null : rowKeyValues(part.after, table.key.length);
  const { limit, bits, among } = part;
  const digest = await read(system, { table, after, limit, fields, bits, among, marker: system });
  if (digest === null) return noDigests(`${system} cannot spell every field as we do`);
  return {
    never: null,
    rows: digest.rows,
    next: digest.next === null ? null : rowKey(digest.next),
    sums: digest.sums,
    found: digest.found.map(({ key, digest: text }) => ({ key: rowKey(key), digest: text })),
  };
}
