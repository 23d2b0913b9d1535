import type { Pool } from 'pg';
import type { Finding, Needs } from '../../src/contract/connector.ts';
import { describeTables, type PostgresTable } from './describe.ts';
import { ORDER_FIX, orderFault } from './key-order.ts';
import { queryRows, quotedTable } from './session.ts';

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
  if (described === undefined) {
    const message = `there is no table ${table.name}`;
    return [problem('postgres.table', message, 'Correct `table` in the mapping.')];
  }
  const rights = table.written ? ['select', 'insert', 'update', 'delete'] : ['select'];
  const asked = [quotedTable(table.name), rights, name];
  const [row] = await queryRows<TableRow>(pool, TABLE_SQL, asked);
  const lacking = JSON.parse(row?.lacking ?? '[]') as string[];
  const missing = lacking.map((right) =>
    problem(
      'postgres.grants',
      `no right to ${right} on ${table.name}`,
      'Run what `carrick setup --print` prints as a superuser.',
    ),
  );
  const published = JSON.parse(row?.published ?? '[]') as string[];
  const fault = await orderFault(pool, table, described.columns);
  const order = fault === null ? [] : [problem('postgres.key', fault, ORDER_FIX)];
  const columns = checkColumns(table, described, published);
  return [...columns, ...order, ...checkIdentity(table, row), ...missing];
}

function checkColumns(
  table: NeededTable,
  { columns }: PostgresTable,
  published: readonly string[],
): Finding[] {
  return table.columns.flatMap((name): Finding[] => {
    const column = columns.find((candidate) => candidate.name === name);
    if (column === undefined) {
      const message = `table ${table.name} has no column ${name}`;
      return [problem('postgres.columns', message, 'Correct the column in the mapping.')];
    }
    if (!column.generated || published.includes(name)) return [];
    return [
      {
        outcome: 'note',
        check: 'postgres.generated',
        message: `${table.name}.${name} is computed: the log does not carry it`,
        fix: 'Map the columns that it is computed from.',
      },
    ];
  });
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
