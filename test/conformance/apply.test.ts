/** Compare-and-set, what it says of every row, and whose turn it is to deliver. */
import { expect } from 'vitest';
import type { Applier, ApplyTransaction, Outcome, TableWrite } from '../../src/contract/applier.ts';
import type { Value } from '../../src/model/value.ts';
import { needsControl } from '../support/index.ts';
import { conformance } from './conformance.ts';
import { content, failure, install, plain, waits } from './installation.ts';

const APPLIED = (...key: Value[]): Outcome => ({ kind: 'applied', key });
const ALREADY: Outcome = { kind: 'already' };
const DIVERGED: Outcome = { kind: 'diverged' };

const insert = (table: string, ...rows: readonly (readonly Value[])[]): TableWrite => ({
  op: 'insert',
  table,
  key: ['id'],
  columns: ['id', 'name', 'amount'],
  compare: [],
  guards: [],
  rows: rows.map((values) => ({ key: values.slice(0, 1), values, expect: [] })),
});

/** Rows of `[id, name wanted, name expected]`. */
const rename = (table: string, ...rows: readonly (readonly [string, Value, Value])[]) => ({
  op: 'update' as const,
  table,
  key: ['id'],
  columns: ['name'],
  compare: ['name'],
  guards: [],
  rows: rows.map(([id, to, from]) => ({ key: [id], values: [to], expect: [from] })),
});

const remove = (table: string, ...rows: readonly (readonly [string, Value])[]): TableWrite => ({
  op: 'delete',
  table,
  key: ['id'],
  columns: [],
  compare: ['name'],
  guards: [],
  rows: rows.map(([id, from]) => ({ key: [id], values: [], expect: [from] })),
});

