/**
 * Every expression of the dashboard and the rules, asked of a real Prometheus that scrapes a real
 * Carrick while people work in the demonstration's databases.
 */
import { PassThrough } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { clashes } from '../../deploy/demo/acts/clashes.ts';
import { firstLoad } from '../../deploy/demo/acts/load.ts';
import { clerks } from '../../deploy/demo/clerks.ts';
import { drain } from '../../deploy/demo/person.ts';
import { customerNo } from '../../deploy/demo/seed.ts';
import { speech } from '../../deploy/demo/speech.ts';
import { agreement, make, type Stage, until } from '../../deploy/demo/stage.ts';
import { openWorld } from '../../deploy/demo/world.ts';
import { dashboardExpressions, ruleExpressions } from '../unit/deploy-expressions.ts';
import { ensurePrometheus, type Prometheus, startPrometheus } from './deploy-prometheus.ts';

/** What has no answer here, and why. Anything else without one is a mistake. */
const EXCUSED: readonly (readonly [expr: RegExp, why: string])[] = [
  [/carrick_halted/, 'nothing in the demonstration takes a person to go on'],
  [/\{reason="flipping"\}/, 'takes two programs that undo each other many times'],
  [/changes\(process_start_time_seconds.*> 0/, 'there is one start, before the first scrape'],
];
/** What has an answer or none, as it happens. */
const CHANCE: readonly (readonly [expr: RegExp, why: string])[] = [
  [/carrick_diverged_total/, 'somebody must write a row just before our write comes to it'],
  [/^carrick:loading$/, 'small tables are loaded within one chunk'],
  [/carrick_snapshot_(read_rows|left_seconds)/, 'and are read before anybody looks'],
];

let opened: AsyncDisposableStack | undefined;
let prometheus: Prometheus;
let began = 0;

beforeAll(async () => {
  await ensurePrometheus();
  await using stack = new AsyncDisposableStack();
  const world = stack.use(await openWorld(speech(silence())));
  prometheus = stack.use(await startPrometheus(new URL(world.carrick.url).host));
  began = Date.now();
  await limitRetention(world);
  await firstLoad(world);
  await work(world);
  await clashes(world);
  await interrupt(world);
  await trouble(world);
  opened = stack.move();
}, 600_000);

afterAll(() => opened?.[Symbol.asyncDispose]());

test('every expression of dashboard and rules has data, but for those excused', async () => {
  const asked = [...dashboardExpressions(), ...ruleExpressions()];
  const missing = new Set(asked);
  await until('data for every expression', async () => {
    for (const one of missing) {
      if ((await prometheus.seriesSince(one.expr, began)) > 0) missing.delete(one);
    }
    const unexcused = [...missing].filter(({ expr }) => !isExcused(expr));
    if (unexcused.length > 0) await sleep(1000);
    return unexcused.map(({ where, expr }) => `${where}: ${expr}`);
  });
  expect([...missing].filter(({ expr }) => !isExcused(expr))).toEqual([]);
  // The list stays short: an excuse that is needed no more goes.
  const unneeded = EXCUSED.filter(
    ([pattern]) => ![...missing].some(({ expr }) => pattern.test(expr)),
  );
  expect(unneeded.map(([, why]) => why)).toEqual([]);
}, 240_000);

test('no rule fails', async () => {
  expect(await prometheus.ruleErrors()).toEqual([]);
});

const isExcused = (expr: string): boolean =>
  [...EXCUSED, ...CHANCE].some(([pattern]) => pattern.test(expr));

/** What the acts tell is for people. */
const silence = (): NodeJS.WriteStream => new PassThrough().resume() as never;

/** Only a server that gives slots up can tell how far away that is. */
async function limitRetention({ desks, servers }: Stage): Promise<void> {
  if (servers.crm.replacedBy !== undefined) return;
  await desks.crm.sql("alter system set max_slot_wal_keep_size = '1GB'");
  await desks.crm.sql('select pg_reload_conf()');
  await desks.erp.sql('SET GLOBAL binlog_expire_logs_seconds = 864000');
}

async function work(stage: Stage): Promise<void> {
  const draw = clerks(7);
  for (let i = 0; i < 60; i++) {
    const { crm, erp } = draw();
    await make(stage, i % 2 === 0 ? crm : erp);
    await sleep(50);
  }
  const { operator } = stage.carrick;
  for (const name of ['erp', 'product']) await operator.pause(name);
  await sleep(3000);
  await operator.resume(null);
  await stage.desks.crm.sql('delete from order_items where line_no = 3');
  // Frozen in the middle of a write, as the next act does, Carrick would keep its locks.
  await drain(stage);
}

/** The ERP's server is restarted: its source has to be opened again. */
async function interrupt(stage: Stage): Promise<void> {
  await stage.servers.erp.restart();
  await agreement(stage);
}

/** An invalid row, one whose parent never comes, a truncated table, a column that is gone. */
async function trouble({ desks, carrick }: Stage): Promise<void> {
  await desks.erp.transaction(async (sql) => {
    await sql('SET foreign_key_checks = 0');
    await sql('INSERT INTO sales_order_lines VALUES (999999, 1, 7001, 1, 1, NOW(6))');
    await sql('SET foreign_key_checks = 1');
  });
  await desks.erp.sql(`UPDATE customers SET tier = 9 WHERE cust_code = '${customerNo(120)}'`);
  await desks.crm.sql('truncate order_items');
  await desks.crm.sql('alter table catalogue rename column weight_kg to weight');
  await desks.crm.sql("update catalogue set title = 'drifted' where sku = 'P-1001'");
  for (const state of ['invalid', 'waiting', 'truncate', 'schema_drift']) {
    await until(`something parked as ${state}`, async () => {
      const found = await carrick.operator.parked({ state, limit: 1 });
      return found.length > 0 ? [] : ['nothing is'];
    });
  }
}
