import { describe, expect, test } from 'vitest';
import { readMapping } from '../../src/config/read-mapping.ts';
import { brief, compileAll, problemsOf, shown, single, table } from './mapping-fixture.ts';

const schemas = new Map([
  [
    'a',
    [
      table('t', {
        id: 'integer',
        code: 'string',
        amount: 'decimal numeric(12,2)',
        flag: 'boolean',
        made: 'datetime',
        total: 'decimal numeric(12,2)!',
      }),
    ],
  ],
]);
const only = (type: string, part: string) => problemsOf(single(type, part), schemas);

describe('a field', () => {
  test.each([
    [
      'string',
      'coed',
      '10:10 t has no column "coed" (one of id, code, amount, flag, made, total) ~code',
    ],
    ['date', 'code2date', expect.stringMatching(/no column/)],
    [
      'boolean',
      'code',
      '10:10 f: a column of kind string does not fit a field of type boolean ' +
        '(values: {CODE: true, CODE: false})',
    ],
    [
      'uuid',
      'amount',
      '10:10 f: a column of kind decimal does not fit a field of type uuid ' +
        '(a column of kind uuid, string, bytes)',
    ],
    [
      'decimal(12,2)',
      'total',
      '10:10 the system itself fills total (numeric(12,2)) ("direction: in")',
    ],
    ['strin', 'code', expect.stringContaining('4:6 unknown type "strin"')],
    ['decimal(2,3)', 'amount', expect.stringContaining('unknown type')],
    [
      'string',
      '{column: code, privacy: hash, direction: both}',
      '10:51 a value that is changed for privacy is never read back ("direction: out", or none)',
    ],
    [
      'string',
      '{column: amount, privacy: {mask: 4}}',
      '10:36 a column of kind decimal cannot hold it (a column of kind string)',
    ],
    [
      'string',
      '{column: code, privacy: hash, clean: [trim]}',
      '10:40 "clean" goes with values that are read',
    ],
    ['string', '{get: "code", privacy: hash}', expect.stringMatching(/"privacy" goes with "col/)],
    ['date', '{column: code, privacy: {redact: none}}', undefined],
    ['string', '{column: code, clean: [round]}', expect.stringMatching(/"round" is for decimal/)],
    ['string', '{get: "code"}', undefined],
    ['string', '{get: "code", direction: both}', '10:7 no "set" ("set" or "direction: in")'],
    ['string', '{set: {code: "f"}}', '10:7 no "get" ("get" or "direction: out")'],
    ['string', '{set: {code: "f"}, direction: out}', undefined],
    ['string', '{column: code, get: "code"}', '10:11 both a column and an expression'],
    ['string', '{direction: in}', '10:7 no column ("column", or "get" and "set")'],
    [
      '{type: enum, values: [x, yy]}',
      '{column: code, values: {1: x, 2: y}}',
      '10:43 f cannot be "y" (one of x, yy)',
    ],
    ['{type: enum, values: [x, yy]}', '{column: code, values: {1: x}}', '10:25 no code for "yy"'],
    [
      'boolean',
      '{column: flag, values: {Y: true, "true": true, "false": false}}',
      '10:34 a column of kind boolean never holds "Y"',
    ],
    ['{ref: nothing}', 'id', expect.stringContaining('unknown entity "nothing"')],
    ['{type: string, values: [a]}', 'code', '4:21 only an enum has values'],
  ])('of type %s as %s', (type, part, problem) => {
    const found = only(type, part);
    if (problem === undefined) expect(found).toEqual([]);
    else expect(found).toContainEqual(problem);
  });
});

describe('an expression', () => {
  test.each([
    ['"coed"', '10:17 unknown name "coed" (one of id, code, amount, flag, made, total) ~code'],
    ['"code + trm(code)"', '10:24 unknown function "trm" ~trim'],
    ['\'code.matches("(a+)+")\'', expect.stringContaining('10:22 matches() is not available')],
    ['code + 3', '10:16 no such overload: string + int'],
    ['code +', '10:22 Unexpected token: EOF'],
    ['amount', '10:16 f is string, but the expression gives Decimal'],
    ['"flag ? code : null"', expect.stringContaining('write dyn(null)')],
    ['"string(amount + 1)"', undefined],
    ['"[code, code].filter(x, x != code).join()"', undefined],
  ])('%s', (text, problem) => {
    const found = only('string', `{get: ${text}}`);
    if (problem === undefined) expect(found).toEqual([]);
    else expect(found).toEqual([problem]);
  });
});

test('every mistake is told at once', () => {
  const text = `entity: order
match: [[numbr]]
fields:
  number: string
  tags: set
  qty: integer
  lost: string
  customer: {ref: customer}
groups: {number: [qty], g: [qty, tgas]}
systems:
  a:
    table: t
    key: [id, nope]
    where: "code"
    fields: {number: code, qty: {column: amount}, tags: flag, custmer: id}
    delete: {soft: {flag: false, made: x}}
    on_insert: {amount: abc}
    written_at: made
  b: {table: t2, key: id, fields: {number: code, customer: cid}}
conflicts:
  - {fields: [qty], union: true}
  - {fields: [number], prefer: bb}
  - {fields: [tags], prefer: b}
  - {fields: [number], max: true, park: true}
  - {fields: [number], take: a}
  - {fields: [number], when: "a.numer == 'x'", take: a}
  - {fields: [qty], when: "true", value: "a.number"}
  - {fields: [g], value: "1", when: "true"}
  - {fields: [qty], park: true}
first_contact: sum_of_deltas
skew_tolerance: 1 sec
flood: {share: 1.50, within: "10"}
`;
  const result = compileAll(text, schemas);
  expect(result.ok ? [] : result.problems.map(brief)).toMatchInlineSnapshot(`
    [
      "8:19 unknown entity "customer"",
      "2:10 unknown field "numbr" ~number",
      "13:15 t has no column "nope"",
      "15:57 tags: a column of kind boolean does not fit a field of type set",
      "15:63 unknown field "custmer" ~customer",
      "14:12 "where" must be a condition, but gives string",
      "16:20 a soft delete sets one column",
      "17:25 column amount cannot hold this value",
      "18:17 column made of kind datetime tells no instant",
      "7:3 no system has lost",
      "31:17 "1 sec" is no duration",
      "32:30 "10" is no duration",
      "32:16 a share is at most 1",
      "9:10 "number" is a field already",
      "9:29 qty is in group number already",
      "9:34 unknown field "tgas" ~tags",
      "21:15 qty is settled with its group",
      "22:32 unknown system "bb" ~b",
      "23:30 b does not tell tags",
      "24:5 several policies: max, park",
      "25:5 a rule without a condition",
      "26:33 a has no field "numer" ~number",
      "27:15 qty is settled with its group",
      "27:35 a value is for one field",
      "28:19 a value is for one field",
      "29:15 qty is settled with its group",
      "30:16 rows that meet for the first time have no common base to add to",
    ]
  `);
});

test('a reference needs its target in the same system, with one key column of its kind', () => {
  const parent = (key: string) => `entity: parent
match: [[p]]
fields: {p: string}
systems:
  a: {table: t, key: ${key}, fields: {p: code}}
`;
  const child = `entity: child
match: [[c]]
fields: {c: string, up: {ref: parent}}
systems:
  a: {table: t, key: id, fields: {c: code, up: amount}}
  b: {table: u, key: id, fields: {c: code, up: up}}
`;
  expect(problemsOf([child, parent('id')], schemas)).toEqual([
    '5:44 up is decimal, but the key of parent is integer',
    '6:44 b has no parent, to which up refers',
  ]);
  expect(problemsOf([child, parent('[id, code]')], schemas)[0]).toBe(
    '5:44 up is one column, but the key of parent in a is not',
  );
});

test('an entity is mapped once, and every field somewhere', () => {
  const text = single('string', 'code').replace('  f: string', '  f: string\n  g: string');
  expect(problemsOf([text, text], schemas)).toEqual([
    '5:3 no system has g',
    '1:9 thing is mapped in entity.yaml already',
    '5:3 no system has g',
  ]);
});

test('two fields may not set one column', () => {
  const text = single('string', 'code')
    .replace('  f: string', '  f: string\n  g: string')
    .concat('      g: {get: code, set: {code: g}}\n');
  expect(problemsOf(text, schemas)).toEqual([
    '12:7 column code of t is set by both f and g ("direction: in" for one of them)',
  ]);
});

test('ordinals keep their place when fields come and go', () => {
  const text = single('string', 'code');
  const { ok, value } = compileWith(text, ['old', 'f']);
  expect(ok).toBe(true);
  expect(value[0]?.fields.map(({ name }) => name)).toEqual(['old', 'f']);
  expect(value[0]?.match).toEqual([[1]]);
  const lens = value[0]?.lenses.get('a');
  expect(lens?.reads).toEqual([false, true]);
  expect(lens?.read(['1', 'x'], () => undefined)).toMatchObject({ values: [undefined, 'x'] });
});

function compileWith(text: string, order: readonly string[]) {
  const result = compileAll(text, schemas, order);
  if (!result.ok) throw new Error('expected a mapping without mistakes');
  return result;
}

test('values are not hashed without a key', () => {
  const text = single('string', '{column: code, privacy: hash}');
  expect(compileAll(text, schemas, undefined, Buffer.alloc(32))).toMatchObject({ ok: true });
  const result = compileAll(text, schemas, undefined, null);
  expect(result.ok ? [] : result.problems.map(brief)).toEqual([
    '10:34 f is hashed, and there is no key for that',
  ]);
});

test('an unknown way to hide a value is told with the ways there are', () => {
  const result = readMapping('entity.yaml', single('string', '{column: code, privacy: hsah}'));
  expect(result.ok ? [] : result.problems.map(shown)).toEqual([
    expect.stringMatching(/^10:34 .*hash, drop/),
  ]);
});

test('what refers to a row by a personal key is personal too', () => {
  const person = single('{type: string, pii: true}', 'id');
  const letter = (ref: string) =>
    person.replace('entity: thing', 'entity: letter').replace('{type: string, pii: true}', ref);
  const texts = (ref: string) => [person, letter(ref).replace('f: id', 'f: code')];
  expect(problemsOf(texts('{ref: thing, pii: true}'))).toEqual([]);
  expect(problemsOf(texts('{ref: thing}'))).toEqual([
    '4:3 f holds the key of thing in a, which is personal ("pii: true")',
  ]);
});
