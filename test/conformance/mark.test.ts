/** The mark: whose writes a transaction holds. */
import { expect } from 'vitest';
import type { Transaction } from '../../src/model/change.ts';
import { conformance } from './conformance.ts';
import { brief, type Installation, install, isFence, plain, whole } from './installation.ts';

const rowsOf = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => ({
    key: [`${from + i}`],
    values: [`${from + i}`, 'ours'],
    expect: [],
  }));

const insertInto = (table: string, from: number, to: number) =>
  ({
    op: 'insert',
    table,
    key: ['id'],
    columns: ['id', 'name'],
    compare: [],
    guards: [],
    rows: rowsOf(from, to),
  }) as const;

async function all(it: Installation): Promise<Transaction[]> {
  const source = await it.source();
  const batches = await it.read(source, it.origin, await it.fence());
  return whole(batches);
}

conformance('mark', (subject) => {
  subject.test('every part of an applied batch has it, after a resume as well', async () => {
    await using it = await install(subject, [plain('marked')]);
    await it.apply(insertInto('marked', 1, 5000));
    const source = await it.source();
    const end = await it.fence();
    const batches = await it.read(source, it.origin, end);
    const mark = { instance: it.instance, lane: 'deliver', batch: 1 };
    const ours = (transaction: Transaction) => transaction.changes.length > 0;
    const parts = batches.flatMap(({ transactions }) => transactions.filter(ours));
    expect(parts.length).toBeGreaterThan(1);
    expect(parts.map((part) => part.mark)).toEqual(parts.map(() => mark));
    expect(parts.flatMap(({ changes }) => changes).length).toBe(5000);
    const inside = batches.find(({ transactions }) => transactions.at(-1)?.complete === false);
    const rest = whole(await it.read(source, inside!.position, end));
    expect(rest[0]).toMatchObject({ mark, id: parts[0]?.id });
  });

  subject.test('a fence is a transaction of nothing but its number', async () => {
    await using it = await install(subject, [plain('fenced_off')]);
    await it.user.run('insert into fenced_off (id) values (1)');
    await it.fence();
    await it.user.run('insert into fenced_off (id) values (2)');
    await it.fence();
    const seen = (await all(it)).filter(({ mark }) => mark?.lane !== 'deliver');
    expect(seen.map(({ mark, changes }) => [mark?.lane, mark?.batch, changes.length])).toEqual([
      [undefined, undefined, 1],
      ['watermark', 1, 0],
      [undefined, undefined, 1],
      ['watermark', 2, 0],
      ['watermark', 3, 0],
    ]);
  });

  subject.test("another instance's batch shows under its own name", async () => {
    await using it = await install(subject, [plain('shared')]);
    await using other = await install(subject, [plain('shared')], []);
    await other.apply(insertInto('shared', 1, 1));
    await it.apply(insertInto('shared', 2, 2));
    const seen = (await all(it)).filter(({ changes }) => changes.length > 0);
    expect(seen.map(({ mark, changes }) => [mark, changes.map(brief)])).toEqual([
      [{ instance: other.instance, lane: 'deliver', batch: 1 }, [['insert', ['1', 'ours', null]]]],
      [{ instance: it.instance, lane: 'deliver', batch: 1 }, [['insert', ['2', 'ours', null]]]],
    ]);
  });

  subject.test('only as the first row it makes a transaction ours', async () => {
    await using it = await install(subject, [plain('forged')]);
    const mark = (lane: string) =>
      it.user.run(`insert into carrick.carrick_mark (instance, lane, batch)
        values ('${it.instance}x', '${lane}', 7)`);
    await it.user.run('begin');
    await it.user.run('insert into forged (id) values (1)');
    await mark('deliver');
    await it.user.run('commit');
    await it.user.run('begin');
    await mark('watermark');
    await it.user.run('insert into forged (id) values (2)');
    await it.user.run('commit');
    const seen = (await all(it)).filter(({ changes }) => changes.length > 0);
    expect(seen.map(({ mark: found, changes }) => [found?.batch, changes.map(brief)])).toEqual([
      [undefined, [['insert', ['1', null, null]]]],
      [7, [['insert', ['2', null, null]]]],
    ]);
    await it.user.run(`delete from carrick.carrick_mark where instance = '${it.instance}x'`);
  });

  subject.test(
    'what a trigger adds is in the same transaction, and the mark before it',
    async () => {
      const tables = [plain('watched'), plain('trail')];
      await using it = await install(subject, tables);
      await it.user.run(subject.dialect.trigger('watched', 'trail'));
      await it.apply(insertInto('watched', 1, 2));
      const [ours] = (await all(it)).filter(({ changes }) => changes.length > 0);
      expect(ours?.mark).toEqual({ instance: it.instance, lane: 'deliver', batch: 1 });
      const rows = ours!.changes.map(({ table, row }) => [table.name, ...row]);
      expect(rows.sort()).toEqual([
        ['trail', '1001', 'ours', null],
        ['trail', '1002', 'ours', null],
        ['watched', '1', 'ours', null],
        ['watched', '2', 'ours', null],
      ]);
    },
  );

  subject.test('what was never committed leaves nothing', async () => {
    await using it = await install(subject, [plain('dropped')]);
    const applier = await it.applier();
    expect(await applier.committed()).toBe(0);
    {
      await using transaction = await applier.begin(1);
      await transaction.write(insertInto('dropped', 1, 1));
    }
    expect(await applier.committed()).toBe(0);
    const seen = (await all(it)).filter((each) => !isFence(each, it.instance));
    expect(seen.flatMap(({ changes }) => changes)).toEqual([]);
    // Where none is yet, `committed` may make the mark's row, which is the number of no batch.
    expect(seen.filter(({ mark }) => (mark?.batch ?? 0) > 0)).toEqual([]);
  });
});
