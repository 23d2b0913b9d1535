import { setTimeout as sleep } from 'node:timers/promises';
import type { JournalEntry } from '../../src/contract/ledger.ts';
import { agreement, type Stage } from './stage.ts';

/**
 * The person whom the mappings leave some conflicts to: two edits of one field within the skew
 * tolerance, which no clock can order. Takes what the CRM holds, and says which were decided.
 */
export async function decideOpen(stage: Stage): Promise<JournalEntry[]> {
  const { operator } = stage.carrick;
  const open = await operator.conflicts({ state: 'open', limit: 1000 });
  const decided: JournalEntry[] = [];
  for (const { id, incoming, standing } of open) {
    const sides = [incoming.system, standing.system];
    const take = sides.includes('crm') ? 'crm' : standing.system;
    decided.push(await operator.resolve(id, { take }));
  }
  return decided;
}

/** Waits until all is quiet and nothing is left to decide; tells how much a person had to. */
export async function drain(stage: Stage): Promise<number> {
  let decided = 0;
  let calm = false;
  while (!calm) {
    await delivered(stage);
    const now = await decideOpen(stage);
    decided += now.length;
    calm = now.length === 0;
  }
  await agreement(stage);
  return decided;
}

/** Waits until both logs are read to the present and nothing is on its way. */
async function delivered(stage: Stage): Promise<void> {
  for (let quiet = 0; quiet < 3; ) {
    const { systems } = await stage.carrick.operator.status();
    const busy = systems.some(
      ({ outboxDepth, source }) => outboxDepth > 0 || source !== 'following',
    );
    quiet = busy ? 0 : quiet + 1;
    await sleep(200);
  }
}
