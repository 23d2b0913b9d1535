import type { Source } from '../../src/contract/source.ts';
import { openDecisions } from '../../src/decide/decisions.ts';
import { CarrickError } from '../../src/errors.ts';
import { openFeedDesk } from '../../src/feed/asks.ts';
import { feedInstance } from '../../src/feed/instance.ts';
import type { FeedParts } from '../../src/feed/parts.ts';
import type { Feed } from '../../src/feed/plan.ts';
import { rowKey, type Value } from '../../src/model/value.ts';
import type { Report } from '../../src/observe/report.ts';
import { type PipelineParts, runPipeline } from '../../src/pipeline.ts';
import { type Connection, openApplier, openSource, unreachable } from './connector.ts';
import { openCopier } from './feed-copier.ts';
import { type Daemon, type FeedWorld, watchedLedger } from './feed-world.ts';
import { clockOf, openLine, settled } from './scheduler.ts';
import type { SimulatedSystem } from './system.ts';
import { Violation } from './world.ts';

const INSTANCE = 'main';

/** Starts a process on what its ledger holds. */
export async function bootDaemon(world: FeedWorld, daemon: Daemon): Promise<void> {
  const { feeds, mutation, scheduler, systems } = world;
  daemon.stop = new AbortController();
  daemon.line = openLine('ledger');
  daemon.fenced = false;
  daemon.parked = new Map(
    (await daemon.ledger.desk.parked({ limit: 1000 })).map((one) => [one.id, one]),
  );
  const slow = watchedLedger(scheduler, daemon);
  const ledger = mutation?.ledger?.(slow) ?? slow;
  const decisions = openDecisions(ledger, new Map(), [...systems.keys()], {}, 10);
  const desk = openFeedDesk(feeds);
  const { stop, line } = daemon;
  const report = reportTo(world, daemon);
  const loading = {
    share: world.scenario.setup.loadShare,
    clock: clockOf(scheduler, line),
  };
  const parts: PipelineParts = {
    ...{ instance: INSTANCE, participants: [], decisions, report, loading },
    feeds: feeds.map((feed): FeedParts => {
      const own = { ...partsOf(world, daemon, feed), asks: desk.asksOf(feed) };
      const all = { ...own, decisions, report, loading };
      return mutation?.parts?.(all) ?? all;
    }),
  };
  Object.assign(daemon, { running: true, decisions, desk });
  const run = runPipeline(parts, stop.signal).then(
    () => {
      if (stop === daemon.stop) daemon.running = false;
    },
    (error: unknown) => {
      if (stop === daemon.stop) world.violations.push(new Violation('failed', String(error)));
    },
  );
  await Promise.race([run, settled()]);
}

function partsOf(world: FeedWorld, daemon: Daemon, feed: Feed) {
  const { source, watches, slots, scenario } = world;
  const instance = feedInstance(INSTANCE, feed.to);
  const watch = watches.get(feed.name)!;
  const { images } = scenario.setup;
  const connect = (name: string): Connection => ({
    ...connection(world, daemon, name, instance),
    minimal: images === 'minimal' || (images === 'toast' ? ['note'] : false),
    slot: slots.get(feed.name)!,
  });
  return {
    ...{ feed, instance },
    openSource: async () => watched(openSource(connect('crm'), feed.tables), watch),
    openFences: async () => openApplier(connect('crm'), () => () => undefined),
    openCopier: async () => openCopier(connect(feed.to), feed.from, watch.committed),
    openTarget: async () => keyReader(connect(feed.to)),
    misfits: async () =>
      new Map(
        feed.tables.flatMap(({ name }): [string, string][] => {
          const misfit = source.misfit(name, source.log.length);
          return misfit === '' ? [] : [[name, misfit]];
        }),
      ),
  };
}

function connection(
  { scheduler, random, systems, downUntil }: FeedWorld,
  { lines }: Daemon,
  name: string,
  instance: string,
): Connection {
  const line = openLine(name);
  const entry = { line, system: name };
  lines.add(entry);
  return {
    ...{ system: systems.get(name) as SimulatedSystem, scheduler, random, line, instance },
    minimal: false,
    down: () => (downUntil.get(name) ?? 0) > scheduler.now(),
    closed: () => {
      lines.delete(entry);
      scheduler.cut(line, unreachable('source'));
    },
  };
}

/** The oracle hears what is read, and what the source is told. */
function watched(source: Source, watch: ReturnType<FeedWorld['watches']['get']>): Source {
  return {
    ...source,
    async *tail(from) {
      for await (const batch of source.tail(from)) {
        const changes = batch.transactions.flatMap((one) => one.changes).length;
        watch?.told(changes, batch.transactions.at(-1)?.complete ?? true);
        yield batch;
      }
    },
    settle(position) {
      watch?.settled(position);
      source.settle(position);
    },
    async read(request) {
      const chunk = await source.read(request);
      const { key, columns, name } = request.table;
      const keys = chunk.rows.map((row) => key.map((one) => row[columns.indexOf(one)] ?? null));
      const asked = request.keys ?? [];
      const met = new Set(keys.map(rowKey));
      watch?.read(name, [...keys, ...asked.filter((one) => !met.has(rowKey(one)))]);
      return chunk;
    },
    async [Symbol.asyncDispose]() {
      await source[Symbol.asyncDispose]();
    },
  };
}

/** Reads key columns in the order of the keys. */
function keyReader({ system, scheduler, line, down, closed, random }: Connection) {
  return {
    read: ({ table, after }: Parameters<Source['read']>[0]) =>
      scheduler.call(line, `${system.name} read keys`, () => {
        if (down()) throw unreachable('target');
        const all = system
          .visible(table.name)
          .map(({ cells }) => table.columns.map((column): Value => cells[column] ?? null))
          .map((row) => ({
            row,
            key: table.key.map((one) => row[table.columns.indexOf(one)] ?? null),
          }))
          .sort((a, b) => (rowKey(a.key) < rowKey(b.key) ? -1 : 1));
        const rest = after === null ? all : all.filter(({ key }) => rowKey(key) > rowKey(after));
        const some = rest.slice(0, 1 + random.int(4));
        const next = some.length === rest.length ? null : (some.at(-1)?.key ?? null);
        return { rows: some.map(({ row }) => row), next };
      }),
    async [Symbol.asyncDispose]() {
      closed(line);
    },
  };
}

function reportTo(world: FeedWorld, daemon: Daemon): Report {
  const { stop } = daemon;
  const halted = (system: string, side: string, error: unknown): void => {
    if (stop !== daemon.stop || stop.signal.aborted) return;
    const code = error instanceof CarrickError ? error.code : '';
    // The log of the one that was left behind may be gone by then.
    if (world.twins && (code === 'target.fenced' || code === 'source.lost')) {
      daemon.fenced = true;
      return;
    }
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    world.violations.push(new Violation('halted', `${system} ${side}: ${text}`));
  };
  const nothing = (): void => undefined;
  return {
    ...{ moved: nothing, retrying: nothing, halted, stopped: nothing, following: nothing },
    ...{ loaded: nothing, decided: nothing, released: nothing, target: nothing },
  };
}
