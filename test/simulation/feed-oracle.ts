import type { FeedPlace } from '../../src/contract/copier.ts';
import type { Parked } from '../../src/contract/ledger.ts';
import type { Position } from '../../src/model/position.ts';
import { rowKey, type Value } from '../../src/model/value.ts';
import { isBefore, parsePosition } from './connector.ts';
import { type Committed, FEEDS, placeIn } from './feed-copier.ts';
import type { FeedSetup, Way } from './feed-setup.ts';
import { type Cells, type Commit, type Place, type SimulatedSystem, START } from './system.ts';
import { Violation } from './world.ts';

/** What the oracle knows of a run beside the systems themselves. */
export interface Known {
  readonly setup: FeedSetup;
  readonly source: SimulatedSystem;
  readonly systems: ReadonlyMap<string, SimulatedSystem>;
  readonly ways: readonly Way[];
  /** What ledgers have on disk. */
  readonly parked: () => Iterable<Parked>;
  /** What the ledger of a second daemon had that is gone: nobody else knows what it set aside. */
  readonly lost: readonly Parked[];
  /** Entities of which a person has dropped deletes. */
  readonly dropped: ReadonlySet<string>;
  /** A second daemon has fed too: it knows nothing of what the first one holds. */
  readonly twins: () => boolean;
}

/** Watches one feed, commit by commit. */
export interface FeedWatch {
  readonly committed: Committed;
  readonly settled: (position: Position) => void;
  /** Rows that were read beside the log, or asked for. */
  readonly read: (table: string, keys: readonly (readonly Value[])[]) => void;
  /** A batch came out of the log. */
  readonly told: (changes: number, complete: boolean) => void;
  /** The target has all that the source's log tells. */
  readonly drained: () => boolean;
  /** At rest, when all is read. */
  readonly ended: () => void;
}

type Rows = Map<string, Cells>;

interface Mirror {
  /** Commits of the source's log that are in `rows`. */
  at: number;
  readonly rows: Map<string, Rows>;
  readonly copies: Map<string, Rows>;
  /** Tables of the source that were read to their end at some time. */
  readonly loaded: Set<string>;
  /** Rows that were set aside at some time. */
  readonly aside: Set<string>;
}

/** As far as the oracle has to understand it: see `capture/progress.ts`. */
interface Told {
  readonly ended: boolean;
  readonly again: readonly (readonly Value[])[];
  readonly sweep?: unknown;
  readonly absent?: unknown;
  readonly mends?: boolean;
}

const UNTOLD: Told = { ended: false, again: [] };
/** So many batches may have been read and not be in the target yet: see `ahead`. */
const MOST_AHEAD = 30;

export function watchFeed(
  known: Known,
  feed: { readonly name: string; readonly to: string },
  violated: (violation: Violation) => void,
): FeedWatch {
  const fail = (check: string, detail: string): void =>
    violated(new Violation(check, `${feed.name}: ${detail}`));
  const ways = known.ways.filter(({ to }) => to === feed.to);
  const mirror: Mirror = {
    at: 0,
    rows: new Map(),
    copies: new Map(),
    loaded: new Set(),
    aside: new Set(),
  };
  const reads = new Map<string, number>();
  let place: FeedPlace | null = null;
  let ahead = 0;
  const system = known.systems.get(feed.to);
  const stands = (): Place => {
    const row = system?.visible(FEEDS).find(({ cells }) => cells.feed === 'crm') ?? null;
    return parsePosition(placeIn(row)?.position ?? START);
  };
  const check = (strict: boolean): void => {
    if (place === null) return;
    for (const way of ways) checkCopies(known, mirror, way, place, strict, fail);
  };
  return {
    committed(commit, before, after) {
      ahead = 0;
      const from = parsePosition(before?.position ?? after.position);
      const to = parsePosition(after.position);
      if (isHalf(known, ways, to)) {
        fail('half', `the place ${after.position} is inside of a transaction`);
      }
      if (to.commit < mirror.at) {
        fail('backwards', `from ${mirror.at} to ${after.position}`);
        return;
      }
      const { touched, moved } = advance(known.source, mirror, from.commit, to.commit);
      place = after;
      checkHeld(known, feed.to, mirror, { commit, moved }, fail);
      for (const key of writtenIn(mirror, ways, commit)) {
        if (touched.has(key)) continue;
        const left = reads.get(key) ?? 0;
        if (left > 0) reads.set(key, left - 1);
        else fail('twice', `${key} was written, though nothing was told of it since the last time`);
      }
      check(false);
    },
    settled(position) {
      const stands = place?.position ?? START;
      if (isBefore(stands, position))
        fail('settled', `${position}, the target stands at ${stands}`);
    },
    read(table, keys) {
      for (const key of keys) {
        const name = `${table} ${rowKey(key)}`;
        reads.set(name, (reads.get(name) ?? 0) + 1);
      }
    },
    told(changes, complete) {
      ahead = complete ? ahead + Math.min(changes, 1) : 0;
      if (ahead > MOST_AHEAD) fail('queue', `${ahead} batches are read and not written`);
    },
    drained: () => stands().commit === known.source.log.length,
    ended() {
      if (stands().commit < known.source.log.length) {
        fail('drained', `it ended at ${stands().commit} of ${known.source.log.length}`);
        return;
      }
      check(true);
      for (const { target } of ways) checkMirror(system, mirror, target, fail);
    },
  };
}

