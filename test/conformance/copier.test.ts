/** The target's side of a feed: exactly the rows, and the place with them. */
import { expect, type TestContext } from 'vitest';
import type { Copier, CopyTable, CopyWrite, FeedPlace } from '../../src/contract/copier.ts';
import type { TableSpec } from '../../src/model/change.ts';
import type { Position } from '../../src/model/position.ts';
import type { Value } from '../../src/model/value.ts';
import { needsControl } from '../support/index.ts';
import { conformance, type Subject } from './conformance.ts';
import { columnsOf, everyType, writeAll } from './every-type.ts';
import {
  content,
  failure,
  type Installation,
  install,
  plain,
  plainDdl,
  systemOf,
  waits,
} from './installation.ts';

type Rows = readonly (readonly Value[])[];

const put = (table: string, ...rows: Rows): CopyWrite => ({
  op: 'put',
  table,
  key: ['id'],
  columns: ['id', 'name', 'amount'],
  keys: [],
  rows,
  fresh: false,
});

const fresh = (table: string, ...rows: Rows): CopyWrite => ({
  ...put(table, ...rows),
  fresh: true,
});

/** Rows of `[key, name wanted]`. */
const rename = (table: string, ...rows: readonly (readonly [string, Value])[]): CopyWrite => ({
  ...put(table, ...rows.map(([, name]) => [name])),
  op: 'patch',
  columns: ['name'],
  keys: rows.map(([id]) => [id]),
});

const remove = (table: string, ...ids: readonly string[]): CopyWrite => ({
  ...put(table),
  op: 'remove',
  columns: [],
  keys: ids.map((id) => [id]),
});

/** Of rows in several batches, as the place of a feed tells them. */
const at = (place: number | string): FeedPlace => ({
  position: `place/${place}` as Position,
  progress: `{"items":"it's \\\\ ${place}"}`,
});

const copyTable = ({ name, key, columns }: TableSpec): CopyTable => ({
  ...{ name, key, columns },
  removes: true,
});

async function copierOf(context: TestContext, it: Installation, feed = 'feed'): Promise<Copier> {
  const { system } = it;
  context.skip(system.copier === undefined, 'this system cannot be the target of a feed');
  await system.setup({ ...it.needs, copies: it.needs.tables.map(copyTable) });
  return system.copier!(feed);
}

/** One committed transaction. */
async function committed(copier: Copier, place: FeedPlace, ...writes: readonly CopyWrite[]) {
  await using transaction = await copier.begin();
  const troubles = [];
  for (const write of writes) troubles.push(await transaction.write(write));
  await transaction.commit(place);
  return troubles;
}

/** A table of its own and a copier that has been asked for its place. */
async function copying(
  subject: Subject,
  context: TestContext,
  spec: TableSpec,
  ddl?: readonly string[],
) {
  const it = await install(subject, [spec], ddl);
  const open = new AsyncDisposableStack();
  open.use(it);
  const copier = open.use(await copierOf(context, it));
  expect(await copier.place()).toBeNull();
  let place = 0;
  return {
    it,
    copier,
    write: async (write: CopyWrite) => (await committed(copier, at(++place), write))[0]!,
    [Symbol.asyncDispose]: () => open[Symbol.asyncDispose](),
  };
}

