import { createCipheriv, createDecipheriv, randomBytes, randomUUID } from 'node:crypto';
import { closeSync, openSync, read, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** The messages of one transaction in progress. */
export interface Spool {
  /** A message of the transaction, or of a part of it that may be rolled back by itself. */
  append(xid: number, message: Buffer): void;
  /** Everything since the first message of that part never happened. */
  rollBack(xid: number): void;
  /** What is left, in order; a message is good until the next one is asked for. */
  messages(): AsyncGenerator<Buffer, void>;
  readonly bytes: number;
  close(): void;
}

/** Before each message: its length. */
const HEADER = 4;

export function openSpool(folder: string): Spool {
  const file = sealedFile(folder);
  const parts = nestedParts();
  return {
    append(xid, message) {
      parts.enter(xid, file.bytes);
      const header = Buffer.allocUnsafe(HEADER);
      header.writeUInt32BE(message.length);
      file.append(Buffer.concat([header, message]));
    },
    rollBack: (xid) => parts.rollBack(xid, file.bytes),
    async *messages() {
      const wanted = parts.survivors();
      let rest: Buffer = Buffer.alloc(0);
      let at = 0;
      for await (const chunk of file.chunks()) {
        rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
        while (rest.length >= HEADER) {
          const end = HEADER + rest.readUInt32BE();
          if (rest.length < end) break;
          if (wanted(at)) yield rest.subarray(HEADER, end);
          at += end;
          rest = rest.subarray(end);
        }
      }
    },
    get bytes() {
      return file.bytes;
    },
    close: file.close,
  };
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
  let pending: Buffer[] = [];
  let waiting = 0;
  let bytes = 0;
  const flush = (): void => {
    file ??= nameless(folder);
    for (let text = cipher.update(Buffer.concat(pending)); text.length > 0; ) {
      text = text.subarray(writeSync(file, text));
    }
    pending = [];
    waiting = 0;
  };
  return {
    get bytes() {
      return bytes;
    },
    append(data: Buffer): void {
      pending.push(data);
      waiting += data.length;
      bytes += data.length;
      if (waiting >= CHUNK) flush();
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
      pending = [];
    },
  };
}

function nameless(folder: string): number {
  const path = join(folder, `carrick-${randomUUID()}.tmp`);
  const file = openSync(path, 'wx+', 0o600);
  unlinkSync(path);
  return file;
}
