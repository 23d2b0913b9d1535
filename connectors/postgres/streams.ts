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
  take(message: Buffer): StreamedCommit | boolean;
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

  const end = (xid: number): Spool | undefined => {
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
  const append = (message: Buffer): void => {
    if (message[0] === ORIGIN) return;
    const plain = Buffer.concat([message.subarray(0, 1), message.subarray(5)]);
    try {
      current!.spool.append(message.readUInt32BE(1), plain);
      look(message.length);
    } catch (error) {
      throw new NoRoom(error);
    }
  };
  const abort = (xid: number, part: number): void => {
    if (xid === part) end(xid)?.close();
    else spools.get(xid)?.rollBack(part);
  };

  return {
    take(message) {
      const tag = message[0];
      if (tag === STOP) current = null;
      else if (current !== null) append(message);
      else if (tag === START) begin(message.readUInt32BE(1));
      else if (tag === ABORT) abort(message.readUInt32BE(1), message.readUInt32BE(5));
      else if (tag === COMMIT) {
        const xid = message.readUInt32BE(1);
        const lsns = { commit: message.readBigUInt64BE(6), end: message.readBigUInt64BE(14) };
        return { spool: end(xid), xid, ...lsns, committedAt: readTime(message, 22) };
      } else return false;
      return true;
    },
    close() {
      for (const spool of spools.values()) spool.close();
      spools.clear();
    },
  };
}
