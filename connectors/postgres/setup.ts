import type { Pool, PoolClient } from 'pg';
import pg from 'pg';
import type { Needs } from '../../src/contract/connector.ts';
import type { CopyTable } from '../../src/contract/copier.ts';
import { halt } from '../../src/errors.ts';
import { describeError, sqlState } from './errors.ts';
import { FEED_TABLE, MARK, MARK_SCHEMA } from './mark.ts';
import { quote, quotedTable, tableName } from './session.ts';

/** One thing that has to be there, in the order in which they are made. */
interface Step {
  /** What setup says when it did it. */
  readonly title: string;
  /** SQL condition: true when there is nothing to do. */
  readonly done: string;
  readonly sql: string;
}

/** Nobody follows a system that only takes copies: its slot would have no reader, its mark none. */
export const readsLog = ({ tables, copies = [] }: Needs): boolean =>
  tables.length > 0 || copies.length === 0;

const takesCopies = ({ copies = [] }: Needs): boolean => copies.length > 0;

function tableSteps(needs: Needs): Step[] {
  return [
    {
      title: `created schema ${MARK_SCHEMA}`,
      done: `exists (select from pg_namespace where nspname = '${MARK_SCHEMA}')`,
      sql: `create schema ${MARK_SCHEMA}`,
    },
    ...(readsLog(needs) ? [ownTable(MARK.name, MARK_COLUMNS)] : []),
    ...(takesCopies(needs) ? [ownTable(FEED_TABLE, FEED_COLUMNS)] : []),
  ];
}

const MARK_COLUMNS = `instance text,
  lane text,
  batch bigint not null,
  primary key (instance, lane)`;

/** Without a position: the feed has never committed. */
const FEED_COLUMNS = `instance text,
  feed text,
  position text,
  progress text,
  primary key (instance, feed)`;

function ownTable(name: string, columns: string): Step {
  return {
    title: `created table ${name}`,
    done: `to_regclass('${quotedTable(name)}') is not null`,
    sql: `create table ${quotedTable(name)} (
  ${columns}
)`,
  };
}

/**
 * The publication before the slot: decoding looks publications up as they were at the place in
 * the log that it has reached, so a slot must not begin before its publication.
 */
function logSteps(name: string, needs: Needs): Step[] {
  const publication = quote(name);
  const tables = [...needs.tables.map((table) => table.name), MARK.name];
  const published = tables.map(quotedTable).join(', ');
  return [
    {
      title: `created publication ${name}`,
      done: `exists (select from pg_publication where pubname = '${name}')`,
      sql: `create publication ${publication} for table ${published}
  with (publish_via_partition_root = true)`,
    },
    {
      title: `made publication ${name} publish partitions as their tables`,
      done: `exists (select from pg_publication where pubname = '${name}' and pubviaroot)`,
      sql: `alter publication ${publication} set (publish_via_partition_root = true)`,
    },
    {
      title: `made publication ${name} publish stored computed columns`,
      // Since PostgreSQL 18; before it the log never has them, and virtual ones are in none.
      done: `current_setting('server_version_num')::int < 180000 or exists
  (select from pg_publication p where pubname = '${name}' and to_jsonb(p) ->> 'pubgencols' = 's')`,
      sql: `alter publication ${publication} set (publish_generated_columns = stored)`,
    },
    ...tables.map((table) => ({
      title: `added ${table} to publication ${name}`,
      done: isPublished(name, table),
      sql: `alter publication ${publication} add table ${quotedTable(table)}`,
    })),
    {
      title: `created replication slot ${name}`,
      done: `exists (select from pg_replication_slots where slot_name = '${name}')`,
      sql: createSlot(name),
    },
  ];
}

/** From PostgreSQL 17 on a standby may keep a copy of the slot, to go on with after a failover. */
function createSlot(name: string): string {
  const create = `select pg_create_logical_replication_slot('${name}', 'pgoutput'`;
  return `do $slot$ begin
if current_setting('server_version_num')::int < 170000 then
execute $sql$ ${create}) $sql$;
else
execute $sql$ ${create}, failover => true) $sql$;
end if;
end $slot$`;
}

