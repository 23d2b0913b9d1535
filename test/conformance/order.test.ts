/** What the stream says of the users' transactions, and in which order. */
import { expect } from 'vitest';
import type { Transaction } from '../../src/model/change.ts';
import { conformance } from './conformance.ts';
import {
  brief,
  changesOf,
  type Installation,
  install,
  isFence,
  plain,
  plainDdl,
  record,
} from './installation.ts';

const briefs = (transactions: readonly Transaction[]): unknown[][] =>
  transactions.map(({ changes }) => changes.map(brief));

/** Runs `work` and says what the stream made of it. */
async function streamed(it: Installation, work: () => Promise<unknown>): Promise<Transaction[]> {
  const source = await it.source();
  const start = await source.start();
  const before = await it.drain(source, start);
  await work();
  return (await it.drain(source, start)).slice(before.length);
}

conformance('order', (subject) => {
  subject.test('transactions come whole and as they were committed, not as begun', async () => {
    await using it = await install(subject, [plain('interleaved')]);
    await using a = await subject.server().user();
    await using b = await subject.server().user();
    const insert = (id: number) => `insert into interleaved (id, name) values (${id}, 'x')`;
    const transactions = await streamed(it, async () => {
      await a.run('begin');
      await a.run(insert(1));
      await b.run('begin');
      await b.run(insert(2));
      await a.run(insert(3));
      await b.run('commit');
      await it.user.run(insert(4));
      await a.run(insert(5));
      await a.run('commit');
    });
    const ids = transactions.map(({ changes }) => changes.map(({ row }) => row[0]));
    expect(ids).toEqual([['2'], ['4'], ['1', '3', '5']]);
    expect(new Set(transactions.map(({ id }) => id)).size).toBe(3);
    expect(transactions.map(({ mark }) => mark)).toEqual([null, null, null]);
  });

  subject.test('a commit has the time at which it was made', async () => {
    await using it = await install(subject, [plain('timed')]);
    const before = Date.now() * 1000;
    const [transaction] = await streamed(it, () =>
      it.user.run('insert into timed (id) values (1)'),
    );
    // Whole seconds in some logs, and a server on the same clock.
    expect(transaction!.committedAt).toBeGreaterThan(before - 2_000_000);
    expect(transaction!.committedAt).toBeLessThan(Date.now() * 1000 + 2_000_000);
  });

  subject.test('what was rolled back, to a savepoint too, never was', async () => {
    await using it = await install(subject, [plain('undone')]);
    const { user } = it;
    const transactions = await streamed(it, async () => {
      await user.run('begin');
      await user.run('insert into undone (id) values (1)');
      await user.run('rollback');
      await user.run('begin');
      await user.run('insert into undone (id) values (2)');
      await user.run('savepoint here');
      await user.run('insert into undone (id) values (3)');
      await user.run('update undone set amount = 1 where id = 2');
      await user.run('rollback to savepoint here');
      await user.run('insert into undone (id) values (4)');
      await user.run('commit');
    });
    expect(briefs(transactions)).toEqual([
      [
        ['insert', ['2', null, null]],
        ['insert', ['4', null, null]],
      ],
    ]);
  });

  subject.test('updates, moved keys, deletes and truncates', async () => {
    await using it = await install(subject, [plain('changed')]);
    const { user } = it;
    const transactions = await streamed(it, async () => {
      await user.run(`insert into changed values (1, 'a', 1), (2, 'b', null)`);
      await user.run(`update changed set name = 'c' where id = 1`);
      await user.run(`update changed set id = 3, amount = 2.5 where id = 2`);
      await user.run(`delete from changed where id = 1`);
      await user.run('truncate table changed');
      await user.run(`insert into changed values (1, '', 0)`);
    });
    expect(briefs(transactions)).toEqual([
      [
        ['insert', ['1', 'a', '1.00']],
        ['insert', ['2', 'b', null]],
      ],
      [['update', ['1', 'c', '1.00']]],
      [['update', ['3', 'b', '2.50'], ['2']]],
      [['delete', [], ['1']]],
      [['truncate', []]],
      [['insert', ['1', '', '0.00']]],
    ]);
  });

  subject.test('only the columns and tables of the specification, in its order', async () => {
    const spec = plain('partly', ['amount', 'id']);
    const ddl = [plainDdl('partly'), plainDdl('unread')];
    await using it = await install(subject, [spec], ddl);
    const transactions = await streamed(it, async () => {
      await it.user.run(`insert into unread values (1, 'x', 1)`);
      await it.user.run('begin');
      await it.user.run(`insert into unread values (2, 'x', 1)`);
      await it.user.run(`insert into partly values (7, 'x', 1)`);
      await it.user.run('commit');
    });
    expect(briefs(transactions)).toEqual([[['insert', ['1.00', '7']]]]);
  });

  subject.test('a key of two columns, one of them text', async () => {
    const spec = { name: 'two_keys', key: ['item', 'doc'], columns: ['doc', 'item', 'qty'] };
    const ddl = `create table two_keys
      (doc int, item varchar(20) not null, qty int, primary key (doc, item))`;
    await using it = await install(subject, [spec], [ddl]);
    const transactions = await streamed(it, async () => {
      await it.user.run(`insert into two_keys values (1, 'a', 1), (1, 'B', 2)`);
      await it.user.run(`update two_keys set item = 'c' where item = 'a'`);
      await it.user.run(`delete from two_keys where qty = 2`);
    });
    expect(briefs(transactions)).toEqual([
      [
        ['insert', ['1', 'a', '1']],
        ['insert', ['1', 'B', '2']],
      ],
      [['update', ['1', 'c', '1'], ['a', '1']]],
      [['delete', [], ['B', '1']]],
    ]);
  });

  subject.test('a large value that an update leaves alone is unchanged or the same', async () => {
    await using it = await install(
      subject,
      [{ name: 'large', key: ['id'], columns: ['id', 'body', 'n'] }],
      ['create table large (id int primary key, body text, n int)'],
    );
    // Nothing that a server could shrink until it is small.
    let seed = 7;
    const letter = () => {
      seed = (seed * 1103515245 + 12345) % 2 ** 31;
      return String.fromCharCode(97 + ((seed >> 16) % 26));
    };
    const body = Array.from({ length: 20_000 }, letter).join('');
    const changes = changesOf(
      await streamed(it, async () => {
        await it.user.run(`insert into large values (1, '${body}', 1)`);
        await it.user.run('update large set n = 2');
      }),
    );
    expect(changes[0]?.row).toEqual(['1', body, '1']);
    const [id, unchanged, n] = changes[1]!.row;
    expect([id, n]).toEqual(['1', '2']);
    expect([undefined, body]).toContain(unchanged);
  });

  for (const [what, away, back] of [
    ['dropped', [], ['add column amount decimal(12,2)']],
    [
      'of another kind',
      ['add column amount varchar(20)'],
      ['drop column amount', 'add column amount decimal(12,2)'],
    ],
  ] as const) {
    subject.test(`a used column that is ${what} is drift, until it fits again`, async () => {
      const table = `drift_${what.replaceAll(' ', '_')}`;
      await using it = await install(subject, [plain(table), plain(`${table}_other`)]);
      const insert = (id: number, into = table) =>
        it.user.run(`insert into ${into} (id, name) values (${id}, 'x')`);
      const alter = async (...steps: readonly string[]) => {
        for (const step of steps) await it.user.run(`alter table ${table} ${step}`);
      };
      const source = await it.source();
      // One stream over all of it, as a running Carrick has it: it knows what the table was.
      await using log = record(source, await source.start());
      const news = async () => {
        const end = await it.fence();
        await log.until((t) => isFence(t, it.instance) && t.mark?.batch === end);
        return changesOf(log.taken()).map(({ op, table: { name }, row, detail }) =>
          op === 'drift' ? [op, name, detail !== ''] : [op, name, row[0]],
        );
      };
      await insert(1);
      expect(await news()).toEqual([['insert', table, '1']]);
      await alter('drop column amount', ...away);
      await insert(2);
      await insert(3, `${table}_other`);
      expect(await news()).toEqual([
        ['drift', table, true],
        ['insert', `${table}_other`, '3'],
      ]);
      await alter(...back);
      await insert(4);
      expect(await news()).toEqual([
        ['drift', table, false],
        ['insert', table, '4'],
      ]);
    });
  }
});
