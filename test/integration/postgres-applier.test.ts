import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Outcome, RowWrite, TableWrite } from '../../src/contract/applier.ts';
import type { Value } from '../../src/model/value.ts';
import { pgClient, startPostgres, type TestServer } from '../support/index.ts';
import { type Installation, install, scalar, until } from './postgres-fixture.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startPostgres();
  await using db = await pgClient(server.url);
  await db.query('create extension if not exists citext');
});
afterAll(() => server[Symbol.asyncDispose]());

const NONE = { columns: [], compare: [], guards: [] };

function update(table: string, columns: string[], compare: string[], rows: RowWrite[]): TableWrite {
  return { ...NONE, op: 'update', table, key: ['id'], columns, compare, rows };
}

const row = (key: Value[] | null, values: Value[], expect: Value[] = []): RowWrite => ({
  key,
  values,
  expect,
});

/** Applies in a transaction of its own and commits. */
async function apply(
  it: Installation,
  batch: number,
  ...writes: TableWrite[]
): Promise<Outcome[][]> {
  await using applier = await it.system.applier();
  await using transaction = await applier.begin(batch);
  const outcomes: Outcome[][] = [];
  for (const write of writes) outcomes.push(await transaction.write(write));
  await transaction.commit();
  return outcomes;
}

const kinds = (outcomes: readonly Outcome[] | undefined): string[] =>
  (outcomes ?? []).map(({ kind }) => kind);

describe('compare and set', () => {
  test('applied, already, diverged, missing; NULL equals NULL only', async () => {
    await using it = await install(
      server,
      `create table people (id int primary key, name text, city text);
       insert into people values (1, 'a', null), (2, 'b', 'x'), (3, null, 'y'), (4, 'new', 'z')`,
      [],
    );
    const [updated, deleted] = await apply(
      it,
      1,
      update(
        'people',
        ['name'],
        ['name', 'city'],
        [
          row(['1'], ['new'], ['a', null]),
          row(['2'], ['new'], ['b', null]),
          row(['3'], ['new'], [null, 'y']),
          row(['4'], ['new'], ['old', 'z']),
          row(['5'], ['new'], ['a', null]),
        ],
      ),
      {
        ...NONE,
        op: 'delete',
        table: 'people',
        key: ['id'],
        compare: ['name'],
        rows: [row(['1'], [], ['new']), row(['2'], [], ['a']), row(['9'], [], ['a'])],
      },
    );
    expect(kinds(updated)).toEqual(['applied', 'diverged', 'applied', 'already', 'diverged']);
    expect(kinds(deleted)).toEqual(['applied', 'diverged', 'already']);
    const left = await it.db.query({
      text: 'select id, name from people order by id',
      rowMode: 'array',
    });
    expect(left.rows).toEqual([
      ['2', 'b'],
      ['3', 'new'],
      ['4', 'new'],
    ]);
  });

  test('a value that is equal but not the same is not overwritten', async () => {
    await using it = await install(
      server,
      `create collation loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
       create table exact (id citext primary key, c citext, l text collate loose, p char(4), j json,
         s text[], i inet, d numeric(8,2));
       insert into exact select k, 'Case', 'Case', 'ab', '{"a": 1}', '{b,a}', '10.0.0.1', 1.1
         from unnest(array['Key', 'k1', 'k2', 'k3', 'k4', 'k5', 'k6']) k`,
      [],
    );
    const columns = ['c', 'l', 'p', 'j', 's', 'i', 'd'];
    const held = ['Case', 'Case', 'ab', '{"a":1}', '["a","b"]', '10.0.0.1', '1.10'];
    const with_ = (index: number, value: string): Value[] => held.with(index, value);
    const [outcomes] = await apply(
      it,
      1,
      update('exact', ['d'], columns, [
        row(['key'], ['2.00'], held),
        row(['k1'], ['2.00'], with_(0, 'case')),
        row(['k2'], ['2.00'], with_(1, 'case')),
        row(['k3'], ['2.00'], with_(3, '{"a":2}')),
        row(['k4'], ['2.00'], with_(4, '["a"]')),
        row(['k5'], ['2.00'], with_(5, '10.0.0.2')),
        row(['k6'], ['2.00'], held),
      ]),
    );
    const diverged = Array.from({ length: 6 }, () => 'diverged');
    expect(kinds(outcomes)).toEqual([...diverged, 'applied']);
  });

  test('waits for a writer and then sees what it wrote', async () => {
    await using it = await install(
      server,
      `create table contested (id int primary key, n int); insert into contested values (1, 1)`,
      [],
    );
    await it.db.query('begin; update contested set n = 2');
    const applying = apply(it, 1, update('contested', ['n'], ['n'], [row(['1'], ['9'], ['1'])]));
    await using watcher = await pgClient(server.url);
    const waiting = `select count(*) from pg_stat_activity where wait_event_type = 'Lock'`;
    await until(async () => (await scalar(watcher, waiting)) === '1');
    await it.db.query('commit');
    expect(kinds((await applying)[0])).toEqual(['diverged']);
    expect(await scalar(it.db, 'select n from contested')).toBe('2');
  });
});

