/** Messages keep their bytes, however the socket cuts them, and through the spool. */
import { tmpdir } from 'node:os';
import { PassThrough } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { takeCopyData } from '../../connectors/postgres/copy-data.ts';
import { openSpool } from '../../connectors/postgres/spool.ts';

const COPY_DATA = 'd'.charCodeAt(0);

const frame = ([type, content]: readonly [number, Uint8Array]): Buffer => {
  const header = Buffer.alloc(5);
  header[0] = type;
  header.writeUInt32BE(content.length + 4, 1);
  return Buffer.concat([header, content]);
};

test('copy data is taken and the rest goes on whole, wherever the socket cuts', async () => {
  const type = fc.constantFrom(COPY_DATA, COPY_DATA, 'N'.charCodeAt(0), 'Z'.charCodeAt(0));
  const size = fc.oneof(fc.nat(40), fc.nat(9000));
  const content = fc.tuple(size, fc.nat(255)).map(([length, byte]) => Buffer.alloc(length, byte));
  const messages = fc.array(fc.tuple(type, content), { maxLength: 12 });
  const few = fc.array(fc.integer({ min: 1, max: 25 }), { minLength: 1, maxLength: 20 });
  const cuts = fc.tuple(few, fc.integer({ min: 1, max: 12_000 })).map(
    ([small, rest]) =>
      (at: number) =>
        small[at] ?? rest,
  );
  await fc.assert(
    fc.asyncProperty(messages, cuts, async (sent, sizes) => {
      const stream = new PassThrough();
      const got: (readonly [boolean, string])[] = [];
      stream.on('data', (rest: Buffer) => got.push([false, rest.toString('hex')]));
      takeCopyData(stream, (bytes, start, end) =>
        got.push([true, bytes.subarray(start, end).toString('hex')]),
      );
      const all = Buffer.concat(sent.map(frame));
      const pieces: Buffer[] = [];
      for (let at = 0, i = 0; at < all.length; i++) {
        const size = sizes(i);
        const piece = Buffer.from(Uint8Array.from(all.subarray(at, at + size)).buffer);
        pieces.push(piece);
        stream.write(piece);
        await turn();
        at += size;
      }
      stream.end();
      await new Promise((ended) => stream.once('end', ended));
      expect(pieces.filter(({ buffer }) => buffer.byteLength >= 4096)).toEqual([]);
      expect(got).toEqual(
        sent.map((message) =>
          message[0] === COPY_DATA
            ? [true, Buffer.from(message[1]).toString('hex')]
            : [false, frame(message).toString('hex')],
        ),
      );
    }),
  );
});

test('the spool gives back what was not rolled back, in messages of any size', async () => {
  const size = fc.oneof(fc.nat(30), fc.constantFrom(262_133, 262_134, 262_135, 262_144, 600_000));
  const step = fc.record({ part: fc.nat(3), size, undo: fc.boolean() });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const spool = openSpool(tmpdir());
      /** Parts are nested: a new one is open inside of all that are. */
      const open: { xid: number; kept: number }[] = [];
      let kept: string[] = [];
      for (const [number, { part, size, undo }] of steps.entries()) {
        const known = open.findIndex(({ xid }) => xid === part);
        if (undo && known > 0) {
          spool.rollBack(part);
          kept = kept.slice(0, open[known]!.kept);
          open.length = known;
          continue;
        }
        if (known < 0) open.push({ xid: part, kept: kept.length });
        const content = Buffer.alloc(size, number + 1);
        const message = Buffer.concat([Buffer.from([0x49, 0, 0, 0, part]), content]);
        spool.append(Buffer.concat([Buffer.alloc(3), message]), 3, 3 + message.length);
        kept.push(`I${content.toString('latin1')}`);
      }
      const found: string[] = [];
      for await (const piece of spool.pieces()) {
        while (piece.next()) found.push(piece.bytes.latin1Slice(piece.start, piece.end));
      }
      spool.close();
      expect(found.length).toBe(kept.length);
      expect(found.every((text, i) => text === kept[i])).toBe(true);
    }),
  );
});

test('who leaves the spool early leaves no file that is being read', async () => {
  const spool = openSpool(tmpdir());
  const message = Buffer.concat([Buffer.from([0x49, 0, 0, 0, 7]), Buffer.alloc(200_000)]);
  for (let n = 0; n < 4; n++) spool.append(message, 0, message.length);
  const pieces = spool.pieces();
  expect((await pieces.next()).done).toBe(false);
  let left = false;
  const leaving = pieces.return().then(() => {
    left = true;
  });
  // The next block is on its way, and only a turn of the event loop can bring it.
  for (let n = 0; n < 100; n++) await null;
  expect(left).toBe(false);
  await leaving;
  spool.close();
});
