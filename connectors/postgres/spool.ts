import { createCipheriv, createDecipheriv, randomBytes, randomUUID } from 'node:crypto';
import { closeSync, openSync, read, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** The messages of one transaction in progress. */
export interface Spool {
  /**
   * A message of the transaction, or of a part of it that may be rolled back by itself: which, it
   * says behind its type. It is kept without that, as it would be outside of a stream.
   */
  append(bytes: Buffer, start: number, end: number): void;
  /** Everything since the first message of that part never happened. */
  rollBack(xid: number): void;
  /** What is left, in order, many messages at a time. */
  pieces(): AsyncGenerator<Piece, void>;
  readonly bytes: number;
  close(): void;
}

/** Walks over messages: one stands in `bytes` from `start` to before `end`. */
export interface Piece {
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
  /** Goes on to the next one, first to the first; false when there is none. */
  next(): boolean;
}

/** Before each message: its length. */
const HEADER = 4;
/** Of the transaction's number, behind the message's type. */
const XID = 4;

export function openSpool(folder: string): Spool {
  const file = sealedFile(folder);
  const parts = nestedParts();
  const head = Buffer.allocUnsafe(HEADER + 1);
  return {
    append(bytes, start, end) {
      parts.enter(bytes.readUInt32BE(start + 1), file.bytes);
      head.writeUInt32BE(end - start - XID);
      head[HEADER] = bytes[start]!;
      file.append(head, 0, head.length);
      file.append(bytes, start + 1 + XID, end);
    },
    rollBack: (xid) => parts.rollBack(xid, file.bytes),
    async *pieces() {
      const wanted = parts.survivors();
      let rest: Buffer[] = [];
      let size = 0;
      let least = HEADER;
      let at = 0;
      for await (const chunk of file.chunks()) {
        rest.push(chunk);
        size += chunk.length;
        if (size < least) continue;
        const bytes = rest.length === 1 ? chunk : Buffer.concat(rest, size);
        const piece = pieceOf(bytes, (place) => wanted(at + place));
        yield piece;
        at += piece.read;
        size -= piece.read;
        rest = size === 0 ? [] : [bytes.subarray(piece.read)];
        least = HEADER + (size < HEADER ? 0 : bytes.readUInt32BE(piece.read));
      }
    },
    get bytes() {
      return file.bytes;
    },
    close: file.close,
  };
}

/** The complete messages in `bytes` that are wanted; `read`: where the next one begins. */
function pieceOf(
  bytes: Buffer,
  wanted: (at: number) => boolean,
): Piece & { readonly read: number } {
  const piece = {
    bytes,
    start: 0,
    end: 0,
    read: 0,
    next(): boolean {
      while (bytes.length - piece.read >= HEADER) {
        const at = piece.read;
        const end = at + HEADER + bytes.readUInt32BE(at);
        if (end > bytes.length) return false;
        piece.read = end;
        if (!wanted(at)) continue;
        piece.start = at + HEADER;
        piece.end = end;
        return true;
      }
      return false;
    },
  };
  return piece;
}

interface Range {
  readonly from: number;
  readonly to: number;
}

/** Which places of the log of a transaction have been rolled back with a part of it. */
function nestedParts() {
  /** Where each part begins. They nest: what began later and has not ended is within. */
  const open: { readonly xid: number; readonly from: number }[] = [];
  const known = new Set<number>();
  /** Ascending and apart from one another. */
  const undone: Range[] = [];
  return {
    enter(xid: number, at: number): void {
      if (known.has(xid)) return;
      known.add(xid);
      open.push({ xid, from: at });
    },
    rollBack(xid: number, to: number): void {
      if (!known.has(xid)) return;
      let part = open.pop()!;
      for (known.delete(part.xid); part.xid !== xid; known.delete(part.xid)) part = open.pop()!;
      while ((undone.at(-1)?.from ?? -1) >= part.from) undone.pop();
      undone.push({ from: part.from, to });
    },
    /** Says whether a place is left; asked in ascending order. */
    survivors(): (at: number) => boolean {
      let next = 0;
      return (at) => {
        while (at >= (undone[next]?.to ?? Number.POSITIVE_INFINITY)) next++;
        return at < (undone[next]?.from ?? Number.POSITIVE_INFINITY);
      };
    },
  };
}

const CHUNK = 1 << 16;
const CIPHER = 'aes-256-ctr';
const readAsync = promisify(read);

/**
 * A file that has no name from the moment it is made, so the system removes it however this process
 * ends, and that is encrypted with a key that is nowhere else: rows are written to it.
 */
function sealedFile(folder: string) {
  const key = randomBytes(32);
  const nonce = randomBytes(16);
  const cipher = createCipheriv(CIPHER, key, nonce);
  let file: number | null = null;
  let block: Buffer | null = null;
  let used = 0;
  let bytes = 0;
  const flush = (): void => {
    if (block === null) return;
    file ??= nameless(folder);
    for (let text = cipher.update(block.subarray(0, used)); text.length > 0; ) {
      text = text.subarray(writeSync(file, text));
    }
    used = 0;
  };
  return {
    get bytes() {
      return bytes;
    },
    append(data: Buffer, start: number, end: number): void {
      block ??= Buffer.allocUnsafe(CHUNK);
      bytes += end - start;
      for (let at = start; at < end; ) {
        const copied = data.copy(block, used, at, end);
        at += copied;
        used += copied;
        if (used === CHUNK) flush();
      }
    },
    async *chunks(): AsyncGenerator<Buffer, void> {
      flush();
      const decipher = createDecipheriv(CIPHER, key, nonce);
      for (let at = 0; at < bytes; ) {
        const { bytesRead, buffer } = await readAsync(file!, Buffer.alloc(CHUNK), 0, CHUNK, at);
        if (bytesRead === 0) throw new Error('a transaction in progress is shorter than it was');
        at += bytesRead;
        yield decipher.update(buffer.subarray(0, bytesRead));
      }
    },
    close(): void {
      if (file !== null) closeSync(file);
      file = null;
      block = null;
    },
  };
}

function nameless(folder: string): number {
  const path = join(folder, `carrick-${randomUUID()}.tmp`);
  const file = openSync(path, 'wx+', 0o600);
  unlinkSync(path);
  return file;
}
