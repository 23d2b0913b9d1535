import { SHAPES } from './installation.ts';
import { type Random, seeded } from './random.ts';
import { drawCommits, drawForeign, drawSetup, type Setup } from './setup.ts';

/** What one user does to one row. Values are made when it is done, so that none is made twice. */
export interface Action {
  readonly entity: 'customer' | 'order';
  readonly kind:
    | 'create'
    | 'update'
    | 'delete'
    /** Leaves `where`, or comes back. */
    | 'toggle'
    /** Gets another primary key. */
    | 'rekey'
    /** Gets another number: the match key. */
    | 'renumber';
  /** Which real-world thing: `C2`, `O1`. */
  readonly who: string;
  readonly fields: readonly string[];
  /** For what the kind needs: an amount, a member, a parent. */
  readonly roll: number;
}

/** One transaction of one user. */
export interface UserTransaction {
  readonly system: string;
  readonly actions: readonly Action[];
}

export interface Fault {
  /** After how many steps of the schedule. */
  readonly step: number;
  readonly kind:
    | 'crash'
    | 'stop'
    | 'tear'
    /** The server dies with what is not on disk, and all its connections with it. */
    | 'power'
    | 'down'
    | 'disk'
    | 'jump'
    /** Of feeds: for a while a second daemon with a ledger of its own does the same. */
    | 'twin';
  readonly system: string;
  readonly size: number;
  /** Not before something of this name has just happened; empty: anywhere. */
  readonly point: string;
}

/** What people do beside the daily work, and what becomes of tables. */
export interface Act {
  readonly step: number;
  readonly kind:
    | // At Carrick: something parked is tried again, a conflict decided, a loser restored.
    'retry'
    | 'resolve'
    | 'restore'
    | 'resync'
    /** In a system: all rows go at once, logged one by one or as one TRUNCATE. */
    | 'wipe'
    | 'truncate'
    /** A row gets a code that its mapping does not know; mended later. */
    | 'spoil'
    /** A table loses a mapped column for a while. */
    | 'drift'
    /** Not reachable for hours. */
    | 'outage'
    /** The log that is not read yet is gone. */
    | 'purge';
  readonly system: string;
  readonly entity: Action['entity'];
  readonly roll: number;
}

export interface Scenario {
  readonly seed: number;
  readonly setup: Setup;
  /** Done before the pipeline starts for the first time. */
  readonly before: readonly UserTransaction[];
  readonly users: readonly UserTransaction[];
  readonly faults: readonly Fault[];
  /** Absent: nobody operates, and nothing that is parked is looked at again at the end. */
  readonly acts?: readonly Act[];
}

const CUSTOMERS = ['C0', 'C1', 'C2', 'C3'];
const ORDERS = ['O0', 'O1', 'O2'];

export function drawScenario(seed: number): Scenario {
  const random = seeded(seed);
  const drawn = drawSetup(random.fork('setup'));
  const setup = {
    ...drawn,
    foreign: drawForeign(random.fork('foreign'), drawn),
    ...drawCommits(random.fork('commits'), drawn),
  };
  const users = random.fork('users');
  const loaded = random.fork('before');
  const faults = random.fork('faults');
  const daily = draw(users, 4 + users.int(30), setup, false);
  const twins = withTwins(random.fork('twins'), daily, setup);
  return {
    seed,
    setup,
    before: loaded.chance(0.5) ? draw(loaded, 1 + loaded.int(8), setup, true) : [],
    users: withPartings(random.fork('partings'), twins, setup),
    faults: withPower(
      random.fork('power'),
      faults.chance(0.25) ? [] : drawFaults(faults, setup),
      setup,
    ),
    acts: drawActs(random.fork('acts'), setup),
  };
}

function draw(random: Random, count: number, setup: Setup, fresh: boolean): UserTransaction[] {
  return Array.from({ length: count }, () => {
    const system = random.pick(setup.systems);
    const length = random.chance(0.7) ? 1 : random.chance(0.8) ? 2 + random.int(2) : 9;
    return {
      system,
      actions: Array.from({ length }, () => drawAction(random, system, fresh)),
    };
  });
}

/** People who create the same new thing in each system, one right after the other. */
function withTwins(random: Random, users: readonly UserTransaction[], { systems }: Setup) {
  const all = [...users];
  const count = random.chance(0.5) ? 0 : 1 + random.int(3);
  for (let i = 0; i < count; i++) {
    const entity = random.chance(0.3) ? 'customer' : 'order';
    const who = `${entity === 'customer' ? 'C' : 'O'}${7 + i}`;
    const twins = systems.map((system): UserTransaction => {
      return { system, actions: [{ ...drawAction(random, system, true, entity), who }] };
    });
    all.splice(random.int(all.length + 1), 0, ...twins);
  }
  return all;
}

