/** The law of a lens (contract/entity.ts), over rows of every kind of part that a lens can have. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Lens } from '../../src/contract/entity.ts';
import type { Cell, Value } from '../../src/model/value.ts';
import { entityOf, lensOf, table } from '../unit/mapping-fixture.ts';

const MAPPING = `entity: e
match: [[no]]
fields:
  no: string
  name: string
  email: string
  tier: {type: enum, values: [s, g]}
  limit: decimal(12,2)
  flag: boolean
  seen: timestamp
  note: string
  total: decimal(12,2)
  tags: set
  hashed: {type: string, pii: true}
  masked: {type: string, pii: true}
  redacted: {type: string, pii: true}
  dropped: {type: string, pii: true}
systems:
  a:
    table: t
    key: id
    where: "kind != 'x'"
    fields:
      no: no
      name: {get: "first + ' ' + last", set: {first: "before(name, ' ')", last: "after(name, ' ')"}}
      email: {column: mail, clean: [empty_to_null, trim, lower, nfc, collapse_spaces]}
      tier: {column: tier, values: {S: s, T: s, G: g}}
      limit: {column: lim, clean: [round]}
      flag: flag
      seen: {column: seen, zone: Europe/Berlin}
      note: {column: note, direction: out}
      total: {column: total, direction: in}
      tags: tags
      hashed: {column: hash, privacy: hash}
      masked: {column: mask, privacy: {mask: 3}}
      redacted: {column: redact, privacy: {redact: withheld}}
      dropped: {column: drop, privacy: drop}
    written_at: {column: changed, zone: Europe/Berlin}
`;

const schemas = new Map([
  [
    'a',
    [
      table('t', {
        id: 'integer',
        no: 'string',
        first: 'string',
        last: 'string',
        mail: 'string',
        tier: 'string',
        lim: 'decimal numeric(20,6)',
        flag: 'integer',
        seen: 'datetime',
        note: 'string',
        total: 'decimal numeric',
        tags: 'set',
        hash: 'string',
        mask: 'string',
        redact: 'string',
        drop: 'string',
        kind: 'string',
        changed: 'datetime',
      }),
    ],
  ],
]);

const lens = lensOf(entityOf(MAPPING, schemas), 'a');

const text = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 8 }),
  fc.string({
    unit: fc.constantFrom(' ', 'a', 'B', 'İ', 'ß', 'e\u0301', '\t', 'Å', 'ﬁ'),
    maxLength: 6,
  }),
);
const digits = fc.bigInt({ min: -(10n ** 15n), max: 10n ** 15n });
const decimal = digits.map((value) => {
  const padded = String(value < 0n ? -value : value).padStart(7, '0');
  const sign = value < 0n ? '-' : '';
  return `${sign}${padded.slice(0, -6)}.${padded.slice(-6)}`;
});
const datetime = fc
  .date({ min: new Date('1890-01-01'), max: new Date('2090-01-01'), noInvalidDate: true })
  .map((date) => date.toISOString().slice(0, 19));
const nullable = (arbitrary: fc.Arbitrary<string>): fc.Arbitrary<Value> =>
  fc.oneof({ weight: 4, arbitrary }, { weight: 1, arbitrary: fc.constant(null) });

const byColumn: Readonly<Record<string, fc.Arbitrary<Value>>> = {
  id: fc.nat().map(String),
  no: nullable(text),
  first: nullable(text),
  last: nullable(text),
  mail: nullable(text),
  tier: nullable(fc.constantFrom('S', 'T', 'G')),
  lim: nullable(decimal),
  flag: nullable(fc.constantFrom('0', '1')),
  seen: nullable(datetime),
  note: nullable(text),
  total: nullable(fc.constantFrom('1', '2.5', '-0.00')),
  tags: nullable(fc.uniqueArray(text).map((items) => JSON.stringify(items.sort()))),
  hash: nullable(text),
  mask: nullable(text),
  redact: nullable(text),
  drop: nullable(text),
  kind: nullable(fc.constantFrom('x', 'y')),
  changed: nullable(datetime),
};
const columns = lens.table.columns;
const row = fc.tuple(...columns.map((name) => byColumn[name]!));

/** What the caller holds of a row: its key, what raw keeps, and what writing the values gives. */
function holder(from: Lens, read: { values: Cell[]; raw: Readonly<Record<string, Value>> | null }) {
  const written = from.write(read.values);
  return (column: number): Cell => {
    const kept = read.raw?.[columns[column]!];
    return kept === undefined ? written[column] : kept;
  };
}

const rows = (check: (cells: readonly Cell[]) => void) =>
  fc.assert(fc.property(row, check), { numRuns: 1000 });

