import { existsSync, readFileSync } from 'node:fs';
import type { Config } from '../config/load.ts';
import { formatProblems, type Problem } from '../config/problem.ts';
import type { Salvaged } from '../config/salvage.ts';
import type { Needs, System } from '../contract/connector.ts';
import type { Copier } from '../contract/copier.ts';
import type { Entity } from '../contract/entity.ts';
import type { Ledger } from '../contract/ledger.ts';
import type { Source } from '../contract/source.ts';
import { type Decisions, openDecisions } from '../decide/decisions.ts';
import { noteParked } from '../decide/parked.ts';
import { routesOf } from '../decide/routes.ts';
import { misfitsOf } from '../decide/tables.ts';
import { halt } from '../errors.ts';
import { keyTable } from '../feed/copies.ts';
import { feedInstance } from '../feed/instance.ts';
import { copyTables, type Feed, feedsOf } from '../feed/plan.ts';
import type { TableSchema } from '../model/change.ts';
import { compileEntities } from '../normalize/compile.ts';
import type { ReadDigest } from '../operate/digest.ts';
import type { ReadRows } from '../operate/verify.ts';
import type { Participant } from '../pipeline.ts';

/** A configuration, read and checked, with its systems: all that a daemon is made of. */
export interface Parts {
  readonly config: Config;
  readonly systems: ReadonlyMap<string, System>;
  readonly schemas: ReadonlyMap<string, readonly TableSchema[]> | undefined;
  readonly entities: readonly Entity[];
  /** The sources of feeds once more: each feed reads their logs through a connection of its own. */
  readonly feedSources: ReadonlyMap<string, System>;
}

/** Everything wrong with the files: `text` is ready for the terminal, the message is one line. */
export class ConfigProblems extends Error {
  readonly text: string;

  constructor(problems: readonly Problem[]) {
    super(
      problems.map((one) => `${one.file}:${one.line}:${one.column}: ${one.message}`).join('; '),
    );
    this.text = formatProblems(problems, textOf);
  }
}

const textOf = (file: string): string | null =>
  existsSync(file) ? readFileSync(file, 'utf8') : null;

export const byNameOf = (entities: readonly Entity[]): ReadonlyMap<string, Entity> =>
  new Map(entities.map((entity) => [entity.name, entity]));

/** Entities that every system may write; the others are fed. */
export const settledOnes = (entities: readonly Entity[]): Entity[] =>
  entities.filter(({ feed }) => feed === undefined);

/** What the daemon asks of a system as a participant. Errors: see `routesOf`. */
export const needsOf = (name: string, { entities }: Pick<Parts, 'entities'>) => ({
  tables: routesOf(name, settledOnes(entities)).tables,
});

/** Everything that is asked of any system, by the name under which it is told. */
export function askedOf({
  systems,
  feedSources,
  entities,
}: Pick<Parts, 'systems' | 'feedSources' | 'entities'>): {
  readonly name: string;
  readonly system: System;
  readonly needs: Needs;
}[] {
  const feeds = feedsOf(entities);
  const own = [...systems].map(([name, system]) => {
    const copies = feeds.filter(({ to }) => to === name).flatMap(copyTables);
    return { name, system, needs: { ...needsOf(name, { entities }), copies } };
  });
  const fed = feeds.map(({ name, tables }) => ({
    name,
    system: feedSources.get(name)!,
    needs: { tables: tables.map((table) => ({ ...table, written: false })) },
  }));
  const wanted = ({ needs: { tables, copies } }: { needs: Needs }): boolean =>
    tables.length > 0 || (copies ?? []).length > 0;
  return [...own.filter(wanted), ...fed];
}

export async function closeAll({
  systems,
  feedSources,
}: Pick<Parts, 'systems' | 'feedSources'>): Promise<void> {
  for (const system of [...systems.values(), ...feedSources.values()]) {
    await system[Symbol.asyncDispose]();
  }
}

/** With a ledger, fields keep the ordinals that it gave them; without one any order does. */
export function compile(
  config: Config,
  ordinals: ReadonlyMap<string, readonly string[]> | null,
  schemas: Parts['schemas'],
): readonly Entity[] {
  const order = (entity: string, names: readonly string[]): readonly string[] =>
    ordinals?.get(entity) ?? names;
  const compiled = compileEntities(config.mappings, order, schemas, config.hashKey);
  if (!compiled.ok) throw new ConfigProblems(compiled.problems);
  return compiled.value;
}

