import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { gatherBytes, unbuffered, type Valve } from '../../connectors/postgres/gather.ts';

let stream: Duplex;
let valve: Valve;
/** Sizes, as they came to a reader of the stream. */
let read: number[];

beforeEach(() => {
  vi.useFakeTimers();
  stream = new Duplex({ read() {}, write() {} });
  read = [];
  stream.on('data', (piece: Buffer) => read.push(piece.length));
  valve = gatherBytes(stream);
});

afterEach(() => {
  valve.end();
  vi.useRealTimers();
});

/** As a socket does: what comes while nobody reads is one piece in the end. */
function bring(sizes: readonly number[]): void {
  for (const size of sizes) {
    stream.emit('data', Buffer.alloc(size));
    if (stream.isPaused()) return;
  }
}

const rows = (count: number): number[] => Array<number>(count).fill(200);

test('a log that brings little is read as it comes', () => {
  for (let moment = 0; moment < 100; moment++) {
    bring(rows(4));
    expect(stream.isPaused()).toBe(false);
    vi.advanceTimersByTime(1);
  }
  expect(read).toHaveLength(400);
});

test('one in full flow is read once a moment, until it brings little again', () => {
  bring(rows(1000));
  expect(read.length).toBeLessThan(100);
  for (let moment = 0; moment < 5; moment++) {
    expect(stream.isPaused()).toBe(true);
    vi.advanceTimersByTime(8);
    expect(stream.isPaused()).toBe(false);
    bring([65_536, 30_000]);
    vi.advanceTimersByTime(0);
  }
  for (let wait = 0; wait < 4; wait++) {
    expect(stream.isPaused()).toBe(true);
    vi.advanceTimersByTime(8);
    bring([200]);
    vi.advanceTimersByTime(0);
  }
  expect(stream.isPaused()).toBe(false);
});

test('what is there is read to its end before it gathers again', () => {
  bring(rows(1000));
  vi.advanceTimersByTime(8);
  read = [];
  // As with TLS: never more than a record.
  bring(Array<number>(8).fill(16_384));
  expect(read).toHaveLength(8);
  vi.advanceTimersByTime(0);
  expect(stream.isPaused()).toBe(true);
});

test('a reader that has enough is not given more when the moment is over', () => {
  bring(rows(1000));
  valve.close();
  vi.advanceTimersByTime(80);
  expect(stream.isPaused()).toBe(true);
  valve.open();
  expect(stream.isPaused()).toBe(false);
});

test('and is given more at once when it wants it: meanwhile it has gathered', () => {
  bring(rows(1000));
  vi.advanceTimersByTime(8);
  bring([65_536]);
  valve.close();
  vi.advanceTimersByTime(0);
  valve.open();
  expect(stream.isPaused()).toBe(false);
});

test('nor less of a moment, for wanting more', () => {
  bring(rows(1000));
  valve.close();
  valve.open();
  expect(stream.isPaused()).toBe(true);
  vi.advanceTimersByTime(8);
  expect(stream.isPaused()).toBe(false);
});

test('a stream that is over is left alone', () => {
  bring(rows(1000));
  valve.end();
  expect(vi.getTimerCount()).toBe(0);
});

test('so is one that ends in the middle of a turn', () => {
  bring(rows(1000));
  vi.advanceTimersByTime(8);
  bring([65_536]);
  valve.end();
  expect(vi.getTimerCount()).toBe(0);
});

test('a socket that is not read puts together what comes', async () => {
  vi.useRealTimers();
  await using server = createServer((client) => void client.setNoDelay()).listen(0);
  const [address, socket] = [server.address(), unbuffered({}).stream?.() as Socket];
  if (address === null || typeof address === 'string') throw new Error('no port');
  using open = new DisposableStack();
  open.defer(() => socket.destroy());
  const accepted = once(server, 'connection');
  socket.connect(address.port);
  const [client] = (await accepted) as [Socket];
  const pieces: number[] = [];
  const all = Promise.withResolvers<void>();
  socket.on('data', (piece: Buffer) => {
    pieces.push(piece.length);
    if (pieces.reduce((sum, size) => sum + size) === 200 * 100) all.resolve();
  });
  socket.pause();
  for (let row = 0; row < 200; row++) {
    await new Promise((sent) => client.write(Buffer.alloc(100), sent));
    await turn();
  }
  socket.resume();
  await all.promise;
  expect(pieces.length).toBeLessThan(20);
});