test('read(write(read(row))) = read(row)', () => {
  rows((cells) => {
    const first = lens.read(cells, () => undefined);
    if (first.kind !== 'row') return;
    const back = lens.write(first.values);
    const again = cells.map((cell, column) => (back[column] === undefined ? cell : back[column]));
    expect(lens.read(again, () => undefined)).toMatchObject({ values: first.values });
  });
});

test('write(read(row)) under raw is the row, in every column that we write', () => {
  const written = new Set(lens.columnsOf.flat());
  rows((cells) => {
    const read = lens.read(cells, () => undefined);
    if (read.kind !== 'row') return;
    const held = holder(lens, read);
    for (const column of written) expect(held(column)).toBe(cells[column]);
  });
});

test('a partial image with what is held reads as the whole row', () => {
  const tolerant = new Set(['total']);
  const mask = fc.array(fc.boolean(), { minLength: columns.length, maxLength: columns.length });
  fc.assert(
    fc.property(row, mask, (cells, left) => {
      const whole = lens.read(cells, () => undefined);
      if (whole.kind !== 'row') return;
      const partial = cells.map((cell, column) => (column > 0 && left[column] ? undefined : cell));
      const read = lens.read(partial, holder(lens, whole));
      if (read.kind !== 'row') throw new Error(`came out ${read.kind}`);
      const names = [
        'no',
        'name',
        'email',
        'tier',
        'limit',
        'flag',
        'seen',
        'note',
        'total',
        'tags',
      ];
      for (const [field, name] of names.entries()) {
        // Read from its own column alone and written nowhere: left out means unchanged.
        const unchanged = tolerant.has(name) && read.values[field] === undefined;
        if (!unchanged) expect(read.values[field]).toBe(whole.values[field]);
      }
      expect(read.raw).toEqual(whole.raw);
    }),
    { numRuns: 1000 },
  );
});

test('a column that nobody holds leaves its fields out, and tells nothing false', () => {
  const mask = fc.array(fc.boolean(), { minLength: columns.length, maxLength: columns.length });
  fc.assert(
    fc.property(row, mask, (cells, left) => {
      const whole = lens.read(cells, () => undefined);
      if (whole.kind !== 'row') return;
      const partial = cells.map((cell, column) => (left[column] ? undefined : cell));
      const read = lens.read(partial, () => undefined);
      if (read.kind !== 'row') throw new Error(`came out ${read.kind}`);
      for (const [field, value] of read.values.entries()) {
        if (value !== undefined) expect(value).toBe(whole.values[field]);
      }
    }),
    { numRuns: 1000 },
  );
});

/** Ordinals of the fields that are changed for privacy. */
const [HASHED, MASKED, REDACTED, DROPPED] = [10, 11, 12, 13] as const;

test('what is changed for privacy is never read, whatever stands in its column', () => {
  rows((cells) => {
    const read = lens.read(cells, () => undefined);
    if (read.kind !== 'row') return;
    for (const f of [HASHED, MASKED, REDACTED, DROPPED]) expect(read.values[f]).toBeUndefined();
    // So that a write can say what it found there.
    for (const name of ['hash', 'mask', 'redact', 'drop']) {
      expect(read.raw?.[name]).toBe(cells[columns.indexOf(name)]);
    }
  });
  expect(lens.reads.slice(HASHED)).toEqual([false, false, false, false]);
  expect(lens.writes.slice(HASHED)).toEqual([true, true, true, true]);
});

test('what is written for privacy is always the same, and tells no more than it is to tell', () => {
  const cellOf = (f: number, name: string, value: Value): Cell => {
    const values: Cell[] = new Array(14).fill(undefined);
    values[f] = value;
    return lens.write(values)[columns.indexOf(name)];
  };
  fc.assert(
    fc.property(nullable(text), nullable(text), (a, b) => {
      for (const [f, name] of [
        [HASHED, 'hash'],
        [MASKED, 'mask'],
        [REDACTED, 'redact'],
        [DROPPED, 'drop'],
      ] as const) {
        expect(cellOf(f, name, a)).toBe(cellOf(f, name, a));
        expect(cellOf(f, name, null)).toBeNull();
      }
      expect(cellOf(HASHED, 'hash', a) === cellOf(HASHED, 'hash', b)).toBe(a === b);
      if (a === null) return;
      expect(cellOf(HASHED, 'hash', a)).toMatch(/^[0-9a-f]{64}$/);
      const characters = [...a];
      const shown = characters.length < 6 ? '' : characters.slice(-3).join('');
      expect(cellOf(MASKED, 'mask', a)).toBe(`***${shown}`);
      expect(cellOf(REDACTED, 'redact', a)).toBe('withheld');
      expect(cellOf(DROPPED, 'drop', a)).toBeNull();
    }),
    { numRuns: 1000 },
  );
});
