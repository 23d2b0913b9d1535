import type pg from 'pg';
import type { Column, TableSchema } from '../../src/model/change.ts';
import { queryRows, tableName } from './session.ts';
import { type Codec, codecOf, TYPES_SQL, type TypeRow } from './types.ts';

/** A column with what statements and the log need to know about it. */
export interface PostgresColumn extends Column {
  readonly codec: Codec;
  /** The type under its domains and without length: a cast to it neither cuts nor pads. */
  readonly castType: string;
  /** Computed by the server: not in the log. */
  readonly generated: boolean;
}

export interface PostgresTable extends TableSchema {
  readonly columns: readonly PostgresColumn[];
}

interface ColumnRow extends TypeRow {
  readonly nspname: string;
  readonly relname: string;
  readonly attname: string;
  readonly native: string;
  readonly cast_type: string;
  readonly attnotnull: string;
  readonly has_default: string;
  readonly attidentity: string;
  readonly attgenerated: string;
  readonly key_order: string | null;
}

/** Columns of the tables `$1::text[]` of the schemas `$2::text[]`, in their order. */
const COLUMNS_SQL = `
  with attribute as (
    select n.nspname, c.relname, a.*, c.oid as table_oid
    from unnest($1::text[], $2::text[]) as wanted(table_name, schema_name)
    join pg_namespace n on n.nspname = wanted.schema_name
    join pg_class c on c.relnamespace = n.oid and c.relname = wanted.table_name
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relkind in ('r', 'p')),
  type as (${TYPES_SQL.replace('$1::oid[]', 'select atttypid from attribute')})
  select a.nspname, a.relname, a.attname, a.attidentity, a.attgenerated,
    a.attnotnull or t.typnotnull as attnotnull,
    a.atthasdef or a.attidentity <> '' or t.typdefault is not null as has_default,
    format_type(a.atttypid, a.atttypmod) as native, format_type(type.base, -1) as cast_type,
    type.*, array_position(k.indkey::int2[], a.attnum) as key_order
  from attribute a
  join pg_type t on t.oid = a.atttypid
  join type on type.oid = a.atttypid
  left join pg_index k on k.indrelid = a.table_oid and k.indisprimary
  order by a.table_oid, a.attnum`;

/** The named tables that exist, each under the name it was asked by. */
export async function describeTables(
  pool: pg.Pool,
  names: readonly string[],
): Promise<PostgresTable[]> {
  const wanted = names.map(tableName);
  const rows = await queryRows<ColumnRow>(pool, COLUMNS_SQL, [
    wanted.map(({ table }) => table),
    wanted.map(({ schema }) => schema),
  ]);
  return names.flatMap((name, index) => {
    const { schema, table } = wanted[index]!;
    const own = rows.filter((row) => row.nspname === schema && row.relname === table);
    if (own.length === 0) return [];
    const keyed = own.filter((row) => row.key_order !== null);
    keyed.sort((a, b) => Number(a.key_order) - Number(b.key_order));
    return [{ name, columns: own.map(column), primaryKey: keyed.map(({ attname }) => attname) }];
  });
}

function column(row: ColumnRow): PostgresColumn {
  const codec = codecOf(row);
  const generated = row.attgenerated !== '';
  return {
    name: row.attname,
    kind: codec.kind,
    nativeType: row.native,
    nullable: row.attnotnull === 'f',
    hasDefault: row.has_default === 't',
    readOnly: generated || row.attidentity === 'a',
    codec,
    castType: row.cast_type,
    generated,
  };
}
