import { describe, expect, test } from 'vitest';
import { entityOf, lensOf, table } from './mapping-fixture.ts';

const schemas = new Map([
  [
    'a',
    [
      table('t', {
        id: 'integer',
        a: 'string',
        b: 'string',
        n: 'integer',
        d: 'decimal numeric(20,4)',
        x: 'float',
        ok: 'boolean',
        tags: 'set',
        type: 'string',
      }),
    ],
  ],
]);

type Row = Readonly<Record<string, string | null>>;

function reads(type: string, expression: string, row: Row): unknown {
  const text = `entity: e
match: [[f]]
fields:
  f: ${type}
systems:
  a:
    table: t
    key: id
    fields: {f: {get: ${JSON.stringify(expression)}}}
`;
  const lens = lensOf(entityOf(text, schemas), 'a');
  const cells = lens.table.columns.map((name) => row[name] ?? null);
  const read = lens.read(cells, () => undefined);
  if (read.kind === 'invalid') return `fault: ${read.faults[0]?.message}`;
  return read.kind === 'row' ? read.values[0] : read.kind;
}

function admits(where: string, row: Row): string {
  const text = `entity: e
match: [[f]]
fields: {f: string}
systems:
  a: {table: t, key: id, where: ${JSON.stringify(where)}, fields: {f: a}}
`;
  const lens = lensOf(entityOf(text, schemas), 'a');
  return lens.read(
    lens.table.columns.map((name) => row[name] ?? null),
    () => undefined,
  ).kind;
}

describe('get', () => {
  test.each([
    ['string', "a + ' ' + b", { a: 'x', b: 'y' }, 'x y'],
    ['string', "a + ' ' + b", { a: 'x' }, 'x '],
    ['string', "a + ' ' + b", {}, null],
    ['string', "trim(a + ' ' + b)", { a: 'x' }, 'x'],
    ['string', "before(a, ' ') + b", { b: 'y' }, 'y'],
    ['string', "after(a, ', ')", { a: 'x, y, z' }, 'y, z'],
    ['string', "after(a, ',')", { a: 'x' }, ''],
    ['string', "before(a, '')", { a: 'x' }, 'x'],
    ['string', 'upper(a) + lower(b)', { a: 'ß', b: 'É' }, 'SSé'],
    ['string', "replace(a, '.', '$&')", { a: '1.2.3' }, '1$&2$&3'],
    ['string', "join(split(a, '-'), '')", { a: '1-2-3' }, '123'],
    ['string', "coalesce(a, b, 'none')", {}, 'none'],
    ['string', "a == null ? 'new' : a", {}, 'new'],
    ['string', "concat(a, '/', n, '/', d)", { a: 'x', n: '7', d: '1.5000' }, undefined],
    ['string', 'concat(a, n, d)', { a: 'x', n: '7', d: '1.5000' }, 'x71.5'],
    ['string', 'type', { type: 'B2B' }, 'B2B'],
    ['string', "a.contains('x') ? type : a", { a: 'x', type: 't' }, 't'],
    ['integer', 'n + 1', { n: '41' }, '42'],
    ['integer', 'n + 1', {}, null],
    ['integer', 'n + int(a)', { n: '1' }, null],
    ['integer', 'n + int(a)', { n: '1', a: 'x' }, 'fault: the expression cannot be computed'],
    ['decimal(12,2)', 'd * 2', { d: '1.1000' }, '2.20'],
    [
      'decimal(12,2)',
      'd + n',
      { d: '0.1000', n: '9007199254740993' },
      'fault: too many digits before the point',
    ],
    ['decimal(20,2)', 'd + n', { d: '0.1000', n: '9007199254740993' }, '9007199254740993.10'],
    [
      'decimal(12,2)',
      'd / 3',
      { d: '1.0000' },
      'fault: more fraction digits than the type has (the clean step "round" allows it)',
    ],
    ['decimal(12,2)', 'round(d / 3, 2)', { d: '1.0000' }, '0.33'],
    ['decimal(12,2)', "d > decimal('100') ? d : decimal(n)", { d: '100.0000', n: '5' }, '5.00'],
    ['boolean', 'd == 2.5 && d >= 2 && 3 > d', { d: '2.5000' }, 'true'],
    ['boolean', "'vip' in tags", { tags: '["a","vip"]' }, 'true'],
    ['set', "tags.filter(tag, tag != 'x')", { tags: '["x","b","a"]' }, '["a","b"]'],
    ['string', 'string(x)', { x: '0.1' }, '0.1'],
  ])('%s: %s over %j', (type, expression, row, value) => {
    if (value === undefined) expect(() => reads(type, expression, row)).toThrow(/no matching/);
    else expect(reads(type, expression, row as Row)).toBe(value);
  });
});

describe('where, like SQL, admits what holds and nothing else', () => {
  test.each([
    ['ok', { ok: 'true' }, 'row'],
    ['ok', {}, 'outside'],
    ['!ok', {}, 'outside'],
    ['!ok && n > 3', { ok: 'false', n: '4' }, 'row'],
    ['n > 3', {}, 'outside'],
    ['n <= 3', {}, 'outside'],
    ['n == null', {}, 'row'],
    ['n != null', {}, 'outside'],
    ["a.startsWith('x')", {}, 'outside'],
    ['n == false', { n: '0' }, 'row'],
    ['d > 2.5', { d: '2.5001' }, 'row'],
    ['int(a) > 3', { a: 'x' }, 'invalid'],
  ])('%s over %j: %s', (where, row, kind) => {
    expect(admits(where, row as Row)).toBe(kind);
  });
});