conformance('apply', (subject) => {
  const { dialect } = subject;

  subject.test('updates: applied, already, diverged, missing, side by side', async () => {
    await using it = await install(subject, [plain('updated')]);
    const { user } = it;
    await user.run(`insert into updated values
      (1, 'a', 1), (2, 'b', null), (3, 'users', 3), (4, null, null), (5, '', null), (7, 'A', 1)`);
    const write = rename(
      'updated',
      ['1', 'x', 'a'],
      ['2', 'b', 'was'],
      ['3', 'x', 'was'],
      ['4', 'x', null],
      ['5', 'x', null],
      ['6', 'x', 'was'],
      ['7', 'x', 'a'],
    );
    expect(await it.apply(write)).toEqual([
      APPLIED('1'),
      ALREADY,
      DIVERGED,
      APPLIED('4'),
      DIVERGED,
      DIVERGED,
      DIVERGED,
    ]);
    expect(await content(it, 'updated')).toEqual([
      ['1', 'x', '1.00'],
      ['2', 'b', null],
      ['3', 'users', '3.00'],
      ['4', 'x', null],
      ['5', '', null],
      ['7', 'A', '1.00'],
    ]);
  });

  subject.test('an update compares what it is told to, and nothing else', async () => {
    await using it = await install(subject, [plain('grouped')]);
    await it.user.run(`insert into grouped values (1, 'a', 1), (2, 'a', 2), (3, 'a', 1.1)`);
    const rows = ['1', '2', '3'].map((id) => ({ key: [id], values: ['x'], expect: ['a', '1'] }));
    const [first, ...others] = rows;
    const both = { ...rename('grouped'), compare: ['name', 'amount'], rows };
    expect(await it.apply(both)).toEqual([APPLIED('1'), DIVERGED, DIVERGED]);
    // `1` and `1.00` are one decimal: equality is that of the column's values.
    const blind = { ...rename('grouped'), compare: [], rows: [{ ...others[0]!, expect: [] }] };
    expect(await it.apply(blind)).toEqual([APPLIED('2')]);
    const held = { ...first!, expect: ['was', '1'] };
    expect(await it.apply({ ...both, rows: [held] })).toEqual([ALREADY]);
  });

  subject.test('deletes: applied, already gone, diverged', async () => {
    await using it = await install(subject, [plain('deleted')]);
    await it.user.run(`insert into deleted values (1, 'a', 1), (2, 'users', 2), (4, null, 3)`);
    const write = remove('deleted', ['1', 'a'], ['2', 'was'], ['3', 'a'], ['4', null]);
    expect(await it.apply(write)).toEqual([APPLIED('1'), DIVERGED, ALREADY, APPLIED('4')]);
    expect(await content(it, 'deleted')).toEqual([['2', 'users', '2.00']]);
  });

  subject.test(
    'inserts: applied, taken keys and guards diverged, NULL guards nothing',
    async () => {
      await using it = await install(subject, [plain('inserted')]);
      await it.user.run(`insert into inserted values (1, 'a', 1), (9, null, 9)`);
      const rows: Value[][] = [
        ['1', 'x', null],
        ['2', 'a', null],
        ['3', 'b', '9'],
        ['4', 'b', null],
        ['5', null, '5'],
        ['6', 'd', '1'],
        ['7', 'e', '7.00'],
      ];
      const guarded = { ...insert('inserted', ...rows), guards: [['name'], ['amount']] };
      expect(await it.apply(guarded)).toEqual([
        DIVERGED,
        DIVERGED,
        DIVERGED,
        APPLIED('4'),
        APPLIED('5'),
        DIVERGED,
        APPLIED('7'),
      ]);
      const pair = { ...insert('inserted', ['11', 'a', '2'], ['12', 'a', '1']) };
      const outcomes = await it.apply({ ...pair, guards: [['name', 'amount']] });
      expect(outcomes).toEqual([APPLIED('11'), DIVERGED]);
      const ids = (await content(it, 'inserted')).map(([id]) => id);
      expect(ids).toEqual(['1', '4', '5', '7', '9', '11']);
    },
  );

  subject.test('rows in the way of an insert are told whole, and are held', async () => {
    await using it = await install(subject, [plain('standing')]);
    await it.user.run(`insert into standing values (1, 'a', 1), (2, 'b', null), (3, 'b', 3.5)`);
    const rows: Value[][] = [
      ['1', 'x', null],
      ['8', 'b', '7'],
      ['9', null, '3.50'],
      ['10', 'A', null],
    ];
    const write = { ...insert('standing', ...rows), guards: [['name'], ['amount']] };
    await using applier = await it.applier();
    await using transaction = await applier.begin((await applier.committed()) + 1);
    const found = await transaction.inTheWay(write, ['amount', 'id']);
    expect(found.map((each) => each.sort((a, b) => (a[1]! < b[1]! ? -1 : 1)))).toEqual([
      [['1.00', '1']],
      [
        [null, '2'],
        ['3.50', '3'],
      ],
      [['3.50', '3']],
      [],
    ]);
    const renaming = it.user.run(`update standing set name = 'c' where id = 3`);
    expect(await waits(renaming)).toBe(true);
    await transaction.commit();
    await renaming;
  });

  subject.test('of two rows of one write that want one guarded place, one gets it', async () => {
    await using it = await install(subject, [plain('crowded')]);
    const write = insert('crowded', ['1', 'a', null], ['2', 'b', null], ['3', 'a', null]);
    const outcomes = await it.apply({ ...write, guards: [['name']] });
    expect(outcomes).toEqual([APPLIED('1'), APPLIED('2'), DIVERGED]);
  });

  subject.test('generated keys come back in the order of the rows', async () => {
    const ddl = `create table numbered (id ${dialect.generatedKey}, name varchar(200) unique)`;
    const spec = plain('numbered', ['id', 'name']);
    await using it = await install(subject, [spec], [ddl]);
    await it.user.run(`insert into numbered (name) values ('n5'), ('n77')`);
    const rows = Array.from({ length: 700 }, (_, i) => ({
      key: null,
      values: [`n${i}`],
      expect: [],
    }));
    const columns = ['name'];
    const write = { ...insert('numbered'), columns, guards: [['name']], rows };
    const outcomes = await it.apply(write);
    const held = new Map(
      (await it.user.rows('select name, id from numbered')).map(([name, id]) => [name, id]),
    );
    expect(outcomes).toEqual(
      rows.map((_, i) => (i === 5 || i === 77 ? DIVERGED : APPLIED(held.get(`n${i}`)!))),
    );
  });

  subject.test('a refused row costs only itself, and its values stay here', async () => {
    const ddl = [
      'create table parents (id int primary key)',
      `create table refusing (id int primary key, name varchar(10) not null,
        amount decimal(12,2), check (amount >= 0))`,
      `alter table refusing add column parent int,
        add foreign key (parent) references parents (id)`,
    ];
    const spec = plain('refusing', ['id', 'name', 'amount', 'parent']);
    await using it = await install(subject, [spec], ddl);
    await it.user.run('insert into parents values (1)');
    const bad: readonly (readonly Value[])[] = [
      ['501', null, '1', '1'],
      ['502', 'far too long for it', '1', '1'],
      ['503', 'negative', '-987654', '1'],
      ['504', 'orphan', '1', '424242'],
      ['505', 'large', '98765432109876', '1'],
    ];
    const good = Array.from({ length: 500 }, (_, i) => [`${i}`, `n${i}`, '1', '1']);
    const values = [...good.slice(0, 250), ...bad, ...good.slice(250)];
    const columns = ['id', 'name', 'amount', 'parent'];
    const inserted = await it.apply({ ...insert('refusing', ...values), columns });
    const refused = inserted.filter((outcome) => outcome.kind === 'refused');
    expect(refused.length).toBe(bad.length);
    expect(inserted.slice(250, 255).map(({ kind }) => kind)).toEqual(bad.map(() => 'refused'));
    for (const { code, reason } of refused) {
      expect(code).toMatch(/^[0-9A-Z]{5}$/);
      expect(reason).not.toMatch(/987654|424242|far too/);
      expect(reason).not.toBe('');
    }
    const rest = inserted.filter((outcome) => outcome.kind !== 'refused');
    expect(rest).toEqual(good.map(([id]) => APPLIED(id!)));

    const renamed = rename('refusing', ['0', 'new', 'n0'], ['1', null, 'n1'], ['2', 'n', 'n2']);
    const updated = await it.apply(renamed);
    expect(updated.map(({ kind }) => kind)).toEqual(['applied', 'refused', 'applied']);
    const parents = {
      ...remove('parents'),
      compare: [],
      rows: [{ key: ['1'], values: [], expect: [] }],
    };
    const [removed] = await it.apply(parents);
    expect(removed?.kind).toBe('refused');
  });

  subject.test('a write behind a user who holds the row sees what that user did', async () => {
    await using it = await install(subject, [plain('contended')]);
    await it.user.run(`insert into contended values (1, 'a', 1), (2, 'a', 1), (3, 'a', 1)`);
    await using other = await subject.server().user();
    await other.run('begin');
    await other.run(`update contended set name = 'users' where id = 1`);
    await other.run(`delete from contended where id = 2`);
    const writing = it.apply(
      rename('contended', ['1', 'x', 'a'], ['2', 'x', 'a'], ['3', 'x', 'a']),
    );
    expect(await waits(writing)).toBe(true);
    await other.run('commit');
    expect(await writing).toEqual([DIVERGED, DIVERGED, APPLIED('3')]);
    await other.run('begin');
    await other.run(`insert into contended values (4, 'users', 1)`);
    const inserting = it.apply(insert('contended', ['4', 'ours', null], ['5', 'ours', null]));
    expect(await waits(inserting)).toBe(true);
    await other.run('commit');
    expect(await inserting).toEqual([DIVERGED, APPLIED('5')]);
  });

  subject.test('what a user committed since the batch began is seen', async () => {
    await using it = await install(subject, [plain('late')]);
    await it.user.run(`insert into late values (1, 'a', 1), (2, 'a', 1)`);
    const applier = await it.applier();
    await using transaction = await applier.begin((await applier.committed()) + 1);
    const first = await transaction.write(rename('late', ['2', 'x', 'a']));
    await it.user.run(`update late set name = 'users' where id = 1`);
    const second = await transaction.write(rename('late', ['1', 'x', 'a']));
    expect([...first, ...second]).toEqual([APPLIED('2'), DIVERGED]);
    await transaction.commit();
  });

  subject.test('a deadlock with a user is theirs or ours, and to be tried again', async () => {
    await using it = await install(subject, [plain('locked')]);
    await it.user.run(`insert into locked values (1, 'a', 1), (2, 'a', 1)`);
    await using other = await subject.server().user();
    const applier = await it.applier();
    await using transaction = await applier.begin((await applier.committed()) + 1);
    await other.run('begin');
    await other.run(`update locked set amount = 2 where id = 1`);
    await transaction.write(rename('locked', ['2', 'x', 'a']));
    const theirs = other.run(`update locked set amount = 2 where id = 2`).then(
      () => 'theirs',
      () => 'refused',
    );
    const ours = transaction.write(rename('locked', ['1', 'x', 'a'])).then(
      () => 'ours',
      (error) => error,
    );
    // Whoever is refused lets the other one go on: both have an answer, in any order.
    const [their, our] = await Promise.all([theirs, ours]);
    if (their === 'refused') {
      await other.run('rollback');
      expect(our).toBe('ours');
      await transaction.commit();
    } else {
      expect(our).toMatchObject({ code: 'target.conflicted', disposition: 'retry' });
      await other.run('rollback');
    }
    expect(await it.apply(rename('locked', ['1', 'y', 'a']))).toHaveLength(1);
  });
});