/** What else is wrong in mappings of which some have the wrong form. */
export function deeperProblems(rest: readonly Salvaged[]): Problem[] {
  const mappings = rest.map(({ mapping }) => mapping);
  const compiled = compileEntities(mappings, (_, names) => names);
  if (compiled.ok) return [];
  return compiled.problems.filter((problem) => !rest.some((one) => one.isConsequence(problem)));
}

export async function compileFor(parts: Parts, ledger: Ledger): Promise<readonly Entity[]> {
  const ordinals = new Map<string, readonly string[]>();
  for (const { value } of parts.config.mappings) {
    ordinals.set(value.entity, await ledger.ordinals(value.entity, Object.keys(value.fields)));
  }
  return compile(parts.config, ordinals, parts.schemas);
}

export function participantsOf(
  { systems, schemas }: Parts,
  entities: readonly Entity[],
): Participant[] {
  return [...systems].flatMap(([system, reached]) => {
    const { tables, routes } = routesOf(system, entities);
    if (tables.length === 0) return [];
    const names = tables.map(({ name }) => name);
    const participant: Participant = {
      system,
      tables,
      routes,
      misfits: async () =>
        misfitsOf(tables, schemas?.get(system) ?? [], await reached.describe(names)),
      openSource: () => reached.source(tables),
      openApplier: () => reached.applier(),
    };
    return [participant];
  });
}

/** What the loops are called: the systems that settle something, and the feeds. */
export const loopsOf = ({ systems, entities }: Parts): string[] => [
  ...[...systems.keys()].filter((name) => needsOf(name, { entities }).tables.length > 0),
  ...feedsOf(entities).map(({ name }) => name),
];

/** One feed as its loop sees it. */
export function feedParts({ config, systems, feedSources, schemas }: Parts, feed: Feed) {
  const { name, from, to, tables, routes } = feed;
  const [source, target] = [feedSources.get(name)!, systems.get(to)!];
  const names = tables.map((table) => table.name);
  return {
    feed,
    instance: feedInstance(config.instance, to),
    openSource: () => source.source(tables),
    openFences: () => source.applier(),
    openCopier: () => copierOf(target, to, from),
    openTarget: () => target.source([...routes.values()].flat().map(keyTable)),
    misfits: async () => misfitsOf(tables, schemas?.get(from) ?? [], await source.describe(names)),
  };
}

function copierOf(target: System, to: string, from: string): Promise<Copier> {
  if (target.copier !== undefined) return target.copier(from);
  throw halt(
    'feed.unsupported',
    `the connector of ${to} takes no feed`,
    'let every system of the entity be settled: leave `feed` out of its mapping',
  );
}

/** Sources that only read tables, beside those whose logs are followed. */
export function openReaders(
  { systems }: Parts,
  entities: readonly Entity[],
): { readonly read: ReadRows; readonly digest: ReadDigest } & AsyncDisposable {
  const open = new Map<string, Promise<Source>>();
  const sourceOf = (system: string): Promise<Source> => {
    const reached = systems.get(system);
    if (reached === undefined) throw new Error(`no system ${system}`);
    const source = open.get(system) ?? reached.source(routesOf(system, entities).tables);
    open.set(system, source);
    source.catch(() => open.delete(system));
    return source;
  };
  return {
    read: async (system, request) => (await sourceOf(system)).read(request),
    digest: async (system, request) => (await (await sourceOf(system)).digest?.(request)) ?? null,
    async [Symbol.asyncDispose]() {
      for (const source of open.values()) await (await source)[Symbol.asyncDispose]();
    },
  };
}

export async function decisionsOf(
  { systems }: Parts,
  ledger: Ledger,
  entities: readonly Entity[],
): Promise<Decisions> {
  const byName = new Map(entities.map((entity) => [entity.name, entity]));
  const { records } = await ledger.desk.counts();
  const decisions = openDecisions(ledger, byName, [...systems.keys()], { ...records });
  await noteParked(ledger, decisions);
  return decisions;
}
