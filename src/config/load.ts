import { dirname, join, relative, resolve } from 'node:path';
import type { ParsedOptions } from '../contract/connector.ts';
import type { OptionProblem } from '../contract/options.ts';
import type { Micros } from '../model/value.ts';
import { check } from './check.ts';
import type { Mapping } from './mapping.ts';
import type { Problem } from './problem.ts';
import { readMapping } from './read-mapping.ts';
import type { Salvaged } from './salvage.ts';
import { type ConfigFile, configSchema, type LogLevel } from './schema.ts';
import { mappingFiles, readText, type Sources } from './sources.ts';
import { type Env, substitute } from './substitute.ts';
import { oneOf, type Path, type ProblemDetail, parseYaml, type YamlFile } from './yaml.ts';

export interface Config {
  readonly file: string;
  readonly systems: ReadonlyMap<string, SystemConfig>;
  readonly mappings: readonly Mapping[];
  readonly ledger: {
    readonly kind: 'sqlite';
    readonly path: string;
    /** 32 bytes each: the first seals personal values, the others are old ones. */
    readonly keys: readonly Buffer[];
  };
  /** Null: settled journal entries stay for ever, and the ledger may take what it takes, bytes. */
  readonly journalKeep: Micros | null;
  readonly ledgerLimit: number | null;
  /** Null: none is given. */
  readonly hashKey: Buffer | null;
  readonly listen: { readonly host: string; readonly port: number };
  readonly instance: string;
  /** The bearer token of the operator API; null: see `observe/token.ts`. */
  readonly apiToken: string | null;
  readonly logLevel: LogLevel;
  readonly sources: Sources;
  /** See `openPace`. */
  readonly loadShare: number;
  /** Null: no background verification. */
  readonly verify: { readonly every: Micros; readonly rowsPerSecond: number } | null;
}

export interface SystemConfig {
  readonly connector: string;
  /** As the connector's own parser returned them. */
  readonly options: unknown;
}

/** What the configuration must know of connectors; handed in, so that it imports none. */
export interface Connectors {
  readonly types: readonly string[];
  /** Of a connector that is loaded for it: no driver is loaded that no system needs. */
  parseOptions(type: string, options: unknown): Promise<ParsedOptions>;
}

export type Loaded =
  | { readonly ok: true; readonly value: Config }
  | {
      readonly ok: false;
      readonly problems: readonly Problem[];
      /** The mappings as far as they go, so that nothing hides what else is wrong in them. */
      readonly rest: readonly Salvaged[];
    };

/** Reads carrick.yaml and the mapping files it names: all of it, or everything wrong with it. */
export async function loadConfig(path: string, env: Env, connectors: Connectors): Promise<Loaded> {
  const text = readText(path);
  if (text === null) {
    const expected = 'a file that this user can read; `--config FILE` names another';
    return { ok: false, problems: [{ ...unreadable(path), expected }], rest: [] };
  }
  const { yaml, problems: mistakes } = parseYaml(path, text, { spelling: false, secret: true });
  if (mistakes.length > 0) return { ok: false, problems: mistakes, rest: [] };

  const problems: Problem[] = [];
  const { value, faults, secrets, files } = substitute(yaml.value, env, dirname(path));
  const report = reporter(yaml, secrets, problems);
  for (const fault of faults) report(fault.path, fault.message);
  const checked = check(configSchema, { ...yaml, value });
  if (!checked.ok) problems.push(...checked.problems.map((problem) => masked(problem, secrets)));
  const missing = new Set(faults.map((fault) => placeOf(fault.path)));
  const systems = await loadSystems(value, missing, connectors, report);
  const texts = new Map<string, string | null>([...files, [path, text]]);
  const salvaged = loadMappings(path, value, texts, report, problems);
  const whole = salvaged.flatMap((one) => one ?? []);
  const mappings = whole.map(({ mapping }) => mapping);
  if (!Object.hasOwn(Object(value), 'ledger_key')) needKey(mappings, report);
  if (!checked.ok || problems.length > 0) {
    // What refers to a mapping that could not be read at all would be called wrong.
    return { ok: false, problems, rest: salvaged.includes(null) ? [] : whole };
  }
  const { ledger, ledger_key, hash_key, listen, instance, api_token, log_level, snapshot } =
    checked.value;
  const { journal, ledger_limit } = checked.value;
  const colon = listen.lastIndexOf(':');
  const config: Config = {
    file: path,
    systems,
    mappings,
    ledger: {
      kind: 'sqlite',
      path: resolve(dirname(path), ledger.slice('sqlite:'.length)),
      keys: [ledger_key ?? []].flat().map((key) => Buffer.from(key, 'base64')),
    },
    hashKey: hash_key === undefined ? null : Buffer.from(hash_key, 'base64'),
    listen: {
      host: listen.slice(0, colon).replace(/^\[|\]$/g, ''),
      port: Number(listen.slice(colon + 1)),
    },
    instance,
    apiToken: api_token ?? null,
    logLevel: log_level,
    journalKeep: journal === undefined ? null : Number.parseInt(journal.keep, 10) * DAY,
    ledgerLimit: ledger_limit === undefined ? null : bytesOf(ledger_limit),
    sources: { file: path, patterns: checked.value.mappings, texts },
    loadShare: snapshot.load_share,
    verify: verifyPlan(checked.value.verify),
  };
  return { ok: true, value: config };
}

const DAY: Micros = 86_400e6;

const bytesOf = (size: string): number =>
  Number.parseInt(size, 10) * 1024 ** (size.endsWith('GiB') ? 3 : 2);

const UNITS: Readonly<Record<string, Micros>> = { s: 1e6, m: 60e6, h: 3_600e6, d: DAY };