conformance('delivering', (subject) => {
  const begun = async (applier: Applier, batch: number, table: string, id: string) => {
    const transaction = await applier.begin(batch);
    await transaction.write(insert(table, [id, 'ours', null]));
    return transaction;
  };

  subject.test('committed() says the last number, and a number is used once', async () => {
    await using it = await install(subject, [plain('numbered_batches')]);
    const applier = await it.applier();
    expect(await applier.committed()).toBe(0);
    const first = await begun(applier, 3, 'numbered_batches', '1');
    await first.commit();
    expect(await applier.committed()).toBe(3);
    for (const used of [1, 3]) {
      const error = await failure(() => applier.begin(used));
      expect(error).toMatchObject({ code: 'target.fenced', disposition: 'halt' });
      expect(error.fix).not.toBe('');
    }
    const next = await begun(applier, 4, 'numbered_batches', '2');
    await next.commit();
    expect(await (await it.applier()).committed()).toBe(4);
  });

  subject.test('a fence is in a lane of its own', async () => {
    await using it = await install(subject, [plain('lanes')]);
    const applier = await it.applier();
    await applier.fence(1_900_000_000_000);
    expect(await applier.committed()).toBe(0);
    await (await begun(applier, 1, 'lanes', '1')).commit();
    await applier.fence(1_900_000_000_001);
    expect(await applier.committed()).toBe(1);
  });

  subject.test('disposing an open transaction undoes it, the mark with it', async () => {
    await using it = await install(subject, [plain('undone_batch')]);
    const applier = await it.applier();
    expect(await applier.committed()).toBe(0);
    {
      await using _transaction = await begun(applier, 1, 'undone_batch', '1');
    }
    expect(await content(it, 'undone_batch')).toEqual([]);
    expect(await applier.committed()).toBe(0);
    await (await begun(applier, 1, 'undone_batch', '1')).commit();
    expect(await content(it, 'undone_batch')).toEqual([['1', 'ours', null]]);
  });

  for (const end of ['commit', 'rollback'] as const) {
    subject.test(`committed() waits for a predecessor until its ${end}`, async () => {
      await using it = await install(subject, [plain(`waiting_${end}`)]);
      const [old, fresh] = [await it.applier(), await it.applier()];
      await (await begun(old, 1, `waiting_${end}`, '1')).commit();
      const open = await begun(old, 2, `waiting_${end}`, '2');
      const asked = fresh.committed();
      expect(await waits(asked)).toBe(true);
      if (end === 'commit') await open.commit();
      else await open[Symbol.asyncDispose]();
      expect(await asked).toBe(end === 'commit' ? 2 : 1);
    });
  }

  subject.test('the very first batch of a predecessor is waited for as well', async () => {
    await using it = await install(subject, [plain('first_ever')]);
    const [old, fresh] = [await it.applier(), await it.applier()];
    await old.committed();
    const open = await begun(old, 1, 'first_ever', '1');
    const asked = fresh.committed();
    expect(await waits(asked)).toBe(true);
    await open.commit();
    expect(await asked).toBe(1);
    const error = await failure(() => fresh.begin(1));
    expect(error).toMatchObject({ code: 'target.fenced', disposition: 'halt' });
  });

  subject.test('a connection that is cut before the commit leaves nothing', async () => {
    await using it = await install(subject, [plain('cut_before')]);
    const applier = await it.applier();
    await applier.committed();
    const open = await begun(applier, 1, 'cut_before', '1');
    await subject.server().cut();
    const error = await failure(() => open.commit());
    expect(error).toMatchObject({ disposition: 'retry' });
    const again = await it.applier();
    expect(await again.committed()).toBe(0);
    expect(await content(it, 'cut_before')).toEqual([]);
    await (await begun(again, 1, 'cut_before', '1')).commit();
  });

  subject.test('after an unknown commit the number says whether it was one', async () => {
    await using it = await install(subject, [plain('cut_during')]);
    let applier = await it.applier();
    const rows = Array.from({ length: 300 }, (_, i) => i);
    for (let round = 1; round <= 8; round++) {
      const before = await applier.committed();
      const open = await applier.begin(before + 1);
      await open.write(
        insert('cut_during', ...rows.map((i) => [`${round * 1000 + i}`, 'ours', null])),
      );
      const committing = settled(open);
      await Promise.all([committing, subject.server().cut()]);
      applier = await it.applier();
      const after = await applier.committed();
      const found = await it.user.rows(
        `select id from cut_during where id >= ${round * 1000} and id < ${round * 1000 + 1000}`,
      );
      expect([before, before + 1]).toContain(after);
      expect(found.length).toBe(after === before ? 0 : rows.length);
      if ((await committing) === 'committed') expect(after).toBe(before + 1);
    }
  });

  subject.test('a server that is down is unreachable, and reached when it is back', async (ctx) => {
    const { control } = subject.server();
    needsControl(ctx, control);
    await using it = await install(subject, [plain('down')]);
    const applier = await it.applier();
    expect(await applier.committed()).toBe(0);
    await control.stop();
    const error = await failure(() => applier.begin(1));
    expect(error).toMatchObject({ code: 'target.unreachable', disposition: 'retry' });
    const fresh = await it.applier();
    const unknown = await failure(() => fresh.committed());
    expect(unknown).toMatchObject({ code: 'target.unreachable', disposition: 'retry' });
    await control.start();
    expect(await applier.committed()).toBe(0);
    await (await begun(applier, 1, 'down', '1')).commit();
    expect(await fresh.committed()).toBe(1);
  });
});

async function settled(transaction: ApplyTransaction): Promise<'committed' | 'unknown'> {
  try {
    await transaction.commit();
    return 'committed';
  } catch {
    return 'unknown';
  }
}
