import { createHmac, randomBytes } from 'node:crypto';
import type { Entity } from '../contract/entity.ts';
import type { LinkKey, Parked } from '../contract/ledger.ts';
import type {
  Difference,
  Repaired,
  RepairRequest,
  Resync,
  Verified,
  VerifyPart,
} from '../contract/operator.ts';
import type { Decisions } from '../decide/decisions.ts';
import { CarrickError } from '../errors.ts';
import type { FeedDesk } from '../feed/asks.ts';
import type { TableSpec } from '../model/change.ts';
import { rowKey, rowKeyValues, type Value } from '../model/value.ts';
import { noDaemon, unknown } from './acts.ts';
import type { ReadRows } from './verify.ts';
import {
  type Described,
  type Judgement,
  judge,
  keyOf,
  type Pair,
  pairsNamed,
  type Way,
  waysOf,
} from './ways.ts';

/** What acting on fed entities takes. */
export interface FedMeans {
  readonly read: ReadRows;
  /** The running feeds; null without a daemon. */
  readonly feeds: FeedDesk | null;
  /** See `Operator.caughtUp`. */
  readonly caughtUp: (entity: string) => Promise<boolean>;
  /** All entities, those of feeds too. */
  readonly mapped: ReadonlyMap<string, Entity>;
  /** The entities as they fit the tables that the systems have. */
  readonly described: () => Promise<Described>;
}

/** Rows that only one system writes, compared with what the others got of them; see `Operator`. */
export interface FedParts extends Pick<FedMeans, 'read' | 'feeds' | 'caughtUp'> {
  readonly decisions: Decisions;
  /** By fed entity: who writes it. */
  readonly sources: ReadonlyMap<string, string>;
  /** One for each system that gets its rows. */
  readonly ways: (entity: string) => Promise<readonly Way[]>;
}

/** The systems' tables are looked at when somebody asks. */
export function fedParts(decisions: Decisions, means: FedMeans): FedParts {
  const { read, feeds, caughtUp, mapped, described } = means;
  const sources = [...mapped].flatMap(([name, { feed }]) =>
    feed === undefined ? [] : [[name, feed.from] as const],
  );
  let known: Promise<ReadonlyMap<string, readonly Way[]>> | null = null;
  const ways: FedParts['ways'] = async (entity) => {
    known ??= described().then(waysOf);
    const all = await known.catch((error: unknown) => {
      known = null;
      throw error;
    });
    return all.get(entity) ?? [];
  };
  return { decisions, read, feeds, caughtUp, sources: new Map(sources), ways };
}

const ROWS = 1000;

/**
 * A page of the source is asked for rows that a target has not, a page of a target for those that
 * are otherwise than in the source, or not in it. What is parked is left out.
 */
export async function verifyFed(parts: FedParts, asked: FedPage): Promise<Verified> {
  const none: Verified = {
    ...{ checked: 0, next: null, leftOut: 0, held: false, differences: [], elsewhere: [] },
  };
  if (asked.part.kind === 'records') return none;
  const pages: Verified[] = [];
  for (const way of await waysOfSystem(parts, asked.entity, asked.system)) {
    try {
      pages.push({ ...none, ...(await pageOf(parts, way, asked)) });
    } catch (error) {
      if (!(error instanceof CarrickError) || error.disposition === 'retry') throw error;
      return { ...none, held: true };
    }
  }
  // A source is read alike for each of its targets.
  const { checked, next } = pages[0] ?? none;
  return {
    ...{ checked, next, held: false },
    leftOut: pages.reduce((sum, { leftOut }) => sum + leftOut, 0),
    differences: pages.flatMap(({ differences }) => differences),
    elsewhere: pages.flatMap(({ elsewhere }) => elsewhere),
  };
}

interface FedPage {
  readonly entity: string;
  readonly system: string;
  readonly part: VerifyPart;
}

