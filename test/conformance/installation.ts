/** One installation of a connector on a server, and what its log says. */
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { connectors } from '../../connectors/registry.ts';
import type { Applier, Outcome, TableWrite } from '../../src/contract/applier.ts';
import type { Needs, System } from '../../src/contract/connector.ts';
import type { Source } from '../../src/contract/source.ts';
import { CarrickError } from '../../src/errors.ts';
import type { Change, SourceBatch, TableSpec, Transaction } from '../../src/model/change.ts';
import type { Position } from '../../src/model/position.ts';
import type { Cell, Value } from '../../src/model/value.ts';
import type { Subject } from './conformance.ts';
import type { User } from './driver.ts';

export interface Installation extends AsyncDisposable {
  readonly instance: string;
  readonly system: System;
  readonly needs: Needs;
  readonly user: User;
  /** Before all that anybody does to the tables. */
  readonly origin: Position;
  /** Closed with the installation. */
  source(): Promise<Source>;
  applier(): Promise<Applier>;
  /** One committed batch of one write. */
  apply(write: TableWrite): Promise<Outcome[]>;
  /** Commits a fence after everything so far; its number. */
  fence(): Promise<number>;
  /** Batches after `from` up to the one with the fence. */
  read(source: Source, from: Position, fence: number): Promise<SourceBatch[]>;
  /** What was committed after `from` until now, without fences. */
  drain(source: Source, from: Position): Promise<Transaction[]>;
}

/** A table of the suite's own: an integer key, a text, a decimal. */
export const plain = (name: string, columns = ['id', 'name', 'amount']): TableSpec => ({
  name,
  key: ['id'],
  columns,
});

export const plainDdl = (name: string): string =>
  `create table ${name} (id int primary key, name varchar(200), amount decimal(12,2))`;

/** Of a plain table. */
export const content = ({ user }: Installation, table: string): Promise<Value[][]> =>
  user.rows(`select id, name, amount from ${table} order by id`);

let installations = 0;

/** Runs `ddl`, connects through the registry and sets up; every call is an instance of its own. */
export async function install(
  { driver, server }: Subject,
  tables: readonly TableSpec[],
  ddl: readonly string[] = tables.map(({ name }) => plainDdl(name)),
): Promise<Installation> {
  const instance = `c${process.pid}_${++installations}`;
  const user = await server().user();
  for (const sql of ddl) await user.run(sql);
  const system = await systemOf(driver.connector, server().options, instance);
  const needs = { tables: tables.map((table) => ({ ...table, written: true })) };
  await system.setup(needs);
  const open = new AsyncDisposableStack();
  const keep = <T extends AsyncDisposable>(opened: T): T => open.use(opened);
  const writer = keep(await system.applier());
  const origin = await keep(await system.source(tables)).start();
  let fences = 0;
  const fence = async (): Promise<number> => {
    const number = ++fences;
    await patiently(() => writer.fence(number));
    return number;
  };
  const read: Installation['read'] = async (source, from, end) => {
    const batches: SourceBatch[] = [];
    for await (const each of follow(source, from)) {
      batches.push(each);
      if (each.transactions.some((t) => isFence(t, instance) && t.mark?.batch === end)) break;
    }
    return batches;
  };
  return {
    instance,
    system,
    needs,
    user,
    origin,
    source: async () => keep(await system.source(tables)),
    applier: async () => keep(await system.applier()),
    async apply(write) {
      await using transaction = await writer.begin((await writer.committed()) + 1);
      const outcomes = await transaction.write(write);
      await transaction.commit();
      return outcomes;
    },
    fence,
    read,
    async drain(source, from) {
      const batches = await read(source, from, await fence());
      return whole(batches).filter((transaction) => !isFence(transaction, instance));
    },
    async [Symbol.asyncDispose]() {
      await open[Symbol.asyncDispose]();
      await system[Symbol.asyncDispose]();
      await user[Symbol.asyncDispose]();
      await server().forget(instance);
    },
  };
}

export async function systemOf(name: string, options: unknown, instance: string): Promise<System> {
  const connector = await connectors[name]!();
  const parsed = connector.parse(options);
  if (!parsed.ok) throw new Error(parsed.problems.map(({ message }) => message).join());
  const context = { system: 'conforming', instance, scratch: tmpdir() };
  return connector.connect(parsed.options, context);
}

