/** The target's side of a feed: exactly the rows, and the place with them. */
import { describe, expect, test } from 'vitest';
import type { CopyTable, CopyWrite } from '../../src/contract/copier.ts';
import type { TableSpec } from '../../src/model/change.ts';
import type { Value } from '../../src/model/value.ts';
import { needsControl } from '../support/index.ts';
import { conformance, type Subject } from './conformance.ts';
import {
  at,
  begun,
  committed,
  copierOf,
  copyTable,
  fresh,
  put,
  realCopied,
  remove,
  rename,
  simulatedCopied,
} from './copied.ts';
import { copyStory, places, writes } from './copying.ts';
import { columnsOf, everyType, writeAll } from './every-type.ts';
import { content, failure, install, plain, plainDdl, systemOf } from './installation.ts';

const STORIES = 15;

/** A table of its own and a copier that has been asked for its place. */
async function copying(subject: Subject, spec: TableSpec, ddl?: readonly string[]) {
  const it = await install(subject, [spec], ddl);
  const open = new AsyncDisposableStack();
  open.use(it);
  return {
    it,
    ...(await begun(open.use(await copierOf(it)))),
    [Symbol.asyncDispose]: () => open[Symbol.asyncDispose](),
  };
}

conformance('copying', (subject) => {
  writes((name, run) => subject.test(name, run), realCopied(subject));

  subject.test('defaults of columns that are not written, and what is computed', async () => {
    const name = 'put_defaults';
    const ddl = `create table ${name} (id int primary key, name varchar(200) default 'given',
      amount decimal(12,2), twice decimal(14,2) generated always as (amount * 2) stored)`;
    await using to = await copying(subject, plain(name, ['id', 'amount']), [ddl]);
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

  subject.test('the key may be any unique index, of several columns too', async () => {
    const name = 'put_by_pair';
    const { generatedKey } = subject.dialect;
    const ddl = `create table ${name} (id ${generatedKey}, b int not null,
      name varchar(20) not null, amount decimal(12,2), unique (b, name))`;
    const spec = { name, key: ['name', 'b'], columns: ['b', 'amount', 'name'] };
    await using to = await copying(subject, spec, [ddl]);
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

  subject.test('a refused row costs only itself, and its values stay here', async () => {
    const name = 'put_refused';
    const ddl = [
      'create table copied_parents (id int primary key)',
      `create table ${name} (id int primary key, name varchar(10) not null,
        amount decimal(12,2), check (amount >= 0))`,
      `alter table ${name} add column parent int,
        add foreign key (parent) references copied_parents (id)`,
    ];
    const columns = ['id', 'name', 'amount', 'parent'];
    await using to = await copying(subject, plain(name, columns), ddl);
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

  subject.test('many rows at once', async () => {
    const name = 'put_many';
    await using to = await copying(subject, plain(name));
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

  subject.test('text is text, whatever is in it', async () => {
    const name = 'put_text';
    await using to = await copying(subject, plain(name));
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

  subject.test('values of every type are the same values', async () => {
    await using it = await everyType(subject, 'types_copied');
    const [spec, copy] = it.needs.tables;
    await using copier = await copierOf(it);
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

conformance('copy model', (subject) => {
  for (let seed = 1; seed <= STORIES; seed++) {
    subject.test(`story ${seed} ends as it does in the simulation`, async () => {
      await using simulated = await simulatedCopied('copy_story', ['name']);
      await using real = await realCopied(subject)('copy_story', ['name']);
      expect(await copyStory(seed, real)).toEqual(await copyStory(seed, simulated));
    });
  }
});

conformance('feeding', (subject) => {
  places((name, run) => subject.test(name, run), realCopied(subject));

  subject.test('a server that is down is unreachable, and reached when it is back', async (ctx) => {
    const { control } = subject.server();
    needsControl(ctx, control);
    const name = 'fed_down';
    await using to = await copying(subject, plain(name));
    await control.stop();
    const unreachable = { code: 'target.unreachable', disposition: 'retry' };
    expect(await failure(() => to.copier.begin())).toMatchObject(unreachable);
    expect(await failure(() => to.copier.place())).toMatchObject(unreachable);
    await control.start();
    expect(await to.copier.place()).toBeNull();
    await committed(to.copier, at(1), put(name, ['1', 'a', '1']));
  });

  subject.test('setup makes what feeds need, and preflight says what is missing', async () => {
    await using user = await subject.server().user();
    await user.run(plainDdl('fed_checked'));
    await user.run('create table fed_loose (id int, name varchar(20), amount decimal(12,2))');
    const { connector } = subject.driver;
    const { options, forget } = subject.server();
    await using system = await systemOf(connector, options, 'feeds');
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

describe('simulation', () => {
  describe('copying', () => writes(test, simulatedCopied));
  describe('feeding', () => places(test, simulatedCopied));
});
