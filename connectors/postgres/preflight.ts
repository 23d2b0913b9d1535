import type { Pool } from 'pg';
import type { Finding, Needs } from '../../src/contract/connector.ts';
import { describeError } from './errors.ts';
import { FEED_TABLE, MARK, MARK_SCHEMA } from './mark.ts';
import { checkCopyTable, checkTable } from './preflight-table.ts';
import { queryRows, tableName } from './session.ts';
import { isPublished, readsLog } from './setup.ts';

type Row = Readonly<Record<string, string | null>>;

/** One question to the server and what its answer means. */
interface Check {
  readonly check: string;
  /** Its rows are judged one by one. */
  readonly sql: string;
  /** Null: all is well. */
  judge(row: Row): Omit<Finding, 'check'> | null;
}

const SETUP_FIX = 'Run `carrick setup`.';
/** The beat of the log's reader is four seconds. */
const LEAST_TIMEOUT_MS = 10_000;

const VERSION_CHECK: Check = {
  check: 'postgres.version',
  sql: `select current_setting('server_version_num')::int / 10000 as major`,
  judge: ({ major }) => {
    if (Number(major) < 14) return problem(`PostgreSQL ${major} is too old`, 'Upgrade to 14–18.');
    return Number(major) <= 18 ? null : note(`PostgreSQL ${major} is not tested`, 'None needed.');
  },
};

const LOG_CHECKS: readonly Check[] = [
  {
    check: 'postgres.wal_level',
    sql: `select current_setting('wal_level') as level`,
    judge: ({ level }) =>
      level === 'logical'
        ? null
        : problem(
            `wal_level is ${level}`,
            'Run `alter system set wal_level = logical` and restart the server.',
          ),
  },
  {
    check: 'postgres.wal_sender_timeout',
    sql: `select setting from pg_settings where name = 'wal_sender_timeout'`,
    judge: ({ setting }) =>
      setting === '0' || Number(setting) >= LEAST_TIMEOUT_MS
        ? null
        : note(
            `wal_sender_timeout is ${setting} ms: a busy moment breaks the stream`,
            'Set wal_sender_timeout to 10s or more.',
          ),
  },
  {
    check: 'postgres.retention',
    sql: `select setting from pg_settings where name = 'max_slot_wal_keep_size'`,
    judge: ({ setting }) =>
      setting === '-1'
        ? note(
            'the server keeps its log for us without limit while Carrick is down',
            'Watch the disk, or set max_slot_wal_keep_size: beyond it a resync is needed.',
          )
        : note(
            `the server keeps ${setting} MB of log for us, then gives the slot up`,
            'Make it cover the longest time that Carrick may be down.',
          ),
  },
  {
    check: 'postgres.role',
    // On a managed service membership in its replication role stands for the attribute.
    sql: `select current_user as role, rolsuper or rolreplication or exists (select from pg_roles r
        where r.rolname = 'rds_replication' and pg_has_role(r.oid, 'member')) as allowed
      from pg_roles where rolname = current_user`,
    judge: ({ role, allowed }) =>
      allowed === 't'
        ? null
        : problem(
            `role ${role} may not replicate`,
            `Run \`alter role "${role}" replication\` as a superuser.`,
          ),
  },
];

/** What `setup` makes to read the log, and room for it. */
function setupChecks(name: string, needs: Needs): Check[] {
  const tables = [MARK.name, ...needs.tables.map((table) => table.name)];
  return [
    {
      check: 'postgres.slot',
      sql: `select (select wal_status from pg_replication_slots where slot_name = '${name}')
            as status,
          (select plugin = 'pgoutput' and database = current_database() from pg_replication_slots
            where slot_name = '${name}') as ours,
          (select count(*) from pg_replication_slots) as slots,
          current_setting('max_replication_slots') as slot_limit,
          (select count(*) from pg_stat_replication) as senders,
          current_setting('max_wal_senders') as sender_limit`,
      judge: (row) => judgeSlot(name, row),
    },
    ownRights(MARK.name),
    ...tables.map((table) => ({
      check: 'postgres.publication',
      sql: `select ${isPublished(name, table)} as published`,
      judge: ({ published }: Row) =>
        published === 't' ? null : problem(`${table} is not in publication ${name}`, SETUP_FIX),
    })),
    {
      check: 'postgres.publication',
      // As JSON, for PostgreSQL 14 has no row filters and no such column.
      sql: `select p.tablename from pg_publication_tables p
        where pubname = '${name}' and to_jsonb(p) ->> 'rowfilter' is not null`,
      judge: ({ tablename }) =>
        problem(
          `publication ${name} filters the rows of ${tablename}`,
          'Publish the table without WHERE; the mapping has its own.',
        ),
    },
  ];
}