describe('inserts', () => {
  const insert = (rows: RowWrite[], guards: string[][] = [['no'], ['mail']]): TableWrite => ({
    op: 'insert',
    table: 'clients',
    key: ['id'],
    columns: ['no', 'mail'],
    compare: [],
    guards,
    rows,
  });

  test('generated keys come back row by row; guards and keys keep duplicates out', async () => {
    await using it = await install(
      server,
      `create table clients (id bigint generated always as identity, no text, mail text,
         primary key (id));
       insert into clients (no, mail) values ('n0', 'm0')`,
      [],
    );
    const rows = Array.from({ length: 20 }, (_, i) => row(null, [`n${i}`, i === 7 ? 'm0' : null]));
    const [outcomes] = await apply(it, 1, insert(rows));
    const wanted = rows.map((_, i) => (i === 0 || i === 7 ? 'diverged' : 'applied'));
    expect(kinds(outcomes)).toEqual(wanted);
    for (const [i, outcome] of (outcomes ?? []).entries()) {
      if (outcome.kind !== 'applied') continue;
      expect(await scalar(it.db, 'select id from clients where no = $1', [`n${i}`])).toBe(
        outcome.key[0],
      );
    }
  });

  test('a taken key diverges, as does a unique guard that another case breaks', async () => {
    await using it = await install(
      server,
      `drop table if exists clients; create table clients (id int primary key, no text, mail text);
       create unique index on clients (lower(mail)); create unique index on clients (no);
       insert into clients values (1, 'n1', 'M1')`,
      [],
    );
    const keyed: TableWrite = {
      ...insert([], [['mail']]),
      columns: ['id', 'no', 'mail'],
      rows: [
        row(['1'], ['1', 'n2', 'm2']),
        row(['3'], ['3', 'n3', 'm1']),
        row(['4'], ['4', 'n1', 'm4']),
        row(['5'], ['5', 'n5', 'm5']),
      ],
    };
    const [outcomes] = await apply(it, 1, keyed);
    expect(outcomes).toEqual([
      { kind: 'diverged' },
      { kind: 'diverged' },
      expect.objectContaining({ kind: 'refused', code: '23505' }),
      { kind: 'applied', key: ['5'] },
    ]);
  });
});

describe('refused rows', () => {
  test('cost only themselves, and say why without their values', async () => {
    await using it = await install(
      server,
      `create table parents (id int primary key);
       create table strict (id int primary key, n int check (n < 100), t varchar(3),
         parent int references parents deferrable initially deferred);
       create function no_thirteen() returns trigger language plpgsql as $$ begin
         if new.n = 13 then raise exception 'customer % is unlucky', new.t; end if;
         return new; end $$;
       create trigger lucky before update on strict for each row execute function no_thirteen();
       insert into strict select i, 0, 'abc' from generate_series(1, 40) i`,
      [],
    );
    const values = (i: number): Value[] => {
      if (i === 5) return ['13', 'sec', null];
      if (i === 9) return ['100', 'sec', null];
      if (i === 17) return ['1', 'secret', null];
      if (i === 18) return ['secret', 's', null];
      if (i === 30) return ['1', 's', '77'];
      return ['1', 'ok', null];
    };
    const rows = Array.from({ length: 40 }, (_, i) => row([`${i + 1}`], values(i + 1), ['0']));
    const [outcomes] = await apply(it, 1, update('strict', ['n', 't', 'parent'], ['n'], rows));
    const refused = outcomes!.flatMap((outcome, i) =>
      outcome.kind === 'refused' ? [[i + 1, outcome.code]] : [],
    );
    expect(refused).toEqual([
      [5, 'P0001'],
      [9, '23514'],
      [17, '22001'],
      [18, '22P02'],
      [30, '23503'],
    ]);
    expect(kinds(outcomes).filter((kind) => kind === 'applied').length).toBe(35);
    expect(JSON.stringify(outcomes)).not.toMatch(/sec|77|unlucky/);
    expect(JSON.stringify(outcomes)).toContain('no_thirteen() line 2');
    expect(await scalar(it.db, `select count(*) from strict where t = 'ok'`)).toBe('35');
  });

  test('a missing table, column or right stops the target and says what to do', async () => {
    await using it = await install(server, 'create table plain (id int primary key, n int)', []);
    const attempts = [
      update('nowhere', ['n'], [], [row(['1'], ['1'])]),
      update('plain', ['m'], [], [row(['1'], ['1'])]),
    ];
    for (const write of attempts) {
      await expect(apply(it, 1, write)).rejects.toMatchObject({
        code: 'target.refused',
        disposition: 'halt',
      });
    }
  });
});