export function isPublished(publication: string, tableText: string): string {
  const { schema, table } = tableName(tableText);
  return `exists (select from pg_publication_tables where pubname = '${publication}'
    and schemaname = ${pg.escapeLiteral(schema)} and tablename = ${pg.escapeLiteral(table)})`;
}

const steps = (name: string, needs: Needs): Step[] => [
  ...tableSteps(needs),
  ...(readsLog(needs) ? logSteps(name, needs) : []),
];

/** Creates what is missing and says what it did. Rights are granted by {@link setupScript}. */
export async function setup(pool: Pool, name: string, needs: Needs): Promise<string[]> {
  const did: string[] = [];
  let client: PoolClient | undefined;
  try {
    client = await pool.connect();
    for (const { title, done, sql } of steps(name, needs)) {
      const { rows } = await client.query<{ done: string }>(`select ${done} as done`);
      if (rows[0]?.done === 't') continue;
      await client.query(sql);
      did.push(title);
    }
  } catch (error) {
    if (sqlState(error) !== '42501') throw describeError('source', error);
    throw halt(
      'source.refused',
      `the role may not finish the setup (${(error as Error).message})`,
      'Run what `carrick setup --print` prints, as the owner of the tables or a superuser.',
    );
  } finally {
    client?.release();
  }
  return did;
}

/** What a superuser runs once; every statement may be run again. */
export function setupScript(name: string, role: string, needs: Needs): string[] {
  return [
    ...roleStatements(role, readsLog(needs)),
    ...tableSteps(needs).map(guarded),
    ...grants(role, needs),
    ...(readsLog(needs) ? logSteps(name, needs).map(guarded) : []),
  ];
}

function guarded({ done, sql }: Step): string {
  return `do $$ begin
if not (${done}) then
${sql};
end if;
end $$`;
}

function roleStatements(role: string, replicates: boolean): string[] {
  const exists = `exists (select from pg_roles where rolname = ${pg.escapeLiteral(role)})`;
  const may = replicates ? 'login replication' : 'login';
  const comment = replicates ? 'Needs wal_level = logical. Give' : 'Give';
  return [
    `-- ${comment} the role a password: \\password ${role}
${guarded({ title: '', done: exists, sql: `create role ${quote(role)} ${may}` })}`,
    `alter role ${quote(role)} ${may}`,
  ];
}

/** The least that Carrick needs: reading the tables, writing those that a mapping writes to. */
function grants(role: string, needs: Needs): string[] {
  const to = `to ${quote(role)}`;
  const { tables, copies = [] } = needs;
  const written = tables.filter((table) => table.written);
  const schemas = [...tables, ...copies].map(({ name }) => tableName(name).schema);
  const own = [
    ...(readsLog(needs) ? [MARK.name] : []),
    ...(takesCopies(needs) ? [FEED_TABLE] : []),
  ];
  const filled = [...written, ...copies].map(({ name }) => name);
  return [
    `grant usage on schema ${[...new Set([MARK_SCHEMA, ...schemas])].map(quote).join(', ')} ${to}`,
    ...own.map((name) => `grant select, insert, update on ${quotedTable(name)} ${to}`),
    ...tables.map(({ name }) => `grant select on ${quotedTable(name)} ${to}`),
    ...written.map(({ name }) => `grant insert, update, delete on ${quotedTable(name)} ${to}`),
    ...copies.map(
      (table) => `grant ${copyRights(table).join(', ')} on ${quotedTable(table.name)} ${to}`,
    ),
    ...[...new Set(filled)].map((name) => sequenceGrant(role, name)),
  ];
}

export const copyRights = ({ removes }: CopyTable): string[] =>
  removes ? ['select', 'insert', 'update', 'delete'] : ['select', 'insert', 'update'];

/** Sequences that fill the table's columns: serial columns need them, identity columns do not. */
function sequenceGrant(role: string, table: string): string {
  return `-- sequences of ${table}
do $$ declare sequence regclass; begin
for sequence in select d.objid::regclass from pg_depend d join pg_class c on c.oid = d.objid
  where c.relkind = 'S' and d.deptype = 'a' and d.classid = 'pg_class'::regclass
    and d.refobjid = ${pg.escapeLiteral(quotedTable(table))}::regclass
loop
execute format('grant usage on sequence %s to %I', sequence, ${pg.escapeLiteral(role)});
end loop;
end $$`;
}