/** A part of the transaction was told, and is in the target. */
const isHalf = ({ source }: Known, ways: readonly Way[], { commit, change }: Place): boolean =>
  source.log[commit]?.changes
    .slice(0, change)
    .some(
      ({ table }) =>
        source.misfit(table, commit) === '' && ways.some(({ source: from }) => from === table),
    ) === true;

/**
 * The log up to `to`; what it says of the rows since `from`, by table and key, and the keys of
 * those that got another one.
 */
function advance(source: SimulatedSystem, mirror: Mirror, from: number, to: number) {
  const touched = new Set<string>();
  const moved = new Set<string>();
  for (let at = Math.min(from, mirror.at); at < to; at++) {
    for (const { table, before, after } of source.log[at]?.changes ?? []) {
      const rows = mirror.rows.get(table) ?? new Map<string, Cells>();
      mirror.rows.set(table, rows);
      for (const row of [before, after]) {
        if (row !== null) touched.add(`${table} ${source.keyOf(table, row.cells)}`);
      }
      if (before !== null && after !== null) {
        const key = source.keyOf(table, before.cells);
        if (key !== source.keyOf(table, after.cells)) moved.add(`${table} ${key}`);
      }
      if (at < mirror.at) continue;
      if (before !== null) rows.delete(source.keyOf(table, before.cells));
      if (after !== null) rows.set(source.keyOf(table, after.cells), after.cells);
    }
  }
  mirror.at = Math.max(mirror.at, to);
  return { touched, moved };
}

const copyName = ({ copyKey }: Way, cells: Cells): string =>
  rowKey(copyKey.map((column) => cells[column] ?? null));

/** Takes over what the target committed; each row that was written, by the name of its source. */
function writtenIn(mirror: Mirror, ways: readonly Way[], { changes }: Commit): Set<string> {
  const written = new Set<string>();
  for (const { table, before, after } of changes) {
    for (const way of ways) {
      if (way.target !== table) continue;
      const copies = mirror.copies.get(table) ?? new Map<string, Cells>();
      mirror.copies.set(table, copies);
      if (before !== null) copies.delete(copyName(way, before.cells));
      if (after !== null) copies.set(copyName(way, after.cells), after.cells);
      for (const row of [before, after]) {
        if (row !== null) written.add(`${way.source} ${copyName(way, row.cells)}`);
      }
    }
  }
  return written;
}

/**
 * While deletes are held none is passed on: a person has to decide first. That a copy goes from
 * under the key that its row had is none.
 */
function checkHeld(
  known: Known,
  to: string,
  { rows }: Mirror,
  { commit, moved }: { readonly commit: Commit; readonly moved: ReadonlySet<string> },
  fail: Fail,
): void {
  if (known.twins()) return;
  const held = [...known.parked()].filter((one) => one.reason === 'flood' && one.system === to);
  for (const { table, before, after } of commit.changes) {
    if (before === null || (after !== null && after.cells.active !== 'false')) continue;
    for (const way of known.ways) {
      if (way.target !== table || way.to !== to) continue;
      if (!held.some(({ entity }) => entity === way.entity)) continue;
      const key = copyName(way, before.cells);
      if (moved.has(`${way.source} ${key}`)) continue;
      if (rows.get(way.source)?.has(key) !== true) fail('held', `${way.entity} ${key} was removed`);
    }
  }
}

type Fail = (check: string, detail: string) => void;

