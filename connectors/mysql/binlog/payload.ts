import { zstdDecompressSync } from 'node:zlib';
import { type Cursor, lenenc, take } from './cursor.ts';

const FIELD = { end: 0, size: 1, compression: 2, uncompressed: 3 } as const;
const ZSTD = 0;
const NONE = 255;

/**
 * TRANSACTION_PAYLOAD (MySQL 8.0.20, `binlog_transaction_compression`): fields of type, length and
 * value up to an end mark, then the events of one transaction, compressed, each with its header
 * and without a checksum. Returns them uncompressed.
 */
export function readPayload(c: Cursor): Buffer {
  let compression = ZSTD;
  for (let field = lenenc(c); field !== FIELD.end; field = lenenc(c)) {
    const length = lenenc(c);
    const next = take(c, length) + length;
    if (field === FIELD.compression) {
      c.pos = next - length;
      compression = lenenc(c);
    }
    c.pos = next;
  }
  const data = c.buf.subarray(c.pos, c.end);
  if (compression === NONE) return data;
  if (compression !== ZSTD) throw new RangeError('a transaction has an unknown compression');
  return unzstd(data);
}

/** The server may write several frames; zlib stops behind each. */
function unzstd(data: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let rest = data; rest.length > 0; ) {
    // `info` is documented and makes zlib say how much it has read; its types are behind.
    const { buffer, engine } = zstdDecompressSync(rest, { info: true }) as unknown as {
      buffer: Buffer;
      engine: { bytesWritten: number };
    };
    parts.push(buffer);
    if (engine.bytesWritten === 0) throw new RangeError('a compressed transaction is empty');
    rest = rest.subarray(engine.bytesWritten);
  }
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
}
