import type { TableSchema, TableSpec } from '../../../src/model/change.ts';
import type { Charsets, RunQuery } from './charset.ts';
import { type CatalogColumn, type Followed, kindsOf, lower } from './plan.ts';

/** The mark's table: always in this schema, in this form (see `Mark`). */
export const MARK_SPEC: TableSpec = {
  name: 'carrick.carrick_mark',
  key: ['instance', 'lane'],
  columns: ['instance', 'lane', 'batch'],
};

/** The tables whose rows are read, by the names that the log has for them. */
export interface Tables {
  find(schema: string, table: string): Followed | null;
  inSchema(schema: string): Followed[];
  /** Those whose name, or qualified name, is among the words of a statement. */
  amongWords(words: ReadonlySet<string>, schema: string): Followed[];
  /** Reads the definitions again, as they are now. */
  refresh(): Promise<void>;
}

export interface TablesOptions {
  readonly specs: readonly TableSpec[];
  /** Where tables named without a schema are. */
  readonly database: string;
  readonly describe: () => Promise<readonly TableSchema[]>;
  readonly run: RunQuery;
  readonly charsets: Charsets;
}

export async function followTables(options: TablesOptions): Promise<Tables> {
  const { specs, database, run } = options;
  const [setting] = await run('SELECT @@lower_case_table_names');
  const fold = setting?.[0] === '0' ? (name: string) => name : lower;
  const qualified = (name: string): [schema: string, table: string] => {
    const dot = name.indexOf('.');
    return dot < 0 ? [database, name] : [name.slice(0, dot), name.slice(dot + 1)];
  };
  const keyOf = (schema: string, table: string): string => `${fold(schema)}\0${fold(table)}`;
  const followed = new Map<string, Followed>();
  const schemas = byName(await options.describe());
  for (const spec of [...specs, MARK_SPEC]) {
    const kinds = kindsOf(schemas.get(spec.name));
    const mark = spec === MARK_SPEC;
    followed.set(keyOf(...qualified(spec.name)), {
      spec,
      mark,
      kinds: mark ? new Map() : kinds,
      declared: kinds,
      catalog: [],
      rowEnd: null,
      drift: '',
      stale: false,
    });
  }
  const loadCatalog = async (): Promise<void> => {
    for (const [key, table] of followed) {
      const [schema = '', name = ''] = key.split('\0');
      table.rowEnd = await readRowEnd(options.run, schema, name);
      table.catalog = await readCatalog(options, schema, name);
      const hidden = table.rowEnd !== null && !table.catalog.some((c) => c.name === table.rowEnd);
      if (hidden) table.catalog.push(...HIDDEN);
    }
  };
  await loadCatalog();
  return {
    find: (schema, table) => followed.get(keyOf(schema, table)) ?? null,
    inSchema: (schema) =>
      [...followed].filter(([key]) => key.startsWith(`${fold(schema)}\0`)).map(([, t]) => t),
    amongWords: (words, schema) => {
      const folded = new Set([...words].map(fold));
      return [...followed]
        .filter(([key, { mark }]) => {
          const [home = '', table = ''] = key.split('\0');
          return !mark && folded.has(table) && (home === fold(schema) || folded.has(home));
        })
        .map(([, table]) => table);
    },
    refresh: async () => {
      const now = byName(await options.describe());
      for (const table of followed.values()) {
        table.declared = kindsOf(now.get(table.spec.name));
        table.stale = false;
      }
      await loadCatalog();
    },
  };
}

const byName = (schemas: readonly TableSchema[]): Map<string, TableSchema> =>
  new Map(schemas.map((schema) => [schema.name, schema]));

async function readCatalog(
  { run, charsets }: TablesOptions,
  schema: string,
  table: string,
): Promise<CatalogColumn[]> {
  const rows = await run(
    'SELECT column_name, column_type, character_set_name FROM information_schema.columns ' +
      `WHERE table_schema = ${quoted(schema)} AND table_name = ${quoted(table)} ` +
      'ORDER BY ordinal_position',
  );
  return rows.map(([name, type, charset]) => ({
    name: name!,
    unsigned: / unsigned\b/.test(type!),
    collation: charset === null || charset === undefined ? null : charsets.collationOf(charset),
    labels: labelsOf(type!),
  }));
}

/** What a table WITH SYSTEM VERSIONING has behind its columns, unless it declares them itself. */
const HIDDEN = ['row_start', 'row_end'].map((name) => ({
  name,
  unsigned: false,
  collation: null,
  labels: [],
}));

/** The column in which MariaDB writes until when a row was the current one; null: no history. */
async function readRowEnd(run: RunQuery, schema: string, table: string): Promise<string | null> {
  const here = `table_schema = ${quoted(schema)} AND table_name = ${quoted(table)}`;
  const [row] = await run(
    'SELECT COALESCE((SELECT column_name FROM information_schema.columns ' +
      `WHERE ${here} AND generation_expression = 'ROW END'), 'row_end') ` +
      `FROM information_schema.tables WHERE ${here} AND table_type = 'SYSTEM VERSIONED'`,
  );
  return row?.[0] ?? null;
}

/** A string literal that no SQL mode reads otherwise. */
const quoted = (text: string): string => `X'${Buffer.from(text).toString('hex')}'`;

/** The labels in `enum('a','it''s')`. */
function labelsOf(type: string): string[] {
  if (!/^(?:enum|set)\(/i.test(type)) return [];
  return [...type.matchAll(/'((?:[^']|'')*)'/g)].map(([, label = '']) =>
    label.replaceAll("''", "'"),
  );
}
