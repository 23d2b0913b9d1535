import { setTimeout as sleep } from 'node:timers/promises';
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
  for (let i = 0; i < PIECES; i++) {
    const { crm, erp } = draw();
    const side = next();
    const moves = side < 0.35 ? [crm, erp] : [side < 0.7 ? crm : erp];
    await Promise.all(moves.map((move) => make(stage, move)));
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
}
