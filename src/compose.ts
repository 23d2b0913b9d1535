import { existsSync, readFileSync, statSync } from 'node:fs';
import { connectors } from '../connectors/registry.ts';
import { loadCases } from './config/cases.ts';
import { jsonSchema as schemaOf } from './config/json-schema.ts';
import { type Config, loadConfig } from './config/load.ts';
import { formatProblems, type Problem } from './config/problem.ts';
import type { Connector, Finding, System } from './contract/connector.ts';
import type { Entity } from './contract/entity.ts';
import type { Ledger } from './contract/ledger.ts';
import type { Operator, Status } from './contract/operator.ts';
import type { Source } from './contract/source.ts';
import { type Decisions, openDecisions } from './decide/decisions.ts';
import { driftText, refusalText } from './decide/pass.ts';
import { routesOf } from './decide/routes.ts';
import { misfitsOf } from './decide/tables.ts';
import { CarrickError, halt } from './errors.ts';
import { openSqliteLedger } from './ledger/sqlite.ts';
import type { TableSchema } from './model/change.ts';
import { type CaseResult, runCases } from './normalize/cases.ts';
import { compileEntities } from './normalize/compile.ts';
import { operatorAt } from './observe/client.ts';
import { collectGauges, systemStatus } from './observe/gauges.ts';
import { serve, urlOf } from './observe/http.ts';
import { createLog, type Log } from './observe/log.ts';
import { createMetrics } from './observe/metrics.ts';
import { createReporter, type Reporter } from './observe/reporter.ts';
import { version } from './observe/version.ts';
import { createOperator } from './operate/operator.ts';
import type { ReadRows } from './operate/verify.ts';
import { type Participant, runPipeline } from './pipeline.ts';
import { linkText } from './reconcile/working.ts';

export type Env = Readonly<Record<string, string | undefined>>;

/** Everything wrong with the files, ready for the terminal. */
export class ConfigProblems extends Error {
  readonly text: string;

  constructor(problems: readonly Problem[]) {
    super(`${problems.length} problems in the configuration`);
    this.text = formatProblems(problems, textOf);
  }
}

const textOf = (file: string): string | null =>
  existsSync(file) ? readFileSync(file, 'utf8') : null;

/** What the command line does with a configuration; see `cli/composition.ts`. */
export async function loadComposition(path: string, env: Env, how: { offline: boolean }) {
  const types = await loadConnectors();
  const loaded = loadConfig(path, env, {
    types: [...types.keys()],
    parseOptions: (type, options) => connectorOf(types, type).parse(options),
  });
  if (!loaded.ok) throw new ConfigProblems(loaded.problems);
  const config = loaded.value;
  const { instance } = config;
  const systems = new Map<string, System>();
  for (const [system, { connector, options }] of config.systems) {
    systems.set(system, connectorOf(types, connector).connect(options, { system, instance }));
  }
  const schemas = how.offline ? undefined : await describeAll(config, systems);
  const entities = compile(config, null, schemas);
  const parts: Parts = { config, systems, schemas, entities };
  return {
    config: { listen: config.listen },
    entities: new Map(entities.map((entity) => [entity.name, entity])) as ReadonlyMap<
      string,
      Entity
    >,
    run: (stop: AbortSignal) => run(parts, stop),
    setup: () => setup(parts),
    setupScript: async () => script(parts),
    preflight: () => preflight(parts),
    operator: () => operatorFor(parts),
    cases: async () => cases(parts),
  };
}

export async function jsonSchema(of: 'config' | 'mapping'): Promise<object> {
  const types = await loadConnectors();
  return schemaOf(of, new Map([...types].map(([type, one]) => [type, one.optionsSchema])));
}

interface Parts {
  readonly config: Config;
  readonly systems: ReadonlyMap<string, System>;
  readonly schemas: ReadonlyMap<string, readonly TableSchema[]> | undefined;
  readonly entities: readonly Entity[];
}

async function loadConnectors(): Promise<Map<string, Connector>> {
  const loaded = new Map<string, Connector>();
  for (const [type, load] of Object.entries(connectors)) loaded.set(type, await load());
  return loaded;
}

function connectorOf(types: ReadonlyMap<string, Connector>, type: string): Connector {
  const found = types.get(type);
  if (found === undefined) throw new Error(`no connector ${type}`);
  return found;
}

async function describeAll(config: Config, systems: ReadonlyMap<string, System>) {
  const schemas = new Map<string, readonly TableSchema[]>();
  for (const [name, system] of systems) {
    const tables = config.mappings.flatMap(({ value }) => {
      const table = value.systems[name]?.table;
      return table === undefined ? [] : [table];
    });
    schemas.set(name, await system.describe([...new Set(tables)]));
  }
  return schemas;
}

