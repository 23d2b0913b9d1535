import type { Finding, Needs } from '../../src/contract/connector.ts';
import type { MysqlOptions } from './config.ts';
import { describeTables, type MysqlTable, splitName } from './describe.ts';
import { asCarrickError, messageWithoutValues } from './errors.ts';
import { openSession, type Session, type TextRow } from './session.ts';
import { MARK_DATABASE, MARK_TABLE, markExists } from './setup.ts';

type Need = Needs['tables'][number];
type Check = (session: Session) => Promise<Finding[]>;

/** Everything that would stop or endanger a run, found by looking only. */
export async function preflight(options: MysqlOptions, needs: Needs): Promise<Finding[]> {
  let session: Session;
  try {
    session = await openSession(options);
  } catch (error) {
    const { message, fix } = asCarrickError(error, 'source');
    return [problem('connection', `cannot connect: ${message}`, fix)];
  }
  await using open = session;
  const checks: Readonly<Record<string, Check>> = {
    version: checkVersion,
    binlog: checkBinlog,
    gtid: checkGtid,
    filters: (s) => checkFilters(s, options, needs),
    replication: checkReplicationGrants,
    mark: checkMark,
    tables: (s) => checkTables(s, options, needs),
    grants: (s) => checkWriteGrants(s, options, needs),
  };
  const findings: Finding[] = [];
  for (const [name, check] of Object.entries(checks)) {
    try {
      findings.push(...(await check(open)));
    } catch (error) {
      findings.push(unknown(name, messageWithoutValues(error)));
    }
  }
  return findings;
}

const found =
  (outcome: Finding['outcome']) =>
  (check: string, message: string, fix: string): Finding => ({
    outcome,
    check: `mysql.${check}`,
    message,
    fix,
  });
const problem = found('problem');
const note = found('note');
const unknown = (check: string, reason: string): Finding =>
  found('unknown')(check, `could not be checked: ${reason}`, 'Grant what the message asks for.');

const OLDEST = { mysql: [8, 0], mariadb: [10, 6] } as const;

async function checkVersion(session: Session): Promise<Finding[]> {
  const version = (await session.rows('SELECT VERSION()'))[0]![0]!;
  // MariaDB of old put 5.5.5- in front, for replicas that knew one digit only.
  const [major = 0, minor = 0] = version
    .replace(/^5\.5\.5-/, '')
    .split('.')
    .map(Number.parseFloat);
  const [product, oldest] = session.mariadb
    ? (['MariaDB', OLDEST.mariadb] as const)
    : (['MySQL', OLDEST.mysql] as const);
  if (major > oldest[0] || (major === oldest[0] && minor >= oldest[1])) return [];
  return [
    problem(
      'version',
      `${product} ${major}.${minor} is older than ${oldest.join('.')}, the oldest that is supported`,
      'Upgrade the server.',
    ),
  ];
}

/** Global variables by lower-case name; one the product does not know is missing. */
async function variables(session: Session, names: readonly string[]): Promise<Map<string, string>> {
  const list = names.map((name) => `'${name}'`).join(', ');
  const rows = await session.rows(`SHOW GLOBAL VARIABLES WHERE variable_name IN (${list})`);
  return new Map(rows.map(([name, value]) => [name!.toLowerCase(), value ?? '']));
}

