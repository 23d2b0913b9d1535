import type { Entity } from '../contract/entity.ts';
import type { Trouble } from '../contract/operator.ts';
import type { Source } from '../contract/source.ts';
import type { Position } from '../model/position.ts';
import type { Micros } from '../model/value.ts';
import type { Vital } from './health.ts';
import { advance, type Loading, secondsLeft } from './loading.ts';
import type { Log } from './log.ts';
import { maskKey } from './mask.ts';
import { type Metrics, policyKind } from './metrics.ts';
import type {
  ChunkRows,
  DecidedRows,
  FedNews,
  ProgressTexts,
  Report,
  TargetNews,
} from './report.ts';
import { troubleOf } from './trouble.ts';

type Side = 'source' | 'target';

/** What a person has to know first: why a loop halted, before why one tries again. */
export function troubleIn({ source, target, troubles }: SystemNews): Trouble | null {
  if (source === 'halted') return troubles.source;
  if (target === 'halted') return troubles.target;
  return troubles.source ?? troubles.target;
}

/** What is known of one system's loops, from memory alone. */
export interface SystemNews {
  source: string;
  target: string;
  position: Position | null;
  lagSeconds: number | null;
  /** The system's clock minus ours, as of the last look. */
  clockOffsetSeconds: number | null;
  /** What went wrong last with each loop, until it moves again; of a halted one for good. */
  readonly troubles: Record<Side, Trouble | null>;
  /** When something was last read, be it that there is nothing new. */
  sourceReadAt: number;
  sourceMovedAt: number;
  targetMovedAt: number;
  live: Source | null;
  /** Of a feed; null: the ledger knows. */
  snapshots: ProgressTexts | null;
  /** Tables that are being read, by name. */
  readonly loading: Map<string, Loading>;
  /** When the log last told of them, in seconds. */
  readonly told: Map<string, number>;
}

export interface Reporter extends Report {
  readonly news: ReadonlyMap<string, SystemNews>;
  /** Begins anew with these systems and entities. */
  expect(systems: readonly string[], entities: ReadonlyMap<string, Entity>): void;
  vitals(): Vital[];
}

const seconds = (at: Micros): number => (Date.now() * 1000 - at) / 1e6;

/** Turns what the pipeline tells into metrics, log lines and health. */
export function createReporter(metrics: Metrics, log: Log): Reporter {
  const news = new Map<string, SystemNews>();
  let entities: ReadonlyMap<string, Entity> = new Map();
  const of = (system: string): SystemNews => {
    const found = news.get(system);
    if (found === undefined) throw new Error(`no such system: ${system}`);
    return found;
  };
  return {
    news,
    expect(systems, mapped) {
      entities = mapped;
      news.clear();
      for (const system of systems) news.set(system, unheard());
    },
    vitals: () => [...news].map(([system, one]) => vital(system, one)),
    moved(system, side) {
      const one = of(system);
      if (side === 'source') one.sourceMovedAt = Date.now();
      else one.targetMovedAt = Date.now();
      if (one[side] !== 'retrying') one.troubles[side] = null;
    },
    retrying(system, side, error, attempt, delaySeconds) {
      const one = of(system);
      const trouble = troubleOf(error);
      one.troubles[side] = trouble;
      one[side] = 'retrying';
      one[side === 'source' ? 'sourceMovedAt' : 'targetMovedAt'] = Date.now();
      if (side === 'source') {
        metrics.add('carrick_source_reconnects_total', { system, code: trouble.code }, 1);
      }
      log.event(`${side}.retrying`, { system, ...trouble, attempt, delaySeconds });
    },
    halted(system, side, error) {
      const one = of(system);
      const trouble = troubleOf(error);
      one.troubles[side] = trouble;
      one[side] = 'halted';
      log.event(`${side}.halted`, { system, ...trouble });
    },
    stopped(system, side) {
      of(system)[side] = 'stopped';
    },
    following(system, position, source, loaded, progress) {
      const one = of(system);
      one.snapshots = progress ?? null;
      one.source = loaded ? 'following' : 'snapshot';
      one.position = position;
      one.live = source;
      log.event('source.following', { system, position });
    },
    decided(system, batch, units, decided, chunks) {
      const one = of(system);
      one.position = batch.position;
      one.sourceReadAt = Date.now();
      const last = batch.transactions.at(-1);
      one.lagSeconds = last === undefined ? 0 : Math.max(0, seconds(last.committedAt));
      if (chunks.length > 0) countChunks(metrics, system, units);
      for (const chunk of chunks) tellChunk(log, system, one, chunk);
      if (one.source === 'retrying') one.source = 'following';
      countCaptured(metrics, system, units);
      metrics.add('carrick_echoes_total', { system }, decided.echoes);
      tellDecided(metrics, log, decided, entities);
    },
    loaded(system) {
      of(system).source = 'following';
    },
    released: (decided) => tellDecided(metrics, log, decided, entities),
    target(system, told) {
      if (told.kind === 'fed') tellFed(metrics, log, of(system), system, told);
      else tellTarget(metrics, log, of(system), system, told);
    },
  };
}

