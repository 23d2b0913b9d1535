import type { Ledger } from '../contract/ledger.ts';
import { rejoin } from '../decide/rejoin.ts';
import { CarrickError } from '../errors.ts';
import { type Feed, feedsOf } from '../feed/plan.ts';
import { rejoinFeed } from '../feed/rejoin.ts';
import type { Position } from '../model/position.ts';
import {
  closeAll,
  compileFor,
  decisionsOf,
  feedParts,
  loopsOf,
  needsOf,
  type Parts,
  settledOnes,
} from './parts.ts';

export interface Rejoined {
  readonly position: Position;
  readonly tables: readonly string[];
}

/**
 * Goes on with a system, or a feed, whose log is lost. No daemon may run: whoever holds the ledger
 * writes to the systems.
 */
export async function rejoinNamed(
  parts: Parts,
  name: string,
  openLedger: (parts: Parts) => Promise<Ledger>,
): Promise<Rejoined> {
  await using opened = new AsyncDisposableStack();
  opened.defer(() => closeAll(parts));
  const loops = loopsOf(parts);
  if (!loops.includes(name)) {
    const message = parts.systems.has(name) ? `${name} settles nothing` : `no system ${name}`;
    throw new CarrickError('operator.unknown', 'park', message, `one of ${loops.join(', ')}`);
  }
  const ledger = opened.use(await openLedger(parts));
  const mapped = await compileFor(parts, ledger);
  const feed = feedsOf(mapped).find((one) => one.name === name);
  if (feed !== undefined) return rejoinedFeed(parts, feed);
  const entities = settledOnes(mapped);
  const decisions = await decisionsOf(parts, ledger, entities);
  const { tables } = needsOf(name, { entities });
  const source = opened.use(await parts.systems.get(name)!.source(tables));
  const position = await source.start();
  await rejoin(decisions, name, tables, position);
  return { position, tables: tables.map((table) => table.name) };
}

async function rejoinedFeed(parts: Parts, feed: Feed): Promise<Rejoined> {
  const { openSource, openCopier } = feedParts(parts, feed);
  await using source = await openSource();
  await using copier = await openCopier();
  const position = await rejoinFeed(source, copier);
  return { position, tables: feed.tables.map(({ name }) => name) };
}
