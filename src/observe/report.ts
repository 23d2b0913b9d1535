import type { Outcome } from '../contract/applier.ts';
import type { JournalEntry, Parked } from '../contract/ledger.ts';
import type { Source } from '../contract/source.ts';
import type { SourceBatch } from '../model/change.ts';
import type { Position } from '../model/position.ts';
import type { Micros } from '../model/value.ts';

/** What the pipeline tells of itself; one call a batch, never one a row. */
export interface Report {
  /** A loop went round: alive means moving (invariant 11). */
  moved(system: string, side: 'source' | 'target'): void;
  retrying(
    system: string,
    side: 'source' | 'target',
    error: unknown,
    attempt: number,
    seconds: number,
  ): void;
  halted(system: string, side: 'source' | 'target', error: unknown): void;
  stopped(system: string, side: 'source' | 'target'): void;
  /** `progress`: how far a feed has read its tables; of a system the ledger knows. */
  following(
    system: string,
    position: Position,
    source: Source,
    loaded: boolean,
    progress?: ProgressTexts,
  ): void;
  decided(
    system: string,
    batch: SourceBatch,
    units: readonly UnitRows[],
    decided: DecidedRows,
    chunks: readonly ChunkRows[],
  ): void;
  /** The first load of the system is complete. */
  loaded(system: string): void;
  released(decided: DecidedRows): void;
  target(system: string, news: TargetNews): void;
}

export type TargetNews =
  /** `waiting`: a feed that goes on when a person lets it. */
  | { readonly kind: 'delivering' | 'idle' | 'waiting' }
  | FedNews
  | {
      readonly kind: 'applied';
      readonly batch: number;
      readonly rows: readonly AppliedRows[];
      readonly seconds: number;
    };

/** JSON by table name; see `capture/progress.ts`. */
export type ProgressTexts = Readonly<Record<string, string>>;

/** A feed has written what its source's log told, up to `position`. */
export interface FedNews {
  readonly kind: 'fed';
  readonly position: Position;
  readonly rows: readonly FedRows[];
  readonly chunks: readonly ChunkRows[];
  readonly progress: ProgressTexts;
  readonly seconds: number;
}

export interface FedRows {
  readonly entity: string;
  readonly operation: 'upsert' | 'delete';
  /** Commit time of their transaction, µs. */
  readonly since: Micros;
  readonly count: number;
}

/** Rows of a batch of which all but their number is the same. */
export interface AppliedRows {
  readonly entity: string;
  readonly operation: 'insert' | 'update' | 'delete';
  readonly origin: string;
  readonly since: Micros;
  readonly outcome: Outcome['kind'];
  count: number;
}

export interface UnitRows {
  readonly echo: unknown;
  /** `reading`: a snapshot chunk, not changes of the log. */
  readonly origin: 'log' | 'reading';
  readonly events: readonly {
    readonly entity: { readonly name: string };
    readonly cells: unknown;
  }[];
}

export interface DecidedRows {
  readonly journal: readonly JournalEntry[];
  readonly parked: readonly Parked[];
  readonly echoes: number;
}

export interface ChunkRows {
  readonly table: { readonly name: string };
  readonly rows: readonly unknown[];
  readonly rowsSoFar: number;
  /** About how many there are; null: unknown. */
  readonly estimate: number | null;
  readonly done: boolean;
}
