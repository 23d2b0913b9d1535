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
  // MySQL and MariaDB keep their logs by settings of their own, whoever reads them.
  if (desks.crm.product === 'postgres') await slotPasses(stage);
  const { systems } = await stage.carrick.operator.status();
  const waiting = systems.find(({ system }) => system === 'erp')?.outboxDepth ?? 0;
  say.line(`${edits} edits in the CRM`);
  say.done(`${waiting} deliveries wait in the outbox; edits of one record wait as one`);

  await servers.erp.start();
  const back = Date.now();
  say.line(`the ERP is back after ${seconds(began)}`);
  await drain(stage);
  say.done(`both hold the same ${seconds(back)} later`);
}

/** The CRM's log is released although the ERP has nothing of it yet. */
async function slotPasses(stage: Stage): Promise<void> {
  const [now] = await stage.desks.crm.sql('select pg_current_wal_lsn() as lsn');
  await until("the CRM's slot", async () => {
    const [slot] = await stage.desks.crm.sql(
      `select confirmed_flush_lsn >= ?::pg_lsn as passed, confirmed_flush_lsn as at
       from pg_replication_slots where slot_name = ?`,
      [String(now?.lsn), slotOf(stage)],
    );
    return slot?.passed === 't' ? [] : [`confirmed up to ${slot?.at}, not ${now?.lsn}`];
  });
  stage.say.done("the CRM's slot has passed all edits: its disk does not fill");
}

const slotOf = ({ carrick }: Stage): string => `carrick_${carrick.instance}`;

async function report(stage: Stage): Promise<void> {
  const { systems } = await stage.carrick.operator.status();
  const erp = systems.find(({ system }) => system === 'erp');
  const log = stage.desks.crm.product === 'postgres' ? `${await confirmed(stage)} · ` : '';
  stage.say.line(`${log}ERP ${erp?.target}, ${erp?.outboxDepth} waiting`);
}

async function confirmed(stage: Stage): Promise<string> {
  const [slot] = await stage.desks.crm.sql(
    'select confirmed_flush_lsn as at from pg_replication_slots where slot_name = ?',
    [slotOf(stage)],
  );
  return `CRM slot confirmed up to ${slot?.at}`;
}
