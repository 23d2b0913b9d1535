import { describe, expect, test } from 'vitest';
import { type MysqlOptions, parseOptions } from '../../connectors/mysql/config.ts';
import { preflight } from '../../connectors/mysql/preflight.ts';
import { openSession } from '../../connectors/mysql/session.ts';
import { setup, setupScript } from '../../connectors/mysql/setup.ts';
import type { Needs } from '../../src/contract/connector.ts';
import {
  ensureServers,
  erpProduct,
  mysqlClient,
  needsControl,
  startMariadb,
} from '../support/index.ts';

await ensureServers();
const mariadb = (await erpProduct()) === 'MariaDB';

const optionsOf = (url: string): MysqlOptions =>
  (parseOptions({ url }) as { options: MysqlOptions }).options;

const NEEDS: Needs = {
  tables: [
    { name: 'customer', key: ['id'], columns: ['id', 'name'], written: true },
    { name: 'country', key: ['code'], columns: ['code'], written: false },
  ],
};
const TABLES = `CREATE TABLE customer (id INT PRIMARY KEY, name TEXT);
  CREATE TABLE country (code CHAR(2) PRIMARY KEY) ENGINE = MyISAM`;

async function outcomes(options: MysqlOptions, needs: Needs): Promise<string[]> {
  return (await preflight(options, needs)).map(({ outcome, check }) => `${outcome} ${check}`);
}

describe('a server that is ready', () => {
  test('has nothing to say, to the least account too', async (context) => {
    const settings = { 'binlog-expire-logs-seconds': '604800' };
    await using server = await startMariadb({ settings });
    needsControl(context, server);
    await using admin = await mysqlClient(server.url);
    await admin.query(TABLES);
    const options = optionsOf(server.url);
    const crew = { ...options, user: 'crew', password: 'c' };
    await admin.query(`CREATE USER crew@'%' IDENTIFIED BY 'c'`);
    expect(await outcomes(crew, NEEDS)).toEqual([
      'unknown mysql.filters',
      'problem mysql.replication_slave',
      'problem mysql.mark',
      'problem mysql.table',
      'problem mysql.table',
    ]);
    await using session = await openSession(options);
    await setup(session);
    for (const sql of setupScript(crew, NEEDS)) if (!sql.startsWith('--')) await admin.query(sql);
    expect(await preflight(crew, NEEDS)).toEqual([]);
    await admin.query(`ALTER TABLE customer ADD boss INT,
      ADD CONSTRAINT hangs FOREIGN KEY (boss) REFERENCES customer (id) ON DELETE SET NULL`);
    // MySQL 9.7 does the cascades where it does the logging.
    const hangs = expect.stringContaining('hangs');
    expect(await preflight(crew, NEEDS)).toMatchObject(
      mariadb ? [{ outcome: 'note', check: 'mysql.cascade', message: hangs }] : [],
    );
    await admin.query('ALTER TABLE customer DROP FOREIGN KEY hangs');
    await admin.query(`REVOKE INSERT, DELETE ON app.customer FROM crew@'%'`);
    expect(await preflight(crew, NEEDS)).toMatchObject([
      { check: 'mysql.grants', message: 'this account lacks INSERT, DELETE on customer' },
    ]);
    const [rows] = await admin.query('SELECT * FROM customer');
    expect(rows).toEqual([]);
  });
});

/** Of the two products, with what is to be found because of them. */
const FAULTS = {
  MariaDB: {
    settings: {
      'binlog-row-metadata': 'NO_LOG',
      'expire-logs-days': '1',
      'lower-case-table-names': '1',
    },
    early: [],
    late: ['note mysql.lower_case_table_names'],
    server: [],
  },
  // A MySQL keeps the lower_case_table_names that it was made with.
  MySQL: {
    settings: {
      'binlog-row-metadata': 'MINIMAL',
      'binlog-expire-logs-seconds': '86400',
      'binlog-row-value-options': 'PARTIAL_JSON',
      'binlog-row-image': 'MINIMAL',
      'binlog-order-commits': 'OFF',
      'gtid-mode': 'OFF_PERMISSIVE',
    },
    early: ['problem mysql.binlog_row_value_options', 'problem mysql.binlog_order_commits'],
    late: [],
    server: ['note mysql.gtid_mode'],
  },
};

describe('a badly configured server', () => {
  test('has every fault named, each with a fix', async (context) => {
    const faults = FAULTS[await erpProduct()];
    const settings = { 'binlog-format': 'MIXED', 'binlog-ignore-db': 'carrick' };
    await using server = await startMariadb({ settings: { ...settings, ...faults.settings } });
    needsControl(context, server);
    await using admin = await mysqlClient(server.url);
    await admin.query(`${TABLES}; CREATE TABLE loose (id INT, k SET('a'), UNIQUE (id, k))`);
    const findings = await preflight(optionsOf(server.url), {
      tables: [
        { name: 'customer', key: ['name'], columns: ['name', 'nme'], written: true },
        { name: 'country', key: ['code'], columns: ['code'], written: true },
        { name: 'loose', key: ['id', 'k'], columns: ['id', 'k'], written: false },
        { name: 'nowhere', key: ['id'], columns: ['id'], written: true },
      ],
    });
    expect(findings.map(({ outcome, check }) => `${outcome} ${check}`)).toEqual([
      'problem mysql.binlog_format',
      'note mysql.binlog_row_metadata',
      ...faults.early,
      'note mysql.binlog_expire_logs_seconds',
      ...faults.late,
      ...faults.server,
      'problem mysql.binlog_filter',
      'problem mysql.mark',
      'problem mysql.column',
      'problem mysql.key',
      'problem mysql.key',
      'problem mysql.engine',
      'problem mysql.key',
      'problem mysql.key',
      'problem mysql.key',
      'problem mysql.table',
    ]);
    expect(findings.every(({ fix }) => fix.length > 10)).toBe(true);
  });

  test('without a log, without a login, without a server', async (context) => {
    await using server = await startMariadb({ settings: { 'skip-log-bin': 'ON' } });
    needsControl(context, server);
    const options = optionsOf(server.url);
    expect(await outcomes(options, { tables: [] })).toEqual([
      'problem mysql.log_bin',
      'problem mysql.mark',
    ]);
    const [denied] = await preflight({ ...options, password: 'no' }, NEEDS);
    expect(denied).toMatchObject({ outcome: 'problem', check: 'mysql.connection' });
    expect(denied?.fix).toMatch(/password/);
    await server.stop();
    const [gone] = await preflight(options, NEEDS);
    expect(gone).toMatchObject({ outcome: 'unknown', check: 'mysql.connection' });
  });
});
