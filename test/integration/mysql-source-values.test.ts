import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Change, TableSpec } from '../../src/model/change.ts';
import type { Cell } from '../../src/model/value.ts';
import {
  erpProduct,
  mariadbReplacement,
  mysqlClient,
  startMariadb,
  type TestServer,
} from '../support/index.ts';
import { changesOf, endTable, makeEnd, readToEnd, sourceOn, table } from './mysql-source-log.ts';

/** A column type, and SQL expressions with the text that their values must have. */
type Case = readonly [type: string, ...values: readonly (readonly [sql: string, text: string])[]];

const product = await erpProduct();

/** MariaDB keeps the spelling of a number, MySQL has its own. */
const JSON_NUMBER = product === 'MariaDB' ? '2e3' : '2000.0';
const JSON_TEXT = `{"10":1,"9":2,"a":"x","b":[1.0,${JSON_NUMBER},{"z":null}]}`;

const MARIADB_ONLY: readonly Case[] = [
  ['VARCHAR(40) COLLATE utf8mb4_uca1400_as_cs', ["'ß'", 'ß']],
  ['TEXT COMPRESSED', ["REPEAT('compress me ', 100)", 'compress me '.repeat(100)], ["''", '']],
  ['VARCHAR(500) COMPRESSED', ["REPEAT('é', 200)", 'é'.repeat(200)], ["'x'", 'x']],
  ['LONGBLOB COMPRESSED', ["REPEAT(X'00', 300)", '00'.repeat(300)]],
  [
    'UUID',
    ["'123e4567-e89b-12d3-a456-426655440000'", '123e4567-e89b-12d3-a456-426655440000'],
    ["'018F4E1C-0000-7000-8000-000000000000'", '018f4e1c-0000-7000-8000-000000000000'],
    ["'00000000-0000-0000-0000-000000000000'", '00000000-0000-0000-0000-000000000000'],
  ],
  [
    'INET6',
    ["'::'", '::'],
    ["'::1'", '::1'],
    ["'2001:db8::ff00:42:8329'", '2001:db8::ff00:42:8329'],
    ["'::ffff:192.0.2.1'", '::ffff:192.0.2.1'],
    ["'::192.0.2.1'", '::192.0.2.1'],
    ["'1:0:0:2::3'", '1:0:0:2::3'],
    ["'1:2:3:4:5:6:7:0'", '1:2:3:4:5:6:7::'],
    ["'0:1:2:3:0:4:5:6'", '::1:2:3:0:4:5:6'],
    ["'fe80::'", 'fe80::'],
  ],
  ['INET4', ["'192.0.2.255'", '192.0.2.255'], ["'0.0.0.0'", '0.0.0.0']],
];

const MYSQL_JSON = `'{"n": [1.0, 1e15, 1e-7, 123456789012345680000, -5, 18446744073709551615]}'`;
const MYSQL_ONLY: readonly Case[] = [
  [
    'JSON',
    [MYSQL_JSON, '{"n":[1.0,1e15,0.0000001,1.2345678901234568e20,-5,18446744073709551615]}'],
    [
      'JSON_ARRAY(CAST(1.50 AS DECIMAL(5,2)), 1e14, -0.0, 1e300)',
      '[1.50,100000000000000.0,0.0,1e300]',
    ],
    ["CAST(TIMESTAMP'2026-01-02 03:04:05.6' AS JSON)", '"2026-01-02 03:04:05.600000"'],
    ["CAST(TIME'-01:02:03' AS JSON)", '"-01:02:03.000000"'],
    ["CAST(DATE'2026-01-02' AS JSON)", '"2026-01-02"'],
    ["CAST(X'FF00' AS JSON)", '"base64:type15:/wA="'],
  ],
  ['VECTOR(2)', ["STRING_TO_VECTOR('[1,2]')", '0000803f00000040']],
  ['VARCHAR(40) COLLATE utf8mb4_0900_as_cs', ["'ß '", 'ß ']],
  ['VARCHAR(40) COLLATE utf8mb4_ja_0900_as_cs_ks', ["'カ'", 'カ']],
  ['VARCHAR(40) CHARACTER SET gb18030', ["'中文€'", '中文€']],
  ['INT INVISIBLE', ['7', '7']],
];

