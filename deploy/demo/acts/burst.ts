import { setTimeout as sleep } from 'node:timers/promises';
import type { Entry } from '../books.ts';
import { clerks, random } from '../clerks.ts';
import { drain } from '../person.ts';
import { seconds } from '../speech.ts';
import { make, type Stage } from '../stage.ts';

const PIECES = 240;
const PAUSE_MS = 8;

/** Both sides edit the same records at once while Carrick runs, or while it is killed. */
export async function burst(stage: Stage, seed: number, kill: boolean): Promise<void> {
  const { say, carrick } = stage;
  const title = kill ? 'kill -9 in the middle of it, and a restart' : 'both sides at once';
  say.act(`${PIECES} pieces of work on the same few records: ${title}`);
  const draw = clerks(seed);
  const next = random(seed + 1);
  const before = { ...stage.edits };
  const stocks = await stockOf(stage);
  for (let i = 0; i < PIECES; i++) {
    const { crm, erp, stock } = draw();
    const side = next();
    const moves = side < 0.35 ? [crm, erp] : [side < 0.7 ? crm : erp];
    await Promise.all(moves.map((move) => make(stage, move)));
    for (const { system } of stock === undefined ? [] : moves) {
      stocks.set(stock!.sku, (stocks.get(stock!.sku) ?? 0) + stock!.by[system]);
    }
    await sleep(PAUSE_MS);
    if (kill && i === Math.floor(PIECES / 3)) {
      await carrick.kill();
      say.line('Carrick is killed (SIGKILL); people go on working');
    }
    if (kill && i === Math.floor((2 * PIECES) / 3)) {
      await carrick.start();
      say.line('Carrick is started again on the same ledger');
    }
  }
  const { crm, erp } = stage.edits;
  say.line(`${crm - before.crm} edits in the CRM, ${erp - before.erp} in the ERP`);
  const began = Date.now();
  const decided = await drain(stage);
  say.done(`both hold the same ${seconds(began)} after the last edit`);
  say.done(`${decided} edits of one field came too close together for any clock: a person decided`);
  const counted = await stockOf(stage);
  const wrong = [...stocks].filter(([sku, stock]) => counted.get(sku) !== stock);
  if (wrong.length > 0) throw new Error(`stock is lost or doubled: ${wrong.join(' ')}`);
  say.done('the stock of every product is what it was and all that either side moved, once');
}

/** What the ERP holds; after a drain the CRM holds the same. */
async function stockOf(stage: Stage): Promise<Map<string, number>> {
  const { erp } = await stage.readBooks();
  const products = erp.entities.get('product') ?? new Map<string, Entry>();
  return new Map([...products].map(([sku, { stock }]) => [sku, Number(stock)]));
}
