import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonicalJson } from '../../connectors/mysql/json.ts';
import {
  canonical,
  comparable,
  kindOf,
  literal,
  type MysqlColumn,
  shortestFloat32,
} from '../../connectors/mysql/types.ts';

function column(dataType: string, length: number | null = null): MysqlColumn {
  const kind = kindOf(dataType, false);
  const rest = { nullable: true, hasDefault: false, readOnly: false };
  return { name: 'c', kind, nativeType: dataType, ...rest, dataType, length };
}

test.each([
  ['int', '00042', '42'],
  ['int', '0000', '0'],
  ['bigint', '-7', '-7'],
  ['decimal', '000012.50', '12.50'],
  ['decimal', '0.00', '0.00'],
  ['decimal', '-0.00', '0.00'],
  ['decimal', '-0.01', '-0.01'],
  ['year', '0000', '0'],
  ['float', '0.10000000149011612', '0.1'],
  ['double', '1e15', '1000000000000000'],
  ['double', '-0', '0'],
  ['time', '-12:00:00.500000', '-12:00:00.5'],
  ['time', '12:00:00.000000', '12:00:00'],
  ['datetime', '2024-01-02 03:04:05.600', '2024-01-02T03:04:05.6'],
  ['timestamp', '2024-01-02 03:04:05', '2024-01-02T03:04:05Z'],
  ['timestamp', '0000-00-00 00:00:00.000', '0000-00-00T00:00:00Z'],
  ['set', 'b,a', '["a","b"]'],
  ['set', '', '[]'],
  ['blob', '00FF', '00ff'],
  ['date', '0000-00-00', '0000-00-00'],
  ['inet4', '1.2.3.4', '1.2.3.4'],
])('%s %s is spelled %s', (type, text, value) => {
  expect(canonical(column(type))(text)).toBe(value);
});

test.each([
  ['decimal', '1.50', '1.5', true],
  ['decimal', '100', '10', false],
  ['decimal', '-0.0', '0', true],
  ['decimal', '', '0', false],
  ['float', '0.1', '0.10000000149011612', true],
  ['double', '0.1', '0.10000000149011612', false],
  ['datetime', '2024-01-01T00:00:00.100', '2024-01-01T00:00:00.1', true],
  ['timestamp', '2024-01-01T00:00:00.100Z', '2024-01-01T00:00:00.1Z', true],
  ['timestamp', '2024-01-01T00:00:10Z', '2024-01-01T00:00:1Z', false],
  ['char', 'a ', 'a', true],
  ['varchar', 'a ', 'a', false],
  ['varchar', 'A', 'a', false],
  ['set', '["b","a"]', '["a","b"]', true],
  ['json', '{"b":1, "a":2}', '{"a":2,"b":1}', true],
  ['blob', '00', '0000', false],
])('to %s, %s and %s are the same: %s', (type, a, b, same) => {
  const spell = comparable(column(type));
  expect(spell(a) === spell(b)).toBe(same);
});

test('BINARY fills with zero bytes', () => {
  expect(comparable(column('binary', 4))('01')).toBe('01000000');
});

describe('literals', () => {
  test.each([
    ['int', '12', '12'],
    ['int', '1.5', "CAST('1.5' AS SIGNED)"],
    ['bit', "1 OR '", "CAST('1 OR \\'' AS SIGNED)"],
    ['decimal', '1.50', '1.50'],
    ['decimal', '1;DROP', "'1;DROP'"],
    ['float', '0.1', '1.0000000149011612e-1'],
    ['double', '0.1', '0.1e0'],
    ['varchar', "a'\\\n", "'a\\'\\\\\\n'"],
    ['blob', '00ff', "X'00ff'"],
    ['blob', "0'", "CAST('0\\'' AS SIGNED)"],
    ['timestamp', '2024-01-02T03:04:05.6Z', "'2024-01-02 03:04:05.6'"],
    ['set', '["a","b"]', "'a,b'"],
    ['set', '[]', "''"],
  ])('of %s %s', (type, value, sql) => {
    expect(literal(column(type), value)).toBe(sql);
  });

  test('NULL', () => {
    expect(literal(column('int'), null)).toBe('NULL');
  });

  test('never let text out of its quotes', () => {
    const types = [
      'int',
      'decimal',
      'double',
      'varchar',
      'blob',
      'datetime',
      'set',
      'json',
      'uuid',
    ];
    fc.assert(
      fc.property(fc.constantFrom(...types), fc.string({ unit: 'binary' }), (type, value) => {
        const sql = literal(column(type), value);
        expect(sql).toMatch(
          /^(CAST\()?X?('([^'\\]|\\[\s\S])*'|-?[\d.]+(e[+-]?\d+)?)( AS SIGNED\))?$/i,
        );
      }),
    );
  });
});

test('the shortest float of four bytes reads back as the same float', () => {
  fc.assert(
    fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (value) => {
      const text = shortestFloat32(value);
      expect(Math.fround(Number(text))).toBe(value === 0 ? 0 : value);
      expect(text.replace(/[-.]|e.*$/g, '').replace(/^0+|0+$/g, '').length).toBeLessThanOrEqual(9);
    }),
  );
});

describe('canonical JSON', () => {
  test.each([
    [' { "b" : [ 1 , 2.50 , 1e400 ] , "a" : "\\u00e9\\/" } ', '{"a":"é/","b":[1,2.50,1e400]}'],
    ['{"a":1,"a":2}', '{"a":2}'],
    ['{}', '{}'],
    ['[ ]', '[]'],
    ['"x"', '"x"'],
    ['-0.0', '-0.0'],
    ['{"10":1,"9":2,"é":3,"Z":4}', '{"10":1,"9":2,"Z":4,"é":3}'],
    ['{"__proto__":1}', '{"__proto__":1}'],
  ])('of %s is %s', (text, value) => {
    expect(canonicalJson(text)).toBe(value);
  });

  test.each(['{', '[1,]', '{"a":1,}', '{,}', '{"a" 1}', 'nul', '1 2', '', '{"a":}', '01', '[1 2]'])(
    '%s is no JSON and stays as it is',
    (text) => {
      expect(canonicalJson(text)).toBe(text);
    },
  );

  test('means the same, is stable, and does not depend on order or white space', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = canonicalJson(JSON.stringify(value, null, 2));
        expect(text).toBe(canonicalJson(JSON.stringify(value)));
        expect(canonicalJson(text)).toBe(text);
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });
});