async function pageOf(parts: FedParts, way: Way, { system, part }: FedPage) {
  const { pairs, next } = await pairsOf(parts, way, system, part);
  const parked = await parkedAmong(parts, way, pairs);
  const differences: Difference[] = [];
  let leftOut = 0;
  for (const pair of pairs) {
    const judged = judge(way, pair);
    const isNamed = part.kind === 'keys' && system === way.feed.to;
    if (judged === null || !(isNamed || isToldBy(way, system, pair, judged))) continue;
    if (judged.kind === 'invalid' || parked.has(pair.original ?? '')) leftOut += 1;
    else differences.push(differenceOf(way, pair, judged));
  }
  const named = part.kind === 'keys' ? pairs : [];
  const elsewhere = named.flatMap((pair) => otherSide(way, system, pair));
  return { checked: pairs.length, next, leftOut, differences, elsewhere };
}

/** What a target has not is told by the source's page, all else by the target's. */
function isToldBy({ feed }: Way, system: string, pair: Pair, { kind }: Judgement): boolean {
  return (kind === 'absent' || pair.target === null) === (system === feed.from);
}

const otherSide = (
  { feed }: Way,
  system: string,
  { original, copy }: Pair,
): Verified['elsewhere'][number][] => {
  const [other, key] = system === feed.from ? [feed.to, copy] : [feed.from, original];
  return key === null ? [] : [{ system: other, key }];
};

/** All ways of an entity from its source, or the one into a target. */
async function waysOfSystem({ ways }: FedParts, entity: string, system: string): Promise<Way[]> {
  const found = (await ways(entity)).filter(
    ({ feed }) => feed.from === system || feed.to === system,
  );
  if (found.length === 0) throw unknown(`${system} has no ${entity}`);
  return found;
}

async function pairsOf(
  { read }: FedParts,
  way: Way,
  system: string,
  part: VerifyPart,
): Promise<{ pairs: Pair[]; next: string | null }> {
  if (part.kind === 'keys') {
    return { pairs: await pairsNamed(read, way, system, part.keys), next: null };
  }
  const table: TableSpec = system === way.feed.from ? way.originals : way.copies;
  const after = part.after === null ? null : rowKeyValues(part.after, table.key.length);
  const { rows, next } = await read(system, { table, after, limit: ROWS });
  const keys = rows.map((row) => keyOf(table, row));
  const pairs = await pairsNamed(read, way, system, keys);
  return { pairs, next: next === null ? null : rowKey(next) };
}

async function parkedAmong(
  { decisions }: FedParts,
  { feed, route }: Way,
  pairs: readonly Pair[],
): Promise<Set<string>> {
  const keys = pairs.flatMap(({ original }) => (original === null ? [] : [original]));
  const entity = route.entity.name;
  const links = keys.map((key): LinkKey => ({ system: feed.to, entity, key }));
  const { parkedRows } = await decisions.ledger.find({ parkedRows: links });
  return new Set(keys.filter((_, i) => parkedRows[i] != null));
}

function differenceOf(
  way: Way,
  pair: Pair,
  judged: Exclude<Judgement, { kind: 'invalid' }>,
): Difference {
  const { feed } = way;
  const base = { system: feed.to, record: null, as: stateOf(pair), fields: [] };
  if (judged.kind === 'absent') {
    return { ...base, kind: judged.kind, key: pair.original ?? '', of: feed.from };
  }
  const told = { ...base, key: pair.copy ?? '' };
  if (judged.kind === 'differs') {
    return { ...told, kind: judged.kind, fields: fieldsApart(way, pair, judged.columns) };
  }
  return { ...told, kind: judged.kind };
}

const salt = randomBytes(16);

/** Tells states apart without telling what they hold. */
const stateOf = ({ source, target }: Pair): string =>
  createHmac('sha256', salt)
    .update(JSON.stringify([source, target]))
    .digest('base64url')
    .slice(0, 12);

