import type { Duplex } from 'node:stream';
import { letGo } from './let-go.ts';

/** What stands in `bytes` from `start` to before `end`, and may be gone afterwards. */
export type TakeBytes = (bytes: Buffer, start: number, end: number) => void;

/** Type and length, which counts itself. */
const HEADER = 5;
const COPY_DATA = 0x64;
/** Bytes: what a log in full flow brings at once is as large as that, what a user does is not. */
const LARGE = 4096;

/**
 * Takes the CopyData messages (PostgreSQL manual, "Message Formats") out of what comes over a
 * connection that nothing is under way on; all others go on to pg as they are. Of a log with
 * millions of small messages pg would make several objects and a buffer of each.
 */
export function takeCopyData(stream: Duplex, take: TakeBytes): void {
  const others = stream.listeners('data');
  stream.removeAllListeners('data');
  const give = (bytes: Buffer, start: number, end: number): void => {
    if (bytes[start] === COPY_DATA) take(bytes, start + HEADER, end);
    else for (const other of others) other.call(stream, bytes.subarray(start, end));
  };
  const begun = beginning();
  stream.on('data', (piece: Buffer) => {
    let at = begun.complete(piece, give);
    while (piece.length - at >= HEADER) {
      const end = at + 1 + piece.readUInt32BE(at + 1);
      if (end > piece.length) break;
      give(piece, at, end);
      at = end;
    }
    if (at < piece.length) begun.keep(piece.subarray(at));
    // Once all who listen have had it. Of a small one it would cost more than it brings.
    if (piece.length >= LARGE) queueMicrotask(() => letGo(piece));
  });
}

/** The message that the socket has not brought whole: only such a one is copied. */
function beginning() {
  let pieces: Buffer[] = [];
  let size = 0;
  /** Bytes up to its end, or up to where its length is known. */
  let wanted = HEADER;
  const keep = (piece: Buffer): void => {
    pieces.push(Buffer.from(piece));
    size += piece.length;
    if (wanted > HEADER || size < HEADER) return;
    if (pieces.length > 1) pieces = [Buffer.concat(pieces)];
    wanted = 1 + pieces[0]!.readUInt32BE(1);
  };
  return {
    keep,
    /** Gives the message if it ends in this piece; how much of the piece it took. */
    complete(piece: Buffer, give: TakeBytes): number {
      let at = 0;
      while (size > 0 && at < piece.length) {
        const more = Math.min(wanted - size, piece.length - at);
        keep(piece.subarray(at, at + more));
        at += more;
        if (size < wanted) continue;
        const message = Buffer.concat(pieces, size);
        pieces = [];
        size = 0;
        wanted = HEADER;
        give(message, 0, message.length);
      }
      return at;
    },
  };
}
