import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { loadCharsets } from '../../connectors/mysql/binlog/charset.ts';
import { cursorOver } from '../../connectors/mysql/binlog/cursor.ts';
import { decimalReader } from '../../connectors/mysql/binlog/decimal.ts';
import { doubleText, jsonText, readBinaryJson } from '../../connectors/mysql/binlog/json.ts';
import { time2Reader } from '../../connectors/mysql/binlog/temporal.ts';
import { floatText } from '../../connectors/mysql/binlog/values.ts';
import { shortestFloat32 } from '../../connectors/mysql/types.ts';
import { bytes, le } from './mysql-binlog-bytes.ts';

/** The binary DECIMAL of a number in units of its last digit, as the manual describes it. */
function decimalBytes(units: bigint, precision: number, scale: number): Buffer {
  const digits = (units < 0n ? -units : units).toString().padStart(precision, '0');
  const head = (precision - scale) % 9;
  const groups: string[] = [];
  if (head > 0) groups.push(digits.slice(0, head));
  for (let at = head; at < precision; at += groups.at(-1)!.length)
    groups.push(digits.slice(at, at + 9));
  const data = Buffer.concat(
    groups.map((group) => {
      const buffer = Buffer.alloc(Math.min(4, Math.ceil(group.length / 2)));
      buffer.writeUIntBE(Number(group), 0, buffer.length);
      return buffer;
    }),
  );
  if (units < 0n) for (let i = 0; i < data.length; i++) data[i]! ^= 0xff;
  data[0]! ^= 0x80;
  return data;
}

test('decimals of every precision read back', () => {
  const shape = fc.integer({ min: 1, max: 65 }).chain((precision) =>
    fc.record({
      precision: fc.constant(precision),
      scale: fc.integer({ min: 0, max: Math.min(30, precision) }),
      units: fc.bigInt({
        min: -(10n ** BigInt(precision)) + 1n,
        max: 10n ** BigInt(precision) - 1n,
      }),
    }),
  );
  fc.assert(
    fc.property(shape, ({ precision, scale, units }) => {
      const digits = (units < 0n ? -units : units).toString().padStart(scale + 1, '0');
      const split = digits.length - scale;
      const fraction = scale === 0 ? '' : `.${digits.slice(split)}`;
      const text = `${units < 0n ? '-' : ''}${digits.slice(0, split)}${fraction}`;
      const data = decimalBytes(units, precision, scale);
      const c = cursorOver(data);
      expect(decimalReader(precision, scale)(c)).toBe(text);
      expect(c.pos).toBe(data.length);
    }),
  );
});

test('four-byte floats are spelled as SELECT spells them', () => {
  const float = fc.float({ noNaN: true, noDefaultInfinity: true });
  fc.assert(
    fc.property(float, (value) => {
      expect(floatText(value)).toBe(shortestFloat32(value));
      expect(Math.fround(Number(floatText(value)))).toBe(value + 0);
    }),
  );
});

test('times with every precision read back', () => {
  const time = fc.record({
    precision: fc.integer({ min: 0, max: 6 }),
    seconds: fc.integer({ min: 0, max: 838 * 3600 + 59 * 60 + 58 }),
    micros: fc.integer({ min: 0, max: 999_999 }),
    negative: fc.boolean(),
  });
  fc.assert(
    fc.property(time, ({ precision, seconds, micros, negative }) => {
      const unit = 10 ** (6 - precision);
      const kept = Math.floor(micros / unit) * unit;
      const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
      const extra = Math.ceil(precision / 2);
      const stored = kept / 10 ** (6 - 2 * extra);
      const size = BigInt((h << 12) | (m << 6) | s) * 256n ** BigInt(extra) + BigInt(stored);
      const packed = 0x800000n * 256n ** BigInt(extra) + (negative ? -size : size);
      const data = le(packed, 3 + extra).reverse();
      const two = (n: number) => String(n).padStart(2, '0');
      const fraction = kept === 0 ? '' : `.${String(kept).padStart(6, '0').replace(/0+$/, '')}`;
      const sign = negative && (seconds > 0 || kept > 0) ? '-' : '';
      expect(time2Reader(precision)(cursorOver(data))).toBe(
        `${sign}${two(h)}:${two(m)}:${two(s)}${fraction}`,
      );
    }),
  );
});

