import type { Pool } from 'pg';
import type { Finding, Needs } from '../../src/contract/connector.ts';
import type { CopyTable } from '../../src/contract/copier.ts';
import { describeTables, type PostgresTable } from './describe.ts';
import { ORDER_FIX, orderFault } from './key-order.ts';
import { queryRows, quote, quotedTable } from './session.ts';
import { copyRights } from './setup.ts';

type NeededTable = Needs['tables'][number];

/**
 * Of the table `$1`: the columns whose old values come with updates and deletes (`f`: all), those
 * in the publication `$3` (PostgreSQL 15 and later tell), and which of the rights `$2` the role
 * lacks.
 */
const TABLE_SQL = `
  select c.relreplident as identity,
    array_to_json(array(select a.attname from pg_index i
      join pg_attribute a on a.attrelid = c.oid and a.attnum = any(i.indkey)
      where i.indrelid = c.oid
        and (c.relreplident = 'd' and i.indisprimary or c.relreplident = 'i' and i.indisreplident)
    )) as identity_columns,
    array_to_json(array(select jsonb_array_elements_text(to_jsonb(t) -> 'attnames')
      from pg_publication_tables t join pg_namespace n on n.nspname = t.schemaname
      where t.pubname = $3 and n.oid = c.relnamespace and t.tablename = c.relname
    )) as published,
    array_to_json(array(select p from unnest($2::text[]) p where not has_table_privilege(c.oid, p)
      union all select 'use its schema' where not has_schema_privilege(c.relnamespace, 'usage')
    )) as lacking
  from pg_class c where c.oid = $1::regclass`;

interface TableRow {
  readonly identity: string;
  /** JSON arrays of names. */
  readonly identity_columns: string;
  readonly published: string;
  readonly lacking: string;
}

/** What is wrong with one table of the mapping. */
export async function checkTable(pool: Pool, name: string, table: NeededTable): Promise<Finding[]> {
  const [described] = await describeTables(pool, [table.name]);
  if (described === undefined) return [missingTable(table.name)];
  const rights = table.written ? ['select', 'insert', 'update', 'delete'] : ['select'];
  const row = await tableRow(pool, table.name, rights, name);
  const published = JSON.parse(row?.published ?? '[]') as string[];
  const fault = await orderFault(pool, table, described.columns);
  const order = fault === null ? [] : [problem('postgres.key', fault, ORDER_FIX)];
  const columns = [...checkColumns(table, described), ...computed(table, described, published)];
  return [...columns, ...order, ...checkIdentity(table, row), ...lackingRights(table.name, row)];
}

/** What keeps a feed from writing a table. */
export async function checkCopyTable(pool: Pool, table: CopyTable): Promise<Finding[]> {
  const [described] = await describeTables(pool, [table.name]);
  if (described === undefined) return [missingTable(table.name)];
  const row = await tableRow(pool, table.name, copyRights(table), '');
  const columns = checkColumns(table, described);
  const key = columns.length === 0 ? await checkCopyKey(pool, table) : [];
  const order = columns.length + key.length > 0 ? [] : await unordered(pool, table, described);
  return [...columns, ...key, ...order, ...lackingRights(table.name, row)];
}

/** Writing by key takes no order; going through what is there does. */
async function unordered(
  pool: Pool,
  table: CopyTable,
  { columns }: PostgresTable,
): Promise<Finding[]> {
  const fault = await orderFault(pool, table, columns);
  if (fault === null) return [];
  const message = `${fault}: \`carrick verify\` and a TRUNCATE cannot go through it`;
  return [{ outcome: 'note', check: 'postgres.key', message, fix: ORDER_FIX }];
}

/** Of the indexes by which `on conflict` could tell rows apart: whether they do at once. */
const ARBITER_SQL = `
  select i.indimmediate as immediate from pg_index i
  where i.indrelid = $1::regclass and i.indisunique and i.indisvalid
    and i.indpred is null and i.indexprs is null
    and (select array_agg(a.attname::text order by a.attname::text) from pg_attribute a
      where a.attrelid = i.indrelid
        and a.attnum = any((i.indkey::int2[])[0:i.indnkeyatts - 1])
    ) = array(select unnest($2::text[]) order by 1)`;

async function checkCopyKey(pool: Pool, { name, key }: CopyTable): Promise<Finding[]> {
  const found = await queryRows<{ immediate: string }>(pool, ARBITER_SQL, [quotedTable(name), key]);
  const columns = key.join(', ');
  const place = `${quotedTable(name)} (${key.map(quote).join(', ')})`;
  const create = `create unique index concurrently on ${place}`;
  if (found.length === 0) {
    const message = `no unique index of ${name} has exactly the columns ${columns}`;
    return [problem('postgres.key', message, `Run \`${create}\`.`)];
  }
  if (found.every(({ immediate }) => immediate === 't')) return [];
  const message = `a unique constraint of ${name} on ${columns} is deferrable`;
  const fix = `Drop it (\`alter table … drop constraint …\`) and run \`${create}\`.`;
  return [problem('postgres.key', message, fix)];
}

function missingTable(name: string): Finding {
  return problem('postgres.table', `there is no table ${name}`, 'Correct `table` in the mapping.');
}

async function tableRow(
  pool: Pool,
  name: string,
  rights: readonly string[],
  publication: string,
): Promise<TableRow | undefined> {
  const asked = [quotedTable(name), rights, publication];
  return (await queryRows<TableRow>(pool, TABLE_SQL, asked))[0];
}

function lackingRights(name: string, row: TableRow | undefined): Finding[] {
  const lacking = JSON.parse(row?.lacking ?? '[]') as string[];
  return lacking.map((right) =>
    problem(
      'postgres.grants',
      `no right to ${right} on ${name}`,
      'Run what `carrick setup --print` prints as a superuser.',
    ),
  );
}

function checkColumns(
  table: { readonly name: string; readonly columns: readonly string[] },
  { columns }: PostgresTable,
): Finding[] {
  return table.columns
    .filter((name) => !columns.some((column) => column.name === name))
    .map((name) => {
      const message = `table ${table.name} has no column ${name}`;
      return problem('postgres.columns', message, 'Correct the column in the mapping.');
    });
}

function computed(
  table: NeededTable,
  { columns }: PostgresTable,
  published: readonly string[],
): Finding[] {
  return table.columns
    .filter((name) => columns.some((column) => column.name === name && column.generated))
    .filter((name) => !published.includes(name))
    .map((name) => ({
      outcome: 'note',
      check: 'postgres.generated',
      message: `${table.name}.${name} is computed: the log does not carry it`,
      fix: 'Map the columns that it is computed from.',
    }));
}

function checkIdentity(table: NeededTable, row: TableRow | undefined): Finding[] {
  if (row === undefined || row.identity === 'f') return [];
  const covered = JSON.parse(row.identity_columns) as string[];
  const bare = table.key.filter((name) => !covered.includes(name));
  if (bare.length === 0) return [];
  return [
    problem(
      'postgres.replica_identity',
      `deletes in ${table.name} do not log ${bare.join(', ')}`,
      `Make the key the primary key, or run \`alter table ${quotedTable(table.name)} replica ` +
        'identity using index …` with a unique index on it, or `… replica identity full`.',
    ),
  ];
}

function problem(check: string, message: string, fix: string): Finding {
  return { outcome: 'problem', check, message, fix };
}
