import { zstdCompressSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import type { TableSpec } from '../../src/model/change.ts';
import {
  bytes,
  decode,
  event,
  gtidEvent,
  INT,
  JSON_COLUMN,
  le,
  lenenc,
  prefixed,
  query,
  rows,
  SERVER,
  tableMap,
  xid,
} from './mysql-binlog-bytes.ts';

const spec: TableSpec = { name: 't', key: ['id'], columns: ['id', 'n'] };
const kinds = { id: 'integer', n: 'integer' } as const;
const columns = [
  { name: 'id', ...INT },
  { name: 'n', ...INT },
];
const row = (id: number, n: number | null): Buffer =>
  n === null ? bytes(0b10, le(id, 4)) : bytes(0, le(id, 4), le(n, 4));
const insert = (...ids: number[]): Buffer => rows(30, 2, bytes(...ids.map((id) => row(id, -id))));
const transaction = (number: number, ...events: Buffer[]): Buffer[] => [
  gtidEvent(number, 1_700_000_000_123_456),
  query('BEGIN'),
  tableMap('t', columns),
  ...events,
  xid(),
];

describe('row events of MySQL', () => {
  test('inserts, updates and deletes with extra data', () => {
    const [batch] = decode(spec, kinds, [
      ...transaction(
        1,
        insert(1, 2),
        rows(31, 2, bytes(row(1, -1), row(1, null), row(2, -2), row(3, -2))),
        rows(32, 2, row(3, -2)),
      ),
    ]);
    expect(batch?.position).toBe(`mysql:${SERVER}:1`);
    expect(batch?.transactions).toEqual([
      {
        id: `${SERVER}:1`,
        committedAt: 1_700_000_000_123_456,
        mark: null,
        complete: true,
        changes: [
          { table: spec, op: 'insert', row: ['1', '-1'], old: null },
          { table: spec, op: 'insert', row: ['2', '-2'], old: null },
          { table: spec, op: 'update', row: ['1', null], old: null },
          { table: spec, op: 'update', row: ['3', '-2'], old: ['2', undefined] },
          { table: spec, op: 'delete', row: [], old: ['3', '-2'] },
        ],
      },
    ]);
  });

  test('the time of the commit is that at its origin', () => {
    const events = transaction(1, insert(1));
    events[0] = gtidEvent(1, 1_700_000_000_999_999, 1_600_000_000_000_001);
    const [batch] = decode(spec, kinds, events);
    expect(batch?.transactions[0]?.committedAt).toBe(1_600_000_000_000_001);
  });

  test('rows before the position are left out of the same transaction', () => {
    const events = transaction(2, insert(1, 2, 3), insert(4, 5));
    const from = `mysql:${SERVER}:1+${SERVER}:2#4`;
    const [batch] = decode(spec, kinds, events, from);
    expect(batch?.position).toBe(`mysql:${SERVER}:1-2`);
    expect(
      batch?.transactions.map(({ id, changes }) => [id, changes.map((c) => c.row[0])]),
    ).toEqual([[`${SERVER}:2`, ['5']]]);
  });

  test('a transaction of which everything was read still ends', () => {
    const from = `mysql:${SERVER}:1+${SERVER}:2#1`;
    const [batch] = decode(spec, kinds, transaction(2, insert(1)), from);
    expect(batch?.transactions).toMatchObject([{ changes: [], complete: true }]);
  });

  test('without GTIDs a transaction is named by its place', () => {
    const anonymous = bytes(
      0,
      Buffer.alloc(16),
      le(0, 8),
      2,
      le(0, 16),
      le(1_700_000_000_000_000, 7),
    );
    const events = transaction(1, insert(1));
    const rotate = event(4, bytes(le(4, 8), 'binlog.000007'), true, 0x20);
    events[0] = event(34, anonymous);
    const [batch] = decode(spec, kinds, [rotate, ...events], `file@${SERVER}:binlog.000007:4`);
    expect(batch?.transactions[0]?.id).toBe('binlog.000007:4');
    expect(batch?.position).toMatch(new RegExp(`^file@${SERVER}:binlog\\.000007:\\d+$`));
  });
});

describe('damage', () => {
  const events = transaction(1, insert(1, 2));

  test('a flipped byte is found wherever it is', () => {
    for (const [place, intact] of events.entries()) {
      for (let at = 0; at < intact.length; at++) {
        const damaged = Buffer.from(intact);
        damaged[at]! ^= 0x10;
        const all = events.map((data, i) => (i === place ? damaged : data));
        expect(() => decode(spec, kinds, all), `event ${place} byte ${at}`).toThrow(
          expect.objectContaining({ code: 'source.corrupt', disposition: 'retry' }),
        );
      }
    }
  });

  test('rows without their table are no rows', () => {
    const orphan = [events[0]!, events[1]!, events[3]!];
    expect(() => decode(spec, kinds, orphan)).toThrow(/without their transaction or table/);
  });

  test('an event that is not known is left out only if it says so', () => {
    const odd = (flags: number) => [...events, event(99, Buffer.alloc(3), true, flags)];
    expect(() => decode(spec, kinds, odd(0))).toThrow(
      expect.objectContaining({ code: 'source.unsupported' }),
    );
    expect(decode(spec, kinds, odd(0x80))).toHaveLength(1);
  });

  test('an incident means that something is missing', () => {
    expect(() => decode(spec, kinds, [event(26, le(1, 3))])).toThrow(
      expect.objectContaining({ code: 'source.lost', disposition: 'halt' }),
    );
  });
});

describe('compressed transactions', () => {
  const inner = bytes(
    query('BEGIN', false),
    tableMap('t', columns, false),
    rows(30, 2, bytes(row(1, 1), row(2, null)), false),
    xid(false),
  );
  const payload = (compression: number, data: Buffer): Buffer =>
    event(
      40,
      bytes(
        2,
        prefixed(lenenc(compression)),
        3,
        prefixed(lenenc(inner.length)),
        1,
        prefixed(lenenc(data.length)),
        0,
        data,
      ),
    );
  const frames = [inner.subarray(0, 70), inner.subarray(70)];

  test.each([
    ['zstd', payload(0, zstdCompressSync(inner))],
    ['several zstd frames', payload(0, bytes(...frames.map((part) => zstdCompressSync(part))))],
    ['nothing', payload(255, inner)],
  ])('are read from %s', (_, data) => {
    const [batch] = decode(spec, kinds, [gtidEvent(1, 1), data]);
    expect(batch?.transactions[0]?.changes.map((change) => change.row)).toEqual([
      ['1', '1'],
      ['2', null],
    ]);
    expect(batch?.transactions[0]?.complete).toBe(true);
    expect(batch?.position).toBe(`mysql:${SERVER}:1`);
  });
});

/** MySQL's serialized integers: one-bits count the bytes that follow. */
function varint(value: bigint): Buffer {
  for (let length = 1; length < 9; length++) {
    if (value >> BigInt(7 * length) !== 0n) continue;
    return le((value << BigInt(length)) | ((1n << BigInt(length - 1)) - 1n), length);
  }
  return bytes(0xff, le(value, 8));
}

test('a tagged GTID names its transaction, and its times are read', () => {
  const uuid = [...Buffer.from(SERVER.replaceAll('-', ''), 'hex')];
  const field = (id: number, ...values: bigint[]): Buffer =>
    bytes(varint(BigInt(id)), ...values.map(varint));
  const fields = bytes(
    field(0, 1n),
    field(1, ...uuid.map(BigInt)),
    field(2, 300n << 1n),
    bytes(varint(3n), varint(6n), 'orders'),
    field(4, 5n << 1n),
    field(5, 6n << 1n),
    field(6, 1_700_000_000_123_456n),
    field(8, 1234n),
    field(9, 90_700n),
  );
  const body = (size: number) => bytes(varint(1n), varint(BigInt(size)), varint(10n), fields);
  const events = transaction(1, insert(1));
  events[0] = event(42, body(body(200).length));
  const [batch] = decode(spec, kinds, events);
  expect(batch?.transactions[0]?.id).toBe(`${SERVER}:orders:300`);
  expect(batch?.transactions[0]?.committedAt).toBe(1_700_000_000_123_456);
  expect(batch?.position).toBe(`mysql:${SERVER}:orders:300`);
});

describe('partial JSON', () => {
  const document: TableSpec = { name: 't', key: ['id'], columns: ['id', 'doc'] };
  const documentKinds = { id: 'integer', doc: 'json' } as const;
  const shape = [
    { name: 'id', ...INT },
    { name: 'doc', ...JSON_COLUMN },
  ];
  // {"a": 1, "b": [true, "x"]}
  const array = bytes(le(2, 2), le(12, 2), 4, le(1, 2), 12, le(10, 2), bytes(1, 'x'));
  const object = bytes(
    ...[le(2, 2), le(20 + array.length, 2), le(18, 2), le(1, 2), le(19, 2), le(1, 2)],
    ...[5, le(1, 2), 2, le(20, 2), 'a', 'b', array],
  );
  const whole = bytes(0, object);
  const json = (data: Buffer): Buffer => bytes(le(data.length, 4), data);
  const diff = (operation: number, path: string, value?: Buffer): Buffer =>
    bytes(operation, prefixed(path), value === undefined ? '' : prefixed(value));
  const update = (diffs: Buffer): Buffer[] => [
    gtidEvent(1, 1),
    query('BEGIN'),
    tableMap('t', shape),
    rows(39, 2, bytes(0, le(1, 4), json(whole), 1, 1, 0, le(1, 4), json(diffs))),
    xid(),
  ];
  const documentAfter = (diffs: Buffer) =>
    decode(document, documentKinds, update(diffs))[0]?.transactions[0]?.changes[0]?.row[1];

  test('without differences is the document', () => {
    expect(documentAfter(Buffer.alloc(0))).toBe('{"a":1,"b":[true,"x"]}');
  });

  test.each([
    ['replaces a member', diff(0, '$.a', bytes(5, le(7, 2))), '{"a":7,"b":[true,"x"]}'],
    ['replaces an item', diff(0, '$.b[1]', bytes(4, 0)), '{"a":1,"b":[true,null]}'],
    ['inserts a member', diff(1, '$."c d"', bytes(4, 2)), '{"a":1,"b":[true,"x"],"c d":false}'],
    ['inserts an item', diff(1, '$.b[0]', bytes(5, le(3, 2))), '{"a":1,"b":[3,true,"x"]}'],
    ['removes a member', diff(2, '$.a'), '{"b":[true,"x"]}'],
    ['removes an item', diff(2, '$.b[0]'), '{"a":1,"b":["x"]}'],
    ['replaces it all', diff(0, '$', bytes(12, 1, 'y')), '"y"'],
    ['goes one by one', bytes(diff(2, '$.a'), diff(2, '$.b[1]')), '{"b":[true]}'],
  ])('%s', (_, diffs, text) => {
    expect(documentAfter(diffs)).toBe(text);
  });

  test('is refused where the document is not known', () => {
    const events = update(diff(2, '$.a'));
    const missing = bytes(le(9, 6), le(1, 2), le(2, 2), 2, 0b01, 0b11);
    const images = bytes(0, le(1, 4), 1, 1, 0, le(1, 4), json(diff(2, '$.a')));
    events[3] = event(39, bytes(missing, images));
    expect(() => decode(document, documentKinds, events)).toThrow(
      expect.objectContaining({ code: 'source.unsupported', fix: expect.stringMatching(/FULL/) }),
    );
  });
});