/** The target is the source as of the place, but for what is still to be read, or set aside. */
function checkCopies(
  known: Known,
  mirror: Mirror,
  way: Way,
  { position, progress }: FeedPlace,
  strict: boolean,
  fail: Fail,
): void {
  const rows = mirror.rows.get(way.source) ?? new Map<string, Cells>();
  const copies = mirror.copies.get(way.target) ?? new Map<string, Cells>();
  const { [way.source]: text } = JSON.parse(progress) as Record<string, string>;
  const told = text === undefined ? UNTOLD : (JSON.parse(text) as Told);
  const again = new Set(told.again.map(rowKey));
  const isLoaded = told.ended && again.size === 0 && (told.sweep ?? null) === null;
  if (isLoaded) mirror.loaded.add(way.source);
  const misses = known.source.misfit(way.source, parsePosition(position).commit) !== '';
  if (strict && !isLoaded) fail('loaded', `${way.source} is not: ${text}`);
  const aside = new Set(
    [...known.parked(), ...(strict ? [] : known.lost)].flatMap((one) =>
      one.kind === 'row' && one.system === way.to && one.entity === way.entity ? [one.key] : [],
    ),
  );
  for (const key of new Set([...rows.keys(), ...copies.keys()])) {
    const row = rows.get(key);
    const wanted = row === undefined ? null : way.project(row);
    const copy = copies.get(key);
    if (isCopy(copy, wanted, known.setup)) continue;
    if (aside.has(key)) {
      mirror.aside.add(`${way.entity} ${key}`);
      continue;
    }
    if (wanted === null && isKept(known, way, row !== undefined)) continue;
    if (!strict && !isLoaded) {
      if (again.has(key) || told.mends === true || misses) continue;
      if (!mirror.loaded.has(way.source) && copy === undefined) continue;
      // Read anew from its start: what was to be read by name is forgotten for that.
      const parts = known.setup.images !== 'full';
      if (told.sweep !== undefined && (parts || copy === undefined)) continue;
    }
    if (!strict && wanted === null && told.absent !== undefined && told.sweep != null) continue;
    if (!strict && mirror.aside.has(`${way.entity} ${key}`)) {
      if (again.has(key) || isMended(known, way, key, mirror.at)) continue;
    }
    const texts = [copy, wanted].map((one) => JSON.stringify(one ?? null));
    fail(
      strict ? 'convergence' : 'order',
      `${way.target} ${key} is ${texts[0]} instead of ${texts[1]} at ${position} (${text})`,
    );
  }
}

const isCopy = (copy: Cells | undefined, wanted: Cells | null, { deletes }: FeedSetup): boolean =>
  wanted === null
    ? copy === undefined || (deletes === 'soft' && copy.active === 'false')
    : copy !== undefined &&
      Object.entries(wanted).every(([column, cell]) => copy[column] === cell) &&
      copy.active !== 'false';

/** Copies stay where deletes are not passed on. */
const isKept = ({ setup, dropped }: Known, { to, entity }: Way, isThere: boolean): boolean =>
  (setup.deletes === 'ignore' && to === 'erp' && entity === 'item') ||
  (!isThere && dropped.has(entity));

/** Set aside before, and in order with what the log says later: it was read before a crash. */
function isMended({ source }: Known, { source: table }: Way, key: string, at: number): boolean {
  return source.log
    .slice(at)
    .some(({ changes }) =>
      changes.some(
        (one) =>
          one.table === table && source.keyOf(table, (one.after ?? one.before)!.cells) === key,
      ),
    );
}

/** What was committed is what is there: nobody else writes it. */
function checkMirror(
  system: SimulatedSystem | undefined,
  { copies }: Mirror,
  table: string,
  fail: Fail,
): void {
  const there = system?.visible(table).length ?? 0;
  const known = copies.get(table)?.size ?? 0;
  if (there !== known) fail('mirror', `${there} rows in ${table}, ${known} were committed`);
}

/** What waits for a person waits for a reason. */
export function checkParked(known: Known, parked: readonly Parked[], fail: Fail): void {
  for (const one of parked) {
    if (one.kind !== 'row') {
      fail('parked', `${one.kind} ${one.reason} of ${one.entity}`);
      continue;
    }
    const ways = known.ways.filter(({ to, entity }) => to === one.system && entity === one.entity);
    const isTrue = ways.some((way) => {
      const row = known.source
        .visible(way.source)
        .find(({ cells }) => known.source.keyOf(way.source, cells) === one.key)?.cells;
      if (row !== undefined && way.isInvalid(row)) return true;
      const copy = known.systems
        .get(way.to)
        ?.visible(way.target)
        .find(({ cells }) => copyName(way, cells) === one.key)?.cells;
      return !isCopy(copy, row === undefined ? null : way.project(row), known.setup);
    });
    if (!isTrue)
      fail('parked', `${one.entity} ${one.key} is in order: ${one.reason} ${one.detail}`);
  }
}
