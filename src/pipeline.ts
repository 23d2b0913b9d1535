import { backoffSeconds } from './capture/backoff.ts';
import type { Clock } from './capture/pace.ts';
import { openRelease } from './capture/release.ts';
import { openSnapshot, type Snapshot, type SnapshotChunk } from './capture/snapshot.ts';
import { pause, untilStopped } from './capture/stream.ts';
import type { Applier, Outcome } from './contract/applier.ts';
import type { OutboxEntry, ParkedDelivery, Sent } from './contract/ledger.ts';
import type { Source } from './contract/source.ts';
import type { Decisions } from './decide/decisions.ts';
import { type Applied, apply, type Buried, beginAhead, recover } from './decide/deliveries.ts';
import { type EchoReader, echoName, echoReader } from './decide/echoes.ts';
import { type Batch, freezeMore, prepare } from './decide/freeze.ts';
import { noteLooks } from './decide/looks.ts';
import type { Unit } from './decide/pass.ts';
import { repairsOf, withoutRepaired } from './decide/repairs.ts';
import { parentTables } from './decide/routes.ts';
import { knownRows, selectionOf } from './decide/selection.ts';
import {
  blameTables,
  contentsOf,
  type MappedTables,
  openTables,
  type TableWatch,
} from './decide/tables.ts';
import { releaseWaiting } from './decide/waiting.ts';
import { CarrickError } from './errors.ts';
import { type FeedParts, feed } from './feed/feed.ts';
import type { SourceBatch } from './model/change.ts';
import type { Position } from './model/position.ts';
import type { AppliedRows, Report } from './observe/report.ts';
import { traced } from './observe/trace.ts';
import { chunkEvents, rowEvents } from './reconcile/row-event.ts';
import type { Working } from './reconcile/working.ts';

/** A target without work is looked at so often. */
const IDLE_MS = 5000;
/** One that has just got some is asked to bring it to disk: before that its log is silent. */
const SOON_MS = 5;

/** One system as the pipeline sees it. */
export interface Participant extends MappedTables {
  openSource(): Promise<Source>;
  openApplier(): Promise<Applier>;
}

export interface PipelineParts {
  readonly instance: string;
  readonly participants: readonly Participant[];
  /** One-way copies, beside what is settled; see `feed/feed.ts`. */
  readonly feeds: readonly FeedParts[];
  readonly decisions: Decisions;
  readonly report: Report;
  /** How reading tables is timed and slowed down; see `openPace`. */
  readonly loading: { readonly share: number; readonly clock: Clock };
}

/**
 * The whole of Carrick: one `follow` loop a source, one `deliver` loop a target, and the ledger
 * between them; and one `feed` loop for each one-way copy, which needs no ledger. Returns when
 * `stop` was aborted and every loop has ended; a loop that must halt leaves the others running,
 * because a system that is down holds nobody else back.
 */
export async function runPipeline(parts: PipelineParts, stop: AbortSignal): Promise<void> {
  const feeding = parts.feeds.map((one) =>
    forever(parts, one.feed.name, 'source', stop, (moving) => feed(one, moving, stop)),
  );
  const settling = parts.participants.flatMap((participant) => {
    const { system } = participant;
    const loaded = Promise.withResolvers<void>();
    if (stop.aborted) loaded.resolve();
    stop.addEventListener('abort', () => loaded.resolve(), { once: true });
    const following = forever(parts, system, 'source', stop, (moving) =>
      follow(parts, participant, loaded.resolve, moving, stop),
    );
    const delivering = loaded.promise.then(() =>
      forever(parts, system, 'target', stop, (moving) => deliver(parts, participant, moving, stop)),
    );
    return [following, delivering];
  });
  await Promise.all([...settling, ...feeding]);
}

/** Runs one loop again and again until told to stop; waits longer after each failure in a row. */
async function forever(
  { report }: PipelineParts,
  system: string,
  side: 'source' | 'target',
  stop: AbortSignal,
  loop: (moving: () => void) => Promise<void>,
): Promise<void> {
  for (let attempt = 0; !stop.aborted; ) {
    try {
      await loop(() => {
        attempt = 0;
        report.moved(system, side);
      });
    } catch (error) {
      if (stop.aborted) break;
      if (error instanceof CarrickError && error.disposition === 'retry') {
        attempt += 1;
        const seconds = backoffSeconds(attempt, Math.random());
        report.retrying(system, side, error, attempt, seconds);
        await pause(seconds, stop);
      } else {
        report.halted(system, side, error);
        return;
      }
    }
  }
  report.stopped(system, side);
}