const CASES: readonly Case[] = [
  ['TINYINT', ['-128', '-128'], ['127', '127'], ['0', '0']],
  ['TINYINT UNSIGNED', ['255', '255']],
  ['TINYINT(1)', ['1', '1'], ['0', '0']],
  ['SMALLINT', ['-32768', '-32768'], ['32767', '32767']],
  ['SMALLINT UNSIGNED', ['65535', '65535']],
  ['YEAR', ['0', '0'], ['1901', '1901'], ['2155', '2155']],
  ['MEDIUMINT', ['-8388608', '-8388608'], ['8388607', '8388607']],
  ['MEDIUMINT UNSIGNED', ['16777215', '16777215']],
  ['INT', ['-2147483648', '-2147483648'], ['2147483647', '2147483647']],
  ['INT UNSIGNED ZEROFILL', ['42', '42'], ['4294967295', '4294967295']],
  [
    'BIGINT',
    ['-9223372036854775808', '-9223372036854775808'],
    ['9223372036854775807', '9223372036854775807'],
    ['-9007199254740993', '-9007199254740993'],
    ['9007199254740993', '9007199254740993'],
    ['-1', '-1'],
  ],
  ['BIGINT UNSIGNED', ['18446744073709551615', '18446744073709551615'], ['0', '0']],
  ['BIT(1)', ["b'1'", '1']],
  ['BIT(12)', ["b'100000000001'", '2049']],
  ['BIT(64)', ["X'FFFFFFFFFFFFFFFF'", '18446744073709551615'], ['0', '0']],
  [
    'DECIMAL(12,2)',
    ['-0.10', '-0.10'],
    ['0', '0.00'],
    ['-0.001', '0.00'],
    ['9999999999.99', '9999999999.99'],
    ['-9999999999.99', '-9999999999.99'],
    ['100000000', '100000000.00'],
  ],
  ['DECIMAL(9,0)', ['999999999', '999999999'], ['-1', '-1']],
  ['DECIMAL(5,5)', ['-0.00001', '-0.00001'], ['0.5', '0.50000']],
  [
    'DECIMAL(65,30)',
    [
      '-12345678901234567890123456789012345.000000000000000000000000000001',
      '-12345678901234567890123456789012345.000000000000000000000000000001',
    ],
    ['1000000000000000000', '1000000000000000000.000000000000000000000000000000'],
  ],
  [
    'FLOAT',
    ['0.1', '0.1'],
    ['16777216', '16777216'],
    ['-3.40282e38', '-3.40282e+38'],
    ['1.17549e-38', '1.17549e-38'],
    ['3.14159274', '3.1415927'],
    ['0', '0'],
  ],
  [
    'DOUBLE',
    ['0.1', '0.1'],
    ['1.7976931348623157e308', '1.7976931348623157e+308'],
    ['2.2250738585072014e-308', '2.2250738585072014e-308'],
    ['-1e21', '-1e+21'],
    ['123456789.123456789', '123456789.12345679'],
  ],
  ['DOUBLE(10,2)', ['1.5', '1.5']],
  ['DATE', ["'1000-01-01'", '1000-01-01'], ["'9999-12-31'", '9999-12-31']],
  ['DATE', ["'0000-00-00'", '0000-00-00'], ["'2026-00-00'", '2026-00-00']],
  ['TIME', ["'-838:59:59'", '-838:59:59'], ["'838:59:59'", '838:59:59'], ["'0'", '00:00:00']],
  ['TIME(1)', ["'-00:00:00.1'", '-00:00:00.1'], ["'12:00:00.5'", '12:00:00.5']],
  ['TIME(3)', ["'-01:02:03.045'", '-01:02:03.045'], ["'00:00:00.100'", '00:00:00.1']],
  ['TIME(6)', ["'-838:59:58.999999'", '-838:59:58.999999'], ["'1:00'", '01:00:00']],
  ['DATETIME', ["'1000-01-01 00:00:00'", '1000-01-01T00:00:00']],
  ['DATETIME', ["'0000-00-00 00:00:00'", '0000-00-00T00:00:00']],
  ['DATETIME(2)', ["'2026-12-31 23:59:59.10'", '2026-12-31T23:59:59.1']],
  ['DATETIME(4)', ["'2026-12-31 23:59:59.0001'", '2026-12-31T23:59:59.0001']],
  ['DATETIME(6)', ["'9999-12-31 23:59:59.999999'", '9999-12-31T23:59:59.999999']],
  ['TIMESTAMP NULL', ["'1970-01-01 00:00:01'", '1970-01-01T00:00:01Z']],
  ['TIMESTAMP NULL', ["'2038-01-19 03:14:07'", '2038-01-19T03:14:07Z']],
  ['TIMESTAMP NULL', ["'0000-00-00 00:00:00'", '0000-00-00T00:00:00Z']],
  ['TIMESTAMP(3) NULL', ["'2026-03-29 02:30:00.120'", '2026-03-29T02:30:00.12Z']],
  ['TIMESTAMP(6) NULL', ["'2026-10-25 01:30:00.000001'", '2026-10-25T01:30:00.000001Z']],
  ['CHAR(10)', ["'pad'", 'pad'], ["'  x '", '  x'], ["''", '']],
  ['CHAR(255) CHARACTER SET utf8mb4', ["REPEAT('😀', 255)", '😀'.repeat(255)]],
  ['VARCHAR(40)', ["'trailing '", 'trailing '], ["'Zoë 😀 \\n\\'\"'", 'Zoë 😀 \n\'"']],
  ['VARCHAR(2000)', ["REPEAT('ab', 1000)", 'ab'.repeat(1000)], ["'short'", 'short']],
  ['VARCHAR(40) CHARACTER SET latin1', ["'€uro Ünï'", '€uro Ünï'], ["X'81'", '\u0081']],
  ['VARCHAR(40) CHARACTER SET cp1250', ["'Žluťoučký'", 'Žluťoučký']],
  ['VARCHAR(40) CHARACTER SET cp850', ["'é±'", 'é±']],
  ['VARCHAR(40) CHARACTER SET koi8r', ["'Привет'", 'Привет']],
  ['VARCHAR(40) CHARACTER SET greek', ["'Καλημέρα'", 'Καλημέρα']],
  ['VARCHAR(40) CHARACTER SET sjis', ["'カタカナ'", 'カタカナ']],
  ['VARCHAR(40) CHARACTER SET gbk', ["'中文'", '中文']],
  ['VARCHAR(40) CHARACTER SET big5', ["'中文'", '中文']],
  ['VARCHAR(40) CHARACTER SET euckr', ["'한국어'", '한국어']],
  ['VARCHAR(40) CHARACTER SET ujis', ["'漢字'", '漢字']],
  ['VARCHAR(40) CHARACTER SET utf8mb3', ["'naïve'", 'naïve']],
  ['VARCHAR(40) CHARACTER SET ucs2', ["'déjà'", 'déjà']],
  ['VARCHAR(40) CHARACTER SET utf16', ["'a😀b'", 'a😀b']],
  ['VARCHAR(40) CHARACTER SET utf16le', ["'a😀b'", 'a😀b']],
  ['VARCHAR(40) CHARACTER SET utf32', ["'a😀b'", 'a😀b']],
  ['TINYTEXT', ["'t'", 't']],
  ['MEDIUMTEXT', ["REPEAT('m', 70000)", 'm'.repeat(70000)]],
  ['LONGTEXT', ['\'{"b": 1}\'', '{"b": 1}']],
  ['BINARY(4)', ["X'0001'", '00010000'], ["X'FF00FF00'", 'ff00ff00'], ["''", '00000000']],
  ['VARBINARY(4)', ["X'0001'", '0001'], ["''", '']],
  ['BLOB', ["X'00FF10'", '00ff10']],
  ["ENUM('x','it''s','é')", ["'it''s'", "it's"], ["'é'", 'é'], ['0', '']],
  ["ENUM('a','b') CHARACTER SET latin1", ["'b'", 'b']],
  ["SET('z','a','é')", ["'z,a'", '["a","z"]'], ["''", '[]'], ["'é'", '["é"]']],
  [
    'JSON',
    ['\'{"b": [1.0, 2e3, {"z": null}], "a": "x", "10": 1, "9": 2}\'', JSON_TEXT],
    ["'[]'", '[]'],
    ['\'"😀 \\\\u00e9"\'', '"😀 é"'],
  ],
  ['GEOMETRY', ['POINT(1, 2)', '000000000101000000000000000000f03f0000000000000040']],
  ...(product === 'MariaDB' ? MARIADB_ONLY : MYSQL_ONLY),
];

