/** Reads both databases through the mappings, with the connectors' own decoding of columns. */
import { readFileSync } from 'node:fs';
import { connectors } from '../../connectors/registry.ts';
import type { Mapping } from '../../src/config/mapping.ts';
import { type Checked, formatProblems } from '../../src/config/problem.ts';
import { readMapping } from '../../src/config/read-mapping.ts';
import type { System } from '../../src/contract/connector.ts';
import type { Entity, Lens } from '../../src/contract/entity.ts';
import type { Source } from '../../src/contract/source.ts';
import { type Cell, rowKey, type Value } from '../../src/model/value.ts';
import { compileEntities } from '../../src/normalize/compile.ts';
import { type Book, type Entry, nameOf } from './books.ts';
import { MAPPINGS } from './daemon.ts';
import { productAt, type SystemName } from './desk.ts';
import type { Books } from './stage.ts';

export interface Reader extends AsyncDisposable {
  read(): Promise<Books>;
}

/** Parents first: a child is named after its parent's business key. */
const FILES = ['customer', 'product', 'order', 'order_line'];
const ALL_ROWS = 1_000_000;

interface Opened {
  readonly name: SystemName;
  readonly system: System;
}

export async function openReader(urls: Readonly<Record<SystemName, string>>): Promise<Reader> {
  await using opened = new AsyncDisposableStack();
  const mappings = FILES.map(mapping);
  const systems: Opened[] = [];
  for (const name of ['crm', 'erp'] as const) {
    const connector = await connectors[productAt(urls[name])]!();
    const parsed = connector.parse({ url: urls[name] });
    if (!parsed.ok) throw new Error(parsed.problems.map(({ message }) => message).join('\n'));
    const context = { system: name, instance: 'demo_reader' };
    systems.push({ name, system: opened.use(connector.connect(parsed.options, context)) });
  }
  const entities = await compiled(mappings, systems);
  const sources = new Map<SystemName, Source>();
  for (const { name, system } of systems) {
    const tables = entities.map((entity) => entity.lenses.get(name)!.table);
    sources.set(name, opened.use(await system.source(tables)));
  }
  const all = opened.move();
  return {
    async read() {
      const [crm, erp] = await Promise.all([
        bookOf('crm', entities, sources.get('crm')!),
        bookOf('erp', entities, sources.get('erp')!),
      ]);
      return { crm, erp };
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

/** The example mapping with every field read in both systems, also where it is only written. */
function mapping(name: string): Mapping {
  const file = `${MAPPINGS}/${name}.yaml`;
  const { value, yaml } = sound(readMapping(file, textOf(file)));
  const open = structuredClone(value);
  for (const { fields } of Object.values(open.systems)) {
    for (const field of Object.values(fields)) {
      if (typeof field !== 'string') delete field.direction;
    }
  }
  return { value: open, yaml };
}

async function compiled(
  mappings: readonly Mapping[],
  systems: readonly Opened[],
): Promise<readonly Entity[]> {
  const schemas = new Map(
    await Promise.all(
      systems.map(async ({ name, system }) => {
        const tables = mappings.map(({ value }) => value.systems[name]!.table);
        return [name, await system.describe(tables)] as const;
      }),
    ),
  );
  return sound(compileEntities(mappings, (_, names) => names, schemas));
}

const textOf = (file: string): string => readFileSync(file, 'utf8');

function sound<T>(checked: Checked<T>): T {
  if (checked.ok) return checked.value;
  throw new Error(formatProblems(checked.problems, textOf));
}

async function bookOf(system: SystemName, entities: readonly Entity[], source: Source) {
  const faults: string[] = [];
  const found = new Map<string, Map<string, Entry>>();
  // Business keys by row key, for the references of the entities that follow.
  const named = new Map<string, Map<string, string>>();
  for (const entity of entities) {
    const lens = entity.lenses.get(system)!;
    const entries = new Map<string, Entry>();
    const keys = new Map<string, string>();
    const { rows } = await source.read({ table: lens.table, after: null, limit: ALL_ROWS });
    for (const row of rows) {
      const place = rowKeyOf(lens, row);
      const read = lens.read(row, () => undefined);
      if (read.kind === 'invalid') faults.push(`${entity.name} row ${place} cannot be read`);
      if (read.kind !== 'row') continue;
      const values = read.values.map((value, i) => translated(entity, i, value, named));
      const key = entity.match[0]!.map((i) => values[i]).join('/');
      const name = nameOf(entity.name, key);
      if (entries.has(key)) faults.push(`${name} is there twice in the ${system}`);
      entries.set(key, Object.fromEntries(entity.fields.map((f, i) => [f.name, values[i]!])));
      keys.set(place, key);
    }
    found.set(entity.name, entries);
    named.set(entity.name, keys);
  }
  return { system, entities: found, faults } satisfies Book;
}

const rowKeyOf = ({ table }: Lens, row: readonly Cell[]): string =>
  rowKey(table.key.map((name) => row[table.columns.indexOf(name)] ?? null));

/** A reference to a row that is none of ours keeps its row key, which equals nothing elsewhere. */
function translated(
  { fields }: Entity,
  index: number,
  value: Cell,
  named: ReadonlyMap<string, ReadonlyMap<string, string>>,
): Value {
  const ref = fields[index]!.ref;
  if (ref === null || value === null || value === undefined) return value ?? null;
  return named.get(ref)?.get(value) ?? `row ${value}`;
}
