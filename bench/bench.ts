/** What a benchmark is: contenders that do the same work in turn, and the figures they give. */

export interface Sizes {
  /** Rows of the one big transaction. */
  readonly bulk: number;
  /** Transactions of one row each. */
  readonly singles: number;
  /** Rows of the big transaction, and single-row transactions, where whole daemons replicate. */
  readonly replicated: { readonly bulk: number; readonly singles: number };
  /** Records of the large ledger; the small one has 20,000. */
  readonly records: number;
  /** How cost grows: records of ledgers, and entities of mappings, each up to the last. */
  readonly growth: { readonly records: readonly number[]; readonly entities: readonly number[] };
  readonly latencySeconds: number;
  readonly outageSeconds: number;
  readonly memoryRows: number;
}

export interface Bench {
  /** For `--only`. */
  readonly name: string;
  /** What the figures do not show, printed below the table. */
  readonly leavesOut: readonly string[];
  /** Prepares servers and data once; everything is given back when the stack is disposed. */
  open(sizes: Sizes, stack: AsyncDisposableStack): Promise<Contest>;
}

export interface Contest {
  readonly figures: readonly Figure[];
  /** The first is Carrick. Each repetition runs all of them, in alternating order. */
  readonly contenders: readonly Contender[];
  /** Peers that are not measured here, and why. */
  readonly absent?: readonly string[];
}

export interface Figure {
  readonly key: string;
  readonly work: string;
  readonly unit: 'rows/s' | 'updates/s' | 'ms' | 's' | 'MiB' | 'µs/row';
  /** Wanted of the ratio Carrick / peer, by contender: a number or more, or that much or less. */
  readonly goals: Readonly<Record<string, Goal>>;
  /** Wanted of Carrick's own figure, at most. */
  readonly limit?: number;
}

export type Goal = { readonly atLeast: number } | { readonly atMost: number };

export interface Contender {
  readonly name: string;
  /** One value a figure key; a figure that this contender does not give is left out. */
  run(): Promise<Readonly<Record<string, number>>>;
}

/** Values of one figure, by contender, in the order of the repetitions. */
export interface Measured {
  readonly figure: Figure;
  readonly samples: Readonly<Record<string, readonly number[]>>;
}

export async function measure(
  contest: Contest,
  repeat: number,
  tell: (line: string) => void,
): Promise<Measured[]> {
  const { figures, contenders } = contest;
  const samples = new Map(figures.map(({ key }) => [key, new Map<string, number[]>()]));
  for (let repetition = 0; repetition < repeat; repetition++) {
    const order = repetition % 2 === 0 ? contenders : contenders.toReversed();
    for (const contender of order) {
      const values = await contender.run();
      for (const [key, value] of Object.entries(values)) {
        const byName = samples.get(key);
        if (byName === undefined) throw new Error(`${contender.name} gives unknown figure ${key}`);
        byName.set(contender.name, [...(byName.get(contender.name) ?? []), value]);
      }
      const told = Object.entries(values).map(([key, value]) => `${key} ${value.toPrecision(4)}`);
      tell(`  ${repetition + 1}/${repeat} ${contender.name}: ${told.join(', ')}`);
    }
  }
  return figures.map((figure) => ({
    figure,
    samples: Object.fromEntries(samples.get(figure.key)!),
  }));
}