describe('the mark', () => {
  test('moves with the transaction, fences a second writer, and survives a rollback', async () => {
    await using it = await install(server, 'create table noted (id int primary key)', []);
    await using applier = await it.system.applier();
    expect(await applier.committed()).toBe(0);
    {
      await using transaction = await applier.begin(1);
      await transaction.write({
        ...NONE,
        op: 'insert',
        table: 'noted',
        key: ['id'],
        columns: ['id'],
        rows: [row(['1'], ['1'])],
      });
    }
    expect(await applier.committed()).toBe(0);
    expect(await scalar(it.db, 'select count(*) from noted')).toBe('0');
    {
      await using transaction = await applier.begin(3);
      await transaction.commit();
    }
    expect(await applier.committed()).toBe(3);
    await using other = await it.system.applier();
    for (const batch of [2, 3]) {
      await expect(other.begin(batch)).rejects.toMatchObject({
        code: 'target.fenced',
        disposition: 'halt',
      });
    }
    await other.fence(2);
    await applier.fence(5);
    await expect(other.fence(5)).rejects.toMatchObject({ code: 'target.fenced' });
    expect(await applier.committed()).toBe(3);
    const lanes = await it.db.query({
      text: 'select lane, batch from carrick.carrick_mark where instance = $1 order by lane',
      values: [it.name.replace('carrick_', '')],
      rowMode: 'array',
    });
    expect(lanes.rows).toEqual([
      ['deliver', '3'],
      ['watermark', '5'],
    ]);
  });

  test('what was committed is told only after a predecessor has ended', async () => {
    await using it = await install(server, 'select 1', []);
    await using first = await it.system.applier();
    await using second = await it.system.applier();
    // The very first batch of an installation: there is no row yet that could be locked.
    const transaction = await first.begin(1);
    let answered = false;
    const committed = second.committed().finally(() => {
      answered = true;
    });
    const waiting = `select count(*) from pg_stat_activity where wait_event_type = 'Lock'`;
    await until(async () => (await scalar(it.db, waiting)) === '1');
    expect(answered).toBe(false);
    await transaction.commit();
    expect(await committed).toBe(1);
  });

  test('a deadlock and a lost connection are tried again, on a new connection', async () => {
    await using it = await install(
      server,
      'create table broken (id int primary key, n int); insert into broken values (1, 0), (2, 0)',
      [],
    );
    await using applier = await it.system.applier();
    const write = (id: string) => update('broken', ['n'], [], [row([id], ['1'])]);
    {
      await using transaction = await applier.begin(1);
      await transaction.write(write('1'));
      await it.db.query(
        `set deadlock_timeout = '10s'; begin; update broken set n = 5 where id = 2`,
      );
      const theirs = it.db.query('update broken set n = 5 where id = 1');
      await expect(transaction.write(write('2'))).rejects.toMatchObject({
        code: 'target.conflicted',
        disposition: 'retry',
      });
      await theirs;
      await it.db.query('rollback');
      await expect(transaction.commit()).rejects.toThrow('over');
    }
    {
      await using transaction = await applier.begin(1);
      await it.db.query(`select pg_terminate_backend(pid) from pg_stat_activity
        where application_name = 'carrick' and state = 'idle in transaction'`);
      await expect(transaction.write(write('1'))).rejects.toMatchObject({
        code: 'target.unreachable',
        disposition: 'retry',
      });
    }
    expect(await applier.committed()).toBe(0);
    {
      await using transaction = await applier.begin(1);
      expect(kinds(await transaction.write(write('1')))).toEqual(['applied']);
      await transaction.commit();
    }
    expect(await applier.committed()).toBe(1);
  });
});
