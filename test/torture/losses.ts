/**
 * What no program can mend by itself: the place in a log is gone, or the ledger. Carrick must say
 * so and stop; then what deploy/RUNBOOK.md says is done, step by step.
 */
import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { JournalEntry } from '../../src/contract/ledger.ts';
import { auditEnds, drain, journalOf, whileMoving } from './rest.ts';
import { openSession, productAt, type Session } from './session.ts';
import type { SystemName } from './shapes.ts';
import type { World } from './world.ts';
import { startWriters } from './writers.ts';

/** The log of a system, from where it was read: its slot in PostgreSQL, its files in MySQL. */
export type Loss = SystemName | 'ledger';
export const LOSSES: readonly Loss[] = ['crm', 'erp', 'ledger'];

/** What the oracle has to know of a loss. */
export interface Aftermath {
  /** Ends of the audits before a log was lost with what was on its way. */
  readonly unconfirmed: Readonly<Record<SystemName, number>> | null;
  /** The journal of a ledger that is gone. */
  readonly journal: readonly JournalEntry[];
  /** Ends of the audits when the last ledger went: what came later nobody watched. */
  readonly unwatched: Readonly<Record<SystemName, number>> | null;
}

const WORK_MS = 2500;

export async function lose(world: World, loss: Loss): Promise<Aftermath> {
  world.diary.fault(lossName(world, loss));
  return loss === 'ledger' ? ledgerLost(world) : logLost(world, loss);
}

export const lossName = ({ servers }: World, loss: Loss): string => {
  if (loss === 'ledger') return 'ledger lost';
  return productAt(servers[loss].url) === 'postgres' ? `${loss} slot lost` : `${loss} binlog lost`;
};

/** RUNBOOK, "Rejoining a system", while people go on working all the time. */
async function logLost(world: World, system: SystemName): Promise<Aftermath> {
  const { carrick } = world;
  const unconfirmed = await auditEnds(world);
  const crew = startWriters(world, `x${system[0]}`);
  await sleep(WORK_MS);
  await carrick.stop('SIGKILL');
  await sleep(WORK_MS);
  await using session = await openSession(world.servers[system].url);
  await (session.product === 'postgres' ? dropSlot(world, session) : purgeBinlog(session));
  await sleep(WORK_MS);
  carrick.start();
  await halted(world, 'source.lost', /carrick rejoin/);
  await carrick.stop('SIGTERM');
  world.diary.note(await carrick.command('setup'));
  world.diary.note(await carrick.command('rejoin', system));
  carrick.start();
  await sleep(WORK_MS);
  await crew.stop();
  await drain(world);
  return { journal: [], unconfirmed, unwatched: null };
}

async function dropSlot({ carrick }: World, { run }: Session): Promise<void> {
  const slot = `carrick_${carrick.place.instance}`;
  await run(
    `select pg_terminate_backend(active_pid) from pg_replication_slots
     where slot_name = ? and active`,
    slot,
  );
  for (;;) {
    const dropped = await run('select pg_drop_replication_slot(?)', slot).catch(() => null);
    if (dropped !== null) return;
    await sleep(100);
  }
}

/** Until the position is in no file any more: a file that is still being sent stays. */
async function purgeBinlog({ run }: Session): Promise<void> {
  await run('FLUSH BINARY LOGS');
  const { rows } = await run('SHOW BINARY LOGS');
  const last = rows.at(-1)?.Log_name ?? '';
  for (let left = rows.length; left > 1; ) {
    await run('PURGE BINARY LOGS TO ?', last);
    left = (await run('SHOW BINARY LOGS')).rows.length;
    await sleep(100);
  }
}

/** RUNBOOK, "Ledger lost", "Beginning anew" and "Removing Carrick". */
async function ledgerLost(world: World): Promise<Aftermath> {
  const lost = world.carrick;
  const { instance, ledger } = lost.place;
  await drain(world);
  const journal = await journalOf(lost.operator);
  await lost.stop('SIGKILL');
  const unwatched = await auditEnds(world);
  for (const end of ['', '-wal', '-shm', '-owner']) rmSync(`${ledger}${end}`, { force: true });
  const crew = startWriters(world, 'l');
  await sleep(WORK_MS);
  lost.start();
  await halted(world, 'ledger.behind', /Ledger lost/);
  await lost.stop('SIGTERM');
  await crew.stop();
  const anew = await world.newInstance();
  world.diary.note(await anew.command('setup'));
  anew.start();
  await drain(world);
  await removeInstance(world, instance);
  return { journal, unconfirmed: null, unwatched };
}

async function removeInstance(world: World, instance: string): Promise<void> {
  for (const system of ['crm', 'erp'] as const) {
    await using session = await openSession(world.servers[system].url);
    await session.run('delete from carrick.carrick_mark where instance = ?', instance);
    if (session.product === 'mysql') continue;
    await session.run('select pg_drop_replication_slot(?)', `carrick_${instance}`);
    await session.run(`drop publication carrick_${instance}`);
  }
}

/** Waits until a loop has halted with this code, and with a step that the operator can take. */
async function halted(world: World, code: string, step: RegExp): Promise<void> {
  await whileMoving(world, `the halt with ${code}`, async ({ systems }) =>
    systems.some(
      ({ source, target, trouble }) =>
        (source === 'halted' || target === 'halted') &&
        trouble?.code === code &&
        step.test(trouble.fix),
    ),
  );
}
