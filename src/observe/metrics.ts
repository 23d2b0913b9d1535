import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

type Kind = 'counter' | 'gauge' | 'histogram';

interface Metric {
  readonly kind: Kind;
  readonly help: string;
  readonly labels: readonly string[];
  /** Upper bounds, seconds. */
  readonly buckets?: readonly number[];
}

/**
 * Every metric of Carrick: the registry, the recorder's types and the README's table come from
 * here. Base units (seconds, bytes); every label has a bounded set of values, never a row's key,
 * a field's value or an error's text. The process metrics of prom-client are exported besides.
 */
export const METRICS = {
  carrick_captured_rows_total: {
    kind: 'counter',
    help: 'Row changes read from a system, our own echoes left out.',
    labels: ['system', 'entity', 'operation'],
  },
  carrick_applied_rows_total: {
    kind: 'counter',
    help: 'Rows written to a system.',
    labels: ['system', 'entity', 'operation'],
  },
  carrick_replication_lag_seconds: {
    kind: 'gauge',
    help: 'Age of the last change read, as of when it was read; near 0 while idle.',
    labels: ['system'],
  },
  carrick_replication_lag_bytes: {
    kind: 'gauge',
    help: 'Log between what was read and its end, where the server can say.',
    labels: ['system'],
  },
  carrick_last_byte_age_seconds: {
    kind: 'gauge',
    help: 'Time since the server last sent anything, heartbeats included.',
    labels: ['system'],
  },
  carrick_commit_to_applied_seconds: {
    kind: 'histogram',
    help: 'From the commit in the source to the commit of our write in the target.',
    labels: ['source', 'target'],
    buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600],
  },
  carrick_outbox_entries: {
    kind: 'gauge',
    help: 'Deliveries decided and not yet confirmed.',
    labels: ['system'],
  },
  carrick_outbox_oldest_age_seconds: {
    kind: 'gauge',
    help: 'Age of the oldest of them; 0 when there is none.',
    labels: ['system'],
  },
  carrick_conflicts_total: {
    kind: 'counter',
    help: 'Conflicts by the kind of policy that decided and the system that won, or `none`.',
    labels: ['entity', 'policy', 'winner'],
  },
  carrick_open_conflicts: {
    kind: 'gauge',
    help: 'Conflicts that wait for a person.',
    labels: ['entity'],
  },
  carrick_echoes_total: {
    kind: 'counter',
    help: 'Our own writes seen again in the log of the system that they went to.',
    labels: ['system'],
  },
  carrick_diverged_total: {
    kind: 'counter',
    help: 'Writes left undone because the row held what had not been read yet.',
    labels: ['system'],
  },
  carrick_parked_total: {
    kind: 'counter',
    help: 'Items parked, by reason code.',
    labels: ['system', 'entity', 'reason'],
  },
  carrick_parked_items: {
    kind: 'gauge',
    help: 'Items that are parked now.',
    labels: ['system', 'reason'],
  },
  carrick_ledger_commit_seconds: {
    kind: 'histogram',
    help: 'Time of a sync of the ledger to disk.',
    labels: [],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
  },
  carrick_ledger_bytes: { kind: 'gauge', help: 'Size of the ledger on disk.', labels: [] },
  carrick_ledger_used_bytes: {
    kind: 'gauge',
    help: 'What the content of the ledger takes; the file keeps what is free again.',
    labels: [],
  },
  carrick_ledger_limit_bytes: {
    kind: 'gauge',
    help: 'What it may take by `ledger_limit`; no series without one.',
    labels: [],
  },
  carrick_journal_removed_total: {
    kind: 'counter',
    help: 'Settled journal entries that were removed, by `age` or for the `limit`.',
    labels: ['cause'],
  },
  carrick_ledger_volume_bytes: {
    kind: 'gauge',
    help: 'Size of the file system that the ledger is on.',
    labels: [],
  },
  carrick_ledger_volume_free_bytes: {
    kind: 'gauge',
    help: 'What is free of it, for Carrick.',
    labels: [],
  },
  carrick_records: { kind: 'gauge', help: 'Records in the ledger.', labels: ['entity'] },
  carrick_source_up: {
    kind: 'gauge',
    help: '1 while the log of the system is being followed.',
    labels: ['system'],
  },
  carrick_target_up: {
    kind: 'gauge',
    help: '1 while the system takes writes.',
    labels: ['system'],
  },
  carrick_halted: {
    kind: 'gauge',
    help: '1 while a loop (`source` or `target`) has given up and needs a person, by error code.',
    labels: ['system', 'loop', 'code'],
  },
  carrick_loop_age_seconds: {
    kind: 'gauge',
    help: 'Time since a loop (`source` or `target`) last went round.',
    labels: ['system', 'loop'],
  },
  carrick_source_reconnects_total: {
    kind: 'counter',
    help: 'Times that a source had to be opened again, by error code.',
    labels: ['system', 'code'],
  },
  carrick_retained_log_bytes: {
    kind: 'gauge',
    help: 'Log that the server keeps for us.',
    labels: ['system'],
  },
  carrick_retention_limit_bytes: {
    kind: 'gauge',
    help: 'Retained log at which the server gives it up, and our position with it.',
    labels: ['system'],
  },
  carrick_position_age_seconds: {
    kind: 'gauge',
    help: 'How old the place is from which the log has to be there; near 0 while it is followed.',
    labels: ['system'],
  },
  carrick_retention_limit_seconds: {
    kind: 'gauge',
    help: 'Age at which the server purges its log, read or not.',
    labels: ['system'],
  },
  carrick_snapshot_rows_total: {
    kind: 'counter',
    help: 'Rows read by snapshots.',
    labels: ['system', 'entity'],
  },
  carrick_snapshot_estimated_rows: {
    kind: 'gauge',
    help: 'Rows of a table that is being read, by the statistics of its server.',
    labels: ['system', 'table'],
  },
  carrick_snapshot_read_rows: {
    kind: 'gauge',
    help: 'Rows of it that were read by now.',
    labels: ['system', 'table'],
  },
  carrick_snapshot_left_seconds: {
    kind: 'gauge',
    help: 'Time until it is read, at the rate of the last half minute.',
    labels: ['system', 'table'],
  },
  carrick_snapshot_done: {
    kind: 'gauge',
    help: '1 when the first load of the table is complete.',
    labels: ['system', 'table'],
  },
  carrick_clock_offset_seconds: {
    kind: 'gauge',
    help: "The system's clock minus ours.",
    labels: ['system'],
  },
  carrick_paused_seconds: {
    kind: 'gauge',
    help: 'For how long a system or an entity has been paused; no series while it is not.',
    labels: ['system', 'entity'],
  },
  carrick_reloads_total: {
    kind: 'counter',
    help: 'Configurations read anew: `applied`, or `refused` as a whole.',
    labels: ['outcome'],
  },
  carrick_reload_refused: {
    kind: 'gauge',
    help: '1 while the files say something else than what runs, because it was refused.',
    labels: [],
  },
  carrick_verified_rows_total: {
    kind: 'counter',
    help: 'Rows that background verification has compared.',
    labels: ['entity'],
  },
  carrick_verify_differences: {
    kind: 'gauge',
    help: 'Differences that the last full pass of background verification found.',
    labels: ['entity'],
  },
  carrick_verify_age_seconds: {
    kind: 'gauge',
    help: 'Time since background verification last ended a pass; since the start while none has.',
    labels: [],
  },
  carrick_verify_seconds: {
    kind: 'gauge',
    help: 'How long the last full pass of background verification took.',
    labels: [],
  },
  carrick_build_info: { kind: 'gauge', help: 'Always 1.', labels: ['version'] },
} as const satisfies Record<string, Metric>;

