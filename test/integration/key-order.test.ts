/**
 * Chunks go by the database's own order, whatever that is: each row is met once, by pages of any
 * size, and found by its key.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import type { TableSpec } from '../../src/model/change.ts';
import { rowKey, type Value } from '../../src/model/value.ts';
import { systemOf } from '../conformance/installation.ts';
import { type Sql, serversOfFile } from './installation.ts';

const WORDS = [
  ...[
    '',
    ' ',
    'a',
    'A',
    'ä',
    'ae',
    'AE',
    'a b',
    'a-b',
    'ab',
    'b',
    'z',
    'Z',
    'Å',
    'å',
    'é',
    'e',
    'É',
  ],
  ...['ß', 'ss', 'SS', 'sz', 'œ', 'oe', 'i', 'I', 'ı', 'İ', 'ñ', 'n', 'o', 'ö', '10', '9', '010'],
  ...[
    '-',
    '_',
    '%',
    "it's",
    'back\\slash',
    '"quoted"',
    '日本',
    '日',
    '😀',
    'ﬁ',
    'fi',
    'a\u0301',
    'á',
  ],
];

const servers = serversOfFile();
beforeAll(async () => {
  await servers.crm(`create collation fold
    (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`);
  await servers.crm(`create collation phonebook (provider = icu, locale = 'de-u-co-phonebk')`);
});

const quoted = (word: string, backslash: string): string =>
  `'${word.replaceAll('\\', backslash).replaceAll("'", "''")}'`;

/** Rows that a unique key does not bear are left out by the server. */
async function fill(sql: Sql, isPostgres: boolean, table: string): Promise<void> {
  const rows = WORDS.flatMap((word) => {
    const text = quoted(word, isPostgres ? '\\' : '\\\\');
    return [1, 2].map((n) => `(${text}, ${n})`);
  });
  const [insert, ignore] = isPostgres
    ? ['insert', 'on conflict do nothing']
    : ['insert ignore', ''];
  for (const row of rows) await sql(`${insert} into ${table} (word, n) values ${row} ${ignore}`);
}

async function walked(connector: string, url: string, table: TableSpec, limit: number) {
  await using system = await systemOf(connector, { url }, 'walk');
  await using source = await system.source([table]);
  const met: string[] = [];
  const keys: (readonly Value[])[] = [];
  const keyOf = (row: readonly (Value | undefined)[]): Value[] =>
    table.key.map((name) => row[table.columns.indexOf(name)] ?? null);
  for (let after: readonly Value[] | null = null; met.length < 500; ) {
    const chunk = await source.read({ table, after, limit });
    for (const row of chunk.rows) {
      met.push(rowKey(keyOf(row)));
      keys.push(keyOf(row));
    }
    if (chunk.next === null) break;
    after = chunk.next;
  }
  const named = await source.read({ table, after: null, limit: 500, keys });
  return { met, named: named.rows.map((row) => rowKey(keyOf(row))) };
}

async function holds(side: 'crm' | 'erp', name: string, type: string): Promise<void> {
  const isPostgres = side === 'crm';
  const sql = servers[side];
  for (const key of [['word'], ['word', 'n'], ['n', 'word']]) {
    const table = `${name}_${key.join('_')}`;
    await sql(`create table ${table} (word ${type} not null, n int not null,
      primary key (${key.join(', ')}))`);
    await fill(sql, isPostgres, table);
    const rows = await sql(`select ${key.join(', ')} from ${table}`);
    // What fills a CHAR up is no part of its value.
    const cell = (text: Value): string =>
      type.startsWith('char') ? String(text).replace(/ +$/, '') : String(text);
    const expected = rows.map((row) => rowKey(row.map(cell))).sort();
    expect(expected.length).toBeGreaterThan(20);
    const spec = { name: isPostgres ? `public.${table}` : table, key, columns: ['n', 'word'] };
    for (const limit of [1, 7, 500]) {
      const connector = isPostgres ? 'postgres' : 'mysql';
      const { met, named } = await walked(connector, servers.urls[side], spec, limit);
      expect(met.length, `${table} by ${limit}`).toBe(expected.length);
      expect([...met].sort(), `${table} by ${limit}`).toEqual(expected);
      expect([...named].sort(), `${table} by name`).toEqual(expected);
    }
  }
}

describe('PostgreSQL', () => {
  test.each([
    ['c', 'text collate "C"'],
    ['icu', 'varchar(40) collate "en-x-icu"'],
    ['phonebook', 'text collate phonebook'],
    ['folded', 'text collate fold'],
    ['padded', 'char(20) collate "de-x-icu"'],
  ])('text keys: %s', (name, type) => holds('crm', name, type));
});

describe('MariaDB', () => {
  test.each([
    ['unicode_ci', 'varchar(40) character set utf8mb4 collate utf8mb4_unicode_ci'],
    ['general_ci', 'varchar(40) character set utf8mb4 collate utf8mb4_general_ci'],
    ['binary', 'varchar(40) character set utf8mb4 collate utf8mb4_bin'],
    ['swedish', 'varchar(40) character set utf8mb4 collate utf8mb4_swedish_ci'],
    ['german2', 'varchar(40) character set utf8mb4 collate utf8mb4_german2_ci'],
    ['turkish', 'char(40) character set utf8mb4 collate utf8mb4_turkish_ci'],
    ['nopad', 'varchar(40) character set utf8mb4 collate utf8mb4_nopad_bin'],
    ['latin', 'varchar(40) character set latin1 collate latin1_german2_ci'],
  ])('text keys: %s', (name, type) => holds('erp', name, type));
});
