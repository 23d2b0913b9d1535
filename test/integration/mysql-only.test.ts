/** What MySQL has and MariaDB has not, on the server that CARRICK_MYSQLD or a URL names. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Connection } from 'mysql2/promise';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openApplier } from '../../connectors/mysql/applier.ts';
import { type MysqlOptions, parseOptions } from '../../connectors/mysql/config.ts';
import { openSession } from '../../connectors/mysql/session.ts';
import { setup } from '../../connectors/mysql/setup.ts';
import { openSource } from '../../connectors/mysql/source.ts';
import type { TableSpec } from '../../src/model/change.ts';
import {
  ensureServers,
  erpProduct,
  mysqlClient,
  needsControl,
  startMariadb,
  type TestServer,
} from '../support/index.ts';
import {
  changesOf,
  endTable,
  lineOf,
  makeEnd,
  readToEnd,
  sourceOn,
  table,
  whole,
} from './mysql-source-log.ts';

const reason = 'needs a MySQL: name its program in CARRICK_MYSQLD, or run `npm run test:engines`';
const isMysql = (await erpProduct()) === 'MySQL';

const optionsOf = (url: string): MysqlOptions => {
  const parsed = parseOptions({ url });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.options as MysqlOptions;
};

describe.skipIf(!isMysql)(isMysql ? 'MySQL' : `MySQL (${reason})`, () => {
  let server: TestServer;
  let client: Connection;

  beforeAll(async () => {
    await ensureServers();
    server = await startMariadb();
    client = await mysqlClient(server.url);
    await makeEnd(client);
    await using session = await openSession(optionsOf(server.url));
    await setup(session, { tables: [] });
  });
  afterAll(async () => {
    await client.end();
    await server[Symbol.asyncDispose]();
  });
  beforeEach(() => client.query('DROP TABLE IF EXISTS child, goods, docs, copied'));

  /** What the log has of `spec` because of `statements`, one line a change. */
  const read = async (spec: TableSpec, statements: string): Promise<string[]> => {
    await using source = await sourceOn(server, [spec, endTable]);
    const from = await source.start();
    await client.query(statements);
    return changesOf(await readToEnd(source, client, from)).map(lineOf);
  };

  describe('logs in', () => {
    const account = (name: string, how: string) =>
      client.query(`DROP USER IF EXISTS ${name}@'%';
        CREATE USER ${name}@'%' IDENTIFIED WITH caching_sha2_password BY 'p€ss ${name}' ${how};
        GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO ${name}@'%'`);
    const urlOf = (name: string, parameters = ''): string => {
      const url = new URL(server.url);
      url.username = name;
      url.password = encodeURIComponent(`p€ss ${name}`);
      return `${url.href}${parameters}`;
    };
    /** Logs in, reads a row of the log, and says how both connections are encrypted. */
    const cipher = async (url: string): Promise<string> => {
      const options = optionsOf(url);
      await using session = await openSession(options);
      const context = { system: 'erp', instance: 'main' };
      await using source = await openSource(options, [endTable], context);
      await readToEnd(source, client, await source.start());
      const [row] = await session.rows(`SHOW SESSION STATUS LIKE 'Ssl_version'`);
      return row?.[1] ?? '';
    };

    test('without TLS, whether the server has the password in its cache or not', async () => {
      await account('plain', '');
      await client.query('GRANT SELECT ON *.* TO plain@`%`; FLUSH PRIVILEGES');
      expect(await cipher(urlOf('plain'))).toBe('');
      expect(await cipher(urlOf('plain'))).toBe('');
    });

    test('with TLS where an account asks for it, and is told so without', async () => {
      await account('tls', 'REQUIRE SSL');
      await client.query('GRANT SELECT ON *.* TO tls@`%`');
      await expect(cipher(urlOf('tls'))).rejects.toThrow(/Access denied/);
      expect(await cipher(urlOf('tls', '?ssl-mode=required'))).toMatch(/^TLSv1/);
    });

    test('with the authority verified, and no other one', async (context) => {
      needsControl(context, server);
      await account('verified', '');
      await client.query('GRANT SELECT ON *.* TO verified@`%`');
      const ca = join(server.dataDir!, 'ca.pem');
      expect(readFileSync(ca, 'utf8')).toContain('CERTIFICATE');
      expect(await cipher(urlOf('verified', `?ssl-mode=VERIFY_CA&ssl-ca=${ca}`))).toMatch(/^TLS/);
      // What the server made for itself is of no known authority, and not for this host.
      await expect(cipher(urlOf('verified', '?ssl-mode=VERIFY_CA'))).rejects.toThrow(/certificate/);
      const identity = `?ssl-mode=VERIFY_IDENTITY&ssl-ca=${ca}`;
      await expect(cipher(urlOf('verified', identity))).rejects.toThrow();
    });

    test('is told what to do where the server takes encrypted connections alone', async () => {
      await client.query('SET GLOBAL require_secure_transport = ON');
      try {
        const options = optionsOf(server.url);
        await using applier = openApplier(options, 'tls');
        await expect(applier.committed()).rejects.toMatchObject({
          code: 'target.denied',
          fix: expect.stringContaining('ssl-mode'),
        });
        await using encrypted = openApplier({ ...options, sslMode: 'REQUIRED' }, 'tls');
        expect(await encrypted.committed()).toBe(0);
      } finally {
        await using root = await mysqlClient(`${server.url}?ssl={"rejectUnauthorized":false}`);
        await root.query('SET GLOBAL require_secure_transport = OFF');
      }
    });
  });

  test('has digests where it has MD5, and else says that it has none', async () => {
    await client.query(`CREATE TABLE goods (id INT PRIMARY KEY); INSERT INTO goods VALUES (1)`);
    const has = await client.query(`SELECT MD5('')`).then(
      () => true,
      () => false,
    );
    const goods = table('goods', ['id'], ['id']);
    await using source = await sourceOn(server, [goods]);
    const digest = await source.digest!({
      ...{ table: goods, after: null, limit: 10, bits: 4, among: null, marker: 'erp' },
      fields: [{ column: 'id', kind: 'integer', scale: 0, codes: null, clean: [] }],
    });
    expect(digest?.rows ?? null).toBe(has ? 1 : null);
  });

  describe('GTIDs', () => {
    const goods = table('goods', ['id'], ['id']);
    beforeEach(() => client.query('CREATE TABLE goods (id INT PRIMARY KEY)'));

    test('with a tag, and of several servers, name transactions and positions', async () => {
      await using source = await sourceOn(server, [goods, endTable]);
      const from = await source.start();
      await client.query(`SET gtid_next = 'AUTOMATIC:carrick_test'; INSERT INTO goods VALUES (1);
        SET gtid_next = '00000000-0000-4000-8000-00000000000a:7'; INSERT INTO goods VALUES (2);
        SET gtid_next = '00000000-0000-4000-8000-00000000000a:tag:9'; INSERT INTO goods VALUES (3);
        SET gtid_next = 'AUTOMATIC'; INSERT INTO goods VALUES (4)`);
      const batches = await readToEnd(source, client, from);
      expect(changesOf(batches).map(lineOf)).toEqual([1, 2, 3, 4].map((n) => `insert goods ${n}`));
      const names = whole(batches).map(({ id }) => id);
      expect(names[0]).toMatch(/:carrick_test:1$/);
      expect(names[1]).toBe('00000000-0000-4000-8000-00000000000a:7');
      expect(names[2]).toBe('00000000-0000-4000-8000-00000000000a:tag:9');
      const to = await source.start();
      expect(to).toContain('00000000-0000-4000-8000-00000000000a:7:tag:9');
      await client.query('INSERT INTO goods VALUES (5)');
      // The server itself understands the position with its tags, and begins where it ends.
      expect(changesOf(await readToEnd(source, client, to)).map(lineOf)).toEqual([
        'insert goods 5',
      ]);
    });

    test('go on while the source keeps its position by file', async (context) => {
      needsControl(context, server);
      await using own = await startMariadb({ settings: { 'gtid-mode': 'OFF' } });
      await using there = await mysqlClient(own.url);
      await makeEnd(there);
      await there.query('CREATE TABLE goods (id INT PRIMARY KEY)');
      await using source = await sourceOn(own, [goods, endTable]);
      const from = await source.start();
      expect(from).toMatch(/^file@[0-9a-f-]{36}:binlog\.\d+:\d+$/);
      await there.query('INSERT INTO goods VALUES (1)');
      const change = (mode: string) => there.query(`SET GLOBAL gtid_mode = ${mode}`);
      for (const mode of ['OFF_PERMISSIVE', 'ON_PERMISSIVE']) {
        await change(mode);
        await there.query('INSERT INTO goods SELECT MAX(id) + 1 FROM goods');
      }
      const batches = await readToEnd(source, there, from);
      const lines = changesOf(batches).map(lineOf);
      expect(lines).toEqual([1, 2, 3].map((n) => `insert goods ${n}`));
      await change('ON');
      const last = batches.at(-1)!.position;
      await there.query('INSERT INTO goods VALUES (4)');
      expect(
        changesOf(await readToEnd(source, there, last))
          .map(lineOf)
          .at(-1),
      ).toBe('insert goods 4');
      const behind = { code: 'source.unsupported', fix: expect.stringContaining('ON_PERMISSIVE') };
      await expect(readToEnd(source, there, from)).rejects.toMatchObject(behind);
      const byGtid = await source.start();
      expect(byGtid).toMatch(/^mysql:/);
      for (const mode of ['ON_PERMISSIVE', 'OFF_PERMISSIVE', 'OFF']) await change(mode);
      await expect(readToEnd(source, there, byGtid)).rejects.toMatchObject(behind);
    });
  });

  test('partial JSON updates give whole documents, changed in all their ways', async () => {
    const docs = table('docs', ['id'], ['id', 'doc', 'note']);
    await client.query(`CREATE TABLE docs (id INT PRIMARY KEY, other JSON, doc JSON, note TEXT)`);
    const document = JSON.stringify({ a: { b: [1, 2, { 'x.y "q"': 'old' }] }, n: 1, gone: true });
    const lines = await read(
      docs,
      `SET binlog_row_value_options = PARTIAL_JSON;
      INSERT INTO docs VALUES (1, '{"k": 1}', '${document.replaceAll('\\', '\\\\')}', 'n'),
        (2, '[1, 2, 3]', NULL, 'n');
      UPDATE docs
        SET doc = JSON_SET(doc, '$.a.b[2]."x.y \\\\"q\\\\""', 'new', '$.n', 2.50) WHERE id = 1;
      UPDATE docs SET doc = JSON_REMOVE(doc, '$.gone', '$.a.b[0]') WHERE id = 1;
      UPDATE docs SET doc = JSON_ARRAY_INSERT(doc, '$.a.b[0]', 'first') WHERE id = 1;
      UPDATE docs SET other = JSON_SET(other, '$.k', 2), note = 'm' WHERE id = 1;
      UPDATE docs SET doc = JSON_OBJECT('fresh', 1) WHERE id = 2;
      SET binlog_row_value_options = ''`,
    );
    const [stored] = (await client.query('SELECT CAST(doc AS CHAR) AS d FROM docs'))[0] as [
      { d: string },
    ];
    expect(lines.slice(2)).toEqual([
      'update docs 1|{"a":{"b":[1,2,{"x.y \\"q\\"":"new"}]},"gone":true,"n":2.50}|n',
      'update docs 1|{"a":{"b":[2,{"x.y \\"q\\"":"new"}]},"n":2.50}|n',
      'update docs 1|{"a":{"b":["first",2,{"x.y \\"q\\"":"new"}]},"n":2.50}|n',
      'update docs 1|{"a":{"b":["first",2,{"x.y \\"q\\"":"new"}]},"n":2.50}|m',
      'update docs 2|{"fresh":1}|n',
    ]);
    expect(JSON.parse(stored.d)).toEqual({ a: { b: ['first', 2, { 'x.y "q"': 'new' }] }, n: 2.5 });
  });

  test('partial JSON without full images says what to change', async () => {
    await client.query(`CREATE TABLE docs (id INT PRIMARY KEY, doc JSON)`);
    const work = read(
      table('docs', ['id'], ['id', 'doc']),
      `INSERT INTO docs VALUES (1, '{"a": 1, "b": "${'x'.repeat(100)}"}');
      SET binlog_row_value_options = PARTIAL_JSON, binlog_row_image = MINIMAL;
      UPDATE docs SET doc = JSON_SET(doc, '$.a', 2);
      SET binlog_row_value_options = '', binlog_row_image = FULL`,
    );
    await expect(work).rejects.toMatchObject({
      code: 'source.unsupported',
      fix: expect.stringContaining('binlog_row_image=FULL'),
    });
  });

  test('CREATE TABLE … SELECT is one transaction with its rows', async () => {
    const copied = table('copied', ['id'], ['id', 'v']);
    await client.query(`CREATE TABLE goods (id INT PRIMARY KEY, v VARCHAR(5));
      INSERT INTO goods VALUES (1, 'a'), (2, 'b');
      CREATE TABLE copied (id INT PRIMARY KEY, v VARCHAR(5))`);
    const lines = await read(
      copied,
      `DROP TABLE copied; CREATE TABLE copied (PRIMARY KEY (id)) SELECT * FROM goods;
      INSERT INTO copied VALUES (3, 'c')`,
    );
    expect(lines.filter((line) => !line.startsWith('drift'))).toEqual([
      'insert copied 1|a',
      'insert copied 2|b',
      'insert copied 3|c',
    ]);
  });

  test('invisible, generated and functional columns stand where they should', async () => {
    await client.query(`SET sql_generate_invisible_primary_key = ON;
      CREATE TABLE goods (name VARCHAR(20), price INT, hidden INT INVISIBLE DEFAULT 5,
        gross INT AS (price * 2) VIRTUAL, net INT AS (price + 1) STORED, INDEX ((price * 3)));
      SET sql_generate_invisible_primary_key = OFF`);
    const goods = table('goods', ['my_row_id'], ['my_row_id', 'name', 'hidden', 'net', 'gross']);
    const lines = await read(
      goods,
      `INSERT INTO goods (name, price) VALUES ('a', 10), ('b', 20);
      UPDATE goods SET hidden = 6, price = 11 WHERE name = 'a'; DELETE FROM goods WHERE price = 20`,
    );
    expect(lines).toEqual([
      'insert goods 1|a|5|11|20',
      'insert goods 2|b|5|21|40',
      'update goods 1|a|6|12|22',
      'delete goods  < 2|b|5|21|40',
    ]);
    await using source = await sourceOn(server, [goods]);
    const { rows } = await source.read({ table: goods, after: null, limit: 9 });
    expect(rows).toEqual([['1', 'a', '6', '12', '22']]);
    await using applier = openApplier(optionsOf(server.url), 'hidden');
    await using transaction = await applier.begin((await applier.committed()) + 1);
    const outcomes = await transaction.write({
      op: 'insert',
      table: 'goods',
      key: ['my_row_id'],
      columns: ['name', 'hidden'],
      compare: [],
      guards: [],
      rows: ['c', 'd'].map((name) => ({ key: null, values: [name, '1'], expect: [] })),
    });
    await transaction.commit();
    expect(outcomes).toEqual([
      { kind: 'applied', key: ['3'] },
      { kind: 'applied', key: ['4'] },
    ]);
  });

  test.each([
    ['9007199254740993', '9007199254740994'],
    ['9223372036854775807', '9223372036854775808'],
    ['18446744073709551000', '18446744073709551001'],
  ])('the key %s is generated, told and read exactly', async (...keys) => {
    await client.query(`CREATE TABLE goods (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, v INT)
      AUTO_INCREMENT = ${keys[0]}`);
    const goods = table('goods', ['id'], ['id', 'v']);
    await using source = await sourceOn(server, [goods, endTable]);
    const from = await source.start();
    await using applier = openApplier(optionsOf(server.url), 'large');
    const batch = (await applier.committed()) + 1;
    await using transaction = await applier.begin(batch);
    const outcomes = await transaction.write({
      op: 'insert',
      table: 'goods',
      key: ['id'],
      columns: ['v'],
      compare: [],
      guards: [],
      rows: keys.map((_, v) => ({ key: null, values: [String(v)], expect: [] })),
    });
    await transaction.commit();
    expect(outcomes).toEqual(keys.map((key) => ({ kind: 'applied', key: [key] })));
    const logged = whole(await readToEnd(source, client, from));
    expect(logged.at(-1)?.mark).toEqual({ instance: 'large', lane: 'deliver', batch });
    const lines = logged.flatMap(({ changes }) => changes).map(lineOf);
    expect(lines).toEqual(keys.map((key, v) => `insert goods ${key}|${v}`));
  });

  test('what a foreign key changes is in the log, unless InnoDB does it', async () => {
    await client.query(`CREATE TABLE goods (id INT PRIMARY KEY);
      CREATE TABLE child (id INT PRIMARY KEY, parent INT,
        FOREIGN KEY (parent) REFERENCES goods (id) ON DELETE CASCADE ON UPDATE CASCADE);
      INSERT INTO goods VALUES (1), (2); INSERT INTO child VALUES (10, 1), (20, 2)`);
    const lines = await read(
      table('child', ['id'], ['id', 'parent']),
      'UPDATE goods SET id = 3 WHERE id = 2; DELETE FROM goods WHERE id = 1',
    );
    const [[setting] = []] = (await client.query({
      sql: `SHOW GLOBAL VARIABLES LIKE 'innodb_native_foreign_keys'`,
      rowsAsArray: true,
    })) as unknown as [[[string, string]?]];
    const logged = ['update child 20|3', 'delete child  < 10|1'];
    expect(lines).toEqual(setting?.[1] === 'OFF' ? logged : []);
  });

  test('a compressed transaction of many rows is handed over in parts', async () => {
    await client.query('CREATE TABLE goods (id INT PRIMARY KEY, v VARCHAR(50))');
    const goods = table('goods', ['id'], ['id', 'v']);
    await using source = await sourceOn(server, [goods, endTable]);
    const from = await source.start();
    const rows = Array.from({ length: 9000 }, (_, id) => `(${id}, REPEAT('v${id % 7}', 20))`);
    await client.query(`SET binlog_transaction_compression = ON;
      INSERT INTO goods VALUES ${rows.join(', ')}; SET binlog_transaction_compression = OFF`);
    const batches = await readToEnd(source, client, from);
    expect(changesOf(batches)).toHaveLength(9000);
    expect(batches.length).toBeGreaterThan(3);
    const middle = batches[1]!;
    const rest = changesOf(await readToEnd(source, client, middle.position));
    const before = changesOf(batches.slice(0, 2)).length;
    expect(rest).toHaveLength(9000 - before);
  });
});
