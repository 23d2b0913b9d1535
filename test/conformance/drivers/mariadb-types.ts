import type { Value } from '../../../src/model/value.ts';
import type { TypeCase } from '../driver.ts';

const ZERO = 'MariaDB has dates that are no calendar dates';

/** Numbers whose literal is their value. */
const numbers = (type: string, kind: 'integer' | 'decimal', ...values: string[]): TypeCase => ({
  type,
  kind,
  cases: values.map((value) => [value, value]),
});

/** Texts that stand between quotes as they are. */
const texts = (
  type: string,
  kind: TypeCase['kind'],
  ...cases: readonly (string | readonly [string, Value])[]
): TypeCase => ({
  type,
  kind,
  cases: cases.map((each) =>
    typeof each === 'string' ? [`'${each}'`, each] : [`'${each[0]}'`, each[1]],
  ),
});

/** Every type of MariaDB, with its extremes. */
export const types: readonly TypeCase[] = [
  numbers('tinyint(1)', 'integer', '1', '0', '-128', '127'),
  numbers('tinyint unsigned', 'integer', '255'),
  numbers('smallint', 'integer', '-32768', '32767'),
  numbers('smallint unsigned', 'integer', '65535', '0'),
  numbers('mediumint', 'integer', '-8388608', '8388607'),
  numbers('mediumint unsigned', 'integer', '16777215'),
  numbers('int', 'integer', '-2147483648', '2147483647'),
  numbers('int(6) zerofill', 'integer', '42', '0', '4294967295'),
  numbers('bigint', 'integer', '-9223372036854775808', '9223372036854775807'),
  numbers('bigint unsigned', 'integer', '18446744073709551615'),
  numbers(
    'decimal(65,30)',
    'decimal',
    '-12345678901234567890123456789012345.000000000000000000000000000001',
  ),
  {
    type: 'decimal(5,2)',
    kind: 'decimal',
    cases: [
      ['1.1', '1.10'],
      ['-0.1', '-0.10'],
      ['999.99', '999.99'],
      ['-999.99', '-999.99'],
      ['0', '0.00'],
    ],
  },
  { type: 'decimal(8,2) zerofill', kind: 'decimal', cases: [['3.5', '3.50']] },
  numbers('decimal(65,0)', 'decimal', '9'.repeat(65), '1'),
  {
    type: 'float',
    kind: 'float',
    cases: [
      ['0.1', '0.1'],
      ['16777216', '16777216'],
      ['3.4028234663852886e38', '3.4028235e+38'],
      ['1e-45', '1e-45'],
      ['-1.5e-7', '-1.5e-7'],
    ],
  },
  { type: 'float(7,3)', kind: 'float', cases: [['1234.567', '1234.567']] },
  {
    type: 'double',
    kind: 'float',
    cases: [
      ['0.1e0', '0.1'],
      ['5e-324', '5e-324'],
      ['1.7976931348623157e308', '1.7976931348623157e+308'],
      ['1e21', '1e+21'],
      ['1e20', '100000000000000000000'],
      ['-0e0', '0'],
    ],
  },
  {
    type: 'bit(12)',
    kind: 'integer',
    cases: [
      [`b'111111111111'`, '4095'],
      [`b'0'`, '0'],
    ],
  },
  { type: 'bit(64)', kind: 'integer', cases: [[`x'ffffffffffffffff'`, '18446744073709551615']] },
  numbers('year', 'integer', '1901', '2155', '0'),
  {
    ...texts('date', 'date', '2024-02-29', '0000-00-00', '2024-00-00', '9999-12-31', '1000-01-01'),
    outside: [
      ['0000-00-00', ZERO],
      ['2024-00-00', ZERO],
    ],
  },
  texts('time', 'time', '-838:59:59', '838:59:59', '00:00:00', '100:00:01'),
  texts('time(6)', 'time', '-00:00:00.5', '12:34:56.000001', ['12:00:00.100000', '12:00:00.1']),
  {
    ...texts(
      'datetime',
      'datetime',
      ['1000-01-01 00:00:00', '1000-01-01T00:00:00'],
      ['9999-12-31 23:59:59', '9999-12-31T23:59:59'],
      ['0000-00-00 00:00:00', '0000-00-00T00:00:00'],
    ),
    outside: [['0000-00-00T00:00:00', ZERO]],
  },
  texts(
    'datetime(6)',
    'datetime',
    ['2024-03-31 02:30:00.123456', '2024-03-31T02:30:00.123456'],
    ['2024-03-31 02:30:00.1', '2024-03-31T02:30:00.1'],
  ),
  texts('datetime(3)', 'datetime', ['2024-03-31 02:30:00.120', '2024-03-31T02:30:00.12']),
  {
    type: 'timestamp null',
    kind: 'timestamp',
    cases: [
      ['from_unixtime(1)', '1970-01-01T00:00:01Z'],
      [`'0000-00-00 00:00:00'`, '0000-00-00T00:00:00Z'],
    ],
    outside: [['0000-00-00T00:00:00Z', ZERO]],
  },
  {
    type: 'timestamp(3) null',
    kind: 'timestamp',
    cases: [
      ['from_unixtime(2147483647.999)', '2038-01-19T03:14:07.999Z'],
      ['from_unixtime(1711848600)', '2024-03-31T01:30:00Z'],
    ],
  },
  {
    type: 'timestamp(6) null',
    kind: 'timestamp',
    cases: [['from_unixtime(1714536000.100001)', '2024-05-01T04:00:00.100001Z']],
  },
  texts('char(8)', 'string', 'a b', '', 'ß😀', ['ab  ', 'ab']),
  {
    type: 'varchar(20)',
    kind: 'string',
    cases: [
      [`'trailing  '`, 'trailing  '],
      [`concat('O''Re', char(92), 'illy"', char(10), char(9), char(0), '?')`, `O'Re\\illy"\n\t\0?`],
      [`'😀 é ?'`, '😀 é ?'],
      [`'null'`, 'null'],
    ],
  },
  texts('varchar(20) character set latin1', 'string', 'é €'),
  texts('varchar(20) character set utf16', 'string', 'é 😀'),
  {
    type: 'longtext',
    kind: 'string',
    cases: [
      [`'{"b": 1,  "a": 2}'`, '{"b": 1,  "a": 2}'],
      [`repeat('x', 70000)`, 'x'.repeat(70_000)],
    ],
  },
  texts('tinytext', 'string', '', 'x'),
  texts('text', 'string', 'x'),
  texts('mediumtext', 'string', 'x'),
  {
    type: 'binary(4)',
    kind: 'bytes',
    cases: [
      [`x'0102'`, '01020000'],
      [`x'ffffffff'`, 'ffffffff'],
    ],
  },
  {
    type: 'varbinary(8)',
    kind: 'bytes',
    cases: [
      [`''`, ''],
      [`x'00ff5c27'`, '00ff5c27'],
      [`x'20'`, '20'],
    ],
  },
  { type: 'tinyblob', kind: 'bytes', cases: [[`x'00'`, '00']] },
  { type: 'blob', kind: 'bytes', cases: [[`x'deadbeef00'`, 'deadbeef00']] },
  {
    type: 'longblob',
    kind: 'bytes',
    cases: [[`repeat(x'00', 70000)`, '00'.repeat(70_000)]],
  },
  texts(`enum('small','L arge','ß')`, 'string', 'small', 'L arge', 'ß'),
  texts(`set('b','a','C')`, 'set', ['', '[]'], ['a,b,C', '["C","a","b"]'], ['a', '["a"]']),
  {
    type: 'json',
    kind: 'json',
    cases: [
      [
        `'{"b": {"x": null}, "a": "é", "B": [1.0, 1e400, -0]}'`,
        '{"B":[1.0,1e400,-0],"a":"é","b":{"x":null}}',
      ],
      [`'"text"'`, '"text"'],
      [`'[]'`, '[]'],
      [`'null'`, 'null'],
    ],
  },
  {
    type: 'geometry',
    kind: 'bytes',
    cases: [['point(1, 2)', '000000000101000000000000000000f03f0000000000000040']],
  },
  texts('uuid', 'uuid', '123e4567-e89b-12d3-a456-426614174000'),
  texts('inet6', 'other', '::1', '2001:db8::ff00:42:8329'),
  texts('inet4', 'other', '10.0.0.1'),
];