async function checkBinlog(session: Session): Promise<Finding[]> {
  const get = await variables(session, [
    'log_bin',
    'binlog_format',
    'binlog_row_image',
    'binlog_row_metadata',
    'binlog_row_value_options',
    'binlog_expire_logs_seconds',
    'expire_logs_days',
    'lower_case_table_names',
  ]);
  const findings: Finding[] = [];
  if (get.get('log_bin') !== 'ON') {
    const fix = 'Set log_bin in the configuration of the server and restart it.';
    return [problem('log_bin', 'the server writes no binary log', fix)];
  }
  // MySQL 9 may drop the variable: then every log is in rows.
  if ((get.get('binlog_format') ?? 'ROW') !== 'ROW') {
    const message = `binlog_format is ${get.get('binlog_format')}: changes of rows are not logged`;
    findings.push(problem('binlog_format', message, persist('binlog_format', 'ROW')));
  }
  if ((get.get('binlog_row_metadata') ?? '') !== 'FULL') {
    findings.push(
      note(
        'binlog_row_metadata',
        'the log has no column names: they are taken from the present definition of each table, ' +
          'so a change of columns must not run while Carrick is behind',
        persist('binlog_row_metadata', 'FULL'),
      ),
    );
  }
  if ((get.get('binlog_row_value_options') ?? '') !== '') {
    findings.push(
      problem(
        'binlog_row_value_options',
        'JSON columns are logged as partial updates, which cannot be read without the old value',
        persist('binlog_row_value_options', "''"),
      ),
    );
  }
  findings.push(...retention(get));
  if ((get.get('lower_case_table_names') ?? '0') !== '0') {
    findings.push(
      note(
        'lower_case_table_names',
        'the server compares table names without case',
        'Write table names in mappings in the case that SHOW TABLES prints.',
      ),
    );
  }
  return findings;
}

const persist = (name: string, value: string): string =>
  `SET GLOBAL ${name} = ${value}, and the same in the configuration file; sessions that are open keep the old value.`;

const DAY_S = 86_400;

function retention(get: ReadonlyMap<string, string>): Finding[] {
  const seconds = Number(get.get('binlog_expire_logs_seconds') ?? 0);
  const kept = seconds > 0 ? seconds : Number(get.get('expire_logs_days') ?? 0) * DAY_S;
  if (kept === 0 || kept >= 2 * DAY_S) return [];
  return [
    note(
      'binlog_expire_logs_seconds',
      `the binary log is kept for ${Math.round(kept / 3600)} hours: Carrick stopped for longer needs a resync`,
      'SET GLOBAL binlog_expire_logs_seconds = 604800, and the same in the configuration file.',
    ),
  ];
}

async function checkGtid(session: Session): Promise<Finding[]> {
  if (session.mariadb) return [];
  const mode = (await variables(session, ['gtid_mode'])).get('gtid_mode') ?? 'OFF';
  if (mode === 'ON') return [];
  return [
    note(
      'gtid_mode',
      `gtid_mode is ${mode}: positions are file and offset, which another server cannot continue`,
      'Switch GTIDs on ("Enabling GTID Transactions Online" in the MySQL manual).',
    ),
  ];
}

/** What the server leaves out of its log, by database; MySQL 8.2 renamed the statement. */
async function checkFilters(
  session: Session,
  { database }: MysqlOptions,
  { tables }: Needs,
): Promise<Finding[]> {
  const [status] = await logStatus(session);
  const list = (text: string | null | undefined): string[] => (text ? text.split(',') : []);
  const [only, never] = [list(status?.[2]), list(status?.[3])];
  const hidden = new Set(
    [MARK_DATABASE, ...tables.map(({ name }) => splitName(name, database)[0])].filter(
      (name) => never.includes(name) || (only.length > 0 && !only.includes(name)),
    ),
  );
  return [...hidden].map((name) =>
    problem(
      'binlog_filter',
      `changes in database ${name} are not logged: binlog_do_db or binlog_ignore_db leaves it out`,
      `Let the filter include ${name}, or remove it, and restart the server.`,
    ),
  );
}

async function logStatus(session: Session): Promise<TextRow[]> {
  try {
    return await session.rows('SHOW MASTER STATUS');
  } catch (error) {
    const SYNTAX_ERROR = 1064;
    if ((error as { errno?: number }).errno !== SYNTAX_ERROR) throw error;
    return session.rows('SHOW BINARY LOG STATUS');
  }
}

async function checkReplicationGrants(session: Session): Promise<Finding[]> {
  const grants = await globalGrants(session);
  if (/\b(ALL PRIVILEGES|SUPER|REPLICATION SLAVE)\b/.test(grants)) return [];
  return [
    problem(
      'replication_slave',
      'this account may not read the binary log',
      'GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO the account of Carrick.',
    ),
  ];
}

const globalGrants = async (session: Session): Promise<string> =>
  (await session.rows('SHOW GRANTS'))
    .map(([grant]) => grant ?? '')
    .filter((grant) => / ON \*\.\* /.test(grant))
    .join('\n');

