/**
 * A daemon that is killed at random moments while it feeds one PostgreSQL into another and into a
 * MariaDB: in the end the rows are the source's, and what the targets' triggers saw tells that no
 * transaction of the source took effect twice, nor half, nor before an earlier one.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { seeded } from '../simulation/random.ts';
import { pgClient } from '../support/index.ts';
import {
  type Installation,
  openInstallation,
  type Sql,
  serversOfFile,
  until,
} from './installation.ts';

const SEED = Math.floor(Math.random() * 2 ** 31);
const ROWS = 3000;
/** Rows of one transaction: several parts of the source's log. */
const BIG = 5000;
const KILLS = 5;

const MAPPING = `
entity: item
feed: crm
match: [[code]]
fields: {code: {type: string(20), required: true}, name: string(60), seq: integer}
systems:
  crm: {table: item, key: code, fields: {code: code, name: name, seq: seq}}
  erp: {table: copied, key: id, fields: {code: code, name: name, seq: seq}}
  shop: {table: copied, key: id, fields: {code: code, name: name, seq: seq}}
flood: {at_least: 1000000}
`;

const servers = serversOfFile();
const open = new AsyncDisposableStack();
let it: Installation;
let daemon: ChildProcess;
let targets: Readonly<Record<'erp' | 'shop', Sql>>;

const COLUMNS = 'code varchar(20) unique not null, name varchar(60), seq int not null';

async function openShop(): Promise<{ readonly url: string; readonly shop: Sql }> {
  await servers.crm('create database shop');
  const url = new URL(servers.urls.crm);
  url.pathname = '/shop';
  const client = open.use(await pgClient(url.href));
  const shop: Sql = async (text) => (await client.query({ text, rowMode: 'array' })).rows;
  return { url: url.href, shop };
}

/** `effects`: each time that a row was written, with what it held then. */
async function createTables({ erp, shop }: typeof targets): Promise<void> {
  const { crm } = servers;
  const identity = 'id bigint generated always as identity primary key';
  await crm('create table item (code varchar(20) primary key, name varchar(60), seq int not null)');
  await crm(`insert into item (code, name, seq)
    select 'R' || n, 'first', 0 from generate_series(0, ${ROWS - 1}) n`);
  await shop(`create table copied (${identity}, ${COLUMNS})`);
  await shop(`create table effects (${identity}, code varchar(20), seq int,
    transaction bigint default txid_current())`);
  await shop(`create function note() returns trigger language plpgsql security definer as
    'begin insert into public.effects (code, seq) values (new.code, new.seq); return null; end'`);
  await shop(`create trigger noted after insert or update on copied
    for each row execute function note()`);
  await erp(`create table copied (id bigint auto_increment primary key, ${COLUMNS})`);
  await erp(`create table effects
    (id bigint auto_increment primary key, code varchar(20), seq int)`);
  for (const when of ['insert', 'update']) {
    await erp(`create trigger noted_${when} after ${when} on copied
      for each row insert into effects (code, seq) values (new.code, new.seq)`);
  }
}

beforeAll(async () => {
  const { url, shop } = await openShop();
  targets = { erp: servers.erp, shop };
  await createTables(targets);
  it = open.use(await openInstallation(servers));
  const text = await it.configuration();
  const entry = `  shop: {connector: postgres, url: ${JSON.stringify(url)}}\n`;
  await it.configure(text.replace('mappings:', `${entry}mappings:`));
  await it.map('item', MAPPING);
  await it.setup();
});
afterAll(async () => {
  daemon?.kill('SIGKILL');
  await open.disposeAsync();
});

const numbers = async (sql: Sql, text: string): Promise<number[]> =>
  ((await sql(text))[0] ?? []).map(Number);

/** Statements of transaction `n`, in each of which the numbers that rows get are its own. */
function statementsOf(n: number, random: ReturnType<typeof seeded>): string[] {
  const row = () => `'R${2 + random.int(ROWS - 2)}'`;
  return [
    // These two are never different.
    `update item set seq = ${n} where code in ('R0', 'R1')`,
    `update item set seq = ${n}, name = 'at ${n}' where code = ${row()}`,
    `insert into item (code, name, seq) values ('N${n}', null, ${n})`,
    ...(random.chance(0.5)
      ? [`update item set code = 'M${n}', seq = ${n} where code = 'N${n - 1}'`]
      : []),
    ...(random.chance(0.3) ? [`delete from item where code in ('M${n - 5}', ${row()})`] : []),
  ];
}