function ownRights(table: string): Check {
  const name = tableName(table).table;
  return {
    check: 'postgres.grants',
    sql: `select p.right from unnest(array['select', 'insert', 'update']) p("right"), pg_class c
      where c.oid = (select oid from pg_class where relname = '${name}'
        and relnamespace = (select oid from pg_namespace where nspname = '${MARK_SCHEMA}'))
        and not has_table_privilege(c.oid, p.right)`,
    judge: ({ right }) =>
      problem(`no right to ${right} on ${table}`, 'Run what `carrick setup --print` prints.'),
  };
}

function feedChecks(): Check[] {
  const { schema, table } = tableName(FEED_TABLE);
  return [
    {
      check: 'postgres.feed',
      sql: `select exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = '${schema}' and c.relname = '${table}') as made`,
      judge: ({ made }) =>
        made === 't' ? null : problem(`there is no table ${FEED_TABLE}`, SETUP_FIX),
    },
    ownRights(FEED_TABLE),
  ];
}

function checksFor(name: string, needs: Needs): Check[] {
  return [
    VERSION_CHECK,
    ...(readsLog(needs) ? [...LOG_CHECKS, ...setupChecks(name, needs)] : []),
    ...((needs.copies ?? []).length > 0 ? feedChecks() : []),
  ];
}

function judgeSlot(name: string, row: Row): Omit<Finding, 'check'> | null {
  if (row.ours === 'f') return problem(`slot ${name} is of another kind or database`, SETUP_FIX);
  if (row.status === 'lost') {
    return problem(
      `the server has given slot ${name} up`,
      `Drop it (select pg_drop_replication_slot('${name}')), run \`carrick setup\` and resync.`,
    );
  }
  if (row.ours === 't') return null;
  if (Number(row.slots) >= Number(row.slot_limit)) {
    return problem(
      `all ${row.slot_limit} replication slots are taken`,
      'Raise max_replication_slots.',
    );
  }
  if (Number(row.senders) >= Number(row.sender_limit)) {
    return problem(`all ${row.sender_limit} WAL senders are taken`, 'Raise max_wal_senders.');
  }
  return problem(`there is no replication slot ${name}`, SETUP_FIX);
}

/** What stands in the way, everything at once; changes nothing. */
export async function preflight(pool: Pool, name: string, needs: Needs): Promise<Finding[]> {
  try {
    await queryRows(pool, 'select 1');
  } catch (error) {
    const { message, fix, disposition } = describeError('source', error);
    // A refused login was found wrong; of a server that does not answer nothing is known.
    const outcome = disposition === 'retry' ? 'unknown' : 'problem';
    return [{ outcome, check: 'postgres.connection', message, fix }];
  }
  const findings: Finding[] = [];
  for (const { check, sql, judge } of checksFor(name, needs)) {
    findings.push(
      ...(await checked(check, async () => {
        const rows = await queryRows<Row>(pool, sql);
        return rows.flatMap((row) => judge(row) ?? []);
      })),
    );
  }
  for (const table of needs.tables) {
    findings.push(...(await checked('postgres.table', () => checkTable(pool, name, table))));
  }
  for (const table of needs.copies ?? []) {
    findings.push(...(await checked('postgres.table', () => checkCopyTable(pool, table))));
  }
  return findings;
}

/** A question that could not be asked is not a problem found. */
async function checked(
  check: string,
  ask: () => Promise<readonly Omit<Finding, 'check'>[]>,
): Promise<Finding[]> {
  try {
    return (await ask()).map((finding) => ({ check, ...finding }));
  } catch (error) {
    const { message, fix } = describeError('source', error);
    return [{ outcome: 'unknown', check, message: `could not be checked: ${message}`, fix }];
  }
}

function problem(message: string, fix: string): Omit<Finding, 'check'> {
  return { outcome: 'problem', message, fix };
}

function note(message: string, fix: string): Omit<Finding, 'check'> {
  return { outcome: 'note', message, fix };
}
