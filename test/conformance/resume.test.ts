/** Resuming at any position: no loss, no repeat, the same ids. */
import { expect } from 'vitest';
import type { Source } from '../../src/contract/source.ts';
import type { SourceBatch } from '../../src/model/change.ts';
import type { Position } from '../../src/model/position.ts';
import { needsControl } from '../support/index.ts';
import { conformance, type Subject } from './conformance.ts';
import {
  brief,
  changesOf,
  failure,
  firstOf,
  type Installation,
  install,
  plain,
  whole,
} from './installation.ts';

/** Small and large transactions, one of them a Carrick's; some of them of tables nobody reads. */
async function work({ dialect }: Subject, it: Installation, table: string): Promise<void> {
  const { user } = it;
  await user.run(`create table ${table}_unread (id int primary key, name varchar(200))`);
  await user.run(`insert into ${table} (id, name) values (1, 'single')`);
  await user.run(dialect.fill(`${table}_unread`, 1, 10));
  await user.run('begin');
  await user.run(dialect.fill(table, 1000, 8999));
  await user.run(dialect.fill(`${table}_unread`, 1000, 3999));
  await user.run(`update ${table} set amount = 1 where id < 5000`);
  await user.run(`delete from ${table} where id >= 8000`);
  await user.run('commit');
  for (let id = 20; id < 30; id++) {
    await user.run(`insert into ${table} (id, name) values (${id}, 'small')`);
  }
  const rows = Array.from({ length: 5000 }, (_, i) => ({
    key: [`${i + 10_000}`],
    values: [`${i + 10_000}`, 'ours'],
    expect: [],
  }));
  const insert = { op: 'insert', table, key: ['id'], columns: ['id', 'name'] } as const;
  await it.apply({ ...insert, compare: [], guards: [], rows });
  await user.run(`update ${table} set name = 'last' where id = 1`);
}

const shapeOf = (batches: readonly SourceBatch[]) =>
  whole(batches).map(({ id, mark, complete, changes }) => ({
    id,
    mark,
    complete,
    changes: changes.map(brief),
  }));

/** What is left of `all` behind its batch `at`, as one that resumes there has to see it. */
const restOf = (all: readonly SourceBatch[], at: number) => shapeOf(all.slice(at + 1));

conformance('resume', (subject) => {
  subject.test('at every batch boundary the rest comes, and nothing else', async () => {
    await using it = await install(subject, [plain('resumed')]);
    const source = await it.source();
    const start = await source.start();
    await work(subject, it, 'resumed');
    const end = await it.fence();
    const all = await it.read(source, start, end);
    expect(changesOf(whole(all)).length).toBe(1 + 8000 + 4001 + 1000 + 10 + 5000 + 1);
    const inside = all.filter(({ transactions }) => transactions.at(-1)?.complete === false);
    expect(inside.length).toBeGreaterThanOrEqual(7);
    for (const at of all.keys()) {
      if (at === all.length - 1) continue;
      const again = await it.read(source, all[at]!.position, end);
      expect(shapeOf(again), `after batch ${at}`).toEqual(restOf(all, at));
    }
  });

  subject.test('a settled position is where it goes on, in a new source too', async () => {
    await using it = await install(subject, [plain('settled')]);
    const first = await it.source();
    const start = await first.start();
    await work(subject, it, 'settled');
    const end = await it.fence();
    const all = await it.read(first, start, end);
    const middle = all.findIndex(({ transactions }) => transactions.at(-1)?.complete === false) + 2;
    await settleUpTo(first, start, all[middle]!.position);
    await first[Symbol.asyncDispose]();
    const second = await it.source();
    const again = await it.read(second, all[middle]!.position, end);
    expect(shapeOf(again)).toEqual(restOf(all, middle));
  });

  for (const how of ['stopped', 'killed'] as const) {
    subject.test(`a server ${how} in the middle costs nothing`, async (context) => {
      const { control } = subject.server();
      needsControl(context, control);
      const table = `over_${how}`;
      await using it = await install(subject, [plain(table)]);
      const source = await it.source();
      const start = await source.start();
      await it.user.run(subject.dialect.fill(table, 1, 9000));
      const seen: SourceBatch[] = [];
      let down = Promise.resolve();
      const lost = failure(async () => {
        for await (const batch of source.tail(start)) {
          seen.push(batch);
          // A clean stop may wait for its readers to confirm what they were sent.
          if (how === 'stopped') source.settle(batch.position);
          if (seen.length === 2) down = how === 'stopped' ? control.stop() : control.kill();
        }
      });
      expect(await lost).toMatchObject({ code: 'source.unreachable', disposition: 'retry' });
      await down;
      await control.start();
      await using user = await subject.server().user();
      await user.run(`update ${table} set name = 'after' where id = 1`);
      const rest = await it.read(source, seen.at(-1)!.position, await it.fence());
      const changes = changesOf(whole([...seen, ...rest]));
      expect(changes.map(({ op, row }) => [op, row[0]])).toEqual([
        ...Array.from({ length: 9000 }, (_, i) => ['insert', `${i + 1}`]),
        ['update', '1'],
      ]);
      if (how === 'stopped') return;
      const again = await it.read(source, start, await it.fence());
      expect(whole(again)[0]?.id).toBe(whole(seen)[0]?.id);
    });
  }

  subject.test('a cut connection is tried again, and costs nothing', async () => {
    await using it = await install(subject, [plain('cut_off')]);
    const source = await it.source();
    const start = await source.start();
    await it.user.run(subject.dialect.fill('cut_off', 1, 9000));
    const seen: SourceBatch[] = [];
    const lost = failure(async () => {
      for await (const batch of source.tail(start)) {
        seen.push(batch);
        if (seen.length === 2) await subject.server().cut();
      }
    });
    expect(await lost).toMatchObject({ disposition: 'retry' });
    const rest = await it.read(source, seen.at(-1)!.position, await it.fence());
    const ids = changesOf(whole([...seen, ...rest])).map(({ row }) => row[0]);
    expect(ids).toEqual(Array.from({ length: 9000 }, (_, i) => `${i + 1}`));
  });

  subject.test('positions of another server, or of another kind of system, are lost', async () => {
    await using it = await install(subject, [plain('elsewhere')]);
    const source = await it.source();
    await it.user.run(`insert into elsewhere (id) values (1)`);
    const [batch] = await it.read(source, await source.start(), await it.fence());
    await using other = await subject.driver.stranger();
    if (other.control.replacedBy === undefined) {
      const there = { ...subject, server: () => other };
      await using twin = await install(there, [plain('elsewhere')]);
      await twin.user.run(`insert into elsewhere (id) values (1)`);
      const stranger = await twin.source();
      const refused = failure(() => firstOf(stranger, batch!.position));
      expect(await refused).toMatchObject({ code: 'source.lost', disposition: 'halt' });
    }
    const nonsense = failure(() => firstOf(source, 'webhook:17' as Position));
    expect(await nonsense).toMatchObject({ code: 'source.lost', disposition: 'halt' });
    expect((await nonsense).fix).toMatch(/rejoin/);
  });
});

/** As the pipeline does: what comes is settled, up to a position. */
async function settleUpTo(source: Source, from: Position, to: Position): Promise<void> {
  for await (const batch of source.tail(from)) {
    source.settle(batch.position);
    if (batch.position === to) break;
  }
}
