import type { Operator } from '../contract/operator.ts';
import type { Decisions } from '../decide/decisions.ts';
import type { Log } from '../observe/log.ts';
import type { Masks } from '../observe/mask.ts';
import { noDaemon } from './acts.ts';
import { digestPart, noDigests, type ReadDigest } from './digest.ts';
import { type FedMeans, type FedParts, repairFed, verifyFed } from './fed.ts';
import { repair } from './repair.ts';
import { verifyPart } from './verify.ts';

export interface ComparingParts extends FedMeans {
  readonly digest: ReadDigest;
  /** The running daemon's; null without one. */
  readonly log: Log | null;
  /** No daemon is running. */
  readonly alone: boolean;
}

/** What compares systems, and settles their differences. Row keys may come masked. */
export function comparing(
  decisions: Decisions,
  parts: ComparingParts,
  fed: FedParts,
  masks: Masks,
): Pick<Operator, 'verify' | 'digest' | 'caughtUp' | 'repair'> {
  return {
    async verify(entity, system, part, personal = false) {
      const asked = { entity, system, part: masks.unmaskedPart(part) };
      const found = fed.sources.has(entity)
        ? await verifyFed(fed, asked)
        : await verifyPart(decisions, parts.read, asked);
      if (!personal) return masks.verified(entity, system, found);
      parts.log?.event('personal.shown', { method: 'verify' });
      return found;
    },
    async digest(entity, system, { after, ...part }) {
      const from = fed.sources.get(entity);
      if (from !== undefined) return noDigests(`only ${from} writes it`);
      const start = after === null ? null : masks.unmaskedKey(after);
      const asked = { entity, system, part: { ...part, after: start } };
      const page = await digestPart(decisions, parts.digest, asked);
      const sealed = (key: string): string => masks.key(entity, system, key);
      const found = page.found.map(({ key, digest }) => ({ key: sealed(key), digest }));
      return { ...page, next: page.next === null ? null : sealed(page.next), found };
    },
    caughtUp: parts.caughtUp,
    async repair(request) {
      const { entity, dryRun } = request;
      if (parts.alone && !dryRun) throw noDaemon();
      const keys = request.keys.map(masks.unmaskedKey);
      const done = fed.sources.has(entity)
        ? await repairFed(fed, { ...request, keys })
        : await repair({ decisions, ...parts }, { ...request, keys });
      const writes = done.writes.map((one) => ({
        ...one,
        key: one.key === null ? null : masks.key(entity, one.system, one.key),
        of: Object.fromEntries(
          Object.entries(one.of).map(([system, key]) => [system, masks.key(entity, system, key)]),
        ),
      }));
      return { ...done, writes };
    },
  };
}
