/**
 * `npm run demo`: a CRM in PostgreSQL and an ERP in MariaDB, and Carrick between them.
 * Without options people work on both sides until Ctrl-C. `--once` tells the story in acts and
 * exits with 0 only if both databases agree in the end.
 */
import { parseArgs } from 'node:util';
import type { TestServer } from '../../test/support/index.ts';
import { live } from './live.ts';
import { speech } from './speech.ts';
import { type Plan, tellStory } from './story.ts';
import { openWorld } from './world.ts';

const USAGE = `npm run demo -- [options]
  --once         tell the story once, compare both databases, exit 0 only if they agree
  --kill         the same, with a kill -9 of Carrick in the middle and a restart
  --outage [S]   the same, with the ERP's database stopped for S seconds (20)
  --seed N       other random edits
CRM_URL and ERP_URL name running servers to use; each gets a new database, dropped in the end.
CARRICK_CRM and CARRICK_ERP choose other engines: see test/support/systems.ts.`;

interface Options extends Plan {
  readonly once: boolean;
  readonly help: boolean;
}

function options(argv: readonly string[]): Options {
  // An option whose value may be left out: say what it then is.
  const args = argv.flatMap((arg, i) =>
    arg === '--outage' && !/^\d+$/.test(argv[i + 1] ?? '') ? ['--outage', '20'] : [arg],
  );
  const { values } = parseArgs({
    args,
    options: {
      once: { type: 'boolean', default: false },
      kill: { type: 'boolean', default: false },
      outage: { type: 'string' },
      seed: { type: 'string', default: '1' },
      help: { type: 'boolean', default: false },
    },
  });
  const { kill, help } = values;
  const outage = values.outage === undefined ? null : whole(values.outage);
  const once = values.once || kill || outage !== null;
  return { once, kill, help, outage, seed: whole(values.seed) };
}

function whole(text: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new Error(`${text} is not a whole number`);
  return Number(text);
}

async function main(): Promise<number> {
  let plan: Options;
  try {
    plan = options(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${USAGE}\n`);
    return 2;
  }
  if (plan.help) {
    process.stdout.write(`${USAGE}\n`);
    return 0;
  }
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort());
  process.once('SIGTERM', () => stop.abort());
  try {
    await perform(plan, stop.signal);
    return 0;
  } catch (error) {
    // A database driver's error carries the statement with all its rows: its message is enough.
    process.stderr.write(`\n${error instanceof Error ? error.message : String(error)}\n`);
    return stop.signal.aborted ? 130 : 1;
  }
}

async function perform(plan: Options, stop: AbortSignal): Promise<void> {
  const say = speech(process.stdout);
  say.line('starting two database servers: a CRM and an ERP');
  await using world = await openWorld(say);
  say.line(`CRM ${shown(world.servers.crm)}`);
  say.line(`ERP ${shown(world.servers.erp)}`);
  const show = plan.once ? tellStory(world, plan) : live(world, plan.seed, stop);
  await Promise.race([show, interrupted(stop, plan.once)]);
}

/** The story ends in an error when it is interrupted; the live show ends by itself. */
function interrupted(stop: AbortSignal, fails: boolean): Promise<never> {
  return new Promise((_, reject) => {
    if (fails) stop.addEventListener('abort', () => reject(new Error('interrupted')));
  });
}

/** Whoever likes may join in: a private server's password is no secret, another one's is. */
function shown({ url, replacedBy }: TestServer): string {
  if (replacedBy === undefined) return url;
  const bare = new URL(url);
  bare.password = '';
  return bare.href;
}

process.exit(await main());
