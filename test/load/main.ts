/**
 * `npm run load`: two full databases meet for the first time while people write in both, Carrick
 * is killed with -9 on the way, and in the end both must hold the same.
 *
 * --rows N         rows of each database (100,000)
 * --kills K        kill -9 so often, spread over the first load (5)
 * --writes W       transactions a second that people write in each system (20)
 * --seed S         of what people write
 * --keep DIR       servers, ledger and configuration stay in DIR when it is over
 * --open DIR       starts what was kept in DIR, with Carrick, until Ctrl-C
 */
import { parseArgs } from 'node:util';
import { ensureServers } from '../support/index.ts';
import { load } from './load.ts';
import { openKept } from './stage.ts';

const say = (line: string): void => console.log(line);

function number(text: string | undefined, otherwise: number): number {
  const given = text === undefined ? otherwise : Number(text);
  if (!Number.isInteger(given) || given < 0) throw new Error(`not a number of something: ${text}`);
  return given;
}

const { values } = parseArgs({
  options: {
    rows: { type: 'string' },
    kills: { type: 'string' },
    writes: { type: 'string' },
    seed: { type: 'string' },
    keep: { type: 'string' },
    open: { type: 'string' },
  },
});

await ensureServers();
if (values.open !== undefined) await openKept(values.open, say);
else {
  const agreed = await load(
    {
      rows: number(values.rows, 100_000),
      kills: number(values.kills, 5),
      writes: number(values.writes, 20),
      seed: number(values.seed, 1),
      keep: values.keep ?? null,
    },
    say,
  );
  process.exitCode = agreed ? 0 : 1;
}