/** Somebody deletes a customer while somebody else gives it an order. */
function withPartings(random: Random, users: readonly UserTransaction[], setup: Setup) {
  const all = [...users];
  if (setup.foreign === undefined) return all;
  const count = random.int(4);
  for (let i = 0; i < count; i++) {
    const fields = ['customer', 'status', 'qty'];
    const roll = random.next();
    const order = { entity: 'order', kind: 'create', who: `O${4 + i}`, fields, roll } as const;
    const who = random.pick(['C2', 'C3']);
    const parting = { entity: 'customer', kind: 'delete', who, fields: [], roll } as const;
    const both: UserTransaction[] = [
      { system: random.pick(['crm', 'erp']), actions: [order] },
      { system: random.pick(setup.systems), actions: [parting] },
    ];
    const at = random.int(all.length + 1);
    all.splice(at, 0, ...(random.chance(0.5) ? both : both.reverse()));
  }
  return all;
}

function drawAction(
  random: Random,
  system: string,
  fresh: boolean,
  entity: Action['entity'] = random.chance(0.7) ? 'customer' : 'order',
): Action {
  const who = random.pick(entity === 'customer' ? CUSTOMERS : ORDERS);
  const shape = SHAPES[system]?.find((one) => one.entity === entity);
  const editable = Object.keys(shape?.columns ?? {}).filter((field) => !field.endsWith('_no'));
  const fields = editable.filter(() => random.chance(fresh ? 0.8 : 0.3));
  if (fields.length === 0) fields.push(random.pick(editable));
  const roll = random.next();
  const kind = fresh ? 'create' : drawKind(random, entity);
  return { entity, kind, who, fields, roll };
}

function drawKind(random: Random, entity: Action['entity']): Action['kind'] {
  const at = random.next();
  if (at < 0.25) return 'create';
  if (at < 0.88) return 'update';
  if (at < 0.93) return 'delete';
  if (at < 0.96) return entity === 'customer' ? 'toggle' : 'update';
  return at < 0.98 ? 'rekey' : 'renumber';
}

/** Between what the pipeline does and what it learns of it: where recovery has to be right. */
const POINTS = [
  'begin',
  'write',
  'commit',
  'commit answer',
  'fence',
  'read',
  'tail answer',
  'ledger write',
  'ledger synced',
  'ledger committed',
  'ledger sent',
];

function drawFaults(random: Random, { systems }: Setup): Fault[] {
  const kinds = ['crash', 'crash', 'tear', 'tear', 'stop', 'down', 'disk', 'jump'] as const;
  return Array.from({ length: 1 + random.int(8) }, () => ({
    step: random.int(random.pick([60, 300, 1200])),
    kind: random.pick(kinds),
    system: random.pick(systems),
    size: random.next(),
    point: random.chance(0.5) ? '' : random.pick(POINTS),
  })).sort((a, b) => a.step - b.step);
}

/** Servers that die right behind a delivery: of systems that commit before they write. */
function withPower(random: Random, faults: readonly Fault[], { lazy = [] }: Setup): Fault[] {
  const count = lazy.length === 0 || random.chance(0.4) ? 0 : 1 + random.int(4);
  const dying = Array.from({ length: count }, (): Fault => {
    const step = random.int(random.pick([60, 300, 1200]));
    const system = random.pick(lazy);
    const behind = random.pick(['update', 'update answer', 'commit', 'commit answer']);
    return { step, kind: 'power', system, size: 0, point: `${system} ${behind}` };
  });
  return [...faults, ...dying].sort((a, b) => a.step - b.step);
}

const ACTS = [
  ...['retry', 'retry', 'resolve', 'resolve', 'restore', 'resync', 'resync'],
  ...['wipe', 'truncate', 'spoil', 'spoil', 'drift'],
] as readonly Act['kind'][];

function drawActs(random: Random, { systems, flood }: Setup): Act[] {
  const rare = random.next();
  const first = rare < 0.02 ? 'purge' : rare < 0.03 ? 'outage' : null;
  const count = random.chance(0.4) ? 0 : 1 + random.int(5);
  return Array.from({ length: first === null ? count : Math.max(count, 1) }, (_, i): Act => {
    const kind = flood === true && random.chance(0.5) ? 'wipe' : random.pick(ACTS);
    return {
      step: random.int(random.pick([100, 400, 1500])),
      kind: i === 0 ? (first ?? kind) : kind,
      system: random.pick(systems),
      entity: random.chance(0.7) ? 'customer' : 'order',
      roll: random.next(),
    };
  }).sort((a, b) => a.step - b.step);
}
