/** The people: several sessions on each side, at work until they are told to stop. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../simulation/random.ts';
import type { Attempt } from './diary.ts';
import { openSession, type Session } from './session.ts';
import { SYSTEMS, type SystemName } from './shapes.ts';
import { KINDS, type Kind, type Turn } from './work.ts';
import type { World } from './world.ts';

const WRITERS_A_SIDE = 3;
const ROLLED_BACK = 0.06;
const PAUSE_MS = 150;

/** Of all crews together. */
let turns = 1000;

export interface Crew {
  /** Resolves when everybody has finished what they were at. */
  stop(): Promise<void>;
}

/** `shift` makes names and choices of this crew others than those of the last. */
export function startWriters(world: World, shift: string): Crew {
  const stop = new AbortController();
  const people = SYSTEMS.flatMap((system) =>
    Array.from({ length: WRITERS_A_SIDE }, (_, i) => {
      const name = `${shift}${system[0]}${i + 1}`;
      return work(world, system, name, world.random.fork(name), stop.signal);
    }),
  );
  return {
    async stop() {
      stop.abort();
      await Promise.all(people);
    },
  };
}

async function work(
  world: World,
  system: SystemName,
  name: string,
  random: Random,
  stop: AbortSignal,
): Promise<void> {
  const kinds = KINDS.filter(({ only }) => only === undefined || only === system);
  let session: Session | null = null;
  for (let n = 1; !stop.aborted; n++) {
    const kind = weighted(kinds, random);
    const rollBack = random.chance(ROLLED_BACK);
    const choices = random.fork(String(n));
    await sleep(random.int(PAUSE_MS));
    session ??= await openSession(world.servers[system].url).catch(() => null);
    if (session === null) continue;
    const attempt = await perform(session, kind, rollBack, {
      name: `${name}.${n}`,
      number: ++turns,
      system,
      random: choices,
    });
    world.diary.attempt(attempt);
    if (attempt.outcome === 'committed' || attempt.outcome === 'rolled back') continue;
    await session[Symbol.asyncDispose]();
    session = null;
  }
  await session?.[Symbol.asyncDispose]();
}

function weighted(kinds: readonly Kind[], random: Random): Kind {
  let left = random.next() * kinds.reduce((sum, { weight }) => sum + weight, 0);
  for (const kind of kinds) {
    left -= kind.weight;
    if (left < 0) return kind;
  }
  return kinds[0]!;
}

async function perform(
  session: Session,
  kind: Kind,
  rollBack: boolean,
  person: Pick<Turn, 'name' | 'number' | 'system' | 'random'>,
): Promise<Attempt> {
  const { name, system } = person;
  const statements: unknown[] = [];
  let rows = 0;
  let outcome: Attempt['outcome'] = 'failed';
  const turn: Turn = {
    ...person,
    product: session.product,
    begin: () => session.begin(name),
    async sql(text, ...params) {
      const result = await session.run(text, ...params);
      if (statements.length < 40) statements.push([text, params, result.rows, result.count]);
      rows += result.count;
      return result;
    },
  };
  try {
    if (kind.readsFirst !== true) await turn.begin();
    await kind.perform(turn);
    if (!rollBack) outcome = 'unknown';
    await session.run(rollBack ? 'ROLLBACK' : 'COMMIT');
    outcome = rollBack ? 'rolled back' : 'committed';
  } catch (error) {
    statements.push((error as Error).message);
  }
  return { tx: name, system, what: kind.what, statements, rows, outcome };
}
