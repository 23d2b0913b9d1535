/** What goes wrong, and in which order: the seed decides, time stays real. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Status } from '../../src/contract/operator.ts';
import type { Random } from '../simulation/random.ts';
import { productAt } from './session.ts';
import { SYSTEMS } from './shapes.ts';
import type { World } from './world.ts';

/** One fault from its beginning to the point where it is mended. */
interface Fault {
  readonly kind: string;
  /** At most one fault of a lane at a time; those of different lanes overlap. */
  readonly lane: 'process' | 'network';
  suffer(world: World, seconds: number): Promise<void>;
}

interface Planned {
  readonly fault: Fault;
  readonly pause: number;
  /** How long it lasts, in seconds. */
  readonly seconds: number;
  /** Strikes only when Carrick is at work again, not while it still starts. */
  readonly patient: boolean;
}

const wait = (seconds: number): Promise<void> => sleep(seconds * 1000);

const PATIENCE_SECONDS = 20;

/** Waits until status says so, but not for ever: it may be another fault that keeps it from it. */
async function soon(
  { carrick }: World,
  holds: (status: Status) => boolean,
  patience = PATIENCE_SECONDS,
): Promise<void> {
  for (let waited = 0; waited < patience; waited += 0.5) {
    const status = await carrick.operator.status().catch(() => null);
    if (status !== null && holds(status)) return;
    await wait(0.5);
  }
}

const isAtWork = ({ systems }: Status): boolean =>
  systems.every(({ source, target }) => source === 'following' && target !== 'retrying');

const ofCarrick: readonly Fault[] = [
  {
    kind: 'carrick killed',
    lane: 'process',
    async suffer({ carrick }) {
      await carrick.stop('SIGKILL');
      carrick.start();
    },
  },
  {
    kind: 'carrick killed, started later',
    lane: 'process',
    async suffer({ carrick }, seconds) {
      await carrick.stop('SIGKILL');
      await wait(seconds);
      carrick.start();
    },
  },
  {
    kind: 'carrick stopped by SIGTERM',
    lane: 'process',
    async suffer({ carrick }) {
      await carrick.stop('SIGTERM');
      carrick.start();
    },
  },
];

const ofServers: readonly Fault[] = SYSTEMS.flatMap((system): Fault[] => [
  {
    kind: `${system} stopped`,
    lane: 'process',
    async suffer({ servers }, seconds) {
      const product = productAt(servers[system].url);
      // MySQL and MariaDB have no fast abort but the kill below.
      await servers[system].stop(product === 'postgres' ? 'immediate' : 'clean');
      await wait(seconds / 2);
      await servers[system].start();
    },
  },
  {
    kind: `${system} killed`,
    lane: 'process',
    async suffer({ servers }, seconds) {
      await servers[system].kill();
      await wait(seconds / 2);
      await servers[system].start();
    },
  },
]);

const ofNetwork: readonly Fault[] = SYSTEMS.flatMap((system): Fault[] => [
  {
    kind: `${system} connections cut`,
    lane: 'network',
    suffer: async ({ proxies }) => proxies[system].cut(),
  },
  {
    kind: `${system} half-closed`,
    lane: 'network',
    async suffer({ proxies }, seconds) {
      proxies[system].halfClose(Math.floor(seconds * 10) % 2 === 0 ? 'carrick' : 'server');
    },
  },
  ...(
    [
      { kind: 'delay', ms: 150 },
      { kind: 'throttle', bytesPerSecond: 20_000 },
      { kind: 'black hole' },
    ] as const
  ).map(
    (trouble): Fault => ({
      kind: `${system} ${trouble.kind}`,
      lane: 'network',
      async suffer({ proxies }, seconds) {
        proxies[system].trouble(trouble);
        await wait(seconds);
        proxies[system].trouble(null);
      },
    }),
  ),
]);

const DISK_FULL: Fault = {
  kind: 'ledger disk full',
  lane: 'network',
  async suffer(world, seconds) {
    // The ledger goes on in what its log has room for, and gives of that to its database: whoever
    // fills this disk takes that too.
    const filling = setInterval(() => world.disk?.fill(), 100);
    const isFull = ({ systems }: Status) =>
      systems.some(({ trouble }) => trouble?.code === 'ledger.full');
    await soon(world, isFull, 3 * PATIENCE_SECONDS);
    await wait(seconds);
    clearInterval(filling);
    world.disk?.free();
  },
};

/**
 * Shuffled decks of all faults, one after another, for each lane: every kind comes once before
 * any comes twice.
 */
function* schedule(
  random: Random,
  lane: Fault['lane'],
  { hasDisk }: { readonly hasDisk: boolean },
): Generator<Planned> {
  const all = [...ofCarrick, ...ofServers, ...ofNetwork, ...(hasDisk ? [DISK_FULL] : [])];
  for (let deck = 0; ; deck++) {
    const rest = all.filter((fault) => fault.lane === lane);
    while (rest.length > 0) {
      const [fault] = rest.splice(random.int(rest.length), 1) as [Fault];
      // From the second deck on some outlast every timeout of Carrick.
      const long = deck > 0 && random.chance(0.15);
      const seconds = long ? 35 + random.next() * 10 : 1 + random.next() * 4;
      yield { fault, pause: random.next() * 3, seconds, patient: random.chance(0.7) };
    }
  }
}

const LANES = ['process', 'network'] as const;

const deckSize = (lane: Fault['lane'], hasDisk: boolean): number =>
  lane === 'process' ? ofCarrick.length + ofServers.length : ofNetwork.length + Number(hasDisk);

/** What the seed has in store first, a line a lane: every kind once. */
export function forecast({ random, disk }: World): string[] {
  const hasDisk = disk !== null;
  return LANES.map((lane) => {
    const deck = schedule(random.fork(lane), lane, { hasDisk }).take(deckSize(lane, hasDisk));
    const told = deck.map(
      ({ fault, pause, seconds }) =>
        `+${pause.toFixed(1)} s ${fault.kind} (${seconds.toFixed(1)} s)`,
    );
    return `${lane}: ${[...told].join(', ')}`;
  });
}

/** Faults until the time is up, but every kind once. Everything is mended when it resolves. */
export async function storm(world: World, minutes: number): Promise<void> {
  const until = performance.now() + minutes * 60_000;
  const hasDisk = world.disk !== null;
  await Promise.all(
    LANES.map(async (lane) => {
      let suffered = 0;
      for (const { fault, pause, seconds, patient } of schedule(world.random.fork(lane), lane, {
        hasDisk,
      })) {
        if (suffered >= deckSize(lane, hasDisk) && performance.now() > until) return;
        if (patient) await soon(world, isAtWork);
        await wait(pause);
        world.diary.fault(fault.kind, `${seconds.toFixed(1)} s`);
        await fault.suffer(world, seconds);
        suffered += 1;
      }
    }),
  );
}