const columns = CASES.map((_, i) => `c${i}`);
const spec: TableSpec = table('every', ['id'], ['id', ...columns]);
const longest = Math.max(...CASES.map(([, ...values]) => values.length));

/** Row n has the n-th value of every column, NULL where there are not so many; the last is NULL. */
const sqlRow = (n: number): string =>
  [String(n), ...CASES.map(([, ...values]) => values[n]?.[0] ?? 'NULL')].join(', ');
const textRow = (n: number): Cell[] => [
  String(n),
  ...CASES.map(([, ...values]) => values[n]?.[1] ?? null),
];

type Settings = Readonly<Record<string, Readonly<Record<string, string>>>>;
const SETTINGS: Settings = {
  'full metadata': {},
  'minimal metadata and images': {
    'binlog-row-metadata': 'MINIMAL',
    'binlog-row-image': 'MINIMAL',
  },
  'no checksums': { 'binlog-checksum': 'NONE' },
};
const PRODUCT_SETTINGS: Readonly<Record<typeof product, Settings>> = {
  MariaDB: {
    'no metadata': { 'binlog-row-metadata': 'NO_LOG' },
    'compressed events': { 'log-bin-compress': 'ON', 'log-bin-compress-min-len': '10' },
  },
  MySQL: {
    'compressed transactions': { 'binlog-transaction-compression': 'ON' },
    'no GTIDs': { 'gtid-mode': 'OFF', 'enforce-gtid-consistency': 'OFF' },
    'images without large values': { 'binlog-row-image': 'NOBLOB' },
  },
};