/**
 * capture → normalize → reconcile → ledger.commit → settle. The position is released only when the
 * commit that covers it is on disk (invariant 1).
 */
async function follow(
  parts: PipelineParts,
  participant: Participant,
  loaded: () => void,
  moving: () => void,
  stop: AbortSignal,
): Promise<void> {
  const { decisions, report } = parts;
  const { system } = participant;
  await using source = await participant.openSource();
  const start = await startingPoint(decisions, system, source);
  const { watch, decided: judged } = await openTables(decisions, participant);
  if (judged !== null) report.released(judged);
  await using snapshot = snapshotOf(parts, participant, source, watch);
  const echoes = echoReader(decisions, parts.instance, system);
  const release = openRelease(source);
  report.following(system, start, source, snapshot.loaded);
  let loading = !snapshot.loaded;
  if (!loading) loaded();
  snapshot.pump();
  for await (const batch of untilStopped(source.tail(start), stop)) {
    const reading = { participant, watch, echoes, snapshot, decisions };
    const { units, chunks } = await unitsOf(reading, batch);
    const state = ({ unread }: Working) => ({
      ...placeAfter(decisions, system, batch),
      snapshots: withoutRepaired(snapshot.progressWith(chunks, [...unread.values()]), chunks),
    });
    const context = { system, transactions: batch.transactions.length };
    const decided = await traced('decide', context, () =>
      decisions.commit(units, { system, state }, watch.setAside(batch.transactions)),
    );
    release.behind(decided.onDisk, batch.position);
    noteLooks(decisions, { system, instance: parts.instance }, batch.transactions);
    snapshot.committed(chunks);
    report.decided(system, batch, units, decided, chunks);
    await releaseWaiting(decisions, decided.due, report.released);
    if (loading && snapshot.loaded) {
      loading = false;
      report.loaded(system);
      loaded();
    }
    // Deliveries may have waited for the table.
    if (chunks.some(({ done }) => done)) decisions.bells.get(system)?.ring();
    moving();
    if (await watch.mended(batch.transactions)) return;
    snapshot.pump();
  }
}

/**
 * outbox → plan → freeze in the ledger → one target transaction. Confirmation comes from the
 * target's own log, in `follow`.
 */
async function deliver(
  parts: PipelineParts,
  participant: Participant,
  moving: () => void,
  stop: AbortSignal,
): Promise<void> {
  const { decisions, report } = parts;
  const { system } = participant;
  await using applier = await participant.openApplier();
  let number = decisions.ledger.head().batches[system] ?? 0;
  number = await recover(decisions, system, applier, number);
  const bell = decisions.bells.get(system);
  const buried: Buried = new Map();
  const told = (parked: readonly ParkedDelivery[]): void =>
    report.released({ journal: [], parked, echoes: 0 });
  report.target(system, { kind: 'delivering' });
  let onDisk = true;
  while (!stop.aborted) {
    await using ahead = beginAhead(applier, number + 1);
    const batch = await prepare(decisions, system, number + 1, told, ahead.start);
    moving();
    if (batch === null) {
      report.target(system, { kind: 'idle' });
      const rung = await bell?.wait(onDisk ? IDLE_MS : SOON_MS, stop);
      if (rung || stop.aborted) continue;
      // A server that is gone shows only when it is asked (invariant 11).
      await applier.ping();
      onDisk = true;
    } else if (batch !== 'progress') {
      number = batch.number;
      const started = performance.now();
      const rows = new Map<string, AppliedRows>();
      const written = ({ outcomes, generated }: Applied): void => {
        decisions.generated.set(echoName(system, number), generated);
        for (const [{ entry, need }, outcome] of outcomes) {
          noteOutcome(decisions, entry, outcome);
          countRow(rows, entry, need.op, outcome.kind);
        }
      };
      const more = (part: Batch) => freezeMore(decisions, system, part, told);
      await traced('apply', { system, batch: number }, () =>
        apply(ahead, batch, { buried, written, more }),
      ).catch(async (error) => {
        throw await blameTables(decisions, participant, error);
      });
      onDisk = false;
      const seconds = (performance.now() - started) / 1000;
      report.target(system, { kind: 'applied', batch: number, rows: [...rows.values()], seconds });
    }
  }
}

/** In place of what a try that did not commit had come to. */
function noteOutcome(
  { already, refused }: Decisions,
  { seq }: OutboxEntry,
  outcome: Outcome,
): void {
  already.delete(seq);
  refused.delete(seq);
  if (outcome.kind === 'already') already.add(seq);
  if (outcome.kind === 'refused') refused.set(seq, `${outcome.code}: ${outcome.reason}`);
}

