import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import type { Clock } from '../capture/pace.ts';
import type { Daemon } from '../contract/controls.ts';
import type { Decisions } from '../decide/decisions.ts';
import { openLooks } from '../decide/looks.ts';
import { halt } from '../errors.ts';
import { openFeedDesk } from '../feed/asks.ts';
import { entitiesOf, feedsOf } from '../feed/plan.ts';
import type { SqliteLedger } from '../ledger/sqlite.ts';
import { collectGauges } from '../observe/gauges.ts';
import { serve, urlOf } from '../observe/http.ts';
import { createLog, type Log } from '../observe/log.ts';
import { createMetrics, type Metrics } from '../observe/metrics.ts';
import { createReporter, type Reporter, troubleIn } from '../observe/reporter.ts';
import { openToken } from '../observe/token.ts';
import { version } from '../observe/version.ts';
import { createControls } from '../operate/controls.ts';
import { createOperator, type OperatorParts } from '../operate/operator.ts';
import { runPipeline } from '../pipeline.ts';
import { createGate, type Gate } from './gate.ts';
import { guardsOf, openLedger } from './ledger.ts';
import {
  byNameOf,
  closeAll,
  compileFor,
  decisionsOf,
  feedParts,
  loopsOf,
  openReaders,
  type Parts,
  participantsOf,
  settledOnes,
} from './parts.ts';
import { openReloads, type Reloads } from './reload.ts';
import { keepJournal } from './retention.ts';
import { ledgerSize, statusOf } from './status.ts';
import { supportOf } from './support.ts';
import { type Verified, verifyGauges, verifyInBackground } from './verifier.ts';

export interface RunOptions {
  readonly stop: AbortSignal;
  /** Calls back at each SIGHUP. */
  readonly onHangup: (act: () => void) => void;
  /** Reads and checks the configuration anew. */
  readonly load: () => Promise<Parts>;
}

/**
 * V8 lets its heap grow to several times of what lives before it looks for garbage again; of what a
 * batch leaves behind hardly anything lives. Here a third as much again has to do, which for what
 * lives here is the least that V8 takes; feeds alone keep so little that half as much may be added,
 * for less work. No hard limit: a batch of very wide rows is slow then, and not the end.
 */
const keepHeapSmall = (settles: boolean): void =>
  setFlagsFromString(`--heap-growing-percent=${settles ? 30 : 50}`);

/** What stays while configurations come and go. */
interface House {
  readonly ledger: SqliteLedger;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly reporter: Reporter;
  readonly reloads: Reloads;
  readonly gate: Gate<Daemon>;
  readonly verified: Verified;
  upSeconds(): number;
}

/**
 * The daemon: resolves when `stop` was aborted, every loop has ended and everything is closed. A
 * configuration that is read anew runs on the same ledger, from the positions that it holds.
 */
export async function run(first: Parts, { stop, onHangup, load }: RunOptions): Promise<void> {
  const { config } = first;
  const started = Date.now();
  const log = createLog(config.logLevel);
  const metrics = createMetrics(version);
  await using ledger = await openLedger(first, (seconds) => {
    metrics.observe('carrick_ledger_commit_seconds', {}, seconds);
  });
  const reporter = createReporter(metrics, log);
  const gate = createGate<Daemon>();
  using reloads = openReloads({ load, onHangup, log, metrics });
  const upSeconds = (): number => (Date.now() - started) / 1000;
  let parts = first;
  const verified: Verified = { since: started * 1000, last: null };
  metrics.onScrape(async (set) => {
    if (parts.config.verify !== null) verifyGauges(set, verified);
    await collectGauges(set, ledger, reporter.news, ledgerSize(config));
    set('carrick_ledger_used_bytes', {}, await ledger.desk.usedBytes());
    const { ledgerLimit } = parts.config;
    if (ledgerLimit !== null) set('carrick_ledger_limit_bytes', {}, ledgerLimit);
    set('carrick_reload_refused', {}, reloads.status().refused === null ? 0 : 1);
  });
  using own = openToken(config.ledger.path);
  await using _server = await serve({
    listen: config.listen,
    apiToken: () => parts.config.apiToken ?? own.token,
    metrics,
    act: gate.act,
    vitals: reporter.vitals,
    upSeconds,
    log,
  });
  log.event('daemon.started', {
    instance: config.instance,
    version,
    listen: urlOf(config.listen),
  });
  const signalled = (): void =>
    log.event('daemon.stopping', { signal: String(stop.reason ?? 'stop') });
  if (stop.aborted) signalled();
  else stop.addEventListener('abort', signalled, { once: true });
  const house = { ledger, log, metrics, reporter, reloads, gate, verified, upSeconds };
  for (;;) {
    const next = await runUntilReload(house, parts, stop);
    if (next === null) break;
    parts = next;
    if (!stop.aborted) continue;
    await closeAll(next);
    break;
  }
  tellHalted(reporter);
  log.event('daemon.stopped', { seconds: upSeconds() });
}

