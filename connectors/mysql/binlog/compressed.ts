import { inflateRawSync, inflateSync } from 'node:zlib';
import type { Cursor } from './cursor.ts';

/**
 * What MariaDB's `log_bin_compress` puts in place of a query's text or of an event's rows: a
 * byte with the method (bits 4–6, 0 is zlib) and the size of the big-endian length that follows,
 * then the compressed bytes (MariaDB source, `binlog_buf_compress`).
 */
export function inflateEvent(c: Cursor): Buffer {
  const head = c.buf[c.pos]!;
  const lengthBytes = head & 0x07;
  if ((head & 0x70) !== 0) throw new RangeError('an event is compressed with an unknown method');
  const expected = c.buf.readUIntBE(c.pos + 1, lengthBytes);
  const data = inflateSync(c.buf.subarray(c.pos + 1 + lengthBytes, c.end));
  if (data.length !== expected) throw new RangeError('a compressed event has the wrong length');
  return data;
}

/**
 * A value of a MariaDB column declared COMPRESSED: nothing for an empty value; otherwise a byte
 * with the method in its high half, 0 (as it is) or 8 (zlib); for zlib the low bits give the size
 * of the big-endian length and whether the zlib wrapper was left out.
 */
export function inflateValue(buf: Buffer, start: number, end: number): Buffer {
  if (start === end) return buf.subarray(start, end);
  const head = buf[start]!;
  const method = head >> 4;
  if (method === 0) return buf.subarray(start + 1, end);
  if (method !== 8) throw new RangeError('a column is compressed with an unknown method');
  const data = buf.subarray(start + 1 + (head & 0x07), end);
  return (head & 0x08) !== 0 ? inflateRawSync(data) : inflateSync(data);
}
