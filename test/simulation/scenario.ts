import { SHAPES } from './installation.ts';
import { type Random, seeded } from './random.ts';
import { drawSetup, type Setup } from './setup.ts';

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
  readonly kind: 'crash' | 'stop' | 'tear' | 'down' | 'disk' | 'jump';
  readonly system: string;
  readonly size: number;
  /** Not before something of this name has just happened; empty: anywhere. */
  readonly point: string;
}

export interface Scenario {
  readonly seed: number;
  readonly setup: Setup;
  /** Done before the pipeline starts for the first time. */
  readonly before: readonly UserTransaction[];
  readonly users: readonly UserTransaction[];
  readonly faults: readonly Fault[];
}

const CUSTOMERS = ['C0', 'C1', 'C2', 'C3'];
const ORDERS = ['O0', 'O1', 'O2'];

export function drawScenario(seed: number): Scenario {
  const random = seeded(seed);
  const setup = drawSetup(random.fork('setup'));
  const users = random.fork('users');
  const loaded = random.fork('before');
  const faults = random.fork('faults');
  return {
    seed,
    setup,
    before: loaded.chance(0.5) ? draw(loaded, 1 + loaded.int(8), setup, true) : [],
    users: draw(users, 4 + users.int(30), setup, false),
    faults: faults.chance(0.25) ? [] : drawFaults(faults, setup),
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

function drawAction(random: Random, system: string, fresh: boolean): Action {
  const entity = random.chance(0.7) ? 'customer' : 'order';
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