/** With a ledger, fields keep the ordinals that it gave them; without one any order does. */
function compile(
  config: Config,
  ordinals: ReadonlyMap<string, readonly string[]> | null,
  schemas: Parts['schemas'],
): readonly Entity[] {
  const order = (entity: string, names: readonly string[]): readonly string[] =>
    ordinals?.get(entity) ?? names;
  const compiled = compileEntities(config.mappings, order, schemas);
  if (!compiled.ok) throw new ConfigProblems(compiled.problems);
  return compiled.value;
}

function cases({ config, entities }: Parts): CaseResult[] {
  const loaded = loadCases(config.mappings);
  if (!loaded.ok) throw new ConfigProblems(loaded.problems);
  return loaded.value.flatMap((file) => {
    const entity = entities.find(({ name }) => name === file.entity);
    return entity === undefined ? [] : runCases(entity, file);
  });
}

const needsOf = (name: string, { entities }: Parts) => ({
  tables: routesOf(name, entities).tables,
});

async function setup(parts: Parts): Promise<string[]> {
  const lines: string[] = [];
  for (const [name, system] of parts.systems) {
    const done = await system.setup(needsOf(name, parts));
    lines.push(...done.map((line) => `${name}: ${line}`));
  }
  await closeAll(parts);
  return lines;
}

/** Ready for `psql` and `mariadb`: every statement ends with a semicolon. */
function script(parts: Parts): string {
  const ended = (statement: string): string =>
    /(^|\n)--[^\n]*$|;\s*$/.test(statement) ? statement : `${statement};`;
  return [...parts.systems]
    .map(([name, system]) =>
      [`-- ${name}`, ...system.setupScript(needsOf(name, parts)).map(ended)].join('\n'),
    )
    .join('\n\n');
}

const SKEW_LIMIT_SECONDS = 1;

async function preflight(parts: Parts): Promise<Record<string, readonly Finding[]>> {
  const findings: Record<string, readonly Finding[]> = {};
  for (const [name, system] of parts.systems) {
    const found = await system.preflight(needsOf(name, parts));
    findings[name] = [...found, ...(await clockFindings(system))];
  }
  await closeAll(parts);
  return findings;
}

/** Last-writer policies compare clocks of different systems: their distance must be known. */
async function clockFindings(system: System): Promise<Finding[]> {
  const check = 'clock';
  try {
    const seconds = (await system.clockOffset()) / 1e6;
    if (Math.abs(seconds) <= SKEW_LIMIT_SECONDS) return [];
    const message = `its clock differs from ours by ${seconds.toFixed(1)} s`;
    const fix = 'run NTP on both machines, or widen `skew_tolerance` in the mappings';
    return [{ outcome: 'problem', check, message, fix }];
  } catch {
    const fix = 'see that the system can be reached';
    return [{ outcome: 'unknown', check, message: 'its clock could not be read', fix }];
  }
}

async function closeAll({ systems }: Parts): Promise<void> {
  for (const system of systems.values()) await system[Symbol.asyncDispose]();
}

/** The daemon: resolves when `stop` was aborted, every loop has ended and everything is closed. */
async function run(parts: Parts, stop: AbortSignal): Promise<void> {
  const { config, systems } = parts;
  const started = Date.now();
  const log = createLog(config.logLevel);
  const metrics = createMetrics(version);
  await using ledger = await openSqliteLedger(config.ledger.path);
  const entities = await compileFor(parts, ledger);
  const decisions = await decisionsOf(parts, ledger, entities, (seconds) => {
    metrics.observe('carrick_ledger_commit_seconds', {}, seconds);
  });
  const reporter = createReporter([...systems.keys()], metrics, log);
  const upSeconds = (): number => (Date.now() - started) / 1000;
  metrics.onScrape((set) => collectGauges(set, ledger, reporter.news, ledgerBytes(config)));
  await using readers = openReaders(parts, entities);
  await using _server = await serve({
    listen: config.listen,
    apiToken: config.apiToken,
    metrics,
    operator: createOperator(decisions, () => statusOf(parts, ledger, reporter, upSeconds()), {
      alone: false,
      read: readers.read,
    }),
    vitals: reporter.vitals,
    upSeconds,
    log,
  });
  using _clocks = watchClocks(parts, reporter);
  const listen = urlOf(config.listen);
  log.event('daemon.started', { instance: config.instance, version, listen });
  const signalled = (): void =>
    log.event('daemon.stopping', { signal: String(stop.reason ?? 'stop') });
  if (stop.aborted) signalled();
  else stop.addEventListener('abort', signalled, { once: true });
  const participants = participantsOf(parts, entities);
  const report: Reporter = reporter;
  await runPipeline({ instance: config.instance, participants, decisions, report }, stop);
  await closeAll(parts);
  tellHalted(reporter, log);
  log.event('daemon.stopped', { seconds: upSeconds() });
}

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
function tellHalted({ news }: Reporter, _log: Log): void {
  for (const [system, { source, target, trouble }] of news) {
    if ((source !== 'halted' && target !== 'halted') || trouble === null) continue;
    throw halt(trouble.code, `${system}: ${trouble.message}`, trouble.fix);
  }
}

