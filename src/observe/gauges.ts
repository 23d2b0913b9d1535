import type { Ledger } from '../contract/ledger.ts';
import type { SystemStatus } from '../contract/operator.ts';
import { secondsLeft } from './loading.ts';
import type { SetGauge } from './metrics.ts';
import { type SystemNews, troubleIn } from './reporter.ts';
import { parseSnapshot } from './snapshots.ts';

const age = (micros: number): number => Math.max(0, Date.now() / 1000 - micros / 1e6);

/** The ledger's files, and the file system that they are on. */
export interface LedgerSize {
  readonly bytes: number;
  readonly volume: { readonly bytes: number; readonly free: number };
}

/** The gauges of every system, the outbox, the parked items and the ledger, at a scrape. */
export async function collectGauges(
  set: SetGauge,
  ledger: Ledger,
  news: ReadonlyMap<string, SystemNews>,
  { bytes, volume }: LedgerSize,
): Promise<void> {
  const counts = await ledger.desk.counts();
  for (const [system, one] of news) {
    const status = one.live?.status();
    const outbox = counts.outbox[system];
    set('carrick_source_up', { system }, up(one.source, ['following', 'snapshot']));
    set('carrick_target_up', { system }, up(one.target, ['idle', 'delivering', 'waiting']));
    set('carrick_replication_lag_seconds', { system }, one.lagSeconds ?? 0);
    set('carrick_outbox_entries', { system }, outbox?.depth ?? 0);
    const oldest = outbox?.oldest ?? null;
    set('carrick_outbox_oldest_age_seconds', { system }, oldest === null ? 0 : age(oldest));
    const known = [
      ['carrick_last_byte_age_seconds', status?.lastByteAt == null ? null : age(status.lastByteAt)],
      ['carrick_replication_lag_bytes', status?.lagBytes ?? null],
      ['carrick_retained_log_bytes', status?.retainedBytes ?? null],
      ['carrick_retention_limit_bytes', status?.retentionLimitBytes ?? null],
      ['carrick_retention_limit_seconds', status?.retentionLimitSeconds ?? null],
      ['carrick_clock_offset_seconds', one.clockOffsetSeconds],
    ] as const;
    for (const [name, value] of known) if (value !== null) set(name, { system }, value);
    loopGauges(set, system, one);
    const snapshots = snapshotsOf(system, ledger, one);
    for (const [table, progress] of Object.entries(snapshots)) {
      set('carrick_snapshot_done', { system, table }, parseSnapshot(progress).loaded ? 1 : 0);
    }
    for (const [table, loading] of one.loading) {
      const left = secondsLeft(loading);
      set('carrick_snapshot_read_rows', { system, table }, loading.rows);
      if (loading.estimatedRows !== null) {
        set('carrick_snapshot_estimated_rows', { system, table }, loading.estimatedRows);
      }
      if (left !== null) set('carrick_snapshot_left_seconds', { system, table }, left);
    }
  }
  for (const [system, reasons] of Object.entries(counts.parked)) {
    for (const [reason, count] of Object.entries(reasons)) {
      set('carrick_parked_items', { system, reason }, count);
    }
  }
  for (const [entity, count] of Object.entries(counts.records)) {
    set('carrick_records', { entity }, count);
    // A nought tells more than a missing series, and an alert sees the conflict begin.
    set('carrick_open_conflicts', { entity }, counts.openConflicts[entity] ?? 0);
  }
  for (const { kind, name, since } of ledger.head().paused) {
    const labels = { system: '', entity: '', [kind]: name };
    set('carrick_paused_seconds', labels, age(since));
  }
  set('carrick_ledger_bytes', {}, bytes);
  set('carrick_ledger_volume_bytes', {}, volume.bytes);
  set('carrick_ledger_volume_free_bytes', {}, volume.free);
}

function loopGauges(set: SetGauge, system: string, one: SystemNews): void {
  const since = (at: number): number => (Date.now() - at) / 1000;
  // Behind as far as it was when it was last read, and longer by what has passed since.
  set('carrick_position_age_seconds', { system }, (one.lagSeconds ?? 0) + since(one.sourceReadAt));
  for (const loop of ['source', 'target'] as const) {
    const why = one.troubles[loop];
    if (one[loop] === 'halted' && why !== null) {
      set('carrick_halted', { system, loop, code: why.code }, 1);
    } else if (one[loop] !== 'stopped') {
      const at = loop === 'source' ? one.sourceMovedAt : one.targetMovedAt;
      set('carrick_loop_age_seconds', { system, loop }, since(at));
    }
  }
}

function progressOf(text: string): { rows: number; done: boolean } {
  const { rows, done } = parseSnapshot(text);
  return { rows, done };
}

const snapshotsOf = (system: string, ledger: Ledger, one: SystemNews | null) =>
  one?.snapshots ?? ledger.head().positions[system]?.snapshots ?? {};

const up = (state: string, good: readonly string[]): number => (good.includes(state) ? 1 : 0);

/** One system for `carrick status`; without `one`, as the ledger alone knows it. */
export async function systemStatus(
  system: string,
  connector: string,
  ledger: Ledger,
  one: SystemNews | null,
): Promise<SystemStatus> {
  const { outbox } = await ledger.desk.counts();
  const state = ledger.head().positions[system];
  const status = one?.live?.status();
  const oldest = outbox[system]?.oldest ?? null;
  return {
    system,
    connector,
    source: one?.source ?? 'stopped',
    target: one?.target ?? 'stopped',
    position: state?.position ?? one?.position ?? null,
    lagSeconds: one?.lagSeconds ?? null,
    lagBytes: status?.lagBytes ?? null,
    lastByteAgeSeconds: status?.lastByteAt == null ? null : age(status.lastByteAt),
    outboxDepth: outbox[system]?.depth ?? 0,
    outboxOldestSeconds: oldest === null ? null : age(oldest),
    trouble: one === null ? null : troubleIn(one),
    snapshots: Object.entries(snapshotsOf(system, ledger, one)).map(([table, text]) => {
      const loading = one?.loading.get(table);
      return {
        table,
        ...progressOf(text),
        estimatedRows: loading?.estimatedRows ?? null,
        rowsPerSecond: loading?.rowsPerSecond ?? null,
        secondsLeft: loading === undefined ? null : secondsLeft(loading),
      };
    }),
  };
}
