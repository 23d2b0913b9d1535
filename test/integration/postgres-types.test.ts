import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TableSpec } from '../../src/model/change.ts';
import type { ColumnKind, Value } from '../../src/model/value.ts';
import { pgClient, startPostgres, type TestServer } from '../support/index.ts';
import { changesOf, collect, install } from './postgres-fixture.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startPostgres();
  await using db = await pgClient(server.url);
  await db.query(`
    create type mood as enum ('so so', 'fine');
    create type pair as (a int, b text);
    create domain email as varchar(20) check (value ~ '@');
    create domain cents as int;
    create domain money_cents as cents`);
});
afterAll(() => server[Symbol.asyncDispose]());

/** Type, kind, then literals with the value each is read as. */
const TYPES: readonly [string, ColumnKind, ...[string, Value][]][] = [
  [
    'text',
    'string',
    [`''`, ''],
    [`E'a\\nb ü 𝄞 '`, 'a\nb ü 𝄞 '],
    [`repeat('x', 5000)`, 'x'.repeat(5000)],
  ],
  ['varchar(5)', 'string', [`'ab '`, 'ab ']],
  ['char(5)', 'string', [`'ab'`, 'ab'], [`'     '`, '']],
  ['"char"', 'string', [`'q'`, 'q']],
  ['name', 'string', [`'n'`, 'n']],
  ['mood', 'string', [`'so so'`, 'so so']],
  ['email', 'string', [`'A@b'`, 'A@b']],
  ['xml', 'string', [`'<a>ü</a>'`, '<a>ü</a>']],
  ['boolean', 'boolean', ['true', 'true'], ['false', 'false']],
  ['smallint', 'integer', ['-32768', '-32768']],
  ['integer', 'integer', ['0', '0']],
  ['bigint', 'integer', ['9223372036854775807', '9223372036854775807']],
  ['money_cents', 'integer', ['12', '12']],
  ['numeric(12,2)', 'decimal', ['1.1', '1.10'], ['-0.001', '0.00']],
  [
    'numeric',
    'decimal',
    [`'12345678901234567890.0123456789'`, '12345678901234567890.0123456789'],
    [`'NaN'`, 'NaN'],
    [`'-Infinity'`, '-Infinity'],
  ],
  [
    'real',
    'float',
    ['0.1', '0.1'],
    ['3.4028235e38', '3.4028235e+38'],
    [`'NaN'`, 'NaN'],
    ['16777216', '16777216'],
    [`'1e-45'`, '1e-45'],
  ],
  [
    'double precision',
    'float',
    ['0.1', '0.1'],
    ['1e20', '100000000000000000000'],
    [`'-Infinity'`, '-Infinity'],
    [`'-0'`, '0'],
    ['5e-324', '5e-324'],
  ],
  [
    'date',
    'date',
    [`'2024-02-29'`, '2024-02-29'],
    [`'infinity'`, 'infinity'],
    [`'0044-03-15 BC'`, '0044-03-15 BC'],
    [`'12000-01-01'`, '12000-01-01'],
  ],
  ['time', 'time', [`'24:00:00'`, '24:00:00'], [`'01:02:03.400'`, '01:02:03.4']],
  ['timetz', 'other', [`'01:02:03.4+02'`, '01:02:03.4+02']],
  [
    'timestamp',
    'datetime',
    [`'2024-05-01 10:00:00.123456'`, '2024-05-01T10:00:00.123456'],
    [`'infinity'`, 'infinity'],
    [`'0044-03-15 10:00:00 BC'`, '0044-03-15 10:00:00 BC'],
    [`'12000-01-01 00:00:00'`, '12000-01-01 00:00:00'],
  ],
  [
    'timestamptz',
    'timestamp',
    [`'2024-05-01 10:00:00.10+05:30'`, '2024-05-01T04:30:00.1Z'],
    [`'-infinity'`, '-infinity'],
    [`'0044-03-15 10:00:00+00 BC'`, '0044-03-15 10:00:00+00 BC'],
    [`'1890-01-01 00:00:00+00'`, '1890-01-01T00:00:00Z'],
  ],
  ['interval', 'other', [`'1 mon -3 days 04:05:06.7'`, '1 mon -3 days +04:05:06.7']],
  [
    'uuid',
    'uuid',
    [`'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'`, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
  ],
  [
    'json',
    'json',
    [
      `'{"b": 1.10, "a": [1, {"d":null,"c":"\\u0041"}], "b": 2e3}'`,
      '{"a":[1,{"c":"A","d":null}],"b":2e3}',
    ],
  ],
  [
    'jsonb',
    'json',
    [`'{"bb": 1.10, "a": 12345678901234567890123}'`, '{"a":12345678901234567890123,"bb":1.10}'],
    [`'"x"'`, '"x"'],
  ],
  ['bytea', 'bytes', [`'\\x00FF'`, '00ff'], [`''`, '']],
  [
    'text[]',
    'set',
    [`array['b','a','b']`, '["a","b"]'],
    [`'{}'`, '[]'],
    [`array['x"\\,{} ', 'null', '']`, '["","null","x\\"\\\\,{} "]'],
    [`array['a', null]`, '{a,NULL}'],
    [`'{{a,b}}'`, '{{a,b}}'],
    [`'[0:1]={a,b}'`, '[0:1]={a,b}'],
  ],
  ['varchar(3)[]', 'set', [`'{ü,z}'`, '["z","ü"]']],
  ['mood[]', 'set', [`'{so so,fine}'`, '["fine","so so"]']],
  ['char(3)[]', 'other', [`'{a}'`, '{"a  "}']],
  ['integer[]', 'other', [`'{2,1,NULL}'`, '{2,1,NULL}']],
  ['inet', 'other', [`'10.0.0.1'`, '10.0.0.1']],
  ['cidr', 'other', [`'10.0.0.0/8'`, '10.0.0.0/8']],
  ['int4range', 'other', [`'[1,5]'`, '[1,6)']],
  ['tstzrange', 'other', [`'[2024-01-01 00:00+02,)'`, '["2023-12-31 22:00:00+00",)']],
  ['bit(3)', 'other', [`B'101'`, '101']],
  ['money', 'other', [`'12.5'::numeric::money`, '$12.50']],
  ['pair', 'other', [`'(1,x)'`, '(1,x)']],
  ['point', 'other', [`'(1,2)'`, '(1,2)']],
  ['regclass', 'other', [`'pg_class'`, 'pg_class']],
];

const COLUMNS = TYPES.map((_, index) => `c${index}`);
const SPEC: TableSpec = { name: 'types', key: ['id'], columns: ['id', ...COLUMNS] };
const DDL = `
  drop table if exists types;
  create table types (id int primary key, ${TYPES.map(([type], i) => `c${i} ${type}`).join(', ')})`;

/** One row of NULLs, then one literal of each column a row until all have been used. */
function inserts(): string[] {
  const rounds = Math.max(...TYPES.map(([, , ...cases]) => cases.length));
  const rows = Array.from({ length: rounds }, (_, round) =>
    TYPES.map(([type, , ...cases]) => `(${cases[round]?.[0] ?? 'null'})::${type}`),
  );
  return [TYPES.map(() => 'null'), ...rows].map(
    (values, id) => `insert into types values (${[id, ...values].join(', ')})`,
  );
}

describe('every type', () => {
  test('is spelled alike by the log, by a chunk, and whatever the writer set', async () => {
    await using installation = await install(server, DDL, [SPEC]);
    const { db, system } = installation;
    const [described] = await system.describe(['types']);
    const kinds = described!.columns.slice(1).map(({ nativeType, kind }) => [nativeType, kind]);
    expect(kinds.map(([, kind]) => kind)).toEqual(TYPES.map(([, kind]) => kind));

    const source = installation.source();
    const start = await source.start();
    const settings = [
      `set timezone = 'UTC'`,
      `set timezone = 'Asia/Kolkata'; set datestyle = 'German'; set intervalstyle = 'iso_8601'`,
      `set timezone = 'America/St_Johns'; set bytea_output = 'escape'; set extra_float_digits = 0`,
    ];
    const expected: (readonly (Value | undefined)[])[] = [];
    for (const setting of settings) {
      await db.query(`${setting}; truncate types`);
      for (const sql of inserts()) await db.query(sql);
      const { rows } = await source.read({ table: SPEC, after: null, limit: 1000 });
      expected.push(...rows);
    }
    const batches = await collect(
      source,
      start,
      (changes) => changes.length === expected.length + settings.length,
    );
    const streamed = changesOf(batches).filter(({ op }) => op === 'insert');
    expect(streamed.map(({ row }) => row)).toEqual(expected);

    const rounds = expected.length / settings.length;
    const readAs = TYPES.flatMap(([type, , ...cases], column) =>
      cases.map(([literal], round) => [type, literal, expected[round + 1]![column + 1]]),
    );
    expect(readAs).toEqual(
      TYPES.flatMap(([type, , ...cases]) =>
        cases.map(([literal, value]) => [type, literal, value]),
      ),
    );
    expect(expected.slice(rounds)).toEqual([
      ...expected.slice(0, rounds),
      ...expected.slice(0, rounds),
    ]);
  });

  test('is written back as it was read, and compared as it was read', async () => {
    await using installation = await install(server, DDL, [SPEC]);
    const { db, system } = installation;
    for (const sql of inserts()) await db.query(sql);
    const source = installation.source();
    const { rows } = await source.read({ table: SPEC, after: null, limit: 1000 });
    await using applier = await system.applier();
    await using transaction = await applier.begin(1);
    const write = {
      op: 'update',
      table: 'types',
      key: ['id'],
      columns: COLUMNS,
      compare: COLUMNS,
      guards: [],
    } as const;
    const [nulls, ...full] = rows.map((row) => row.map((cell) => cell ?? null));
    const clear = full.map(([id, ...cells]) => ({
      key: [id!],
      values: nulls!.slice(1),
      expect: cells,
    }));
    expect(await transaction.write({ ...write, rows: clear })).toEqual(
      full.map(([id]) => ({ kind: 'applied', key: [id] })),
    );
    const restore = clear.map(({ key, values, expect }) => ({
      key,
      values: expect,
      expect: values,
    }));
    expect(await transaction.write({ ...write, rows: restore })).toEqual(
      full.map(([id]) => ({ kind: 'applied', key: [id] })),
    );
    expect(await transaction.write({ ...write, rows: restore })).toEqual(
      full.map(() => ({ kind: 'already' })),
    );
    await transaction.commit();
    const again = await source.read({ table: SPEC, after: null, limit: 1000 });
    // A set is written in its own order; everything else is the same to the byte.
    expect(again.rows).toEqual(rows);
  });
});
