import { describe, expect, test } from 'vitest';
import { type MysqlOptions, parseOptions } from '../../connectors/mysql/config.ts';
import { openCopier } from '../../connectors/mysql/copier.ts';
import { preflight } from '../../connectors/mysql/preflight.ts';
import { openSession } from '../../connectors/mysql/session.ts';
import { setup, setupScript } from '../../connectors/mysql/setup.ts';
import type { Needs } from '../../src/contract/connector.ts';
import type { Position } from '../../src/model/position.ts';
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

const LONG_KEPT = { 'binlog-expire-logs-seconds': '604800' };

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
    await using server = await startMariadb({ settings: LONG_KEPT });
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
    await setup(session, { tables: [] });
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

describe('what feeds write', () => {
  const copies = [
    { name: 'customer', key: ['id'], columns: ['id', 'name'], removes: false },
    { name: 'country', key: ['code'], columns: ['code', 'label', 'nme'], removes: true },
    { name: 'loose', key: ['id'], columns: ['id', 'twice'], removes: true },
    { name: 'nowhere', key: ['id'], columns: ['id'], removes: true },
  ];

  test('needs a place, an index on the key, and columns that can be written', async (context) => {
    await using server = await startMariadb({ settings: LONG_KEPT });
    needsControl(context, server);
    await using admin = await mysqlClient(server.url);
    await admin.query(`${TABLES}; CREATE TABLE loose
      (id INT, twice INT AS (id * 2), k INT, UNIQUE (id, k)) ENGINE = MyISAM`);
    const options = optionsOf(server.url);
    await using session = await openSession(options);
    await setup(session, { tables: [] });
    const findings = await preflight(options, { tables: [], copies });
    expect(findings).toMatchObject([
      { check: 'mysql.feed', message: expect.stringContaining('carrick.carrick_feed') },
      { check: 'mysql.column', message: 'table country has no column label' },
      { check: 'mysql.column', message: 'table country has no column nme' },
      { check: 'mysql.engine', message: expect.stringContaining('country') },
      { check: 'mysql.generated', message: expect.stringContaining('column twice of loose') },
      {
        check: 'mysql.index',
        fix: expect.stringContaining('CREATE UNIQUE INDEX carrick_key ON loose (id)'),
      },
      { check: 'mysql.engine', message: expect.stringContaining('loose') },
      { check: 'mysql.table', message: expect.stringContaining('nowhere') },
    ]);
    expect(findings.every(({ outcome }) => outcome === 'problem')).toBe(true);
    expect(await setup(session, { tables: [], copies })).toEqual([
      'created table carrick.carrick_feed',
    ]);
    await admin.query('CREATE TABLE bare (id INT PRIMARY KEY, code INT UNIQUE)');
    const bare = { name: 'bare', key: ['code'], columns: ['code'], removes: true };
    expect(await preflight(options, { tables: [], copies: [bare] })).toMatchObject([
      { outcome: 'note', check: 'mysql.key', message: expect.stringContaining('may be NULL') },
    ]);
  });

  test('is granted by the script, and no more than that', async (context) => {
    await using server = await startMariadb({ settings: LONG_KEPT });
    needsControl(context, server);
    await using admin = await mysqlClient(server.url);
    await admin.query(`${TABLES}; CREATE USER crew@'%' IDENTIFIED BY 'c'`);
    const crew = { ...optionsOf(server.url), user: 'crew', password: 'c' };
    const needs: Needs = { tables: [], copies: copies.slice(0, 1) };
    for (const sql of setupScript(crew, needs)) if (!sql.startsWith('--')) await admin.query(sql);
    expect(await preflight(crew, needs)).toEqual([]);
    const [grants] = await admin.query(`SHOW GRANTS FOR crew@'%'`);
    expect(JSON.stringify(grants)).not.toMatch(/REPLICATION|BINLOG|carrick_mark/);
    await using copier = openCopier(crew, 'main', 'crm_to_erp');
    expect(await copier.place()).toBeNull();
    await using transaction = await copier.begin();
    const write = { op: 'put', table: 'customer', key: ['id'], columns: ['id', 'name'] } as const;
    const rows = [['1', 'Ann']];
    expect(await transaction.write({ ...write, keys: [], rows, fresh: true })).toEqual([]);
    await transaction.commit({ position: 'mysql:1' as Position, progress: '{}' });
    await admin.query(`REVOKE UPDATE ON carrick.carrick_feed FROM crew@'%';
      REVOKE UPDATE ON app.customer FROM crew@'%'`);
    expect(await preflight(crew, needs)).toMatchObject([
      { check: 'mysql.grants', message: 'this account lacks UPDATE on customer' },
      { check: 'mysql.grants', message: 'this account lacks UPDATE on carrick.carrick_feed' },
    ]);
  });
});
