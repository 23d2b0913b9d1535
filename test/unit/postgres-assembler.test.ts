import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Assembler } from '../../connectors/postgres/assembler.ts';
import { parsePosition } from '../../connectors/postgres/position.ts';
import type { Change, SourceBatch, TableSpec } from '../../src/model/change.ts';
import type { Position } from '../../src/model/position.ts';

const TABLE: TableSpec = { name: 't', key: ['id'], columns: ['id'] };

/** One transaction of a log: per row message, how many changes of ours it makes. */
interface Logged {
  readonly mark: boolean;
  readonly messages: readonly number[];
}

/** Plays the log from its beginning, as a server does that was asked for an earlier place. */
function play(log: readonly Logged[], from: Position, changes: number): SourceBatch[] {
  const assembler = new Assembler(parsePosition(from), { changes, bytes: 1e9 });
  const batches: SourceBatch[] = [];
  const drain = (): void => {
    for (let batch = assembler.take(); batch !== null; batch = assembler.take())
      batches.push(batch);
  };
  log.forEach(({ mark, messages }, index) => {
    const begin = BigInt(100 * (index + 1));
    assembler.begin(begin, index, 700 + index);
    if (mark) {
      assembler.row();
      if (assembler.atFirstRow()) assembler.mark({ instance: 'i', lane: 'deliver', batch: index });
    }
    for (const [number, count] of messages.entries()) {
      if (!assembler.row()) continue;
      for (let part = 0; part < count; part++) {
        const id = `${index}.${number}.${part}`;
        const change: Change = { table: TABLE, op: 'insert', row: [id], old: null };
        assembler.add(change, 1);
      }
    }
    // Sometimes the reader comes between two transactions, sometimes later.
    assembler.commit(begin + 50n);
    if (index % 2 === 0) drain();
  });
  assembler.reached(BigInt(100 * (log.length + 1)));
  drain();
  return batches;
}

/** Every change with its transaction and mark, in order, and where each transaction ended. */
function told(batches: readonly SourceBatch[]): string[] {
  return batches.flatMap(({ transactions }) =>
    transactions.flatMap(({ id, mark, changes, complete }) => [
      ...changes.map(({ row }) => `${id} ${mark?.batch} ${row[0]}`),
      ...(complete ? [`${id} ${mark?.batch} end`] : []),
    ]),
  );
}

const logs = fc.array(
  fc.record({ mark: fc.boolean(), messages: fc.array(fc.nat({ max: 3 }), { maxLength: 12 }) }),
  { maxLength: 8 },
);

test('from any position on come exactly the changes after it', () => {
  fc.assert(
    fc.property(logs, fc.integer({ min: 1, max: 6 }), (log, limit) => {
      const batches = play(log, '0/0@1' as Position, limit);
      const all = told(batches);
      let seen = 0;
      for (const batch of batches) {
        seen += told([batch]).length;
        expect(told(play(log, batch.position, limit))).toEqual(all.slice(seen));
      }
    }),
  );
});

test('parts of a transaction are bounded and never mixed', () => {
  fc.assert(
    fc.property(logs, fc.integer({ min: 1, max: 6 }), (log, limit) => {
      for (const { transactions } of play(log, '0/0@1' as Position, limit)) {
        const changes = transactions.reduce((sum, part) => sum + part.changes.length, 0);
        // One message more than the limit at most: a truncate makes several changes.
        expect(changes).toBeLessThanOrEqual(limit + 2);
        for (const part of transactions.slice(0, -1)) expect(part.complete).toBe(true);
      }
    }),
  );
});

test('a transaction that the position lies in and the log does not have is lost', () => {
  const assembler = new Assembler(parsePosition('0/10+0/20#3@1' as Position), {
    changes: 10,
    bytes: 10,
  });
  expect(() => assembler.begin(0x30n, 0, 700)).toThrow(
    expect.objectContaining({ code: 'source.lost' }),
  );
});
