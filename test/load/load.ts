import { statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Status } from '../../src/contract/operator.ts';
import { operatorAt } from '../../src/observe/client.ts';
import { tokenBeside } from '../../src/observe/token.ts';
import { type Ask, compare } from './compare.ts';
import { type Daemon, daemonOf, setUp } from './daemon.ts';
import { CREATE, extentOf, fillCrm, fillErp } from './data.ts';
import { openStage, type Stage } from './stage.ts';
import { write } from './users.ts';

export interface Wanted {
  readonly rows: number;
  readonly kills: number;
  readonly writes: number;
  readonly seed: number;
  readonly keep: string | null;
}

type Say = (line: string) => void;

const seconds = (since: number): number => (performance.now() - since) / 1000;

/** The whole story; false when the two sides differ in the end. */
export async function load(wanted: Wanted, say: Say): Promise<boolean> {
  await using stage = await openStage(wanted.keep);
  const extent = extentOf(wanted.rows);
  const [crm, erp] = [await stage.crm(), await stage.erp()];
  const filling = performance.now();
  await Promise.all([
    runAll(crm, [...CREATE.crm, ...fillCrm(extent)]),
    runAll(erp, [...CREATE.erp, ...fillErp(extent)]),
  ]);
  say(`filled ${wanted.rows} rows each in ${seconds(filling).toFixed(0)} s`);
  await setUp(stage.config, stage.env);

  const stop = new AbortController();
  const how = { perSecond: wanted.writes, stop: stop.signal };
  const users = [
    write('crm', await stage.crm(), extent, { ...how, seed: wanted.seed }),
    write('erp', await stage.erp(), extent, { ...how, seed: wanted.seed + 1 }),
  ];
  const writing = Promise.all(wanted.writes === 0 ? [] : users);
  if (wanted.writes === 0) stop.abort();
  const daemon = daemonOf(stage.config, stage.env, join(stage.folder, 'carrick.log'));
  const started = performance.now();
  daemon.start();
  await loaded(stage, daemon, wanted, say);
  const loading = seconds(started);
  const loadingCpu = daemon.cpuSeconds;
  stop.abort();
  const transactions = (await writing).reduce((sum, count) => sum + count, 0);
  say(`first load: ${loading.toFixed(0)} s, ${rate(2 * wanted.rows, loading)}`);
  await drained(stage, daemon, say);
  say(`drained after ${seconds(started).toFixed(0)} s`);
  const { same, apart } = await compare(crm, erp);
  await daemon.stop();
  for (const line of apart) say(`differs: ${line}`);
  const ledger = statSync(join(stage.folder, 'carrick.db')).size / 2 ** 20;
  say(
    `${apart.length === 0 ? 'agreement' : 'NO AGREEMENT'}: ${same} rows alike; ` +
      `${wanted.kills} kills, ${transactions} transactions of users meanwhile; ` +
      `${loadingCpu.toFixed(0)} s of processor for the load, ` +
      `${daemon.cpuSeconds.toFixed(0)} s in all; ` +
      `peak ${daemon.peakMiB.toFixed(0)} MiB, ledger ${ledger.toFixed(0)} MiB`,
  );
  return apart.length === 0;
}

const rate = (rows: number, took: number): string => `${Math.round(rows / took)} rows/s`;

async function runAll(ask: Ask, statements: Iterable<string>): Promise<void> {
  for (const statement of statements) await ask(statement);
}

/** Null while nobody answers, as behind a kill. */
const statusOf = ({ api, folder }: Stage): Promise<Status | null> =>
  operatorAt(api, () => tokenBeside(join(folder, 'carrick.db')))
    .status()
    .catch(() => null);

/** Until all tables are read, with a kill at each of the shares of the way. */
async function loaded(stage: Stage, daemon: Daemon, wanted: Wanted, say: Say): Promise<void> {
  const began = performance.now();
  let told = 0;
  for (let kills = 0; ; await sleep(250)) {
    daemon.look();
    const status = await statusOf(stage);
    if (status === null) continue;
    const snapshots = status.systems.flatMap((system) => system.snapshots);
    const rows = snapshots.reduce((sum, snapshot) => sum + snapshot.rows, 0);
    if (rows - told > wanted.rows / 10) {
      told = rows;
      const took = `${daemon.cpuSeconds.toFixed(0)} s of processor`;
      const memory = `peak ${daemon.peakMiB.toFixed(0)} MiB`;
      say(`  ${seconds(began).toFixed(0)} s: ${rows} rows, ${took}, ${memory}`);
    }
    if (kills < wanted.kills && rows > ((kills + 0.5) / wanted.kills) * 2 * wanted.rows) {
      await daemon.kill();
      kills += 1;
      say(`  kill -9 number ${kills} at ${rows} rows`);
      daemon.start();
    } else if (snapshots.length === 4 && snapshots.every(({ done }) => done)) {
      if (kills < wanted.kills) throw new Error('loaded before all kills were done');
      return;
    }
  }
}

/** Until what was written last in each system is in the other, and nothing is on its way. */
async function drained(stage: Stage, daemon: Daemon, say: Say): Promise<void> {
  const [crm, erp] = [await stage.crm(), await stage.erp()];
  await crm(`insert into customers (no, name) values ('Z-CRM', 'x')`);
  await erp(`insert into customers (code, name) values ('Z-ERP', 'x')`);
  let told = performance.now();
  for (;;) {
    await sleep(500);
    daemon.look();
    const status = await statusOf(stage);
    if (status === null) continue;
    const waiting = status.systems.reduce((sum, { outboxDepth }) => sum + outboxDepth, 0);
    if (seconds(told) > 10) {
      told = performance.now();
      say(`  ${waiting} deliveries wait, ${daemon.cpuSeconds.toFixed(0)} s of processor`);
    }
    if (waiting > 0) continue;
    const [here] = await crm(`select 1 from customers where no = 'Z-ERP'`);
    const [there] = await erp(`select 1 from customers where code = 'Z-CRM'`);
    if (here === undefined || there === undefined) continue;
    const wrong = JSON.stringify({ parked: status.parked, open: status.openConflicts });
    if (Object.keys(status.parked).length > 0 || status.openConflicts > 0) say(`  ${wrong}`);
    return;
  }
}
