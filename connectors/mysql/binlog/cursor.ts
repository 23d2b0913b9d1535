declare global {
  /** What `toString` calls once it has found out the encoding; mysql2 relies on them too. */
  interface Buffer {
    utf8Slice(start: number, end: number): string;
    latin1Slice(start: number, end: number): string;
    ucs2Slice(start: number, end: number): string;
    hexSlice(start: number, end: number): string;
  }
}

/**
 * A place in a buffer that readers move forward. One object lives as long as the decoder: nothing
 * is allocated to read a value. Reads past `end` throw a RangeError, which the source reports as
 * a corrupt log.
 */
export interface Cursor {
  buf: Buffer;
  pos: number;
  /** First byte after what may be read (before the checksum). */
  end: number;
}

export function cursorOver(buf: Buffer, pos = 0, end = buf.length): Cursor {
  return { buf, pos, end };
}

/** Moves `length` bytes forward and returns where they began. */
export function take(c: Cursor, length: number): number {
  const start = c.pos;
  if (start + length > c.end) throw new RangeError('the event ends inside a field');
  c.pos = start + length;
  return start;
}

export const u8 = (c: Cursor): number => c.buf[take(c, 1)]!;
export const u16 = (c: Cursor): number => c.buf.readUInt16LE(take(c, 2));
export const u32 = (c: Cursor): number => c.buf.readUInt32LE(take(c, 4));
export const u48 = (c: Cursor): number => c.buf.readUIntLE(take(c, 6), 6);
export const bytes = (c: Cursor, length: number): Buffer => {
  const start = take(c, length);
  return c.buf.subarray(start, start + length);
};
export const utf8 = (c: Cursor, length: number): string => {
  const start = take(c, length);
  return c.buf.utf8Slice(start, start + length);
};

/** 64-bit unsigned; what lies beyond 2^53 is no sequence number, position or length we can meet. */
export function u64(c: Cursor): number {
  const at = take(c, 8);
  const value = c.buf.readUInt32LE(at) + c.buf.readUInt32LE(at + 4) * 0x1_0000_0000;
  if (value > Number.MAX_SAFE_INTEGER) throw new RangeError('a 64-bit number is out of range');
  return value;
}

/** Length-encoded integer (MySQL source documentation, "Protocol::LengthEncodedInteger"). */
export function lenenc(c: Cursor): number {
  const first = u8(c);
  if (first < 0xfb) return first;
  if (first === 0xfc) return u16(c);
  if (first === 0xfd) return c.buf.readUIntLE(take(c, 3), 3);
  if (first === 0xfe) return u64(c);
  throw new RangeError('a length-encoded integer starts with an invalid byte');
}