/** Again while it may be tried again, as the pipeline does. */
async function patiently(work: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof CarrickError) || error.disposition !== 'retry') throw error;
      await sleep(50);
    }
  }
}

export const isFence = ({ mark }: Transaction, instance: string): boolean =>
  mark?.lane === 'watermark' && mark.instance === instance;

/** The stream after `from`, opened again where it ended whenever it may be tried again. */
export async function* follow(
  source: Source,
  from: Position,
): AsyncGenerator<SourceBatch, void, undefined> {
  for (let at = from; ; ) {
    try {
      for await (const batch of source.tail(at)) {
        at = batch.position;
        yield batch;
      }
      return;
    } catch (error) {
      if (!(error instanceof CarrickError) || error.disposition !== 'retry') throw error;
      await sleep(50);
    }
  }
}

export interface Recording extends AsyncDisposable {
  /** Resolves once a transaction came that `wanted` says yes to. */
  until(wanted: (transaction: Transaction) => boolean): Promise<void>;
  /** Parts of transactions that came since the last call. */
  taken(): Transaction[];
}

/** Reads on in the background until disposed. */
export function record(source: Source, from: Position): Recording {
  const stream = source.tail(from)[Symbol.asyncIterator]();
  let parts: Transaction[] = [];
  let news = Promise.withResolvers<void>();
  let failed: unknown = null;
  let ended = false;
  const reading = (async () => {
    while (!ended) {
      const { done, value } = await stream.next();
      if (done) return;
      parts.push(...value.transactions);
      news.resolve();
      news = Promise.withResolvers();
    }
  })().catch((error) => {
    failed = error;
    news.resolve();
  });
  return {
    async until(wanted) {
      while (!parts.some(wanted)) {
        if (failed !== null) throw failed;
        await news.promise;
      }
    },
    taken() {
      const all = parts;
      parts = [];
      return all;
    },
    async [Symbol.asyncDispose]() {
      ended = true;
      await source[Symbol.asyncDispose]();
      await reading;
    },
  };
}

/** "A batch is bounded (about 2,000 changes …)". */
const MOST_CHANGES = 2500;

/** Parts put together, after a look at whether they are what the contract says of parts. */
export function whole(batches: readonly SourceBatch[]): Transaction[] {
  const transactions: Transaction[] = [];
  for (const batch of batches) {
    expect(changesOf(batch.transactions).length).toBeLessThan(MOST_CHANGES);
    for (const part of batch.transactions) {
      const last = transactions.at(-1);
      if (last === undefined || last.complete) {
        transactions.push(part);
        continue;
      }
      const { id, mark, committedAt } = part;
      expect({ id, mark, committedAt }).toEqual({
        id: last.id,
        mark: last.mark,
        committedAt: last.committedAt,
      });
      const changes = [...last.changes, ...part.changes];
      transactions[transactions.length - 1] = { ...part, changes };
    }
  }
  return transactions;
}

export const changesOf = (transactions: readonly Transaction[]): Change[] =>
  transactions.flatMap(({ changes }) => changes);

/** A change in few words. Old cells only where the contract promises them: the key's. */
export function brief({ table, op, row, old }: Change): unknown[] {
  const at = table.key.map((name) => table.columns.indexOf(name));
  const keyOf = (cells: readonly Cell[] | null) => cells && at.map((place) => cells[place]);
  const key = keyOf(row);
  const oldKey = keyOf(old);
  const moved = op === 'delete' || (oldKey !== null && String(oldKey) !== String(key));
  return moved ? [op, row, oldKey] : [op, row];
}

/** The error that `work` ends with; a success is none. */
export async function failure(work: () => Promise<unknown>): Promise<CarrickError> {
  try {
    await work();
  } catch (error) {
    if (error instanceof CarrickError) return error;
    throw error;
  }
  throw new Error('there was no error');
}

/** First batch of a stream, to see that it opens or how it fails. */
export async function firstOf(source: Source, from: Position): Promise<SourceBatch> {
  for await (const batch of source.tail(from)) return batch;
  throw new Error('the stream ended');
}

/** Whether `promise` is still open after a while in which it could have ended. */
export async function waits(promise: Promise<unknown>): Promise<boolean> {
  const waiting = Symbol('waiting');
  return (await Promise.race([promise, sleep(300, waiting)])) === waiting;
}
