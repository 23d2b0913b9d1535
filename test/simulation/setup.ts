import type { Random } from './random.ts';

/** What one seed's systems and mappings are like. */
export interface Setup {
  readonly systems: readonly string[];
  readonly late: Readonly<Record<string, boolean>>;
  readonly minimal: Readonly<Record<string, boolean>>;
  /** Commit times in whole seconds. */
  readonly coarse: Readonly<Record<string, boolean>>;
  readonly clocks: Readonly<Record<string, { offset: number; drift: number }>>;
  readonly triggers: readonly Trigger[];
  /** Policy lines by field or group. */
  readonly policies: Readonly<Record<string, string>>;
  readonly deletes: string;
  readonly softDelete: boolean;
  readonly tolerance: string;
  readonly matchEmail: boolean;
  /** See `openPace`; kept seeds of before there was one have 1. */
  readonly loadShare?: number;
  /** Only one delete at a time is passed on unasked. */
  readonly flood?: boolean | undefined;
  /** Systems in which no two customers may have the same credit. */
  readonly unique?: readonly string[];
  /** Systems whose numbers have no unique index. */
  readonly loose?: readonly string[];
  /** Orders have foreign keys in all systems, which keep customers or take their orders along. */
  readonly foreign?: Readonly<Record<string, OnDelete>> | undefined;
  /** Systems in which others see a delivery before it is on disk. */
  readonly lazy?: readonly string[];
  /** Systems that take a batch of plain updates in one round trip. */
  readonly sole?: readonly string[];
}

export type OnDelete = 'restrict' | 'cascade';

export type Trigger = 'upper' | 'round' | 'fill' | 'fight';

const TEXT_POLICIES = [
  'last_writer: true',
  'last_writer: true',
  'first_writer: true',
  'prefer: crm',
  'prefer: erp',
  'park: true',
];

export function drawSetup(random: Random): Setup {
  const systems = random.chance(0.3) ? ['crm', 'erp', 'web'] : ['crm', 'erp'];
  const each = <T>(draw: (system: string) => T): Record<string, T> =>
    Object.fromEntries(systems.map((system) => [system, draw(system)]));
  const triggers: Trigger[] = [];
  if (random.chance(0.3)) triggers.push('upper');
  if (random.chance(0.5)) triggers.push('round');
  if (random.chance(0.3)) triggers.push('fill');
  else if (random.chance(0.1)) triggers.push('fight');
  return {
    systems,
    triggers,
    late: each((system) => system !== 'erp' && random.chance(0.3)),
    minimal: each(() => random.chance(0.5)),
    coarse: each((system) => system === 'erp' && random.chance(0.5)),
    clocks: each(() =>
      random.chance(0.5)
        ? { offset: 0, drift: 0 }
        : { offset: (random.next() - 0.5) * 20_000, drift: (random.next() - 0.5) * 0.01 },
    ),
    policies: {
      name: random.pick(TEXT_POLICIES),
      note: random.pick(TEXT_POLICIES),
      address: random.pick(TEXT_POLICIES),
      status: random.pick(TEXT_POLICIES),
      amount: random.pick(TEXT_POLICIES),
      email: random.pick(TEXT_POLICIES),
    },
    deletes: random.pick(['update_wins', 'delete_wins', 'last_writer', 'park']),
    softDelete: random.chance(0.5),
    tolerance: random.pick(['0s', '10ms', '1s']),
    matchEmail: random.chance(0.3),
    loadShare: triggers.includes('round') ? 1 : 0.5,
    ...drawMore(random.fork('more'), systems),
  };
}

/** Where a customer is deleted for good: rows that are only hidden keep their orders. */
export function drawForeign(random: Random, { systems, softDelete }: Setup): Setup['foreign'] {
  if (softDelete || random.chance(0.5)) return undefined;
  return Object.fromEntries(
    systems.map((system): [string, OnDelete] => [system, random.pick(['restrict', 'cascade'])]),
  );
}

export const drawCommits = (random: Random, { systems }: Setup): Partial<Setup> => ({
  lazy: systems.filter(() => random.chance(0.6)),
  sole: systems.filter(() => random.chance(0.6)),
});

const drawMore = (random: Random, systems: readonly string[]): Partial<Setup> => ({
  flood: random.chance(0.2),
  unique: random.chance(0.2) ? systems.filter((system) => system !== 'web') : [],
  loose: systems.filter(() => random.chance(0.5)),
});
