import { createCipheriv, createDecipheriv, randomBytes, randomUUID } from 'node:crypto';
import { closeSync, openSync, read, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { letGo } from './let-go.ts';

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
      file.append(head, bytes.subarray(start + 1 + XID, end));
    },
    rollBack: (xid) => parts.rollBack(xid, file.bytes),
    async *pieces() {
      const wanted = parts.survivors();
      let at = 0;
      for await (const block of file.blocks()) {
        const from = at;
        yield pieceOf(block, (place) => wanted(from + place));
        at += block.length;
      }
    },
    get bytes() {
      return file.bytes;
    },
    close: file.close,
  };
}

/** Whole messages, of which those that are wanted. */
function pieceOf(bytes: Buffer, wanted: (at: number) => boolean): Piece {
  let at = 0;
  const piece = {
    bytes,
    start: 0,
    end: 0,
    next(): boolean {
      while (at < bytes.length) {
        const message = at;
        at += HEADER + bytes.readUInt32BE(message);
        if (!wanted(message)) continue;
        piece.start = message + HEADER;
        piece.end = at;
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

/** Of a block, unless one message is larger. */
const BLOCK = 1 << 18;
const CIPHER = 'aes-256-ctr';
const readAsync = promisify(read);

/**
 * A file that has no name from the moment it is made, so the system removes it however this process
 * ends, and that is encrypted with a key that is nowhere else: rows are written to it. What is
 * appended at once comes back in one block.
 */
function sealedFile(folder: string) {
  const key = randomBytes(32);
  const nonce = randomBytes(16);
  const cipher = createCipheriv(CIPHER, key, nonce);
  let file: number | null = null;
  let block: Buffer = EMPTY;
  let used = 0;
  let bytes = 0;
  const lengths: number[] = [];
  const flush = (): void => {
    if (used === 0) return;
    file ??= nameless(folder);
    const sealed = cipher.update(block.subarray(0, used));
    for (let text = sealed; text.length > 0; ) text = text.subarray(writeSync(file, text));
    letGo(sealed);
    lengths.push(used);
    used = 0;
  };
  return {
    get bytes() {
      return bytes;
    },
    append(head: Buffer, data: Buffer): void {
      const length = head.length + data.length;
      if (used + length > block.length) {
        flush();
        if (block.length !== BLOCK || length > BLOCK) {
          block = Buffer.allocUnsafe(Math.max(length, BLOCK));
        }
      }
      head.copy(block, used);
      data.copy(block, used + head.length);
      used += length;
      bytes += length;
    },
    async *blocks(): AsyncGenerator<Buffer, void> {
      flush();
      const decipher = createDecipheriv(CIPHER, key, nonce);
      let text: Buffer = EMPTY;
      let at = 0;
      const fetch = async (length: number): Promise<void> => {
        if (text.length < length) text = Buffer.allocUnsafe(length);
        await readWhole(file!, text, length, at);
        at += length;
      };
      let fetching = fetch(lengths[0] ?? 0);
      try {
        for (const [i, length] of lengths.entries()) {
          await fetching;
          const opened = decipher.update(text.subarray(0, length));
          // While this one is decoded the next is read.
          fetching = fetch(lengths[i + 1] ?? 0);
          fetching.catch(() => undefined);
          yield opened;
          letGo(opened);
        }
      } finally {
        // Nobody closes a file that is being read.
        await fetching.catch(() => undefined);
      }
    },
    close(): void {
      if (file !== null) closeSync(file);
      file = null;
      block = EMPTY;
    },
  };
}

const EMPTY: Buffer = Buffer.alloc(0);

async function readWhole(file: number, into: Buffer, length: number, at: number): Promise<void> {
  for (let done = 0; done < length; ) {
    const { bytesRead } = await readAsync(file, into, done, length - done, at + done);
    if (bytesRead === 0) throw new Error('a transaction in progress is shorter than it was');
    done += bytesRead;
  }
}

function nameless(folder: string): number {
  const path = join(folder, `carrick-${randomUUID()}.tmp`);
  const file = openSync(path, 'wx+', 0o600);
  unlinkSync(path);
  return file;
}
