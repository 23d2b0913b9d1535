import type { TypeCase } from '../driver.ts';

const ENDLESS = 'PostgreSQL has values beyond all others';
const BEFORE = 'years before 1 and after 9999 are as the database spells them';
const NO_SET = 'an array that is no set of strings is as the database spells it';

/** Every type family of PostgreSQL, with its extremes. */
export const types: readonly TypeCase[] = [
  {
    type: 'text',
    kind: 'string',
    cases: [
      [`''`, ''],
      [`E'a\\nb ü 𝄞 '`, 'a\nb ü 𝄞 '],
      [`repeat('x', 5000)`, 'x'.repeat(5000)],
      [`E'\\x01\\x1f\\x7f'`, '\x01\x1f\x7f'],
      [`'null'`, 'null'],
    ],
  },
  { type: 'varchar(5)', kind: 'string', cases: [[`'ab '`, 'ab ']] },
  {
    type: 'char(5)',
    kind: 'string',
    cases: [
      [`'ab'`, 'ab'],
      [`'     '`, ''],
    ],
  },
  { type: '"char"', kind: 'string', cases: [[`'q'`, 'q']] },
  { type: 'name', kind: 'string', cases: [[`'n'`, 'n']] },
  {
    type: 'mood',
    kind: 'string',
    made: `create type mood as enum ('so so', 'fine')`,
    cases: [[`'so so'`, 'so so']],
  },
  {
    type: 'email',
    kind: 'string',
    made: `create domain email as varchar(20) check (value ~ '@')`,
    cases: [[`'A@b'`, 'A@b']],
  },
  { type: 'xml', kind: 'string', cases: [[`'<a>ü</a>'`, '<a>ü</a>']] },
  {
    type: 'boolean',
    kind: 'boolean',
    cases: [
      ['true', 'true'],
      ['false', 'false'],
    ],
  },
  {
    type: 'smallint',
    kind: 'integer',
    cases: [
      ['-32768', '-32768'],
      ['32767', '32767'],
    ],
  },
  {
    type: 'integer',
    kind: 'integer',
    cases: [
      ['0', '0'],
      ['-2147483648', '-2147483648'],
      ['2147483647', '2147483647'],
    ],
  },
  {
    type: 'bigint',
    kind: 'integer',
    cases: [
      ['-9223372036854775808', '-9223372036854775808'],
      ['9223372036854775807', '9223372036854775807'],
    ],
  },
  {
    type: 'money_cents',
    kind: 'integer',
    made: 'create domain cents as int; create domain money_cents as cents',
    cases: [['12', '12']],
  },
  {
    type: 'numeric(12,2)',
    kind: 'decimal',
    cases: [
      ['1.1', '1.10'],
      ['-0.001', '0.00'],
      ['-9999999999.99', '-9999999999.99'],
      ['9999999999.99', '9999999999.99'],
    ],
  },
  {
    type: 'numeric',
    kind: 'decimal',
    cases: [
      [`'12345678901234567890.0123456789'`, '12345678901234567890.0123456789'],
      [`1e130`, `1${'0'.repeat(130)}`],
      [`1e-30`, `0.${'0'.repeat(29)}1`],
      [`'NaN'`, 'NaN'],
      [`'-Infinity'`, '-Infinity'],
    ],
    outside: [
      ['NaN', ENDLESS],
      ['-Infinity', ENDLESS],
    ],
  },
  {
    type: 'real',
    kind: 'float',
    cases: [
      ['0.1', '0.1'],
      ['3.4028235e38', '3.4028235e+38'],
      [`'NaN'`, 'NaN'],
      ['16777216', '16777216'],
      [`'1e-45'`, '1e-45'],
    ],
  },
  {
    type: 'double precision',
    kind: 'float',
    cases: [
      ['0.1', '0.1'],
      ['1e20', '100000000000000000000'],
      ['1e21', '1e+21'],
      [`'-Infinity'`, '-Infinity'],
      [`'-0'`, '0'],
      ['5e-324', '5e-324'],
      ['1.7976931348623157e308', '1.7976931348623157e+308'],
    ],
  },
  {
    type: 'date',
    kind: 'date',
    cases: [
      [`date '2024-02-29'`, '2024-02-29'],
      [`date '0001-01-01'`, '0001-01-01'],
      [`'infinity'`, 'infinity'],
      [`date '0044-03-15 BC'`, '0044-03-15 BC'],
      [`date '12000-01-01'`, '12000-01-01'],
    ],
    outside: [
      ['infinity', ENDLESS],
      ['0044-03-15 BC', BEFORE],
      ['12000-01-01', BEFORE],
    ],
  },
  {
    type: 'time',
    kind: 'time',
    cases: [
      [`'24:00:00'`, '24:00:00'],
      [`'01:02:03.400'`, '01:02:03.4'],
      [`'23:59:59.999999'`, '23:59:59.999999'],
    ],
  },
  { type: 'timetz', kind: 'other', cases: [[`'01:02:03.4+02'`, '01:02:03.4+02']] },
  {
    type: 'timestamp',
    kind: 'datetime',
    cases: [
      [`timestamp '2024-05-01 10:00:00.123456'`, '2024-05-01T10:00:00.123456'],
      [`timestamp '2024-03-31 02:30:00'`, '2024-03-31T02:30:00'],
      [`'infinity'`, 'infinity'],
      [`timestamp '0044-03-15 10:00:00 BC'`, '0044-03-15 10:00:00 BC'],
      [`timestamp '12000-01-01 00:00:00'`, '12000-01-01 00:00:00'],
    ],
    outside: [
      ['infinity', ENDLESS],
      ['0044-03-15 10:00:00 BC', BEFORE],
      ['12000-01-01 00:00:00', BEFORE],
    ],
  },
  {
    type: 'timestamptz',
    kind: 'timestamp',
    cases: [
      [`timestamptz '2024-05-01 10:00:00.10+05:30'`, '2024-05-01T04:30:00.1Z'],
      [`timestamptz '1890-01-01 00:00:00+00'`, '1890-01-01T00:00:00Z'],
      [`timestamptz '9999-12-31 23:59:59.999999+00'`, '9999-12-31T23:59:59.999999Z'],
      [`'-infinity'`, '-infinity'],
      [`timestamptz '0044-03-15 10:00:00+00 BC'`, '0044-03-15 10:00:00+00 BC'],
    ],
    outside: [
      ['-infinity', ENDLESS],
      ['0044-03-15 10:00:00+00 BC', BEFORE],
    ],
  },
  {
    type: 'interval',
    kind: 'other',
    cases: [[`interval '1 mon -3 days 04:05:06.7'`, '1 mon -3 days +04:05:06.7']],
  },
  {
    type: 'uuid',
    kind: 'uuid',
    cases: [[`'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'`, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11']],
  },
  {
    type: 'json',
    kind: 'json',
    cases: [
      [
        `'{"b": 1.10, "a": [1, {"d":null,"c":"\\u0041"}], "b": 2e3}'`,
        '{"a":[1,{"c":"A","d":null}],"b":2e3}',
      ],
    ],
  },
  {
    type: 'jsonb',
    kind: 'json',
    cases: [
      [`'{"bb": 1.10, "a": 12345678901234567890123}'`, '{"a":12345678901234567890123,"bb":1.10}'],
      [`'"x"'`, '"x"'],
      [`'null'`, 'null'],
    ],
  },
  {
    type: 'bytea',
    kind: 'bytes',
    cases: [
      [`'\\x00FF5c'`, '00ff5c'],
      [`''`, ''],
    ],
  },
  {
    type: 'text[]',
    kind: 'set',
    cases: [
      [`array['b','a','b']`, '["a","b"]'],
      [`'{}'`, '[]'],
      [`array['x"\\,{} ', 'null', '']`, '["","null","x\\"\\\\,{} "]'],
      [`array['a', null]`, '{a,NULL}'],
      [`'{{a,b}}'`, '{{a,b}}'],
      [`'[0:1]={a,b}'`, '[0:1]={a,b}'],
    ],
    outside: [
      ['{a,NULL}', NO_SET],
      ['{{a,b}}', NO_SET],
      ['[0:1]={a,b}', NO_SET],
    ],
  },
  { type: 'varchar(3)[]', kind: 'set', cases: [[`'{ü,z}'`, '["z","ü"]']] },
  { type: 'mood[]', kind: 'set', cases: [[`'{so so,fine}'`, '["fine","so so"]']] },
  { type: 'char(3)[]', kind: 'other', cases: [[`'{a}'`, '{"a  "}']] },
  { type: 'integer[]', kind: 'other', cases: [[`'{2,1,NULL}'`, '{2,1,NULL}']] },
  { type: 'inet', kind: 'other', cases: [[`'10.0.0.1'`, '10.0.0.1']] },
  { type: 'cidr', kind: 'other', cases: [[`'10.0.0.0/8'`, '10.0.0.0/8']] },
  { type: 'macaddr', kind: 'other', cases: [[`'08-00-2b-01-02-03'`, '08:00:2b:01:02:03']] },
  { type: 'int4range', kind: 'other', cases: [[`'[1,5]'`, '[1,6)']] },
  {
    type: 'tstzrange',
    kind: 'other',
    cases: [[`tstzrange(timestamptz '2024-01-01 00:00+02', null)`, '["2023-12-31 22:00:00+00",)']],
  },
  { type: 'bit(3)', kind: 'other', cases: [[`B'101'`, '101']] },
  { type: 'varbit', kind: 'other', cases: [[`B'10'`, '10']] },
  { type: 'money', kind: 'other', cases: [[`'12.5'::numeric::money`, '$12.50']] },
  { type: 'tsvector', kind: 'other', cases: [[`'b a'`, `'a' 'b'`]] },
  {
    type: 'pair',
    kind: 'other',
    made: 'create type pair as (a int, b text)',
    cases: [[`'(1,x)'`, '(1,x)']],
  },
  { type: 'point', kind: 'other', cases: [[`'(1,2)'`, '(1,2)']] },
  { type: 'regclass', kind: 'other', cases: [[`'pg_class'`, 'pg_class']] },
];