describe('binary JSON', () => {
  const read = (data: Buffer): string => jsonText(readBinaryJson(data, 0, data.length));
  const opaque = (type: number, data: Buffer): Buffer => bytes(15, type, data.length, data);
  /** Year × 13 + month, day, hour, minute, second, microsecond. */
  const moment = (ym: bigint, ...[d, h, m, s, f]: [bigint, bigint, bigint, bigint, bigint]) =>
    le((((((ym << 5n) | d) << 17n) | (h << 12n) | (m << 6n) | s) << 24n) | f, 8);

  test.each([
    ['null', bytes(4, 0), 'null'],
    ['true', bytes(4, 1), 'true'],
    ['int16', bytes(5, le(-5, 2)), '-5'],
    ['uint16', bytes(6, le(65_535, 2)), '65535'],
    ['int32', bytes(7, le(-70_000, 4)), '-70000'],
    ['uint32', bytes(8, le(4_000_000_000, 4)), '4000000000'],
    ['int64', bytes(9, le(-9_007_199_254_740_993n, 8)), '-9007199254740993'],
    ['uint64', bytes(10, le(18_446_744_073_709_551_615n, 8)), '18446744073709551615'],
    ['string', bytes(12, 7, 'é"\n', '😀'.slice(0, 0), 'ab', 'c'), '"é\\"\\nabc"'],
    ['a long string', bytes(12, 0xac, 0x02, 'x'.repeat(300)), `"${'x'.repeat(300)}"`],
    ['a decimal', opaque(246, bytes(5, 2, decimalBytes(-110n, 5, 2))), '-1.10'],
    ['a date', opaque(10, moment(2026n * 13n + 2n, 3n, 0n, 0n, 0n, 0n)), '"2026-02-03"'],
    [
      'a datetime',
      opaque(12, moment(2026n * 13n + 12n, 31n, 23n, 59n, 58n, 70n)),
      '"2026-12-31 23:59:58.000070"',
    ],
    ['a time', opaque(11, le(-(((1n << 12n) | 2n) << 24n) - 500_000n, 8)), '"-01:00:02.500000"'],
    ['bytes', opaque(252, Buffer.from('hi')), '"base64:type252:aGk="'],
    ['an empty object', bytes(0, le(0, 2), le(4, 2)), '{}'],
    ['an empty array', bytes(2, le(0, 2), le(4, 2)), '[]'],
    ['nothing', Buffer.alloc(0), 'null'],
  ])('%s', (_, data, text) => {
    expect(read(data)).toBe(text);
  });

  test('a large object keeps 32-bit numbers in place and sorts its keys', () => {
    // The server sorts keys by length first: "b" comes before "aa".
    const entries = bytes(le(38 - 0, 4), le(1, 2), le(39, 4), le(2, 2));
    const values = bytes(7, le(-1, 4), 12, le(41, 4));
    const object = bytes(1, le(2, 4), le(43, 4), entries, values, Buffer.alloc(8), 'b', 'aa');
    expect(read(bytes(object, 1, 'z'))).toBe('{"aa":"z","b":-1}');
  });

  test.each([
    [1, '1.0'],
    [-0, '-0.0'],
    [0.1, '0.1'],
    [-2.5, '-2.5'],
    [1e14, '100000000000000.0'],
    [1e15, '1e15'],
    [123_456_789_012_345_680, '1.2345678901234568e17'],
    [1_234_567_890_123_456.8, '1234567890123456.8'],
    [1e-5, '0.00001'],
    [1.5e-15, '0.0000000000000015'],
    [1e-16, '1e-16'],
    [1.7976931348623157e308, '1.7976931348623157e308'],
  ])('the double %d is %s', (value, text) => {
    expect(doubleText(value)).toBe(text);
    expect(Number(text)).toBe(value);
  });
});

test('character sets are decoded by what the server says of them', async () => {
  const every = Array.from({ length: 256 }, (_, byte) =>
    byte < 128 ? String.fromCharCode(byte) : byte === 0x80 ? '€' : '?',
  ).join('');
  const charsets = await loadCharsets(async (sql) => {
    if (sql.includes('character_sets')) {
      return [
        ['latin1', '1'],
        ['utf8mb4', '4'],
        ['sjis', '2'],
        ['utf32', '4'],
        ['binary', '1'],
      ];
    }
    if (sql.includes('CONVERT')) return [[every]];
    // As MySQL, which has no ids there.
    if (sql.includes('applicability')) throw new Error('unknown column');
    return [
      ['8', 'latin1'],
      ['255', 'utf8mb4'],
      ['13', 'sjis'],
      ['60', 'utf32'],
      ['63', 'binary'],
    ];
  });
  const text = (collation: number, data: Buffer) =>
    charsets.ofCollation(collation)!(bytes('<', data, '>'), 1, data.length + 1);
  expect(text(8, bytes('a', 0x80, 'b'))).toBe('a€b');
  expect(text(255, Buffer.from('é😀'))).toBe('é😀');
  expect(text(13, bytes(0x83, 0x4a))).toBe('カ');
  expect(text(60, bytes(le(0x1f600, 4).reverse()))).toBe('😀');
  expect(charsets.ofCollation(63)).toBeNull();
  expect(charsets.collationOf('utf8mb4')).toBe(255);
  expect(() => charsets.ofCollation(9999)).toThrow(RangeError);
});