async function checkMark(session: Session): Promise<Finding[]> {
  if (await markExists(session)) return [];
  return [
    problem(
      'mark',
      `table ${MARK_TABLE} does not exist, or this account may not read it`,
      'Run `carrick setup`, or have an administrator run the statements that it prints.',
    ),
  ];
}

async function checkTables(
  session: Session,
  { database }: MysqlOptions,
  { tables }: Needs,
): Promise<Finding[]> {
  const names = [...new Set(tables.map(({ name }) => name))];
  const described = await describeTables(session, database, names);
  return tables.flatMap((need) => {
    const table = described.find(({ name }) => name === need.name);
    if (table !== undefined) return checkTable(need, table);
    return problem(
      'table',
      `table ${need.name} does not exist, or this account may not read it`,
      'Correct the mapping, or grant SELECT on the table.',
    );
  });
}

function checkTable(need: Need, table: MysqlTable): Finding[] {
  const findings: Finding[] = [];
  for (const name of need.columns) {
    if (table.columns.some((column) => column.name === name)) continue;
    const fix = 'Correct the mapping, or grant SELECT on the column.';
    findings.push(problem('column', `table ${need.name} has no column ${name}`, fix));
  }
  const identifies = (index: readonly string[]): boolean =>
    index.every((name) => need.key.includes(name));
  if (!table.unique.some(identifies)) {
    findings.push(
      problem(
        'key',
        `no unique index of ${need.name} lies within the key (${need.key.join(', ')})`,
        'Name the primary key in the mapping, or add a unique index over the key.',
      ),
    );
  }
  for (const name of need.key) {
    if (table.columns.find((column) => column.name === name)?.nullable !== true) continue;
    const fix = 'Declare the column NOT NULL.';
    findings.push(problem('key', `key column ${name} of ${need.name} may be NULL`, fix));
  }
  if (need.written && table.engine !== 'InnoDB') {
    findings.push(
      problem(
        'engine',
        `table ${need.name} is of engine ${table.engine || 'VIEW'}: writes to it cannot be undone`,
        `ALTER TABLE ${need.name} ENGINE = InnoDB.`,
      ),
    );
  }
  return findings;
}

/**
 * Whether the written tables and the mark may be written: a statement that changes no row has its
 * rights checked all the same.
 */
async function checkWriteGrants(
  session: Session,
  { database }: MysqlOptions,
  { tables }: Needs,
): Promise<Finding[]> {
  const written = tables.filter((need) => need.written).map(({ name }) => name);
  const names = [...new Set([...written, MARK_TABLE])];
  const described = await describeTables(session, database, names);
  const findings: Finding[] = [];
  for (const table of described) findings.push(...(await tryWrites(session, database, table)));
  return findings;
}

async function tryWrites(
  session: Session,
  database: string,
  table: MysqlTable,
): Promise<Finding[]> {
  const name = splitName(table.name, database)
    .map((part) => `\`${part.replaceAll('`', '``')}\``)
    .join('.');
  const [column] = table.columns.filter(({ readOnly }) => !readOnly);
  if (column === undefined) return [];
  const quoted = `\`${column.name.replaceAll('`', '``')}\``;
  const statements = {
    INSERT: `EXPLAIN INSERT INTO ${name} (${quoted}) SELECT ${quoted} FROM ${name} WHERE 1 = 0`,
    UPDATE: `EXPLAIN UPDATE ${name} SET ${quoted} = ${quoted} WHERE 1 = 0`,
    DELETE: `EXPLAIN DELETE FROM ${name} WHERE 1 = 0`,
  };
  const denied: string[] = [];
  for (const [right, sql] of Object.entries(statements)) {
    try {
      await session.rows(sql);
    } catch (error) {
      const DENIED = [1142, 1143];
      if (!DENIED.includes((error as { errno?: number }).errno ?? 0)) throw error;
      denied.push(right);
    }
  }
  if (denied.length === 0) return [];
  const rights = denied.join(', ');
  const fix = `GRANT ${rights} ON ${table.name} TO the account of Carrick.`;
  return [problem('grants', `this account lacks ${rights} on ${table.name}`, fix)];
}
