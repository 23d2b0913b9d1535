/** Bounded memory and flow control (invariant 8), and signs of life (invariant 11). */
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect } from 'vitest';
import type { SourceBatch } from '../../src/model/change.ts';
import { conformance } from './conformance.ts';
import { install, isFence, plain, plainDdl } from './installation.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Bytes that live on the heap and beside it, buffers included. */
function held(): number {
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const MIB = 1 << 20;
const ROWS = 300_000;
/** A few batches of 1 MiB with what their values take on the heap; all rows would be 100 MiB. */
const ALLOWED = 24 * MIB;

conformance('memory', (subject) => {
  subject.test('a huge transaction grows nothing, however slow its reader', async () => {
    const tables = [plain('small'), plain('huge')];
    await using it = await install(subject, tables);
    await it.user.run(subject.dialect.fill('small', 1, 2000));
    const source = await it.source();
    const small = await it.fence();
    await it.read(source, it.origin, small);
    const before = held();
    await it.user.run(subject.dialect.fill('huge', 1, ROWS));
    const end = await it.fence();
    let rows = 0;
    let most = 0;
    let inside = 0;
    for await (const batch of source.tail(it.origin)) {
      source.settle(batch.position);
      rows += changesIn(batch, 'huge');
      if (batch.transactions.at(-1)?.complete === false) inside++;
      if (inside === 1 || inside === 60) {
        inside++;
        // Time enough for a source that reads on while nobody takes to have it all.
        await sleep(1500);
        most = Math.max(most, held());
      } else if (inside % 20 === 0) most = Math.max(most, held());
      if (batch.transactions.some((t) => isFence(t, it.instance) && t.mark?.batch === end)) break;
    }
    expect(rows).toBe(ROWS);
    expect(inside).toBeGreaterThan(100);
    expect((most - before) / MIB).toBeLessThan(ALLOWED / MIB);
  });

  subject.test('wide rows make batches of fewer', async () => {
    const spec = { name: 'wide', key: ['id'], columns: ['id', 'body'] };
    await using it = await install(
      subject,
      [spec],
      ['create table wide (id int primary key, body text)'],
    );
    await it.user.run('begin');
    for (let id = 0; id < 120; id++) {
      await it.user.run(
        `insert into wide values (${id}, '${`${id}x`.repeat(20_000).slice(0, 40_000)}')`,
      );
    }
    await it.user.run('commit');
    const batches = await it.read(await it.source(), it.origin, await it.fence());
    const sizes = batches.map((batch) =>
      batch.transactions
        .flatMap(({ changes }) => changes)
        .reduce((sum, { row }) => sum + (row[1]?.length ?? 0), 0),
    );
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(120 * 40_000);
    expect(Math.max(...sizes)).toBeLessThan(1.5 * MIB);
  });

  subject.test('an idle source shows that it lives, and moves past what is not read', async () => {
    await using it = await install(subject, [plain('idle')], [plainDdl('idle'), plainDdl('noise')]);
    const source = await it.source();
    expect(source.status().lastByteAt).toBe(null);
    const opened = Date.now() * 1000;
    const positions: string[] = [];
    for await (const batch of source.tail(it.origin)) {
      const ours = batch.transactions.filter(({ mark }) => mark?.instance !== it.instance);
      expect(ours).toEqual([]);
      if (batch.transactions.length > 0) continue;
      positions.push(batch.position);
      const { lastByteAt } = source.status();
      expect(lastByteAt).toBeGreaterThanOrEqual(opened - 1000);
      expect(lastByteAt).toBeLessThanOrEqual(Date.now() * 1000);
      if (positions.length === 3) break;
      await it.user.run(`insert into noise values (${positions.length}, 'x', 1)`);
    }
    expect(positions[2]).not.toBe(positions[0]);
    // The place is good: what comes after it is all that comes.
    await it.user.run(`insert into idle values (1, 'x', 1)`);
    const rest = await it.read(source, positions[2] as SourceBatch['position'], await it.fence());
    expect(
      rest.flatMap((batch) => batch.transactions.flatMap(({ changes }) => changes)),
    ).toHaveLength(1);
  });

  subject.test('small transactions share batches, and none waits for another', async () => {
    await using it = await install(subject, [plain('steady')]);
    const source = await it.source();
    const stream = source.tail(it.origin)[Symbol.asyncIterator]();
    for (let id = 1; id <= 3; id++) {
      await it.user.run(`insert into steady values (${id}, 'x', 1)`);
      // Nothing follows that could push it out.
      for (let found = 0; found === 0; ) {
        const { value } = await stream.next();
        found = changesIn(value, 'steady');
      }
    }
    for (let id = 10; id < 1010; id++) await it.user.run(`insert into steady (id) values (${id})`);
    let batches = 0;
    for (let rows = 0; rows < 1000; batches++) {
      const { value } = await stream.next();
      rows += changesIn(value, 'steady');
    }
    expect(batches).toBeLessThan(1000);
    await stream.return?.(undefined);
  });
});

const changesIn = ({ transactions }: SourceBatch, name: string): number =>
  transactions.reduce(
    (sum, { changes }) => sum + changes.filter(({ table }) => table.name === name).length,
    0,
  );
