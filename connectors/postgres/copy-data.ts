import type { Duplex } from 'node:stream';

/** What stands in `bytes` from `start` to before `end`. */
export type TakeBytes = (bytes: Buffer, start: number, end: number) => void;

/** Type and length, which counts itself. */
const HEADER = 5;
const COPY_DATA = 0x64;

/**
 * Takes the CopyData messages (PostgreSQL manual, "Message Formats") out of what comes over a
 * connection that nothing is under way on; all others go on to pg as they are. Of a log with
 * millions of small messages pg would make several objects and a buffer of each.
 */
export function takeCopyData(stream: Duplex, take: TakeBytes): void {
  const others = stream.listeners('data');
  stream.removeAllListeners('data');
  /** The beginning of a message, in pieces; `wanted`: how many bytes it takes to go on. */
  let pieces: Buffer[] = [];
  let size = 0;
  let wanted = HEADER;
  stream.on('data', (piece: Buffer) => {
    pieces.push(piece);
    size += piece.length;
    if (size < wanted) return;
    const bytes = pieces.length === 1 ? piece : Buffer.concat(pieces, size);
    let at = 0;
    for (wanted = HEADER; bytes.length - at >= HEADER; wanted = HEADER) {
      wanted = 1 + bytes.readUInt32BE(at + 1);
      const end = at + wanted;
      if (end > bytes.length) break;
      if (bytes[at] === COPY_DATA) take(bytes, at + HEADER, end);
      else for (const other of others) other.call(stream, bytes.subarray(at, end));
      at = end;
    }
    pieces = at === bytes.length ? [] : [bytes.subarray(at)];
    size = bytes.length - at;
  });
}
