import { statfsSync } from 'node:fs';
import type { Micros } from '../../src/model/value.ts';
import { readTime } from './pgoutput.ts';
import { openSpool, type Spool } from './spool.ts';

/** Where transactions in progress are kept; null: nowhere, so the server does. */
export interface Scratch {
  folder: string | null;
}

/** A streamed transaction that turned out to be committed. */
export interface StreamedCommit {
  /** Undefined: it had nothing for us. */
  readonly spool: Spool | undefined;
  readonly xid: number;
  readonly commit: bigint;
  readonly end: bigint;
  readonly committedAt: Micros;
}

/**
 * Transactions that the server sends while they are still open (PostgreSQL manual, "Streaming of
 * Large Transactions for Logical Decoding"), kept until it says what became of them: nothing of
 * one may be decided before.
 */
export interface Streams {
  /** True: taken. False: no part of such a transaction. Otherwise one is complete. */
  take(bytes: Buffer, start: number, end: number): StreamedCommit | boolean;
  close(): void;
}

const START = 0x53;
const STOP = 0x45;
const ABORT = 0x41;
const COMMIT = 0x63;
/** Origin: the one message inside of a stream without a transaction id. */
const ORIGIN = 0x4f;

/** Transactions in progress may take so much of the disk, */
const MOST_BYTES = 8 * 2 ** 30;
/** and leave at least this. */
const RESERVE_BYTES = 2 ** 30;
const LOOK_EVERY = 16 * 2 ** 20;

export class NoRoom extends Error {
  constructor(cause: unknown) {
    super('no room here for transactions in progress', { cause });
  }
}

export function createStreams(folder: string): Streams {
  const spools = new Map<number, Spool>();
  let current: { readonly xid: number; readonly spool: Spool } | null = null;
  let unlooked = 0;

  const ended = (xid: number): Spool | undefined => {
    const spool = spools.get(xid);
    spools.delete(xid);
    return spool;
  };
  const begin = (xid: number): void => {
    const spool = spools.get(xid) ?? openSpool(folder);
    spools.set(xid, spool);
    current = { xid, spool };
  };
  const look = (size: number): void => {
    unlooked += size;
    if (unlooked < LOOK_EVERY) return;
    unlooked = 0;
    const kept = [...spools.values()].reduce((sum, { bytes }) => sum + bytes, 0);
    const { bavail, bsize } = statfsSync(folder);
    if (kept > MOST_BYTES || bavail * bsize < RESERVE_BYTES)
      throw new Error('the disk is too full');
  };
  const append = (bytes: Buffer, start: number, end: number): void => {
    if (bytes[start] === ORIGIN) return;
    try {
      current!.spool.append(bytes, start, end);
      look(end - start);
    } catch (error) {
      throw new NoRoom(error);
    }
  };
  const abort = (xid: number, part: number): void => {
    if (xid === part) ended(xid)?.close();
    else spools.get(xid)?.rollBack(part);
  };

  return {
    take(bytes, start, end) {
      const tag = bytes[start];
      if (tag === STOP) current = null;
      else if (current !== null) append(bytes, start, end);
      else if (tag === START) begin(bytes.readUInt32BE(start + 1));
      else if (tag === ABORT) abort(bytes.readUInt32BE(start + 1), bytes.readUInt32BE(start + 5));
      else if (tag === COMMIT) {
        const xid = bytes.readUInt32BE(start + 1);
        const commit = bytes.readBigUInt64BE(start + 6);
        const committedAt = readTime(bytes, start + 22);
        return {
          spool: ended(xid),
          xid,
          commit,
          end: bytes.readBigUInt64BE(start + 14),
          committedAt,
        };
      } else return false;
      return true;
    },
    close() {
      for (const spool of spools.values()) spool.close();
      spools.clear();
    },
  };
}
