import type { Support } from '../contract/controls.ts';
import type { Ledger } from '../contract/ledger.ts';
import type { Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import { version } from '../observe/version.ts';
import type { Parts } from './parts.ts';
import { ledgerSize, type Running, statusOf } from './status.ts';

/** See {@link Support}; `house` is what a daemon has, null without one. */
export async function supportOf(
  parts: Parts,
  ledger: Ledger,
  running: Running | null,
  house: { readonly log: Log; readonly metrics: Metrics } | null,
): Promise<Support> {
  return {
    carrick: version,
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    status: await statusOf(parts, ledger, running),
    ledger: { ...(await ledger.desk.counts()), ...ledgerSize(parts.config) },
    metrics: (await house?.metrics.render()) ?? null,
    // A row's key may be what somebody is called by.
    events: (house?.log.recent() ?? []).map(({ key: _, ...line }) => line),
  };
}
