import type { TableSchema, TableSpec } from '../model/change.ts';
import type { Applier } from './applier.ts';
import type { Copier, CopyTable } from './copier.ts';
import type { OptionProblem } from './options.ts';
import type { Source } from './source.ts';

/** One kind of system. Stateless; each directory under `connectors/` exports one as `connector`. */
export interface Connector {
  readonly type: string;
  /**
   * Parses the system's part of the configuration (everything beside `connector`). Returns the
   * parsed options or what is wrong, with the path of the offending key.
   */
  parse(options: unknown): ParsedOptions;
  /** JSON Schema of the options, for editor completion. */
  readonly optionsSchema: object;
  connect(options: unknown, context: ConnectorContext): System;
}

export type ParsedOptions =
  | { readonly ok: true; readonly options: unknown }
  | {
      readonly ok: false;
      readonly problems: readonly OptionProblem[];
    };

export interface ConnectorContext {
  /** The system's name in the configuration. */
  readonly system: string;
  /**
   * Names this installation in marks; slot and publication are called `carrick_<instance>`.
   * From the configuration, default `main`; `[a-z0-9_]{1,40}`.
   */
  readonly instance: string;
  /** A folder that is there, for files without a name; undefined: there is none. */
  readonly scratch?: string;
}

/** One system, reached through its connector. Opening anything connects lazily. */
export interface System extends AsyncDisposable {
  /** Columns of the named tables; a table that does not exist is missing from the result. */
  describe(tables: readonly string[]): Promise<TableSchema[]>;
  /** What stands in the way of running; never changes anything. */
  preflight(needs: Needs): Promise<Finding[]>;
  /** The statements that make the system ready, each idempotent; grants as comments and SQL. */
  setupScript(needs: Needs): string[];
  /** Creates what is missing: mark table, publication, slot. Idempotent. Returns what it did. */
  setup(needs: Needs): Promise<string[]>;
  source(tables: readonly TableSpec[]): Promise<Source>;
  applier(): Promise<Applier>;
  /** Absent: the system cannot be the target of a feed. */
  copier?(feed: string): Promise<Copier>;
  /** The system's clock minus ours, µs, halved round trip; for the clock-skew check. */
  clockOffset(): Promise<number>;
}

export interface Needs {
  readonly tables: readonly (TableSpec & { readonly written: boolean })[];
  /** What feeds write here: it needs `carrick_feed`, privileges, a unique index on each key. */
  readonly copies?: readonly CopyTable[];
}

/** `problem`: found wrong. `unknown`: could not be checked. `note`: fine, but worth knowing. */
export interface Finding {
  readonly outcome: 'problem' | 'unknown' | 'note';
  /** Stable, dotted: `postgres.wal_level`. */
  readonly check: string;
  readonly message: string;
  readonly fix: string;
}
