import { statfsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Config } from '../config/load.ts';
import type { Ledger } from '../contract/ledger.ts';
import type { ReloadStatus, Status } from '../contract/operator.ts';
import { type LedgerSize, systemStatus } from '../observe/gauges.ts';
import type { Reporter } from '../observe/reporter.ts';
import { loopsOf, type Parts } from './parts.ts';

/** What a running daemon knows besides its ledger. */
export interface Running {
  readonly reporter: Reporter;
  readonly upSeconds: number;
  readonly reload: ReloadStatus;
}

export async function statusOf(
  parts: Parts,
  ledger: Ledger,
  running: Running | null,
): Promise<Status> {
  const { config } = parts;
  const counts = await ledger.desk.counts();
  const news = running?.reporter.news;
  const connectors = new Map([...config.systems].map(([name, one]) => [name, one.connector]));
  const systems = loopsOf(parts).map((name) =>
    systemStatus(name, connectors.get(name) ?? 'feed', ledger, news?.get(name) ?? null),
  );
  return {
    instance: config.instance,
    uptimeSeconds: running?.upSeconds ?? null,
    reload: running?.reload ?? null,
    paused: ledger.head().paused,
    systems: await Promise.all(systems),
    records: counts.records,
    openConflicts: Object.values(counts.openConflicts).reduce((a, b) => a + b, 0),
    parked: sumOf(Object.values(counts.parked)),
  };
}

function sumOf(counts: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const [name, count] of counts.flatMap((one) => Object.entries(one))) {
    sums[name] = (sums[name] ?? 0) + count;
  }
  return sums;
}

export function ledgerSize({ ledger: { path } }: Config): LedgerSize {
  const bytes = [path, `${path}-wal`].reduce(
    (sum, file) => sum + (statSync(file, { throwIfNoEntry: false })?.size ?? 0),
    0,
  );
  const { bsize, blocks, bavail } = statfsSync(dirname(path));
  return { bytes, volume: { bytes: blocks * bsize, free: bavail * bsize } };
}
