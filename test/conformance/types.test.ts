/** Every type by value, with the database as the oracle. */
import { expect } from 'vitest';
import type { RowWrite } from '../../src/contract/applier.ts';
import type { ColumnKind, Value } from '../../src/model/value.ts';
import { conformance, type Subject } from './conformance.ts';
import type { TypeCase } from './driver.ts';
import { columnsOf, everyType, STEP, writeAll } from './every-type.ts';
import { changesOf } from './installation.ts';

/** The table in src/model/value.ts. */
const SPELLINGS: Readonly<Record<ColumnKind, RegExp>> = {
  string: /^.*$/s,
  boolean: /^(true|false)$/,
  integer: /^(0|-?[1-9]\d*)$/,
  decimal: /^(?!-0(\.0*)?$)-?(0|[1-9]\d*)(\.\d+)?$/,
  float: /^(NaN|-?Infinity|(?!-0$)-?\d+(\.\d+)?(e[+-]\d+)?)$/,
  date: /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$/,
  time: /^-?\d{2,3}:[0-5]\d:[0-5]\d(\.\d*[1-9])?$/,
  datetime: /^\d{4}-(0[1-9]|1[0-2])-\d\dT[0-2]\d:[0-5]\d:[0-5]\d(\.\d*[1-9])?$/,
  timestamp: /^\d{4}-(0[1-9]|1[0-2])-\d\dT[0-2]\d:[0-5]\d:[0-5]\d(\.\d{0,5}[1-9])?Z$/,
  uuid: /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
  json: /^.+$/s,
  bytes: /^([0-9a-f]{2})*$/,
  set: /^\[.*\]$/s,
  other: /^.*$/s,
};

function valueRows(types: readonly TypeCase[]): Value[][] {
  const height = Math.max(...types.map(({ cases }) => cases.length));
  const rows = Array.from({ length: height }, (_, round) =>
    types.map(({ cases }) => cases[round]?.[1] ?? null),
  );
  return [types.map(() => null), ...rows];
}

const expectedRows = ({ driver }: Subject): Value[][] =>
  driver.sessions.flatMap((_, session) =>
    valueRows(driver.types).map((values, row) => [`${session * STEP + row}`, ...values]),
  );

conformance('types', (subject) => {
  const { types } = subject.driver;

  subject.test('log and chunk spell one value alike, whoever wrote it', async () => {
    await using it = await everyType(subject, 'types_read');
    const [spec] = it.needs.tables;
    const source = await it.source();
    const start = await source.start();
    await writeAll(subject, 'types_read');
    const { rows } = await source.read({ table: spec!, after: null, limit: 1000 });
    const streamed = changesOf(await it.drain(source, start)).map(({ row }) => row);
    const expected = expectedRows(subject);
    expect(rows).toEqual(expected);
    expect(streamed).toEqual(expected);
    const [described] = await it.system.describe(['types_read']);
    const kinds = described!.columns.slice(1).map(({ kind }) => kind);
    expect(kinds).toEqual(types.map(({ kind }) => kind));
  });

  subject.test('values are spelled as the model says', async () => {
    const wrong = types.flatMap(({ type, kind, cases, outside = [] }) =>
      cases.flatMap(([, value]) => {
        const waived = outside.some(([exception]) => exception === value);
        const fits = value === null || SPELLINGS[kind].test(value);
        return fits === waived ? [`${type}: ${value}`] : [];
      }),
    );
    expect(wrong).toEqual([]);
    for (const { kind, cases, outside = [] } of types) {
      for (const [, value] of cases) {
        if (value === null || outside.some(([exception]) => exception === value)) continue;
        if (kind === 'float') expect(String(Number(value))).toBe(value);
        if (kind === 'set') {
          const labels: string[] = JSON.parse(value);
          expect(value).toBe(JSON.stringify([...new Set(labels)].sort()));
        }
      }
    }
  });

  subject.test('values written back are the same values', async () => {
    await using it = await everyType(subject, 'types_write');
    const [spec, copy] = it.needs.tables;
    await writeAll(subject, 'types_write');
    const source = await it.source();
    const start = await source.start();
    const read = await source.read({ table: spec!, after: null, limit: 1000 });
    const rows = read.rows.map((cells) => cells.map((cell) => cell ?? null));
    const columns = columnsOf(types);
    const write = { table: copy!.name, key: ['id'], guards: [] };
    const keyed = (row: readonly Value[]): RowWrite => ({
      key: row.slice(0, 1),
      values: row,
      expect: [],
    });
    const applied = rows.map((row) => ({ kind: 'applied', key: row.slice(0, 1) }));
    const inserted = { ...write, columns: copy!.columns, compare: [], rows: rows.map(keyed) };
    expect(await it.apply({ ...inserted, op: 'insert' })).toEqual(applied);

    const again = await source.read({ table: copy!, after: null, limit: 1000 });
    expect(again.rows).toEqual(rows);
    const changes = changesOf(await it.drain(source, start));
    const copied = changes.filter(({ table }) => table.name === copy!.name);
    expect(copied.map(({ row }) => row)).toEqual(rows);

    // The server's own opinion, where one value has one text: sets, JSON and -0 have several.
    const several = new Set(['set', 'json', 'float']);
    const exact = types.flatMap(({ kind }, i) => (several.has(kind) ? [] : `c${i}`));
    const texts = (table: string) =>
      it.user.rows(`select id, ${exact.join(', ')} from ${table} order by id`);
    expect(await texts(copy!.name)).toEqual(await texts(spec!.name));

    // Compared by value: every row is found again, changed to another row's values, and found.
    const body = rows.map((row) => row.slice(1));
    const turned = body.map((_, i) => body[(i + 1) % body.length]!);
    const pairs = rows.map(([id], i) => ({ key: [id!], values: turned[i]!, expect: body[i]! }));
    const update = { ...write, op: 'update', columns, compare: columns, rows: pairs } as const;
    // A row of one session turns into the same row of the next where they come round.
    const outcomes = turned.map((values, i) =>
      JSON.stringify(values) === JSON.stringify(body[i]) ? { kind: 'already' } : applied[i],
    );
    expect(await it.apply(update)).toEqual(outcomes);
    expect(await it.apply(update)).toEqual(turned.map(() => ({ kind: 'already' })));
    const moved = await source.read({ table: copy!, after: null, limit: 1000 });
    expect(moved.rows.map((row) => row.slice(1))).toEqual(turned);

    const gone = rows.map(([id], i) => ({ key: [id!], values: [], expect: turned[i]! }));
    const deletion = { ...write, op: 'delete', columns: [], compare: columns, rows: gone } as const;
    expect(await it.apply(deletion)).toEqual(applied);
    expect((await source.read({ table: copy!, after: null, limit: 10 })).rows).toEqual([]);
  });
});