const durationOf = (text: string): Micros =>
  Number.parseInt(text, 10) * (UNITS[text.at(-1) ?? ''] ?? 0);

const verifyPlan = (given: ConfigFile['verify']): Config['verify'] =>
  given === undefined
    ? null
    : { every: durationOf(given.every), rowsPerSecond: given.rows_per_second };

type Reporter = (path: Path, message: string, detail?: ProblemDetail) => void;

function reporter(yaml: YamlFile, secrets: readonly string[], problems: Problem[]): Reporter {
  return (path, message, detail = {}) => {
    problems.push(masked(yaml.problem(path, message, detail), secrets));
  };
}

/** Values of the file and of the environment alike may be secrets: neither is shown. */
function masked(problem: Problem, secrets: readonly string[]): Problem {
  return { ...problem, message: withoutTexts(problem.message, secrets), secret: 'value' };
}

function withoutTexts(message: string, texts: readonly string[]): string {
  return texts
    .filter((text) => text !== '')
    .toSorted((a, b) => b.length - a.length)
    .reduce((masked, text) => masked.replaceAll(text, '***'), message);
}

/** All texts of a system's options: any may be a password. Shorter ones would blot out words. */
function textsIn(options: unknown): string[] {
  if (typeof options === 'string') return options.length >= 4 ? [options] : [];
  if (typeof options !== 'object' || options === null) return [];
  return Object.values(options).flatMap(textsIn);
}

const placeOf = (path: Path): string => JSON.stringify(path);

/** Also where other parts of the file are wrong, so that all mistakes are told at once. */
async function loadSystems(
  value: unknown,
  missing: ReadonlySet<string>,
  { types, parseOptions }: Connectors,
  report: Reporter,
): Promise<Map<string, SystemConfig>> {
  const systems = new Map<string, SystemConfig>();
  for (const [name, system] of Object.entries(entriesOf(value, 'systems'))) {
    const { connector, ...options } = (system ?? {}) as { connector?: unknown };
    if (typeof connector !== 'string') continue;
    if (!types.includes(connector)) {
      const unknown = `unknown connector "${connector}"`;
      report(['systems', name, 'connector'], unknown, oneOf(connector, types));
      continue;
    }
    const parsed = await parseOptions(connector, options);
    if (parsed.ok) {
      systems.set(name, { connector, options: parsed.options });
      continue;
    }
    for (const { path: inner, message, known = [] } of withoutMisspelled(
      parsed.problems,
      options,
    )) {
      const path = ['systems', name, ...inner];
      // What a variable that is not set leaves behind has been told already.
      if (missing.has(placeOf(path))) continue;
      const more = oneOf(String(inner.at(-1)), known);
      report(path, withoutTexts(message, textsIn(options)), { key: true, ...more });
    }
  }
  return systems;
}

/** Without what seems to be missing only because an option has another name than it should. */
function withoutMisspelled(
  problems: readonly OptionProblem[],
  options: object,
): readonly OptionProblem[] {
  const isThere = ({ path: [name] }: OptionProblem) =>
    name !== undefined && Object.hasOwn(options, name);
  return problems.some(({ known }) => known !== undefined) ? problems.filter(isThere) : problems;
}

/** A member of the file that is an object, or an empty one: its form is checked elsewhere. */
function entriesOf(value: unknown, key: keyof ConfigFile): Record<string, unknown> {
  const found = (value as Partial<Record<string, unknown>> | null)?.[key];
  return typeof found === 'object' && found !== null ? (found as Record<string, unknown>) : {};
}

/** Personal values are never kept in clear: without a key nothing starts. */
function needKey(mappings: readonly Mapping[], report: Reporter): void {
  const personal = mappings.find(({ value }) =>
    Object.values(value.fields).some((field) => typeof field !== 'string' && field.pii === true),
  );
  if (personal === undefined) return;
  const what = `${personal.value.entity} has personal fields (pii), and no key seals them`;
  const expected = 'ledger_key beside it: what openssl rand -base64 32 prints, from a secret';
  report(['ledger'], what, { key: true, expected });
}

function loadMappings(
  path: string,
  value: unknown,
  texts: Map<string, string | null>,
  report: Reporter,
  problems: Problem[],
): (Salvaged | null)[] {
  const directory = dirname(path);
  const files = new Set<string>();
  for (const [index, pattern] of Object.values(entriesOf(value, 'mappings')).entries()) {
    if (typeof pattern !== 'string') continue;
    const found = mappingFiles(pattern, path);
    if (found.length === 0) report(['mappings', index], `no mapping file fits "${pattern}"`);
    for (const file of found) files.add(resolve(directory, file));
  }
  const systems = Object.keys(entriesOf(value, 'systems'));
  return [...files].sort().flatMap((file) => {
    const shown = join(directory, relative(resolve(directory), file));
    const text = readText(file);
    texts.set(file, text);
    if (text === null) {
      problems.push(unreadable(shown));
      return [null];
    }
    const read = readMapping(shown, text);
    if (!read.ok) {
      problems.push(...read.problems);
      return [read.rest];
    }
    problems.push(...unknownSystems(read.value, systems, path));
    return [{ mapping: read.value, isConsequence: () => false }];
  });
}

function unknownSystems(
  { value, yaml }: Mapping,
  systems: readonly string[],
  path: string,
): Problem[] {
  return Object.keys(value.systems)
    .filter((name) => !systems.includes(name))
    .map((name) =>
      yaml.problem(['systems', name], `unknown system "${name}"`, {
        key: true,
        expected: `one of ${systems.join(', ')} (from ${path})`,
        near: [name, systems],
      }),
    );
}

function unreadable(file: string): Problem {
  return { file, line: 1, column: 1, message: 'the file cannot be read' };
}