type Table = typeof METRICS;
type Named<K extends Kind> = {
  [N in keyof Table]: Table[N]['kind'] extends K ? N : never;
}[keyof Table];
type Labels<N extends keyof Table> = Readonly<Record<Table[N]['labels'][number], string>>;

export type SetGauge = <N extends Named<'gauge'>>(
  name: N,
  labels: Labels<N>,
  value: number,
) => void;

/** Counters and histograms are recorded as things happen, gauges collected when asked for. */
export interface Metrics {
  /** Once a batch with its count, not once a row; a 0 makes the series known. */
  add<N extends Named<'counter'>>(name: N, labels: Labels<N>, count: number): void;
  observe<N extends Named<'histogram'>>(name: N, labels: Labels<N>, seconds: number): void;
  /**
   * `collect` runs at every scrape and sets every gauge anew: a gauge that it leaves out is not
   * exported, so nothing stale stays behind. When it throws the scrape fails, which alarms.
   */
  onScrape(collect: (set: SetGauge) => Promise<void>): void;
  /** Prometheus text format 0.0.4. */
  render(): Promise<string>;
  readonly contentType: string;
}

export function createMetrics(version: string): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const counters = new Map<string, Counter>();
  const gauges = new Map<string, Gauge>();
  const histograms = new Map<string, Histogram>();
  for (const [name, metric] of Object.entries<Metric>(METRICS)) {
    const { kind, help, labels } = metric;
    const options = { name, help, labelNames: labels, registers: [registry] };
    if (kind === 'counter') counters.set(name, new Counter(options));
    else if (kind === 'gauge') gauges.set(name, new Gauge(options));
    else histograms.set(name, new Histogram({ ...options, buckets: [...(metric.buckets ?? [])] }));
  }
  const collectors: ((set: SetGauge) => Promise<void>)[] = [];

  return {
    add(name, labels, count) {
      counters.get(name)?.inc(labels, count);
    },
    observe(name, labels, seconds) {
      histograms.get(name)?.observe(labels, Math.max(0, seconds));
    },
    onScrape(collect) {
      collectors.push(collect);
    },
    async render() {
      const found: [name: string, labels: Readonly<Record<string, string>>, value: number][] = [];
      const set: SetGauge = (name, labels, value) => found.push([name, labels, value]);
      set('carrick_build_info', { version }, 1);
      await Promise.all(collectors.map((collect) => collect(set)));
      // Replaced in one turn, so that two scrapes at once both see whole sets.
      for (const [name, gauge] of gauges) {
        // Without labels a reset would leave a 0 behind.
        if (METRICS[name as keyof Table].labels.length === 0) gauge.remove();
        else gauge.reset();
      }
      for (const [name, labels, value] of found) gauges.get(name)?.set(labels, value);
      return registry.metrics();
    },
    contentType: registry.contentType,
  };
}

const POLICY_KINDS = new Set([
  'last_writer',
  'first_writer',
  'max',
  'min',
  'sum_of_deltas',
  'union',
  'park',
  'update_wins',
  'delete_wins',
  'held',
  'flipping',
  'undecided',
]);

/** The label for a policy as the journal writes it: a rule's text would have no bound. */
export function policyKind(written: string): string {
  if (written.startsWith('repair, ')) return 'repair';
  if (written === 'prefer' || written.startsWith('prefer:')) return 'prefer';
  return POLICY_KINDS.has(written) ? written : 'rule';
}

/** The README's table of metrics, in Markdown. */
export function metricsTable(): string {
  const rows = Object.entries<Metric>(METRICS).map(([name, { kind, help, labels }]) => {
    const names = labels.map((label) => `\`${label}\``).join(' ');
    return `| \`${name}\` | ${kind} | ${names} | ${help} |`;
  });
  return ['| metric | type | labels | meaning |', '| --- | --- | --- | --- |', ...rows].join('\n');
}
