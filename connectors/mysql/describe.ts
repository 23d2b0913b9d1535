import type { TableSchema } from '../../src/model/change.ts';
import type { Session } from './session.ts';
import { kindOf, type MysqlColumn, quoteName } from './types.ts';

/** A table as the server declares it. */
export interface MysqlTable extends TableSchema {
  readonly columns: readonly MysqlColumn[];
  readonly engine: string;
  /** Column names of every unique index without prefixes; the primary key first. */
  readonly unique: readonly (readonly string[])[];
}

/** Whether a unique index has exactly these columns. */
export const isIndexed = ({ unique }: MysqlTable, key: readonly string[]): boolean =>
  unique.some((index) => index.length === key.length && index.every((name) => key.includes(name)));

/** Database and table of a name in a mapping: `table`, or `database.table`. */
export function splitName(name: string, database: string): readonly [string, string] {
  const dot = name.indexOf('.');
  return dot < 0 ? [database, name] : [name.slice(0, dot), name.slice(dot + 1)];
}

export function quoteTable(name: string, database: string): string {
  return splitName(name, database).map(quoteName).join('.');
}

/** The named tables that exist and may be seen by this account, in the order of `names`. */
export async function describeTables(
  session: Session,
  database: string,
  names: readonly string[],
): Promise<MysqlTable[]> {
  if (names.length === 0) return [];
  const wanted = names.map((name) => splitName(name, database));
  const tables = await session.rows(
    `SELECT table_schema, table_name, engine, @@lower_case_table_names
     FROM information_schema.tables WHERE ${among(wanted)}`,
  );
  const columns = await readColumns(session, wanted);
  const unique = await readUnique(session, wanted);
  return names.flatMap((name, at) => {
    const [schema, table] = wanted[at]!;
    const found = tables.find(([s, t, , folded]) =>
      folded === '0' ? s === schema && t === table : same(s, schema) && same(t, table),
    );
    if (found === undefined) return [];
    const place = placeOf(found[0], found[1]);
    const indexes = unique.get(place) ?? new Map<string, string[]>();
    const primaryKey = indexes.get('PRIMARY') ?? [];
    return [
      {
        name,
        columns: columns.get(place) ?? [],
        primaryKey,
        engine: found[2] ?? '',
        unique: [...indexes.values()].sort((a) => (a === primaryKey ? -1 : 1)),
      },
    ];
  });
}

type Place = readonly [string, string];

const same = (a: string | null | undefined, b: string): boolean =>
  a?.toLowerCase() === b.toLowerCase();

const placeOf = (schema: string | null | undefined, table: string | null | undefined): string =>
  JSON.stringify([schema, table]);

function among(places: readonly Place[]): string {
  const text = (value: string): string => `'${value.replace(/[\\']/g, '\\$&')}'`;
  return places
    .map(([schema, table]) => `(table_schema = ${text(schema)} AND table_name = ${text(table)})`)
    .join(' OR ');
}

async function readColumns(
  session: Session,
  places: readonly Place[],
): Promise<Map<string, MysqlColumn[]>> {
  // Both products spell the generation of a column in the same place; only MariaDB spells a
  // missing default of a nullable column as the word NULL.
  const rows = await session.rows(
    `SELECT table_schema, table_name, column_name, data_type, column_type, is_nullable,
       column_default, extra, generation_expression, character_maximum_length
     FROM information_schema.columns WHERE ${among(places)}
     ORDER BY table_schema, table_name, ordinal_position`,
  );
  const longTexts = new Map<string, Place>();
  for (const [schema, table, , type] of session.mariadb ? rows : []) {
    if (type === 'longtext') longTexts.set(placeOf(schema, table), [schema!, table!]);
  }
  const checked = await readJsonChecks(session, [...longTexts.values()]);
  const columns = new Map<string, MysqlColumn[]>();
  for (const [schema, table, name, type, native, nullable, preset, extra, formula, size] of rows) {
    const place = placeOf(schema, table);
    const dataType = type!.toLowerCase();
    const isPreset = preset !== null && !(session.mariadb && preset === 'NULL');
    const column: MysqlColumn = {
      name: name!,
      kind: kindOf(dataType, checked.has(JSON.stringify([schema, table, name]))),
      nativeType: native!,
      nullable: nullable === 'YES',
      hasDefault: isPreset || /auto_increment|DEFAULT_GENERATED/i.test(extra ?? ''),
      readOnly: (formula ?? '') !== '',
      dataType,
      length: size === null || size === undefined ? null : Number(size),
    };
    const list = columns.get(place);
    if (list === undefined) columns.set(place, [column]);
    else list.push(column);
  }
  return columns;
}

const CHECKED_JSON = /^\s*`((?:[^`]|``)+)` longtext\b.* CHECK \(json_valid\(`\1`\)\),?$/gim;

/**
 * MariaDB's JSON is a check on LONGTEXT. It is read from the table's definition: the view of check
 * constraints hides them from an account that has nothing but SELECT on the table.
 */
async function readJsonChecks(session: Session, tables: readonly Place[]): Promise<Set<string>> {
  const checked = new Set<string>();
  for (const [schema, table] of tables) {
    const [row] = await session.rows(`SHOW CREATE TABLE ${quoteName(schema)}.${quoteName(table)}`);
    for (const [, column] of (row?.[1] ?? '').matchAll(CHECKED_JSON)) {
      checked.add(JSON.stringify([schema, table, column!.replaceAll('``', '`')]));
    }
  }
  return checked;
}

/** Unique indexes over whole columns, by table and index name. */
async function readUnique(
  session: Session,
  places: readonly Place[],
): Promise<Map<string, Map<string, string[]>>> {
  const rows = await session.rows(
    `SELECT table_schema, table_name, index_name, column_name, sub_part
     FROM information_schema.statistics WHERE non_unique = 0 AND (${among(places)})
     ORDER BY table_schema, table_name, index_name, seq_in_index`,
  );
  const tables = new Map<string, Map<string, string[]>>();
  const partial = new Set<string>();
  for (const [schema, table, index, column, prefix] of rows) {
    const place = placeOf(schema, table);
    const indexes = tables.get(place) ?? new Map<string, string[]>();
    tables.set(place, indexes);
    indexes.set(index!, [...(indexes.get(index!) ?? []), column ?? '']);
    // A unique prefix or expression says more than the whole column would: still unique, but
    // another row with an equal prefix is refused, so it does not identify by its columns.
    if (column === null || (prefix !== null && index !== 'PRIMARY')) partial.add(place + index);
  }
  for (const [place, indexes] of tables) {
    for (const index of indexes.keys()) if (partial.has(place + index)) indexes.delete(index);
  }
  return tables;
}
