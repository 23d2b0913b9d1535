/** What the runbook promises for a lost ledger, done as it says. */
import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { correction } from '../../deploy/demo/acts/load.ts';
import { entry, rowCount } from '../../deploy/demo/books.ts';
import { type Daemon, prepareDaemon } from '../../deploy/demo/daemon.ts';
import { customerNo, sku } from '../../deploy/demo/seed.ts';
import { speech } from '../../deploy/demo/speech.ts';
import { agreement, inCrm, inErp, make, type Stage, until } from '../../deploy/demo/stage.ts';
import { openWorld } from '../../deploy/demo/world.ts';
import { scratchFolder } from '../support/index.ts';

const CUSTOMER = customerNo(150);
/** No order line has it. */
const PRODUCT = sku(117);

test('without its ledger an instance stops, and beginning anew brings agreement', async () => {
  await using world = await openWorld(speech(new PassThrough().resume() as never));
  await make(world, correction);
  await world.carrick.start();
  await agreement(world);
  const before = await world.readBooks();
  await world.carrick.kill();

  await using same = await emptyLedger(world, world.carrick.instance);
  const started = same.start().catch(() => undefined);
  await until('the halt', async () => {
    const status = await same.operator.status().catch(() => undefined);
    const codes = status?.systems.map(({ trouble }) => trouble?.code);
    return codes?.includes('ledger.behind') ? [] : [`${codes}`];
  });
  await same.kill();
  await started;

  await make(world, inErp('DELETE FROM items WHERE item_no = ?', PRODUCT));
  await make(world, inErp(`UPDATE customers SET telephone = '1' WHERE cust_code = ?`, CUSTOMER));
  await make(world, inCrm(`update accounts set phone = '2' where account_no = ?`, CUSTOMER));

  await using anew = await emptyLedger(world, `${world.carrick.instance}_2`);
  await anew.start();
  const stage: Stage = { ...world, carrick: anew };
  await agreement(stage);
  const { crm, erp } = await stage.readBooks();
  for (const entity of ['customer', 'product', 'order', 'order_line']) {
    expect(rowCount(crm, entity)).toBe(rowCount(before.crm, entity));
  }
  // Nobody was there to see it deleted; and of two values first_contact takes the CRM's.
  expect(entry(erp, 'product', PRODUCT)).toBeDefined();
  expect(entry(erp, 'customer', CUSTOMER)?.phone).toBe('2');
}, 180_000);

/** A Carrick of that name for the same databases; `carrick setup` has been run. */
async function emptyLedger({ servers }: Stage, instance: string): Promise<Daemon> {
  const urls = { crm: servers.crm.url, erp: servers.erp.url };
  return prepareDaemon(await scratchFolder('runbook'), instance, urls);
}
