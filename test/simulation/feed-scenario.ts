import { drawFeedSetup, type FeedSetup } from './feed-setup.ts';
import { type Random, seeded } from './random.ts';
import type { Fault } from './scenario.ts';

/** What a user does to one row of the source; which, and what it gets, is seen when it is done. */
export interface FeedAction {
  readonly table: 'public.items' | 'public.prices';
  readonly kind:
    | 'create'
    | 'update'
    /** Writes into columns that no mapping names. */
    | 'touch'
    | 'delete'
    /** Leaves `where`, or comes back. */
    | 'toggle'
    | 'rekey'
    /** Two rows exchange their keys. */
    | 'swap'
    /** Gets a code that its mapping does not know, or (prices) what the target refuses. */
    | 'spoil';
  readonly who: number;
  readonly other: number;
  readonly fields: readonly string[];
  readonly roll: number;
}

export interface FeedAct {
  readonly step: number;
  readonly kind:
    | // At Carrick.
    'retry'
    | 'discard'
    | 'resync'
    | 'pause'
    | 'resume'
    /** In the source: all rows go, one by one or as one TRUNCATE; a column goes for a while. */
    | 'wipe'
    | 'truncate'
    | 'drift'
    | 'outage';
  readonly table: FeedAction['table'];
  readonly system: string;
  readonly roll: number;
}

export interface FeedScenario {
  readonly seed: number;
  readonly setup: FeedSetup;
  /** Done before the feed starts for the first time. */
  readonly before: readonly (readonly FeedAction[])[];
  readonly users: readonly (readonly FeedAction[])[];
  readonly faults: readonly Fault[];
  readonly acts: readonly FeedAct[];
}

const FIELDS = {
  'public.items': ['name', 'kind', 'slot', 'note'],
  'public.prices': ['amount', 'note'],
} as const;

export function drawFeedScenario(seed: number): FeedScenario {
  const random = seeded(seed, 'feed');
  const setup = drawFeedSetup(random.fork('setup'));
  const users = random.fork('users');
  const loaded = random.fork('before');
  const faults = random.fork('faults');
  return {
    seed,
    setup,
    before: loaded.chance(0.6) ? draw(loaded, 1 + loaded.int(8), true) : [],
    users: draw(users, 4 + users.int(30), false),
    faults: faults.chance(0.2) ? [] : drawFaults(faults, setup),
    acts: drawActs(random.fork('acts'), setup),
  };
}

function draw(random: Random, count: number, fresh: boolean): FeedAction[][] {
  return Array.from({ length: count }, () => {
    const length = random.chance(0.6) ? 1 : random.chance(0.8) ? 2 + random.int(3) : 15;
    return Array.from({ length }, () => drawAction(random, fresh));
  });
}

function drawAction(random: Random, fresh: boolean): FeedAction {
  const table = random.chance(0.7) ? 'public.items' : 'public.prices';
  const fields = FIELDS[table].filter(() => random.chance(fresh ? 0.8 : 0.4));
  return {
    table,
    kind: fresh ? 'create' : drawKind(random),
    who: random.int(8),
    other: random.int(8),
    fields: fields.length === 0 ? [random.pick(FIELDS[table])] : fields,
    roll: random.next(),
  };
}

function drawKind(random: Random): FeedAction['kind'] {
  const at = random.next();
  if (at < 0.25) return 'create';
  if (at < 0.62) return 'update';
  if (at < 0.65) return 'touch';
  if (at < 0.75) return 'delete';
  if (at < 0.84) return 'toggle';
  if (at < 0.92) return 'rekey';
  return at < 0.95 ? 'swap' : 'spoil';
}

/** Between what a feed does and what it learns of it. */
const POINTS = [
  ...['begin', 'write', 'write answer', 'commit', 'commit answer', 'place answer', 'fence'],
  ...['read', 'tail answer', 'ledger write', 'ledger synced', 'ledger committed'],
];

function drawFaults(random: Random, { targets }: FeedSetup): Fault[] {
  const kinds = [
    ...['crash', 'crash', 'crash', 'tear', 'tear', 'tear', 'stop', 'down', 'disk', 'jump'],
    'twin',
  ] as const satisfies readonly Fault['kind'][];
  return Array.from({ length: 1 + random.int(8) }, () => ({
    step: random.int(random.pick([60, 300, 1200])),
    kind: random.pick(kinds),
    system: random.pick(['crm', ...targets]),
    size: random.next(),
    point: random.chance(0.5) ? '' : random.pick(POINTS),
  })).sort((a, b) => a.step - b.step);
}

const ACTS: readonly FeedAct['kind'][] = [
  ...(['retry', 'retry', 'retry', 'discard', 'resync', 'resync', 'pause', 'resume'] as const),
  ...(['wipe', 'truncate', 'truncate', 'drift', 'drift', 'outage'] as const),
];

function drawActs(random: Random, { targets, flood }: FeedSetup): FeedAct[] {
  const count = random.chance(0.3) ? 0 : 1 + random.int(6);
  return Array.from(
    { length: count },
    (): FeedAct => ({
      step: random.int(random.pick([100, 400, 1500])),
      kind: flood && random.chance(0.4) ? 'wipe' : random.pick(ACTS),
      table: random.chance(0.7) ? 'public.items' : 'public.prices',
      system: random.pick(['crm', ...targets]),
      roll: random.next(),
    }),
  ).sort((a, b) => a.step - b.step);
}