/** As the columns of the target spell them; a field that sets several is told by the first. */
function fieldsApart(
  { route: { entity, target } }: Way,
  pair: Pair,
  columns: readonly { readonly at: number; readonly wanted: Value }[],
): Difference['fields'] {
  const fields = new Map<string, Difference['fields'][number]>();
  for (const { at, wanted } of columns) {
    const f = target.columnsOf.findIndex((some) => some.includes(at));
    const name = entity.fields[f]?.name ?? target.table.columns[at]!;
    const pii = entity.fields[f]?.pii === true || target.personal[at] !== false;
    const row = pair.target?.[at] ?? null;
    if (!fields.has(name)) fields.set(name, { name, pii, row, record: wanted });
  }
  return [...fields.values()];
}

/**
 * Has the running feed read the rows again and write them as they are. Rows that only a target has
 * go where the source is named: `from`.
 */
export async function repairFed(
  parts: FedParts,
  { entity, system, keys, from, dryRun }: RepairRequest,
): Promise<Repaired> {
  const ways = await waysOfSystem(parts, entity, system);
  const source = parts.sources.get(entity)!;
  if (from !== null && from !== source) {
    throw notForFed(`only ${source} writes ${entity}`, `repair it with --from ${source}`);
  }
  const writes: Repaired['writes'][number][] = [];
  let invalid = 0;
  for (const way of ways) {
    const pairs = await pairsNamed(parts.read, way, system, keys);
    const judged = pairs.flatMap((pair) => {
      const found = judge(way, pair);
      return found === null || (found.kind === 'extra' && from === null) ? [] : [{ pair, found }];
    });
    for (const { pair, found } of judged) {
      if (found.kind === 'invalid') invalid += 1;
      else writes.push(writeOf(way, pair, found));
    }
    const again = judged.flatMap(({ pair: { original } }) =>
      original === null ? [] : [rowKeyValues(original, way.originals.key.length)],
    );
    if (!dryRun) parts.feeds?.again(way.feed, way.originals.name, again);
  }
  // Makes an idle log move: what was asked is taken up behind it.
  if (!dryRun) await parts.caughtUp(entity);
  return { writes, journalled: 0, open: 0, parked: invalid === 0 ? {} : { invalid } };
}

const OPERATIONS = { absent: 'insert', extra: 'delete', differs: 'update' } as const;

function writeOf(way: Way, pair: Pair, found: Exclude<Judgement, { kind: 'invalid' }>) {
  const { from, to } = way.feed;
  const differs = found.kind === 'differs' ? fieldsApart(way, pair, found.columns) : [];
  return {
    system: to,
    op: OPERATIONS[found.kind],
    key: found.kind === 'absent' ? null : pair.copy,
    of: pair.source === null ? {} : { [from]: pair.original ?? '' },
    fields: differs.map(({ name }) => name),
  };
}

/** Something that is done to records, of which a fed entity has none. */
export const notForFed = (message: string, fix: string): CarrickError =>
  new CarrickError('operator.fed', 'park', message, fix);

/** Only a running feed can read its source again. */
export async function retryFed({ feeds, caughtUp }: FedParts, item: Parked): Promise<string> {
  if (feeds === null) throw noDaemon();
  const outcome = feeds.retry(item);
  // What is asked of a feed is taken up when its log moves.
  if (item.kind === 'row') await caughtUp(item.entity);
  return outcome;
}

export async function resyncFed(
  { feeds, caughtUp }: FedParts,
  { entity, system, where }: { entity: string; system: string | null; where: string | null },
): Promise<Resync[]> {
  if (where !== null) {
    const why = `${entity} is fed, and its tables are read again as a whole`;
    throw notForFed(why, 'leave --where out, or see `carrick repair`, which reads single rows');
  }
  const begun = feeds?.resync(entity, system) ?? null;
  if (begun === null) throw unknown(`${system} has no ${entity}`);
  await caughtUp(entity);
  return begun;
}

export const notSettled = ({ sources }: FedParts, entity: string): CarrickError =>
  notForFed(
    `${entity} is fed now, and settled no longer`,
    `write the value in ${sources.get(entity)}: it is what the others get`,
  );

export const nothingKept = ({ sources }: FedParts, entity: string): CarrickError =>
  notForFed(
    `${entity} is fed, and nothing is kept of its rows`,
    `delete the row in ${sources.get(entity)}: its copies follow`,
  );