conformance('copying', (subject) => {
  subject.test(
    'put: over rows, beside rows, and other columns keep what they have',
    async (ctx) => {
      const name = 'put_into';
      await using to = await copying(subject, ctx, plain(name));
      await to.it.user.run(`insert into ${name} values (1, 'a', 1), (2, 'b', 2), (9, 'z', 9)`);
      expect(
        await to.write(put(name, ['1', 'x', null], ['2', null, '5'], ['3', 'c', '3'])),
      ).toEqual([]);
      const half = { ...put(name, ['3', 'y'], ['4', 'd']), columns: ['id', 'name'] };
      expect(await to.write(half)).toEqual([]);
      expect(await to.write({ ...put(name, ['9'], ['10']), columns: ['id'] })).toEqual([]);
      expect(await content(to.it, name)).toEqual([
        ['1', 'x', null],
        ['2', null, '5.00'],
        ['3', 'y', '3.00'],
        ['4', 'd', null],
        ['9', 'z', '9.00'],
        ['10', null, null],
      ]);
    },
  );

  subject.test('put of new rows, also where some of them are there', async (ctx) => {
    const name = 'put_fresh';
    await using to = await copying(subject, ctx, plain(name));
    expect(await to.write(fresh(name, ['1', 'a', '1'], ['2', null, null]))).toEqual([]);
    expect(await to.write(fresh(name, ['3', 'c', '3'], ['1', 'x', null]))).toEqual([]);
    expect(await to.write(fresh(name))).toEqual([]);
    expect(await content(to.it, name)).toEqual([
      ['1', 'x', null],
      ['2', null, null],
      ['3', 'c', '3.00'],
    ]);
  });

  subject.test('defaults of columns that are not written, and what is computed', async (ctx) => {
    const name = 'put_defaults';
    const ddl = `create table ${name} (id int primary key, name varchar(200) default 'given',
      amount decimal(12,2), twice decimal(14,2) generated always as (amount * 2) stored)`;
    await using to = await copying(subject, ctx, plain(name, ['id', 'amount']), [ddl]);
    const rows = [
      ['1', '1.5'],
      ['2', null],
    ];
    const columns = ['id', 'amount'];
    for (const write of [fresh, put]) {
      expect(await to.write({ ...write(name, ...rows), columns })).toEqual([]);
      expect(await to.it.user.rows(`select id, name, twice from ${name} order by id`)).toEqual([
        ['1', 'given', '3.00'],
        ['2', 'given', null],
      ]);
    }
  });

  subject.test('the key may be any unique index, of several columns too', async (ctx) => {
    const name = 'put_by_pair';
    const { generatedKey } = subject.dialect;
    const ddl = `create table ${name} (id ${generatedKey}, b int not null,
      name varchar(20) not null, amount decimal(12,2), unique (b, name))`;
    const spec = { name, key: ['name', 'b'], columns: ['b', 'amount', 'name'] };
    await using to = await copying(subject, ctx, spec, [ddl]);
    const shown = () => to.it.user.rows(`select b, name, amount from ${name} order by b, name`);
    const base = { table: name, key: spec.key, fresh: false };
    const rows = [
      ['1', '1', 'a'],
      ['1', '2', 'b'],
      ['2', '3', 'a'],
    ];
    const columns = spec.columns;
    expect(await to.write({ ...base, op: 'put', columns, keys: [], rows })).toEqual([]);
    const ids = await to.it.user.rows(`select id from ${name} order by id`);
    const again = rows.map(([b, , text]) => [b!, '7', text!]);
    expect(await to.write({ ...base, op: 'put', columns, keys: [], rows: again })).toEqual([]);
    expect(await to.it.user.rows(`select id from ${name} order by id`)).toEqual(ids);
    const keys = [
      ['a', '2'],
      ['b', '2'],
    ];
    const patch = { ...base, op: 'patch' as const, columns: ['b'], keys, rows: [['5'], ['6']] };
    expect(await to.write(patch)).toEqual([{ kind: 'absent', row: 1 }]);
    expect(await shown()).toEqual([
      ['1', 'a', '7.00'],
      ['1', 'b', '7.00'],
      ['5', 'a', '7.00'],
    ]);
    const gone = [
      ['b', '1'],
      ['b', '5'],
    ];
    expect(await to.write({ ...base, op: 'remove', columns: [], keys: gone, rows: [] })).toEqual(
      [],
    );
    expect(await shown()).toEqual([
      ['1', 'a', '7.00'],
      ['5', 'a', '7.00'],
    ]);
  });

  subject.test('patch: what is there, what is absent, and under a new key', async (ctx) => {
    const name = 'patched';
    await using to = await copying(subject, ctx, plain(name));
    await to.it.user.run(`insert into ${name} values (1, 'a', 1), (2, 'b', 2), (3, 'c', 3)`);
    const patch = rename(name, ['8', 'x'], ['1', 'x'], ['9', 'x'], ['3', null], ['2', 'b']);
    expect(await to.write(patch)).toEqual([
      { kind: 'absent', row: 0 },
      { kind: 'absent', row: 2 },
    ]);
    const move: CopyWrite = {
      ...rename(name),
      columns: ['id', 'amount'],
      keys: [['1'], ['4'], ['3']],
      rows: [
        ['11', '1.5'],
        ['14', '4'],
        ['13', null],
      ],
    };
    expect(await to.write(move)).toEqual([{ kind: 'absent', row: 1 }]);
    expect(await content(to.it, name)).toEqual([
      ['2', 'b', '2.00'],
      ['11', 'x', '1.50'],
      ['13', null, null],
    ]);
  });

  subject.test('keys that follow one another up are moved in their order', async (ctx) => {
    const name = 'moved_up';
    await using to = await copying(subject, ctx, plain(name));
    await to.it.user.run(`insert into ${name} values (1, 'a', 1), (2, 'b', 2), (3, 'c', 3)`);
    const keys = [['3'], ['2'], ['1']];
    const rows = [['4'], ['3'], ['2']];
    expect(await to.write({ ...rename(name), columns: ['id'], keys, rows })).toEqual([]);
    expect((await content(to.it, name)).map(([id, text]) => [id, text])).toEqual([
      ['2', 'a'],
      ['3', 'b'],
      ['4', 'c'],
    ]);
  });

  subject.test('remove: what is there, and what is not', async (ctx) => {
    const name = 'removed';
    await using to = await copying(subject, ctx, plain(name));
    await to.it.user.run(`insert into ${name} values (1, 'a', 1), (2, 'b', 2), (3, 'c', 3)`);
    expect(await to.write(remove(name, '8', '1', '3', '9'))).toEqual([]);
    expect(await to.write(remove(name, '1'))).toEqual([]);
    expect(await content(to.it, name)).toEqual([['2', 'b', '2.00']]);
  });

  subject.test('a refused row costs only itself, and its values stay here', async (ctx) => {
    const name = 'put_refused';
    const ddl = [
      'create table copied_parents (id int primary key)',
      `create table ${name} (id int primary key, name varchar(10) not null,
        amount decimal(12,2), check (amount >= 0))`,
      `alter table ${name} add column parent int,
        add foreign key (parent) references copied_parents (id)`,
    ];
    const columns = ['id', 'name', 'amount', 'parent'];
    await using to = await copying(subject, ctx, plain(name, columns), ddl);
    await to.it.user.run('insert into copied_parents values (1)');
    const bad = [
      ['501', null, '1', '1'],
      ['502', 'far too long for it', '1', '1'],
      ['503', 'negative', '-987654', '1'],
      ['504', 'orphan', '1', '424242'],
      ['505', 'large', '98765432109876', '1'],
    ];
    const good = Array.from({ length: 500 }, (_, i) => [`${i}`, `n${i}`, '1', '1']);
    const rows = [...good.slice(0, 250), ...bad, ...good.slice(250)];
    for (const write of [fresh, put]) {
      const troubles = await to.write({ ...write(name, ...rows), columns });
      expect(troubles.map(({ kind, row }) => [kind, row])).toEqual(
        bad.map((_, i) => ['refused', 250 + i]),
      );
      for (const trouble of troubles) {
        if (trouble.kind !== 'refused') continue;
        expect(trouble.code).toMatch(/^[0-9A-Z]{5}$/);
        expect(trouble.reason).not.toMatch(/987654|424242|far too/);
        expect(trouble.reason).not.toBe('');
      }
      const found = await to.it.user.rows(`select id, name, parent from ${name} order by id`);
      expect(found).toEqual(good.map(([id, text]) => [id, text, '1']));
    }
    const patch = rename(name, ['0', 'new'], ['1', null], ['999', 'x'], ['2', 'n']);
    expect((await to.write(patch)).map(({ kind, row }) => [kind, row])).toEqual([
      ['refused', 1],
      ['absent', 2],
    ]);
    const parents = remove('copied_parents', '1', '2');
    expect((await to.write(parents)).map(({ kind, row }) => [kind, row])).toEqual([['refused', 0]]);
    const names = await to.it.user.rows(`select name from ${name} where id < 3 order by id`);
    expect(names).toEqual([['new'], ['n1'], ['n']]);
  });

  subject.test('of several writes of a transaction all but the refused rows stand', async (ctx) => {
    const name = 'put_several';
    await using to = await copying(subject, ctx, plain(name));
    await using transaction = await to.copier.begin();
    const tooLong = 'x'.repeat(201);
    expect(await transaction.write(fresh(name, ['1', 'a', '1'], ['2', 'b', '2']))).toEqual([]);
    const [refused] = await transaction.write(put(name, ['3', tooLong, '3'], ['4', 'd', '4']));
    expect(refused).toMatchObject({ kind: 'refused', row: 0 });
    expect(await transaction.write(rename(name, ['1', 'x']))).toEqual([]);
    expect(await transaction.write(fresh(name, ['5', tooLong, '5'], ['6', 'f', '6']))).toHaveLength(
      1,
    );
    expect(await transaction.write(remove(name, '2'))).toEqual([]);
    await transaction.commit(at('end'));
    expect((await content(to.it, name)).map(([id, text]) => [id, text])).toEqual([
      ['1', 'x'],
      ['4', 'd'],
      ['6', 'f'],
    ]);
  });

  subject.test('many rows at once', async (ctx) => {
    const name = 'put_many';
    await using to = await copying(subject, ctx, plain(name));
    const rows = (text: string) =>
      Array.from({ length: 20_000 }, (_, i) => [
        `${i}`,
        `${text} ${i} ${'ü'.repeat(i % 70)}`,
        `${i}.25`,
      ]);
    const names = async () => (await content(to.it, name)).map(([, text]) => text);
    expect(await to.write(fresh(name, ...rows('first')))).toEqual([]);
    expect(await content(to.it, name)).toEqual(rows('first'));
    expect(await to.write(put(name, ...rows('second')))).toEqual([]);
    expect(await content(to.it, name)).toEqual(rows('second'));
    const named = rows('third').map(([id, text]): [string, Value] => [id!, text!]);
    expect(await to.write(rename(name, ...named.toReversed()))).toEqual([]);
    expect(await names()).toEqual(named.map(([, text]) => text));
    const odd = named.filter((_, i) => i % 2 === 1);
    expect(await to.write(remove(name, ...odd.map(([id]) => id)))).toEqual([]);
    expect(await names()).toEqual(named.filter((_, i) => i % 2 === 0).map(([, text]) => text));
    const absent = odd.map((_, i) => ({ kind: 'absent', row: 2 * i + 1 }));
    expect(await to.write(rename(name, ...named))).toEqual(absent);
  });

  subject.test('text is text, whatever is in it', async (ctx) => {
    const name = 'put_text';
    await using to = await copying(subject, ctx, plain(name));
    const texts = [
      ...['', ' ', 'NULL', 'null', '\\N', '\\.', '\\', '\\\\', '\\t', '\t', '\n', '\r', '\r\n'],
      ...[`'`, `''`, '"', '`', '{', '}', '{a,b}', ',', ';', '--', '/*', '%', '_', '$1', '?', ':a'],
      ...[
        '\x01',
        '\x1a',
        '\x7f',
        '\b\f\v',
        '🙂',
        '👩‍👩‍👧',
        'ü',
        'é',
        '𝄞 \u{10ffff}',
        '\ufeff',
        '\u2028',
        ' a ',
      ],
      ...['a\tb\nc\\d\re', '\\x41', '\\101', '\\b', `\\'`, 'x'.repeat(200), 'ü'.repeat(200)],
    ];
    const rows = (from: number) => texts.map((text, i) => [`${from + i}`, text, null]);
    expect(await to.write(fresh(name, ...rows(0), ['999', null, null]))).toEqual([]);
    const found = await content(to.it, name);
    expect(found).toEqual([...rows(0), ['999', null, null]]);
    expect(await to.write(put(name, ...rows(1000), ['1999', null, null]))).toEqual([]);
    const turned = texts.map((_, i): [string, Value] => [`${i}`, texts.at(i - 1)!]);
    expect(await to.write(rename(name, ...turned, ['999', 'x'], ['1999', null]))).toEqual([]);
    expect(await content(to.it, name)).toEqual([
      ...turned.map(([id, text]) => [id, text, null]),
      ['999', 'x', null],
      ...rows(1000),
      ['1999', null, null],
    ]);
  });

  subject.test('values of every type are the same values', async (ctx) => {
    await using it = await everyType(subject, 'types_copied');
    const [spec, copy] = it.needs.tables;
    await using copier = await copierOf(ctx, it);
    await copier.place();
    await writeAll(subject, spec!.name);
    const source = await it.source();
    const readAll = async (table: TableSpec): Promise<Value[][]> => {
      const { rows } = await source.read({ table, after: null, limit: 1000 });
      return rows.map((cells) => cells.map((cell) => cell ?? null));
    };
    const rows = await readAll(spec!);
    const base = { table: copy!.name, key: ['id'] };
    const write = { ...base, op: 'put' as const, columns: copy!.columns, keys: [] };
    expect(await committed(copier, at(1), { ...write, rows, fresh: true })).toEqual([[]]);
    expect(await readAll(copy!)).toEqual(rows);
    const body = rows.map((row) => row.slice(1));
    const turned = (by: number): Value[][] =>
      rows.map(([id], i) => [id!, ...body[(i + by) % body.length]!]);
    expect(await committed(copier, at(2), { ...write, rows: turned(1), fresh: false })).toEqual([
      [],
    ]);
    expect(await readAll(copy!)).toEqual(turned(1));
    const patch: CopyWrite = {
      ...base,
      op: 'patch',
      columns: columnsOf(subject.driver.types),
      keys: rows.map(([id]) => [id!]),
      rows: turned(2).map((row) => row.slice(1)),
      fresh: false,
    };
    expect(await committed(copier, at(3), patch)).toEqual([[]]);
    expect(await readAll(copy!)).toEqual(turned(2));
  });
});