const unheard = (): SystemNews => ({
  source: 'stopped',
  target: 'stopped',
  position: null,
  lagSeconds: null,
  clockOffsetSeconds: null,
  troubles: { source: null, target: null },
  sourceReadAt: Date.now(),
  sourceMovedAt: Date.now(),
  targetMovedAt: Date.now(),
  live: null,
  snapshots: null,
  loading: new Map(),
  told: new Map(),
});

function vital(system: string, one: SystemNews): Vital {
  const at = one.live?.status().lastByteAt ?? null;
  const waiting = one.source === 'snapshot' && one.target === 'stopped';
  return {
    system,
    source: one.source,
    // A target waits for its own first load: that is in order.
    target: waiting ? 'idle' : one.target,
    // Who waits for a person reads nothing.
    lastByteAgeSeconds:
      one.target === 'waiting' ? 0 : at === null ? null : Math.max(0, seconds(at)),
    sourceMovedSeconds: (Date.now() - one.sourceMovedAt) / 1000,
    targetMovedSeconds: waiting ? 0 : (Date.now() - one.targetMovedAt) / 1000,
  };
}

type Units = Parameters<Report['decided']>[2];

function countCaptured(metrics: Metrics, system: string, units: Units): void {
  const counts = new Map<string, number>();
  for (const unit of units) {
    if (unit.echo !== null || unit.origin === 'reading') continue;
    for (const { entity, cells } of unit.events) {
      const name = `${entity.name} ${cells === null ? 'delete' : 'upsert'}`;
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
  }
  for (const [name, count] of counts) {
    const [entity = '', operation = ''] = name.split(' ');
    metrics.add('carrick_captured_rows_total', { system, entity, operation }, count);
  }
}

function countChunks(metrics: Metrics, system: string, units: Units): void {
  const read = units.filter((unit) => unit.origin === 'reading').flatMap(({ events }) => events);
  const rows = read.filter(({ cells }) => cells !== null);
  for (const [entity, { length }] of Map.groupBy(rows, (event) => event.entity.name)) {
    metrics.add('carrick_snapshot_rows_total', { system, entity }, length);
  }
}

/** A line for each chunk would be a flood; one for each table and these seconds is not. */
const TELL_SECONDS = 10;

function tellChunk(
  log: Log,
  system: string,
  { loading, told }: SystemNews,
  chunk: ChunkRows,
): void {
  const { rowsSoFar: rows, estimate, done } = chunk;
  const table = chunk.table.name;
  const at = performance.now() / 1000;
  const now = advance(loading.get(table), { rows, estimate, at });
  if (done) {
    loading.delete(table);
    told.delete(table);
    log.event('snapshot.done', { system, table, rows });
    return;
  }
  loading.set(table, now);
  const last = told.get(table);
  if (last === undefined) {
    log.event('snapshot.started', { system, table });
    told.set(table, at);
  }
  if (last === undefined || at - last < TELL_SECONDS) return;
  told.set(table, at);
  log.event('snapshot.progress', { system, table, ...progressOf(now) });
}

/** In whole numbers: more would be no truer. */
function progressOf(now: Loading) {
  const whole = (n: number | null) => (n === null ? undefined : Math.round(n));
  return {
    rows: now.rows,
    estimatedRows: whole(now.estimatedRows),
    rowsPerSecond: whole(now.rowsPerSecond),
    secondsLeft: whole(secondsLeft(now)),
  };
}

function tellDecided(
  metrics: Metrics,
  log: Log,
  { journal, parked }: DecidedRows,
  entities: ReadonlyMap<string, Entity>,
): void {
  for (const { id, entity, record, unit, policy, winner, state } of journal) {
    const kind = policyKind(policy);
    metrics.add('carrick_conflicts_total', { entity, policy: kind, winner: winner ?? 'none' }, 1);
    if (state === 'open') log.event('conflict.open', { id, entity, record, unit });
    else log.event('conflict.settled', { id, entity, unit, policy, winner: winner ?? 'none' });
  }
  for (const item of parked) {
    const { id, system, entity, reason, detail } = item;
    metrics.add('carrick_parked_total', { system, entity, reason }, 1);
    const base = { id, system, entity, reason, detail };
    if (item.kind === 'row') {
      const key = maskKey(entities, system, entity, item.key);
      log.event('parked.row', { ...base, key });
    } else if (item.kind === 'delivery') {
      log.event('parked.delivery', { ...base, record: item.record });
    } else log.event('parked.hold', { ...base, records: item.records.length });
  }
}

/** A feed reads and writes in one loop: what it tells is of both sides. */
function tellFed(
  metrics: Metrics,
  log: Log,
  one: SystemNews,
  feed: string,
  { position, rows, chunks, progress, seconds: spent }: FedNews,
): void {
  const [source = '', target = ''] = feed.split('>');
  one.position = position;
  one.snapshots = progress;
  one.sourceReadAt = Date.now();
  one.targetMovedAt = Date.now();
  const last = rows.at(-1);
  one.lagSeconds = last === undefined ? 0 : Math.max(0, seconds(last.since));
  for (const chunk of chunks) tellChunk(log, feed, one, chunk);
  const counts = new Map<string, number>();
  let all = 0;
  for (const { entity, operation, since, count } of rows) {
    all += count;
    const name = `${entity} ${operation}`;
    counts.set(name, (counts.get(name) ?? 0) + count);
    metrics.observe('carrick_commit_to_applied_seconds', { source, target }, seconds(since));
  }
  for (const [name, count] of counts) {
    const [entity = '', operation = ''] = name.split(' ');
    metrics.add('carrick_captured_rows_total', { system: feed, entity, operation }, count);
    metrics.add('carrick_applied_rows_total', { system: feed, entity, operation }, count);
  }
  if (all > 0) log.event('feed.written', { system: feed, rows: all, seconds: spent });
}

function tellTarget(
  metrics: Metrics,
  log: Log,
  one: SystemNews,
  system: string,
  told: Exclude<TargetNews, FedNews>,
): void {
  if (told.kind !== 'applied') {
    if (one.target === 'retrying') log.event('target.recovered', { system, waiting: 0 });
    one.target = told.kind;
    return;
  }
  const { batch, rows } = told;
  const counts = new Map<string, number>();
  let diverged = 0;
  let all = 0;
  for (const { entity, operation, outcome, origin, since, count } of rows) {
    all += count;
    if (outcome === 'diverged') diverged += count;
    if (outcome !== 'applied') continue;
    const name = `${entity} ${operation}`;
    counts.set(name, (counts.get(name) ?? 0) + count);
    const labels = { source: origin, target: system };
    const lag = seconds(since);
    for (let n = 0; n < count; n++)
      metrics.observe('carrick_commit_to_applied_seconds', labels, lag);
  }
  for (const [name, count] of counts) {
    const [entity = '', operation = ''] = name.split(' ');
    metrics.add('carrick_applied_rows_total', { system, entity, operation }, count);
  }
  log.event('target.batch', { system, batch, rows: all, seconds: told.seconds });
  if (diverged === 0) return;
  metrics.add('carrick_diverged_total', { system }, diverged);
  log.event('target.diverged', { system, batch, rows: diverged });
}