const settingsToTry: Settings =
  mariadbReplacement() === undefined
    ? { ...SETTINGS, ...PRODUCT_SETTINGS[product] }
    : { 'the settings that it has': {} };

describe.each(Object.entries(settingsToTry))('with %s', (_, settings) => {
  let server: TestServer;
  let changes: Change[];
  let read: readonly (readonly Cell[])[];

  beforeAll(async () => {
    server = await startMariadb({ settings });
    await using client = await mysqlClient(server.url);
    await makeEnd(client);
    const types = CASES.map(([type], i) => `c${i} ${type}`).join(', ');
    await client.query("SET NAMES utf8mb4, sql_mode = '', time_zone = '+00:00'");
    await client.query(`CREATE TABLE every (id INT PRIMARY KEY, ${types}) CHARACTER SET utf8mb4`);
    await using source = await sourceOn(server, [spec, endTable]);
    const from = await source.start();
    const insert = `INSERT INTO every (${spec.columns.join(', ')})`;
    for (let n = 0; n <= longest; n++) await client.query(`${insert} SELECT ${sqlRow(n)}`);
    await client.query('UPDATE every SET c0 = 77 WHERE id = 0');
    await client.query('UPDATE every SET id = 1000 WHERE id = 1');
    await client.query('DELETE FROM every WHERE id = 2');
    changes = changesOf(await readToEnd(source, client, from));
    expect(changes.flatMap(({ detail }) => detail ?? [])).toEqual([]);
    const request = { table: spec, after: null, limit: 100 };
    read = (await source.read(request)).rows;
    if (settings['log-bin-compress'] !== undefined) {
      const [events] = await client.query("SHOW BINLOG EVENTS IN 'binlog.000001'");
      const types = new Set((events as { Event_type: string }[]).map((e) => e.Event_type));
      expect([...types].some((type) => /^Write_rows_compressed/i.test(type))).toBe(true);
    }
  });
  afterAll(() => server[Symbol.asyncDispose]());

  test('inserts have the canonical text of every value', () => {
    const inserts = changes.filter(({ op }) => op === 'insert');
    expect(inserts).toHaveLength(longest + 1);
    for (const [n, { row }] of inserts.entries()) {
      for (const [i, text] of textRow(n).entries()) {
        expect(row[i], `${CASES[i - 1]?.[0]} in row ${n}`).toBe(text);
      }
    }
  });

  test('the log and SELECT spell every value alike', () => {
    const state = new Map<string, Cell[]>();
    for (const { op, row, old } of changes) {
      const before = state.get(String((old ?? row)[0]));
      if (old !== null) state.delete(String(old[0]));
      if (op === 'delete') continue;
      state.set(
        String(row[0]),
        row.map((cell, i) => (cell === undefined ? before?.[i] : cell)),
      );
    }
    expect([...state.values()].sort((a, b) => Number(a[0]) - Number(b[0]))).toEqual(read);
  });

  test('updates and deletes have their keys, and leave out only what the log leaves out', () => {
    const minimal = settings['binlog-row-image'] === 'MINIMAL';
    const [value, key] = changes.filter(({ op }) => op === 'update');
    expect([value?.row[0], value?.row[1], value?.old]).toEqual(['0', '77', null]);
    expect(value?.row[2]).toBe(minimal ? undefined : textRow(0)[2]);
    expect([key?.row[0], key?.old?.[0]]).toEqual(['1000', '1']);
    const [gone] = changes.filter(({ op }) => op === 'delete');
    expect([gone?.row, gone?.old?.[0]]).toEqual([[], '2']);
  });
});

test('a TIMESTAMP is the same instant from sessions in three zones', async () => {
  await using server = await startMariadb();
  await using client = await mysqlClient(server.url);
  await makeEnd(client);
  await client.query('CREATE TABLE moments (id INT PRIMARY KEY, at TIMESTAMP(6) NULL)');
  const moments = table('moments', ['id'], ['id', 'at']);
  await using source = await sourceOn(server, [moments, endTable]);
  const from = await source.start();
  const zones = ['+00:00', '+05:30', '-11:00'];
  for (const [id, zone] of zones.entries()) {
    await client.query(`SET time_zone = '${zone}'`);
    const instant = `CONVERT_TZ('2026-06-30 22:15:00.000250', '+00:00', '${zone}')`;
    await client.query(`INSERT INTO moments SELECT ${id}, ${instant}`);
  }
  const rows = changesOf(await readToEnd(source, client, from)).map(({ row }) => row[1]);
  expect(rows).toEqual(zones.map(() => '2026-06-30T22:15:00.00025Z'));
  const request = { table: moments, after: null, limit: 10 };
  expect((await source.read(request)).rows.map((row) => row[1])).toEqual(rows);
});