conformance('feeding', (subject) => {
  subject.test('the place is committed with the rows, for each feed its own', async (ctx) => {
    const name = 'placed';
    await using to = await copying(subject, ctx, plain(name));
    await using other = await copierOf(ctx, to.it, 'other');
    expect(await other.place()).toBeNull();
    await committed(to.copier, at(1), put(name, ['1', 'a', '1']));
    expect(await to.copier.place()).toEqual(at(1));
    await committed(to.copier, at(2), put(name, ['2', 'b', '2']));
    await committed(to.copier, at(3));
    await committed(other, at('o'), put(name, ['3', 'c', '3']));
    await using again = await copierOf(ctx, to.it);
    expect(await again.place()).toEqual(at(3));
    expect(await content(to.it, name)).toHaveLength(3);
    await committed(again, at(4), remove(name, '1'));
    expect(await again.place()).toEqual(at(4));
    expect(await other.place()).toEqual(at('o'));
  });

  subject.test('disposing an open transaction undoes it', async (ctx) => {
    const name = 'unplaced';
    await using to = await copying(subject, ctx, plain(name));
    for (const before of [null, at(1)]) {
      {
        await using transaction = await to.copier.begin();
        await transaction.write(put(name, ['1', 'a', '1']));
      }
      expect(await content(to.it, name)).toEqual([]);
      expect(await to.copier.place()).toEqual(before);
      await committed(to.copier, at(1));
    }
  });

  subject.test('a copier is fenced when another one moved the place', async (ctx) => {
    const name = 'fenced_feed';
    await using to = await copying(subject, ctx, plain(name));
    await using rival = await copierOf(ctx, to.it);
    for (const round of [1, 2]) {
      expect(await rival.place()).toEqual(await to.copier.place());
      await committed(rival, at(`rival ${round}`), put(name, ['1', 'theirs', null]));
      const error = await failure(() => to.copier.begin());
      expect(error).toMatchObject({ code: 'target.fenced', disposition: 'halt' });
      expect(error.fix).not.toBe('');
      expect(await content(to.it, name)).toEqual([['1', 'theirs', null]]);
      expect(await to.copier.place()).toEqual(at(`rival ${round}`));
      await committed(to.copier, at(round), put(name, ['1', 'ours', null]));
      expect(await failure(() => rival.begin())).toMatchObject({ code: 'target.fenced' });
      await committed(to.copier, at(round), put(name, ['1', 'theirs', null]));
    }
  });

  for (const end of ['commit', 'rollback'] as const) {
    subject.test(`place() waits for a predecessor until its ${end}`, async (ctx) => {
      const name = `fed_${end}`;
      await using to = await copying(subject, ctx, plain(name));
      await using successor = await copierOf(ctx, to.it);
      for (const place of [1, 2]) {
        const before = await to.copier.place();
        await using open = await to.copier.begin();
        await open.write(put(name, [`${place}`, 'ours', null]));
        const asked = successor.place();
        expect(await waits(asked)).toBe(true);
        if (end === 'commit') await open.commit(at(place));
        else await open[Symbol.asyncDispose]();
        expect(await asked).toEqual(end === 'commit' ? at(place) : before);
      }
    });
  }

  subject.test('a connection that is cut before the commit leaves nothing', async (ctx) => {
    const name = 'fed_cut';
    await using to = await copying(subject, ctx, plain(name));
    await using open = await to.copier.begin();
    await open.write(fresh(name, ['1', 'a', '1']));
    await subject.server().cut();
    expect(await failure(() => open.commit(at(1)))).toMatchObject({ disposition: 'retry' });
    expect(await to.copier.place()).toBeNull();
    expect(await content(to.it, name)).toEqual([]);
    await committed(to.copier, at(1), fresh(name, ['1', 'a', '1']));
    expect(await content(to.it, name)).toHaveLength(1);
  });

  subject.test('after an unknown commit the place says whether it was one', async (ctx) => {
    const name = 'fed_unknown';
    await using to = await copying(subject, ctx, plain(name));
    const numbers = Array.from({ length: 300 }, (_, i) => i);
    for (let round = 1; round <= 8; round++) {
      await using copier = await copierOf(ctx, to.it);
      const before = await copier.place();
      const open = await copier.begin();
      const rows = numbers.map((i) => [`${round * 1000 + i}`, 'ours', null]);
      await open.write({ ...put(name, ...rows), fresh: round % 2 === 0 });
      const committing = open.commit(at(round)).then(
        () => 'committed',
        () => 'unknown',
      );
      await Promise.all([committing, subject.server().cut()]);
      await using again = await copierOf(ctx, to.it);
      const after = await again.place();
      const found = await to.it.user.rows(
        `select id from ${name} where id >= ${round * 1000} and id < ${round * 1000 + 1000}`,
      );
      expect([before, at(round)]).toContainEqual(after);
      expect(found.length).toBe(after?.position === at(round).position ? rows.length : 0);
      if ((await committing) === 'committed') expect(after).toEqual(at(round));
    }
  });

  subject.test('a server that is down is unreachable, and reached when it is back', async (ctx) => {
    const { control } = subject.server();
    needsControl(ctx, control);
    const name = 'fed_down';
    await using to = await copying(subject, ctx, plain(name));
    await control.stop();
    const unreachable = { code: 'target.unreachable', disposition: 'retry' };
    expect(await failure(() => to.copier.begin())).toMatchObject(unreachable);
    expect(await failure(() => to.copier.place())).toMatchObject(unreachable);
    await control.start();
    expect(await to.copier.place()).toBeNull();
    await committed(to.copier, at(1), put(name, ['1', 'a', '1']));
  });

  subject.test('setup makes what feeds need, and preflight says what is missing', async (ctx) => {
    await using user = await subject.server().user();
    await user.run(plainDdl('fed_checked'));
    await user.run('create table fed_loose (id int, name varchar(20), amount decimal(12,2))');
    const { connector } = subject.driver;
    const { options, forget } = subject.server();
    await using system = await systemOf(connector, options, 'feeds');
    ctx.skip(system.copier === undefined, 'this system cannot be the target of a feed');
    const loose = copyTable(plain('fed_loose'));
    const needs = {
      tables: [{ ...plain('fed_checked'), written: true }],
      copies: [copyTable(plain('fed_checked')), loose],
    };
    await system.setup({ tables: needs.tables });
    await user.run('drop table if exists carrick.carrick_feed');
    const wrong = async (copies: readonly CopyTable[]) =>
      (await system.preflight({ ...needs, copies })).filter(({ outcome }) => outcome !== 'note');
    const before = await wrong(needs.copies);
    expect(before.map(({ message }) => message).join('\n')).toMatch(/carrick_feed/);
    expect(before.every(({ fix }) => fix !== '')).toBe(true);
    for (let time = 0; time < 2; time++) {
      for (const statement of system.setupScript(needs)) {
        const sql = statement.replaceAll(/^--.*$/gm, '').trim();
        if (sql !== '') await user.run(sql);
      }
    }
    expect(await system.setup(needs)).toEqual([]);
    await user.run('drop table carrick.carrick_feed');
    expect((await system.setup(needs)).join('\n')).toMatch(/carrick_feed/);
    expect(await system.setup(needs)).toEqual([]);
    await user.run('create unique index fed_wider on fed_loose (id, name)');
    const [missing, ...others] = await wrong(needs.copies);
    expect(others).toEqual([]);
    expect(missing!.message).toMatch(/fed_loose/);
    expect(missing!.fix).toMatch(/create unique index/i);
    await user.run('create unique index fed_exact on fed_loose (id)');
    expect(await wrong(needs.copies)).toEqual([]);
    const misfits = [
      { ...loose, name: 'not_there' },
      { ...loose, columns: ['id', 'nowhere'] },
    ];
    for (const misfit of misfits) expect(await wrong([misfit])).toHaveLength(1);
    await forget('feeds');
  });
});
