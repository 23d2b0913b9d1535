import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { connectors } from '../connectors/registry.ts';
import { loadCases } from './config/cases.ts';
import { jsonSchema as schemaOf } from './config/json-schema.ts';
import { type Config, loadConfig } from './config/load.ts';
import { redacted } from './config/redact.ts';
import type { Connector, ConnectorContext, Finding, System } from './contract/connector.ts';
import type { Daemon } from './contract/controls.ts';
import type { Entity } from './contract/entity.ts';
import type { EntityPlan } from './contract/first-contact.ts';
import type { Ledger } from './contract/ledger.ts';
import { guardsOf, openLedger } from './daemon/ledger.ts';
import {
  askedOf,
  byNameOf,
  ConfigProblems,
  closeAll,
  compile,
  compileFor,
  decisionsOf,
  deeperProblems,
  needsOf,
  openReaders,
  type Parts,
  settledOnes,
} from './daemon/parts.ts';
import { rejoinNamed } from './daemon/rejoin.ts';
import { run } from './daemon/run.ts';
import { statusOf } from './daemon/status.ts';
import { supportOf } from './daemon/support.ts';
import { CarrickError, halt } from './errors.ts';
import { feedInstance } from './feed/instance.ts';
import { feedsOf } from './feed/plan.ts';
import { openScratchLedger } from './ledger/sqlite.ts';
import { openTextSet } from './ledger/text-set.ts';
import type { TableSchema } from './model/change.ts';
import { type CaseResult, runCases } from './normalize/cases.ts';
import { operatorAt } from './observe/client.ts';
import { urlOf } from './observe/http.ts';
import { tokenBeside } from './observe/token.ts';
import { createControls } from './operate/controls.ts';
import { createOperator } from './operate/operator.ts';
import { type PlanRequest, planFirstContact, plannedEntities } from './operate/plan.ts';

export type Env = Readonly<Record<string, string | undefined>>;

/** What the command line does with a configuration; see `cli/composition.ts`. */
export async function loadComposition(path: string, env: Env, how: { offline: boolean }) {
  const parts = await loadParts(path, env, how);
  const { config, entities } = parts;
  const load = () => loadParts(path, env, { offline: false });
  return {
    config: { listen: config.listen },
    entities: new Map(entities.map((entity) => [entity.name, entity])) as ReadonlyMap<
      string,
      Entity
    >,
    run: (stop: AbortSignal, onHangup: (act: () => void) => void) =>
      run(parts, { stop, onHangup, load }),
    setup: () => setup(parts),
    setupScript: async () => script(parts),
    preflight: () => preflight(parts),
    operator: () => operatorFor(parts),
    rejoin: (name: string) => rejoinNamed(parts, name, existingLedger),
    plan: (request: PlanRequest) => planFor(parts, request),
    cases: async () => cases(parts),
    files: () => filesOf(parts),
  };
}

async function loadParts(path: string, env: Env, how: { offline: boolean }): Promise<Parts> {
  const loaded = await loadConfig(path, env, {
    types: Object.keys(connectors),
    parseOptions: async (type, options) => (await connectorOf(type)).parse(options),
  });
  if (!loaded.ok) throw new ConfigProblems([...loaded.problems, ...deeperProblems(loaded.rest)]);
  const config = loaded.value;
  // Mistakes in the files are told before any server is asked.
  const offline = compile(config, null, undefined);
  const { instance } = config;
  const scratch = dirname(resolve(config.ledger.path));
  const connect = async (context: ConnectorContext): Promise<System> => {
    const { connector, options } = config.systems.get(context.system)!;
    return (await connectorOf(connector)).connect(options, context);
  };
  const systems = new Map<string, System>();
  for (const system of config.systems.keys()) {
    systems.set(system, await connect({ system, instance, scratch }));
  }
  const feedSources = new Map<string, System>();
  for (const { name, from, to } of feedsOf(offline)) {
    // A feed keeps pace with the server: it need not keep here what may still be rolled back.
    const source = { system: from, instance: feedInstance(instance, to) };
    feedSources.set(name, await connect(source));
  }
  try {
    const schemas = how.offline ? undefined : await describeAll(config, systems);
    const entities = schemas === undefined ? offline : compile(config, null, schemas);
    const parts = { config, systems, feedSources, schemas, entities };
    for (const system of systems.keys()) needsOf(system, parts);
    return parts;
  } catch (error) {
    await closeAll({ systems, feedSources });
    throw error;
  }
}

export async function jsonSchema(of: 'config' | 'mapping'): Promise<object> {
  const options = Object.keys(connectors).map(
    async (type) => [type, (await connectorOf(type)).optionsSchema] as const,
  );
  return schemaOf(of, new Map(await Promise.all(options)));
}

function connectorOf(type: string): Promise<Connector> {
  const load = connectors[type];
  if (load === undefined) throw new Error(`no connector ${type}`);
  return load();
}

