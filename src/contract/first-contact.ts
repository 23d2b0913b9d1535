import type { Value } from '../model/value.ts';

/** What `carrick plan` foresees for one entity when its systems meet for the first time. */
export interface EntityPlan {
  readonly entity: string;
  readonly systems: readonly RowsPlan[];
  /** Records with rows in two systems or more, by the match alternative that joined them. */
  readonly matched: readonly { readonly by: readonly string[]; readonly records: number }[];
  /** Of these, how many hold the same everywhere. */
  readonly alike: number;
  /** By system: records that only it has. */
  readonly only: Readonly<Record<string, number>>;
  /** Fields in which matched records are not the same everywhere. */
  readonly fields: readonly FieldPlan[];
  readonly writes: readonly WritesPlan[];
}

export interface RowsPlan {
  readonly system: string;
  readonly rows: number;
  /** Left out by `where`, or soft-deleted. */
  readonly outside: number;
  /** Rows that would be parked, by reason. */
  readonly parked: readonly {
    readonly reason: string;
    readonly rows: number;
    readonly samples: readonly { readonly key: string; readonly detail: string }[];
  }[];
}

export interface FieldPlan {
  readonly name: string;
  readonly pii: boolean;
  /** One system has a value and another has none: the value is taken. */
  readonly filled: number;
  readonly differ: number;
  /** Of those that differ: by the system whose value stands, `computed`, or `person`. */
  readonly winners: Readonly<Record<string, number>>;
  readonly samples: readonly {
    /** Row keys by system. */
    readonly keys: Readonly<Record<string, string>>;
    readonly values: Readonly<Record<string, Value>>;
    /** Null where a person has to decide. */
    readonly winner: string | null;
  }[];
}

export interface WritesPlan {
  readonly system: string;
  readonly inserts: number;
  readonly updates: number;
  readonly deletes: number;
  /** Updates by field. */
  readonly fields: Readonly<Record<string, number>>;
  /** Rows that would wait because what they refer to gets no row in the system. */
  readonly waiting: number;
  /** Inserts in whose way a row with the same match keys stands that is not the record's. */
  readonly blocked: number;
  /** Values that the system's columns cannot hold: the writes would be parked. */
  readonly unwritable: number;
}