/** What is the same for many rows is told once: a batch may be larger than the memory. */
function countRow(
  rows: Map<string, AppliedRows>,
  { entity, origin, since }: OutboxEntry,
  operation: Sent['op'],
  outcome: Outcome['kind'],
): void {
  const name = [entity, operation, origin, since, outcome].join(' ');
  const known = rows.get(name);
  if (known === undefined) rows.set(name, { entity, operation, origin, since, outcome, count: 1 });
  else known.count += 1;
}

async function startingPoint(
  decisions: Decisions,
  system: string,
  source: Source,
): Promise<Position> {
  const known = decisions.ledger.head().positions[system];
  if (known !== undefined) return known.position;
  const position = await source.start();
  const state = { position, openTransaction: null, snapshots: {} };
  await decisions.decide([], { system, state: () => state });
  return position;
}

interface Reading {
  readonly participant: Participant;
  readonly watch: TableWatch;
  readonly echoes: EchoReader;
  readonly snapshot: Snapshot;
  readonly decisions: Decisions;
}

/** A source batch as units to decide, finished snapshot chunks where they belong in the log. */
async function unitsOf(
  { participant: { system, routes: all }, watch, echoes, snapshot, decisions }: Reading,
  batch: SourceBatch,
): Promise<{ units: Unit[]; chunks: SnapshotChunk[] }> {
  const units: Unit[] = [];
  const chunks: SnapshotChunk[] = [];
  const routes = watch.routes();
  for (const transaction of batch.transactions) {
    const { id, committedAt: at, complete } = transaction;
    const echo = await echoes(transaction, batch);
    // Our own writes are understood even where the table was found not to fit before its log said
    // so: without their echo a row of ours would be met as a stranger's when it is read again.
    const events = rowEvents(transaction, echo === null ? routes : all);
    units.push({ system, transaction: id, at, origin: 'log', events, echo, complete });
    const due = snapshot.after(transaction);
    if (due === null) continue;
    chunks.push(due);
    const repairs = repairsOf(decisions.ledger.head().positions[system]?.snapshots, due.table);
    // What is gone first: another row of its record may take its place.
    const rows = [
      ...chunkEvents(due.table, [], due.missing, routes, at, repairs, due.absent),
      ...chunkEvents(due.table, due.rows, [], routes, at, repairs),
    ];
    const name = `snapshot:${due.table.name}:${due.rowsSoFar}`;
    const reading = { system, transaction: name, at, origin: 'reading' } as const;
    units.push({ ...reading, events: rows, echo: null, complete: true });
  }
  return { units, chunks };
}

function placeAfter(decisions: Decisions, system: string, batch: SourceBatch) {
  const before = decisions.ledger.head().positions[system];
  const last = batch.transactions.at(-1);
  const open =
    last === undefined ? (before?.openTransaction ?? null) : last.complete ? null : last.id;
  return { position: batch.position, openTransaction: open };
}

function snapshotOf(
  parts: PipelineParts,
  participant: Participant,
  source: Source,
  watch: TableWatch,
): Snapshot & AsyncDisposable {
  const { decisions, instance, loading } = parts;
  const { system, tables, routes } = participant;
  let applier: Promise<Applier> | null = null;
  const snapshot = openSnapshot({
    tables,
    parents: (table) => parentTables(table, participant),
    progress: () => decisions.ledger.head().positions[system]?.snapshots ?? {},
    held: watch.isHeld,
    contents: (table) => contentsOf(table, routes),
    known: (table, from, limit, progress) => {
      const only = selectionOf(table, progress, routes);
      return knownRows(decisions, participant, { table, from, limit, only });
    },
    wanted: (table, progress) => selectionOf(table, progress, routes)?.row ?? null,
    instance,
    source: {
      estimate: (table) => source.estimate(table),
      read: async (request) => {
        try {
          return await source.read(request);
        } catch (error) {
          throw await blameTables(decisions, participant, error);
        }
      },
    },
    applier: () => {
      applier ??= participant.openApplier();
      return applier;
    },
    // Larger than any fence of an earlier run: milliseconds advance faster than chunks are read.
    firstFence: Date.now(),
    loadShare: loading.share,
    clock: loading.clock,
  });
  return Object.assign(snapshot, {
    async [Symbol.asyncDispose]() {
      snapshot.end();
      await (await applier?.catch(() => undefined))?.[Symbol.asyncDispose]();
    },
  });
}
