/** Whatever the log says of rows, and wherever it is cut, the copies are the rows in the end. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { CopyWrite } from '../../src/contract/copier.ts';
import { copyOf } from '../../src/feed/copy.ts';
import { openLoad } from '../../src/feed/load.ts';
import { feedsOf } from '../../src/feed/plan.ts';
import type { Change } from '../../src/model/change.ts';
import { type Cell, rowKey, type Value } from '../../src/model/value.ts';
import { entityOf } from '../unit/mapping-fixture.ts';

const [FEED] = feedsOf([
  entityOf(`entity: item
feed: crm
match: [[no]]
fields: {no: string, a: string, b: string, both: string}
systems:
  crm:
    table: items
    key: no
    where: "a != 'out'"
    fields: {no: no, a: a, b: b, both: {get: "a + b"}}
  erp: {table: copies, key: id, fields: {no: code, a: x, b: y, both: z}}
`),
]);
const [[TABLE, ROUTES] = []] = [...(FEED?.routes ?? [])];
const [ROUTE] = ROUTES ?? [];

type Row = readonly [no: string, a: string, b: string];

/** A step of a user: on the row with a key, if it is there. */
const step = fc.record({
  kind: fc.constantFrom('insert', 'update', 'part', 'move', 'delete'),
  no: fc.constantFrom('1', '2', '3'),
  to: fc.constantFrom('1', '2', '3'),
  a: fc.constantFrom('p', 'q', 'out'),
  b: fc.constantFrom('s', 't'),
});

/** What the log tells of a step, and what the row is then; null: the step cannot be done. */
function told(
  rows: Map<string, Row>,
  { kind, no, to, a, b }: typeof step extends fc.Arbitrary<infer S> ? S : never,
): Change | null {
  const before = rows.get(no);
  const change = (op: Change['op'], row: readonly Cell[], old: Change['old']): Change => ({
    ...{ table: TABLE!, op, row, old },
  });
  if (kind === 'insert') {
    if (before !== undefined) return null;
    rows.set(no, [no, a, b]);
    return change('insert', [no, a, b], null);
  }
  if (before === undefined) return null;
  if (kind === 'delete') {
    rows.delete(no);
    return change('delete', [], [no, undefined, undefined]);
  }
  if (kind === 'move') {
    if (rows.has(to)) return null;
    rows.delete(no);
    rows.set(to, [to, a, before[2]]);
    return change('update', [to, a, before[2]], [no, undefined, undefined]);
  }
  // A column that did not change and that the log leaves out, as PostgreSQL does with TOAST.
  const row: Row = [no, a, kind === 'part' ? before[2] : b];
  rows.set(no, row);
  return change('update', kind === 'part' ? [no, a, undefined] : row, null);
}

/** A target that does what the contract says; the rows whose patches found nothing. */
function carryOut(copies: Map<string, readonly Value[]>, write: CopyWrite): number[] {
  const at = (name: string): number => write.columns.indexOf(name);
  const absent: number[] = [];
  const all = ROUTE!.columns.map((i) => ROUTE!.target.table.columns[i]!);
  for (let i = 0; i < Math.max(write.keys.length, write.rows.length); i++) {
    const row = write.rows[i] ?? [];
    const key = rowKey(write.keys[i] ?? [row[at('code')] ?? null]);
    if (write.op === 'remove') copies.delete(key);
    else if (write.op === 'put')
      copies.set(
        key,
        all.map((name) => row[at(name)] ?? null),
      );
    else {
      const known = copies.get(key);
      if (known === undefined) absent.push(i);
      else {
        copies.delete(key);
        const next = all.map((name, n) => (at(name) < 0 ? known[n]! : row[at(name)]!));
        copies.set(rowKey([next[all.indexOf('code')]!]), next);
      }
    }
  }
  return absent;
}

test('the copies are the rows, but for what is read again', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), fc.array(fc.nat(30)), (steps, cuts) => {
      const rows = new Map<string, Row>();
      const copies = new Map<string, readonly Value[]>();
      const unread = new Set<string>();
      let load = openLoad();
      const write = (): void => {
        for (const { write, works } of load.sections().flat()) {
          for (const i of carryOut(copies, write)) unread.add(works[i]!.image[0]!);
        }
        load = openLoad();
      };
      for (const [n, one] of steps.entries()) {
        const change = told(rows, one);
        if (change === null) continue;
        const copy = copyOf(ROUTE!, change);
        if (copy?.kind === 'invalid') throw new Error('no row is invalid here');
        if (copy?.kind === 'row' && copy.unsure) unread.add(copy.image[0]!);
        if (copy !== null) load.add(ROUTE!, copy);
        if (cuts.includes(n)) write();
      }
      write();
      const wanted = [...rows.values()]
        .filter(([, a]) => a !== 'out')
        .map(([no, a, b]) => [no, a, b, a + b]);
      const inOrder = (some: Iterable<readonly Value[]>) =>
        [...some].map((row) => JSON.stringify(row)).sort();
      const exact = (row: readonly Value[]): boolean => !unread.has(row[0]!);
      expect(inOrder([...copies.values()].filter(exact))).toEqual(inOrder(wanted.filter(exact)));
      // A row is read again only where the log told too little of it.
      if (steps.every(({ kind, a }) => kind !== 'part' && a !== 'out')) {
        expect([...unread]).toEqual([]);
      }
    }),
    { numRuns: 2000 },
  );
});

/** One column each: the way past the values must come to what the way through them comes to. */
const PLAIN = entityOf(`entity: item
feed: crm
match: [[no]]
fields:
  no: {type: integer, required: true}
  name: {type: string(3), required: true}
  price: "decimal(6,2)"
  tier: {type: enum, values: [standard, gold]}
  note: string
systems:
  crm:
    table: items
    key: no
    fields:
      no: no
      name: {column: name, clean: [trim]}
      price: price
      tier: {column: tier, values: {S: standard, G: gold}}
      note: note
  erp:
    table: copies
    key: id
    fields: {no: code, name: x, price: y, tier: {column: z, values: {"1": standard, "2": gold}}}
`);

test('straight from column to column is the same as through both lenses', () => {
  const cell = (...texts: string[]): fc.Arbitrary<Cell> =>
    fc.constantFrom<Cell>(...texts, null, undefined);
  const image = fc.tuple(
    fc.constantFrom('1', '22'),
    cell('a', ' b ', 'long', ''),
    cell('1', '1.5', '1.234', 'x', '99999.00'),
    cell('S', 'G', 'P'),
    cell('n'),
  );
  const [source, target] = [PLAIN.lenses.get('crm')!, PLAIN.lenses.get('erp')!];
  const straight = PLAIN.feed!.straight.get('erp')!;
  expect(source.table.columns).toEqual(['no', 'name', 'price', 'tier', 'note']);
  fc.assert(
    fc.property(image, (row) => {
      const read = source.read(row, () => undefined);
      const { cells, faults } = straight(row);
      if (read.kind === 'invalid') {
        const inOrder = (some: typeof read.faults) => some.map((one) => JSON.stringify(one)).sort();
        expect(inOrder(faults ?? [])).toEqual(inOrder(read.faults));
      } else {
        const values = read.kind === 'row' ? read.values : [];
        expect([faults, cells]).toEqual([null, target.write(values)]);
      }
    }),
  );
});