const ledgerBytes = ({ ledger: { path } }: Config): number =>
  [path, `${path}-wal`].reduce(
    (sum, file) => sum + (statSync(file, { throwIfNoEntry: false })?.size ?? 0),
    0,
  );

async function compileFor(parts: Parts, ledger: Ledger): Promise<readonly Entity[]> {
  const ordinals = new Map<string, readonly string[]>();
  for (const { value } of parts.config.mappings) {
    ordinals.set(value.entity, await ledger.ordinals(value.entity, Object.keys(value.fields)));
  }
  return compile(parts.config, ordinals, parts.schemas);
}

function participantsOf({ systems, schemas }: Parts, entities: readonly Entity[]): Participant[] {
  return [...systems].map(([system, reached]) => {
    const { tables, routes } = routesOf(system, entities);
    const names = tables.map(({ name }) => name);
    return {
      system,
      tables,
      routes,
      misfits: async () =>
        misfitsOf(tables, schemas?.get(system) ?? [], await reached.describe(names)),
      openSource: () => reached.source(tables),
      openApplier: () => reached.applier(),
    };
  });
}

/** Sources that only read tables, beside those whose logs are followed. */
function openReaders(
  { systems }: Parts,
  entities: readonly Entity[],
): { readonly read: ReadRows } & AsyncDisposable {
  const open = new Map<string, Promise<Source>>();
  return {
    async read(system, request) {
      const reached = systems.get(system);
      if (reached === undefined) throw new Error(`no system ${system}`);
      const source = open.get(system) ?? reached.source(routesOf(system, entities).tables);
      open.set(system, source);
      source.catch(() => open.delete(system));
      return (await source).read(request);
    },
    async [Symbol.asyncDispose]() {
      for (const source of open.values()) await (await source)[Symbol.asyncDispose]();
    },
  };
}

const PAGE = 1000;

async function decisionsOf(
  { systems }: Parts,
  ledger: Ledger,
  entities: readonly Entity[],
  onCommit: (seconds: number) => void,
): Promise<Decisions> {
  const byName = new Map(entities.map((entity) => [entity.name, entity]));
  const { records } = await ledger.desk.counts();
  const decisions = openDecisions(ledger, byName, [...systems.keys()], { ...records }, onCommit);
  for (let before = Number.MAX_SAFE_INTEGER; ; ) {
    const page = await ledger.desk.parked({ before, limit: PAGE });
    for (const item of page) {
      if (item.kind === 'delivery') {
        decisions.refusals.set(refusalText(item.system, item.record), item.id);
      } else if (item.kind === 'row' && item.waits !== null) {
        decisions.awaited.add(linkText({ system: item.system, ...item.waits }));
      } else if (item.kind === 'hold' && item.reason === 'schema_drift') {
        decisions.drifted.set(driftText(item.system, item.entity), item.id);
      }
    }
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) return decisions;
    before = last.id;
  }
}

async function statusOf(
  { config }: Parts,
  ledger: Ledger,
  reporter: Reporter | null,
  uptimeSeconds: number | null,
): Promise<Status> {
  const counts = await ledger.desk.counts();
  const systems = [...config.systems].map(([system, { connector }]) =>
    systemStatus(system, connector, ledger, reporter?.news.get(system) ?? null),
  );
  return {
    instance: config.instance,
    uptimeSeconds,
    systems: await Promise.all(systems),
    records: counts.records,
    openConflicts: Object.values(counts.openConflicts).reduce((a, b) => a + b, 0),
    parked: counts.parked,
  };
}

/** The running daemon's, or one over the ledger when no daemon answers. */
async function operatorFor(parts: Parts): Promise<Operator & AsyncDisposable> {
  const { config } = parts;
  const remote = operatorAt(urlOf(config.listen), config.apiToken);
  try {
    await remote.status();
    return { ...remote, async [Symbol.asyncDispose]() {} };
  } catch (error) {
    if (!(error instanceof CarrickError) || error.code !== 'operator.unreachable') throw error;
  }
  if (!existsSync(config.ledger.path)) {
    throw halt('ledger.missing', 'there is no ledger yet', 'start the daemon with `carrick run`');
  }
  const ledger = await openSqliteLedger(config.ledger.path);
  const entities = await compileFor(parts, ledger);
  const decisions = await decisionsOf(parts, ledger, entities, () => undefined);
  const readers = openReaders(parts, entities);
  const operator = createOperator(decisions, () => statusOf(parts, ledger, null, null), {
    alone: true,
    read: readers.read,
  });
  return {
    ...operator,
    async [Symbol.asyncDispose]() {
      await readers[Symbol.asyncDispose]();
      await ledger[Symbol.asyncDispose]();
      await closeAll(parts);
    },
  };
}
