import type { LedgerCounts, Pause } from './ledger.ts';
import type { Operator, Status } from './operator.ts';

/** What a person can do to the daemon itself; answered in the same way as {@link Operator}. */
export interface Controls {
  /**
   * From now on nothing is delivered to the system of this name, or of the entity of this name
   * (null: to any system), across restarts. Logs go on being read, so the servers need not keep
   * them: what is decided meanwhile waits in the outbox, as one delivery per record and system. A
   * transaction that is on its way is finished. Returns everything that is paused then.
   */
  pause(name: string | null): Promise<readonly Pause[]>;
  /** Ends the pause of this name, or all of them. Returns what is still paused. */
  resume(name: string | null): Promise<readonly Pause[]>;
  /** Of the running daemon, until it is told otherwise or restarted; null only asks. */
  logLevel(level: LogLevel | null): Promise<LogLevel>;
  support(): Promise<Support>;
}

/** All that the API answers. */
export type Daemon = Operator & Controls;

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** For those who have to find out what is wrong; no secret, no row key and no value is in it. */
export interface Support {
  readonly carrick: string;
  readonly node: string;
  readonly platform: string;
  readonly status: Status;
  readonly ledger: LedgerCounts & {
    readonly bytes: number;
    readonly volume: { readonly bytes: number; readonly free: number };
  };
  /** As Prometheus would get them; null without a daemon. */
  readonly metrics: string | null;
  /** The last log lines of the running daemon, the oldest first. */
  readonly events: readonly Readonly<Record<string, unknown>>[];
}