/** Runs one configuration; null: it has ended for good. */
async function runUntilReload(
  house: House,
  parts: Parts,
  stop: AbortSignal,
): Promise<Parts | null> {
  const replaced = new AbortController();
  const running = runParts(house, parts, AbortSignal.any([stop, replaced.signal]));
  const next = await Promise.race([running.then(() => null), house.reloads.next(parts)]);
  replaced.abort();
  await running;
  await closeAll(parts);
  if (next !== null && next.config.logLevel !== parts.config.logLevel) {
    house.log.level = next.config.logLevel;
  }
  return next;
}

async function runParts(house: House, parts: Parts, stop: AbortSignal): Promise<void> {
  const { ledger, metrics, reporter, gate } = house;
  reporter.expect(loopsOf(parts), byNameOf(parts.entities));
  await ledger.protect(guardsOf(parts.entities));
  const mapped = await compileFor(parts, ledger);
  const entities = settledOnes(mapped);
  keepHeapSmall(entities.length > 0);
  const decisions = await decisionsOf(parts, ledger, entities);
  await using readers = openReaders(parts, entities);
  using _clocks = watchClocks(parts, reporter);
  await using _journal = keepJournal(decisions, { limits: parts.config, log: house.log, metrics });
  const participants = participantsOf(parts, entities);
  const settling = participants.map(({ system }) => system);
  const feeds = feedsOf(mapped);
  const feeding = feeds.map((feed) => feedParts(parts, feed));
  await using looks = openLooks(
    decisions,
    new Map([
      ...participants.map(({ system, openApplier }) => [system, openApplier] as const),
      ...feeding.map(({ feed, openFences }) => [feed.name, openFences] as const),
    ]),
  );
  const caughtUp = (entity: string): Promise<boolean> => {
    const fed = feeds.filter((feed) => entitiesOf(feed).some(({ name }) => name === entity));
    return looks.caughtUp(fed.length > 0 ? fed.map(({ name }) => name) : settling);
  };
  const described = async () => ({ entities: mapped, schemas: parts.schemas });
  const feedDesk = openFeedDesk(feeds);
  const operator = daemonOver(house, parts, decisions, {
    ...{ ...readers, caughtUp, feeds: feedDesk, mapped: byNameOf(mapped), described },
  });
  await using _open = gate.open(operator);
  const { instance, loadShare: share, verify } = parts.config;
  const loading = { share, clock: CLOCK };
  const running = runPipeline(
    {
      ...{ instance, participants, decisions, report: reporter, loading },
      feeds: feeding.map((one) => ({
        ...{ ...one, decisions, report: reporter, loading, asks: feedDesk.asksOf(one.feed) },
      })),
    },
    stop,
  );
  if (verify !== null) {
    const { verified, log } = house;
    const compared = { operator, entities: mapped, verified, log, metrics };
    await verifyInBackground(compared, verify, stop);
  }
  await running;
}

function daemonOver(
  { ledger, log, metrics, reporter, reloads, verified, upSeconds }: House,
  parts: Parts,
  decisions: Decisions,
  means: Pick<OperatorParts, 'read' | 'digest' | 'caughtUp' | 'feeds' | 'mapped' | 'described'>,
): Daemon {
  const { systems } = parts;
  const running = () => ({ reporter, upSeconds: upSeconds(), reload: reloads.status() });
  const status = async () => {
    const found = await statusOf(parts, ledger, running());
    return verified.last === null ? found : { ...found, verified: verified.last };
  };
  return {
    ...createOperator(decisions, {
      ...means,
      ...{ status, log, alone: false },
    }),
    ...createControls(decisions, {
      systems: [...systems.keys()],
      entities: [...means.mapped.keys()],
      log,
      support: () => supportOf(parts, ledger, running(), { log, metrics }),
    }),
  };
}

/** Nobody waits for a sleeper at the end. */
const CLOCK: Clock = {
  now: () => performance.now() / 1000,
  sleep: (seconds) => sleep(seconds * 1000, undefined, { ref: false }),
};

const CLOCK_SECONDS = 60;

/** Looks at every system's clock once a minute; a system that cannot be reached keeps no figure. */
function watchClocks({ systems }: Parts, { news }: Reporter): Disposable {
  const look = async (): Promise<void> => {
    for (const [name, system] of systems) {
      const one = news.get(name);
      if (one === undefined) continue;
      const offset = await system.clockOffset().catch(() => null);
      one.clockOffsetSeconds = offset === null ? null : offset / 1e6;
    }
  };
  const timer = setInterval(() => void look(), CLOCK_SECONDS * 1000);
  timer.unref();
  void look();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/** When every loop has halted there is nothing left to run for: the exit code says so. */
function tellHalted({ news }: Reporter): void {
  for (const [system, one] of news) {
    const trouble = troubleIn(one);
    if ((one.source !== 'halted' && one.target !== 'halted') || trouble === null) continue;
    throw halt(trouble.code, `${system}: ${trouble.message}`, trouble.fix);
  }
}
