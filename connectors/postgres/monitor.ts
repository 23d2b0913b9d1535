import type { Pool } from 'pg';
import type { SourceStatus } from '../../src/contract/source.ts';
import type { Micros } from '../../src/model/value.ts';
import { parseLsn } from './lsn.ts';
import { queryRows } from './session.ts';

const POLL_MS = 10_000;

/** `restart_lsn` is what the server keeps; what it may still write is `safe_wal_size`. */
const STATUS_SQL = `
  select place.lsn as current, place.lsn - slot.restart_lsn as retained, slot.safe_wal_size as safe
  from pg_replication_slots slot, lateral (select
    case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end
  ) as place(lsn)
  where slot.slot_name = $1`;

interface StatusRow {
  readonly current: string;
  readonly retained: string | null;
  readonly safe: string | null;
}

/** What is known of the log's movement, without asking the server often. */
export interface Monitor {
  /** Something came from the server. */
  heard(): void;
  /** The server has read its log up to here for us. */
  received(lsn: bigint): void;
  /** Milliseconds since the last byte, or since {@link excuse}. */
  silentFor(): number;
  /** We are not listening: silence is not the server's. */
  excuse(): void;
  /** Asks the server, unless it was asked within the last ten seconds. */
  poll(): void;
  status(): SourceStatus;
}

export function createMonitor(pool: Pool, slot: string): Monitor {
  let heardAt: number | null = null;
  let waitingSince = Date.now();
  let received: bigint | null = null;
  let row: StatusRow | undefined;
  let polledAt = Number.NEGATIVE_INFINITY;

  const poll = async (): Promise<void> => {
    try {
      [row] = await queryRows<StatusRow>(pool, STATUS_SQL, [slot]);
    } catch {
      // Unknown is what the status then says; the log's own connection reports what is wrong.
      row = undefined;
    }
  };

  const lag = (): number | null => {
    if (row === undefined || received === null) return null;
    return Math.max(0, Number(parseLsn(row.current) - received));
  };

  return {
    heard() {
      heardAt = waitingSince = Date.now();
    },
    received(lsn) {
      if (received === null || lsn > received) received = lsn;
    },
    excuse() {
      waitingSince = Date.now();
    },
    silentFor: () => Date.now() - waitingSince,
    poll() {
      if (Date.now() - polledAt < POLL_MS) return;
      polledAt = Date.now();
      void poll();
    },
    status(): SourceStatus {
      const lastByteAt: Micros | null = heardAt === null ? null : heardAt * 1000;
      const retained = row?.retained == null ? null : Number(row.retained);
      const limit = row?.safe == null || retained === null ? null : retained + Number(row.safe);
      const lagBytes = lag();
      return {
        lastByteAt,
        lagBytes,
        retainedBytes: retained,
        retentionLimitBytes: limit,
        retentionLimitSeconds: null,
      };
    },
  };
}