async function describeAll(config: Config, systems: ReadonlyMap<string, System>) {
  const described = [...systems].map(async ([name, system]) => {
    const tables = config.mappings.flatMap(({ value }) => {
      const table = value.systems[name]?.table;
      return table === undefined ? [] : [table];
    });
    return [name, await system.describe([...new Set(tables)])] as const;
  });
  return new Map<string, readonly TableSchema[]>(await Promise.all(described));
}

function cases({ config, entities }: Parts): CaseResult[] {
  const loaded = loadCases(config.mappings);
  if (!loaded.ok) throw new ConfigProblems(loaded.problems);
  return loaded.value.flatMap((file) => {
    const entity = entities.find(({ name }) => name === file.entity);
    return entity === undefined ? [] : runCases(entity, file);
  });
}

function filesOf({ config: { file, sources, mappings } }: Parts) {
  const textOf = (path: string): string => sources.texts.get(path) ?? '';
  return {
    config: redacted(file, textOf(file)),
    mappings: Object.fromEntries(
      mappings.map(({ yaml }) => [yaml.file, textOf(resolve(yaml.file))]),
    ),
  };
}

async function setup(parts: Parts): Promise<string[]> {
  const lines: string[] = [];
  for (const { name, system, needs } of askedOf(parts)) {
    const done = await system.setup(needs);
    lines.push(...done.map((line) => `${name}: ${line}`));
  }
  await closeAll(parts);
  return lines;
}

/** Ready for `psql` and `mariadb`: every statement ends with a semicolon. */
function script(parts: Parts): string {
  const ended = (statement: string): string =>
    /(^|\n)--[^\n]*$|;\s*$/.test(statement) ? statement : `${statement};`;
  return askedOf(parts)
    .map(({ name, system, needs }) =>
      [`-- ${name}`, ...system.setupScript(needs).map(ended)].join('\n'),
    )
    .join('\n\n');
}

const SKEW_LIMIT_SECONDS = 1;

async function preflight(parts: Parts): Promise<Record<string, readonly Finding[]>> {
  const findings: Record<string, readonly Finding[]> = {};
  for (const { name, system, needs } of askedOf(parts)) {
    const found = await system.preflight(needs);
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

/** The running daemon's, or one over the ledger when no daemon answers. */
async function operatorFor(parts: Parts): Promise<Daemon & AsyncDisposable> {
  const { config } = parts;
  const token = () => config.apiToken ?? tokenBeside(config.ledger.path);
  const remote = operatorAt(urlOf(config.listen), token);
  try {
    await remote.status();
    return { ...remote, async [Symbol.asyncDispose]() {} };
  } catch (error) {
    if (!(error instanceof CarrickError) || error.code !== 'operator.unreachable') throw error;
  }
  const ledger = await existingLedger(parts);
  const mapped = await compileFor(parts, ledger);
  const entities = settledOnes(mapped);
  const decisions = await decisionsOf(parts, ledger, entities);
  const readers = openReaders(parts, entities);
  const operator = createOperator(decisions, {
    status: () => statusOf(parts, ledger, null),
    log: null,
    alone: true,
    feeds: null,
    mapped: byNameOf(mapped),
    described: () => describedNow(parts),
    read: readers.read,
    digest: readers.digest,
    caughtUp: async () => true,
  });
  const controls = createControls(decisions, {
    systems: [...parts.systems.keys()],
    entities: mapped.map(({ name }) => name),
    log: null,
    support: () => supportOf(parts, ledger, null, null),
  });
  return {
    ...operator,
    ...controls,
    async [Symbol.asyncDispose]() {
      await readers[Symbol.asyncDispose]();
      await ledger[Symbol.asyncDispose]();
      await closeAll(parts);
    },
  };
}

/** Without a daemon the systems are asked only where their rows are. */
async function describedNow({ config, systems }: Parts) {
  const schemas = await describeAll(config, systems);
  return { entities: compile(config, null, schemas), schemas };
}

async function existingLedger(parts: Parts): Promise<Ledger> {
  if (!existsSync(parts.config.ledger.path)) {
    throw halt('ledger.missing', 'there is no ledger yet', 'start the daemon with `carrick run`');
  }
  return openLedger(parts);
}

/** Decides what a first load would, in a ledger beside the real one that is removed afterwards. */
async function planFor(parts: Parts, request: PlanRequest): Promise<EntityPlan[]> {
  const path = `${parts.config.ledger.path}.plan`;
  await using scratch = new AsyncDisposableStack();
  const wanted = plannedEntities(parts.entities, request.entity).map(({ name }) => name);
  scratch.defer(() => closeAll(parts));
  const ledger = await openScratchLedger(path, guardsOf(parts.entities));
  scratch.use(ledger);
  const entities = settledOnes(await compileFor(parts, ledger)).filter(({ name }) =>
    wanted.includes(name),
  );
  const decisions = await decisionsOf(parts, ledger, entities);
  const { read } = scratch.use(openReaders(parts, entities));
  const unlinked = scratch.use(openTextSet(`${path}-unlinked`));
  const systems = [...parts.systems.keys()];
  return await planFirstContact({ decisions, read, systems, unlinked }, request);
}
