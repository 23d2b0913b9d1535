import { Socket, type SocketConstructorOpts } from 'node:net';
import type { Duplex, DuplexOptions } from 'node:stream';
import type { ClientConfig } from 'pg';

/** A stream that is read while its reader wants it. */
export interface Valve {
  open(): void;
  close(): void;
  /** For good: nothing is waited for any more. */
  end(): void;
}

const UNBUFFERED: SocketConstructorOpts & DuplexOptions = { readableHighWaterMark: 1 };

/**
 * A paused socket reads on until its own buffer is full, row by row: this one has none. Under TLS
 * it does so all the same, into TLS's buffer.
 */
export const unbuffered = (connection: ClientConfig): ClientConfig => ({
  ...connection,
  stream: () => new Socket(UNBUFFERED),
});

const GATHER_MS = 8;
/** So many pieces in that time are a log in full flow; a few busy users are not. */
const MANY = 64;
/** Bytes: what gathers less so many times in a row no longer flows; once is a server at work. */
const LITTLE = 8192;
const TIMES = 4;

/**
 * Lets the bytes of a log in full flow gather for a moment before they are read. The server sends
 * each row by itself, and a reader that is faster is woken for every one of them, which costs both
 * more than the row. While nobody waits for them the kernels put the rows of a closed window
 * together, and a server sends them twice as fast. A log that brings less is read as it comes.
 */
export function gatherBytes(stream: Duplex): Valve {
  let wanted = true;
  let flows = false;
  let gathering: NodeJS.Timeout | undefined;
  let turn: NodeJS.Immediate | undefined;
  let since = 0;
  let pieces = 0;
  /** Since it was last waited for. */
  let bytes = 0;
  let littles = 0;
  const read = (): void => {
    bytes = 0;
    stream.resume();
  };
  const gather = (): void => {
    stream.pause();
    gathering = setTimeout(() => {
      gathering = undefined;
      if (wanted) read();
    }, GATHER_MS);
  };
  // What the socket holds comes in one turn of the event loop, in however many pieces.
  const endTurn = (): void => {
    turn = undefined;
    littles = bytes < LITTLE ? littles + 1 : 0;
    flows = littles < TIMES;
    // For a reader that has enough they gather by themselves.
    if (flows && wanted) gather();
  };
  stream.on('data', (piece: Buffer) => {
    bytes += piece.length;
    if (flows) {
      turn ??= setImmediate(endTurn);
      return;
    }
    const now = performance.now();
    if (now - since >= GATHER_MS) {
      since = now;
      pieces = 0;
    }
    pieces += 1;
    flows = pieces >= MANY;
    littles = 0;
    if (flows) gather();
  });
  return {
    open() {
      wanted = true;
      if (gathering === undefined) read();
    },
    close() {
      wanted = false;
      stream.pause();
    },
    end() {
      clearTimeout(gathering);
      clearImmediate(turn);
    },
  };
}
