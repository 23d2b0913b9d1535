import type { Finding, Needs } from '../../src/contract/connector.ts';
import type { MysqlOptions } from './config.ts';
import { splitName } from './describe.ts';
import { note, problem } from './finding.ts';
import type { Session, TextRow } from './session.ts';
import { MARK_DATABASE } from './setup.ts';

const OLDEST = { mysql: [8, 0], mariadb: [10, 6] } as const;

export async function checkVersion(session: Session): Promise<Finding[]> {
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
      `${product} ${major}.${minor} is older than the oldest supported, ${oldest.join('.')}`,
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

export async function checkBinlog(session: Session): Promise<Finding[]> {
  const get = await variables(session, [
    'log_bin',
    'binlog_format',
    'binlog_row_image',
    'binlog_row_metadata',
    'binlog_row_value_options',
    'binlog_order_commits',
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
  // Partial values apply to whole ones, which only full images have.
  const partial = (get.get('binlog_row_value_options') ?? '') !== '';
  if (partial && get.get('binlog_row_image') !== 'FULL') {
    findings.push(
      problem(
        'binlog_row_value_options',
        'JSON columns are logged as partial updates, without the values that they apply to',
        persist('binlog_row_image', 'FULL'),
      ),
    );
  }
  if (get.get('binlog_order_commits') === 'OFF') {
    findings.push(
      problem(
        'binlog_order_commits',
        'rows may become visible later than rows that the log has behind them: a first load or a ' +
          'check of tables can then miss changes',
        persist('binlog_order_commits', 'ON'),
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
  `SET GLOBAL ${name} = ${value}, the same in the configuration file, and reconnect what is open.`;

const DAY_S = 86_400;

function retention(get: ReadonlyMap<string, string>): Finding[] {
  const seconds = Number(get.get('binlog_expire_logs_seconds') ?? 0);
  const kept = seconds > 0 ? seconds : Number(get.get('expire_logs_days') ?? 0) * DAY_S;
  if (kept === 0 || kept >= 2 * DAY_S) return [];
  return [
    note(
      'binlog_expire_logs_seconds',
      `a Carrick that was stopped for over ${Math.round(kept / 3600)} hours needs a resync`,
      'SET GLOBAL binlog_expire_logs_seconds = 604800, and the same in the configuration file.',
    ),
  ];
}

export async function checkGtid(session: Session): Promise<Finding[]> {
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
export async function checkFilters(
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

export async function checkReplicationGrants(session: Session): Promise<Finding[]> {
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
