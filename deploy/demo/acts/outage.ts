import { setTimeout as sleep } from 'node:timers/promises';
import { clerks } from '../clerks.ts';
import { drain } from '../person.ts';
import { seconds } from '../speech.ts';
import { make, type Stage, until } from '../stage.ts';

/** The ERP's server is stopped for a while: the CRM's log must not wait for it. */
export async function outage(stage: Stage, seed: number, lasting: number): Promise<void> {
  const { say, servers, desks } = stage;
  say.act(`The ERP's database is down for ${lasting} s; the CRM goes on`);
  const replaced = servers.erp.replacedBy;
  if (replaced !== undefined) {
    say.line(`left out: ${replaced} names a server that somebody else runs`);
    return;
  }
  await servers.erp.stop();
  const began = Date.now();
  say.line('the ERP is stopped');
  const draw = clerks(seed);
  let edits = 0;
  while (Date.now() - began < lasting * 1000) {
    await make(stage, draw().crm);
    if (++edits % 20 === 0) await report(stage);
    await sleep(250);
  }
  const [now] = await desks.crm.sql('select pg_current_wal_lsn() as lsn');
  await until("the CRM's slot", () => slotReached(stage, String(now?.lsn)));
  const { systems } = await stage.carrick.operator.status();
  const waiting = systems.find(({ system }) => system === 'erp')?.outboxDepth ?? 0;
  say.done(`${edits} edits in the CRM: its slot has passed them all, its disk does not fill`);
  say.done(`${waiting} deliveries wait in the outbox; edits of one record wait as one`);

  await servers.erp.start();
  const back = Date.now();
  say.line(`the ERP is back after ${seconds(began)}`);
  await drain(stage);
  say.done(`both hold the same ${seconds(back)} later`);
}

async function slotReached(stage: Stage, lsn: string): Promise<string[]> {
  const [slot] = await stage.desks.crm.sql(
    `select confirmed_flush_lsn >= $2::pg_lsn as passed, confirmed_flush_lsn as at
     from pg_replication_slots where slot_name = $1`,
    [`carrick_${stage.carrick.instance}`, lsn],
  );
  return slot?.passed === 't' ? [] : [`confirmed up to ${slot?.at}, not ${lsn}`];
}

async function report(stage: Stage): Promise<void> {
  const [slot] = await stage.desks.crm.sql(
    'select confirmed_flush_lsn as at from pg_replication_slots where slot_name = $1',
    [`carrick_${stage.carrick.instance}`],
  );
  const { systems } = await stage.carrick.operator.status();
  const erp = systems.find(({ system }) => system === 'erp');
  stage.say.line(
    `CRM slot confirmed up to ${slot?.at} · ERP ${erp?.target}, ${erp?.outboxDepth} waiting`,
  );
}