const bigOne = (n: number): string => `insert into item (code, name, seq)
  select 'B${n}.' || one, 'big', ${n} from generate_series(1, ${BIG}) one`;

/** Writes until it is told to stop; how many transactions there were. */
function write(random: ReturnType<typeof seeded>) {
  let written = 0;
  let stopped = false;
  const big: (() => void)[] = [];
  const ended = (async () => {
    while (!stopped) {
      const n = written + 1;
      const told = big.splice(0);
      const some = [...statementsOf(n, random), ...told.map(() => bigOne(n))];
      await servers.crm(`begin; ${some.join('; ')}; commit`);
      written = n;
      for (const resolve of told) resolve();
      await sleep(8);
    }
  })();
  ended.catch(() => undefined);
  return {
    written: () => written,
    /** Resolves when a big one is committed. */
    big: () => new Promise<void>((resolve) => void big.push(resolve)),
    async stop() {
      stopped = true;
      await ended;
    },
  };
}

/** Looks all the time; the end of it tells what of a target was half there. */
function watch(): () => Promise<string[]> {
  const found: string[] = [];
  let ended = false;
  const looks = Object.entries(targets).map(async ([name, sql]) => {
    while (!ended) {
      const [pair = 0, big = 0] = await numbers(
        sql,
        `select (select count(distinct seq) from copied where code in ('R0', 'R1')),
          (select count(*) from copied where code like 'B%')`,
      );
      if (pair > 1) found.push(`${name}: two numbers`);
      if (big % BIG !== 0) found.push(`${name}: ${big} of big ones`);
      await sleep(40);
    }
  });
  for (const look of looks) look.catch(() => undefined);
  return async () => {
    ended = true;
    await Promise.all(looks);
    return found;
  };
}

/** The tables have been read, by both feeds. */
async function isLoaded(): Promise<boolean> {
  for (const sql of Object.values(targets)) {
    const [[text] = []] = await sql('select progress from carrick.carrick_feed');
    const [table] = Object.values(JSON.parse(text ?? '{}') as Record<string, string>);
    if (table === undefined || (JSON.parse(table) as { ended: boolean }).ended !== true)
      return false;
  }
  return true;
}

const isMoving = async (): Promise<() => Promise<boolean>> => {
  const last = () =>
    Promise.all(
      Object.values(targets).map((sql) => numbers(sql, 'select coalesce(max(id), 0) from effects')),
    );
  const before = await last();
  return async () => (await last()).every(([id = 0], i) => id > (before[i]?.[0] ?? 0));
};

const start = (): void => {
  daemon = it.spawn('run');
};

async function kill(): Promise<void> {
  daemon.kill('SIGKILL');
  await once(daemon, 'exit');
}

const TITLE = `killed ${KILLS} times, every transaction is there once and whole; seed ${SEED}`;

test(TITLE, async () => {
  const random = seeded(SEED);
  const writer = write(random.fork('writer'));
  const seen = watch();
  // In the middle of the first load.
  start();
  await until(await isMoving(), 'the load begins');
  await sleep(random.int(200));
  await kill();
  start();
  await until(isLoaded, 'the first load');
  // What the log tells from here on is not read beside it.
  const loaded = writer.written() + 1;
  for (let kills = 1; kills < KILLS; kills++) {
    await until(await isMoving(), 'both feeds move');
    if (kills % 2 === 0) await writer.big();
    await sleep(random.int(200));
    await kill();
    start();
  }
  await writer.stop();
  const wanted = await rowsOf(servers.crm, 'item');
  for (const [name, sql] of Object.entries(targets)) {
    await until(async () => (await rowsOf(sql, 'copied')) === wanted, `${name} has the rows`);
    expect(await sql(twice(loaded))).toEqual([]);
    expect(await sql(backwards(loaded))).toEqual([]);
  }
  expect(await targets.shop(apart(loaded))).toEqual([]);
  expect(await seen()).toEqual([]);
  expect(await it.operator.parked({ limit: 10 })).toEqual([]);
});

const twice = (after: number): string => `select code, seq from effects where seq > ${after}
  group by code, seq having count(*) > 1`;

const apart = (after: number): string => `select seq from effects where seq > ${after}
  group by seq having count(distinct transaction) > 1`;

const backwards = (after: number): string => `select code, seq, earlier from
  (select code, seq, lag(seq) over (partition by code order by id) as earlier
    from effects where seq > ${after}) one where seq < earlier`;

async function rowsOf(sql: Sql, table: string): Promise<string> {
  const rows = await sql(`select code, name, seq from ${table}`);
  return rows
    .map((row) => row.join())
    .sort()
    .join('\n');
}
