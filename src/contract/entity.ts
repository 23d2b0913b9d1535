import type { TableSpec } from '../model/change.ts';
import type { Cell, Micros, Value } from '../model/value.ts';

/**
 * A compiled mapping: what the stages know of one entity. Pure data and pure functions; made by
 * `normalize` from a mapping file, used by `reconcile` and `deliver`.
 */
export interface Entity {
  readonly name: string;
  /** A field's index here is its ordinal in values, stamps and views. */
  readonly fields: readonly Field[];
  /** Match alternatives in order, each a list of field ordinals. */
  readonly match: readonly (readonly number[])[];
  /** What is settled as a whole: each field is in exactly one unit. */
  readonly units: readonly Unit[];
  /** `units` index by field ordinal. */
  readonly unitOf: readonly number[];
  readonly lenses: ReadonlyMap<string, Lens>;
  readonly deleteConflict: DeleteConflict;
  /** The chain for fields that differ when rows meet for the first time. */
  readonly firstContact: readonly Policy[];
  /** Deletes of this entity beyond `share` of its records within `within` are held. */
  readonly flood: { readonly share: number; readonly atLeast: number; readonly within: Micros };
  /** Only one system writes it, the others hold copies; absent: all do. */
  readonly feed?: FeedRule;
}

/**
 * A feed keeps no record and no link: its rows are told apart by the fields of the one match
 * alternative, which are the key of the source and plain columns of every target.
 */
export interface FeedRule {
  readonly from: string;
  /** By system: lenses of these fields alone, for images that have nothing but the key. */
  readonly keys: ReadonlyMap<string, Lens>;
  /**
   * By target, where every column comes from one column and every row counts: what an image leaves
   * out is then unchanged in the target too.
   */
  readonly straight: ReadonlyMap<string, Straight>;
}

/**
 * A row of the source, in the order of its lens's columns, as one of a target; `undefined` where
 * the image or the mapping has nothing for a column.
 */
export type Straight = (image: readonly Cell[]) => {
  readonly cells: Cell[];
  readonly faults: readonly Fault[] | null;
};

export type FieldKind =
  | 'string'
  | 'boolean'
  | 'integer'
  | 'decimal'
  | 'float'
  | 'date'
  | 'time'
  | 'datetime'
  | 'timestamp'
  | 'uuid'
  | 'json'
  | 'bytes'
  | 'set'
  | 'enum'
  | 'ref';

export interface Field {
  readonly name: string;
  readonly kind: FieldKind;
  readonly required: boolean;
  /** Personal: sealed in the ledger, masked wherever values are shown. */
  readonly pii: boolean;
  /** decimal: fraction digits. */
  readonly scale: number;
  /** ref: the entity referred to; else null. */
  readonly ref: string | null;
}

/** A single field, or a declared field group. */
export interface Unit {
  /** The group's or the field's name. */
  readonly name: string;
  readonly fields: readonly number[];
  /** The first policy that decides wins; when none does the unit is parked. */
  readonly chain: readonly Policy[];
}

export type DeleteConflict = 'update_wins' | 'delete_wins' | 'last_writer' | 'park';

export type Policy =
  | { readonly kind: 'last_writer'; readonly tolerance: Micros }
  | { readonly kind: 'first_writer'; readonly tolerance: Micros }
  | { readonly kind: 'prefer'; readonly system: string }
  | {
      readonly kind: 'rule';
      /** The rule as written, for the journal. */
      readonly text: string;
      readonly when: (sides: Sides) => boolean;
      readonly take: { readonly system: string } | { readonly value: (sides: Sides) => Value };
    }
  | { readonly kind: 'max' | 'min' | 'sum_of_deltas' | 'union' | 'park' };

/**
 * What a rule sees: what each system says, and the record's values. For the unit in question that
 * is the side of the conflict that the system wrote, whether or not it has a row any more; besides,
 * what its row holds. A system without a row says nothing else: null.
 */
export interface Sides {
  readonly record: readonly Value[];
  readonly systems: Readonly<Record<string, readonly Cell[]>>;
}

/** A field that is one column, read and written as it is. */
export interface DigestField {
  readonly column: string;
  readonly kind: FieldKind;
  /** decimal: fraction digits. */
  readonly scale: number;
  /** Values by their codes in the column; null: it holds the values themselves. */
  readonly codes: ReadonlyMap<string, string> | null;
  /** What is done to the column's text when it is read: a value that it would change is marked. */
  readonly clean: readonly ('trim' | 'lower' | 'upper')[];
}

/**
 * How the rows of one system and the records of one entity correspond. For every row that `read`
 * accepts, writing what was read changes nothing that matters: read(write(read(row))) = read(row).
 */
export interface Lens {
  readonly system: string;
  readonly table: TableSpec;
  /** By field ordinal: this system tells us the field. */
  readonly reads: readonly boolean[];
  /** By field ordinal: we write the field to this system. */
  readonly writes: readonly boolean[];
  /** By field ordinal: indexes into `table.columns` that writing the field sets. */
  readonly columnsOf: readonly (readonly number[])[];
  /** By index into `table.columns`: the column tells a personal field, or is told by one. */
  readonly personal: readonly boolean[];
  /** What a delete in this system means, and how a delete is done in it. */
  readonly deletion: Deletion;
  /** Columns that an insert of ours sets besides the fields. */
  readonly onInsert: readonly { readonly column: number; readonly value: Value }[];
  /**
   * By field ordinal: what a digest of the row needs to know, where every field is one column that
   * is read and written; else why there can be none, in words for people.
   */
  readonly digest: readonly DigestField[] | { readonly never: string };
  /** Insert guards: for each match alternative that is plain columns, their column indexes. */
  readonly guards: readonly (readonly number[])[];
  /**
   * Reads a row. `held(i)` gives the content of column i when the image left it out; when that is
   * `undefined` too, the fields that need it come out `undefined`. Fields of kind `ref` come out as
   * the key text of the row referred to; the caller translates them through links.
   */
  read(row: readonly Cell[], held: (column: number) => Cell): Read;
  /**
   * The column contents that stand for `values`, by index into `table.columns`; `undefined` for
   * columns that no written field sets. `ref` fields must be given as the target's row key text.
   */
  write(values: readonly Cell[]): Cell[];
  /** Whether a row with these cells passes `where`; true where its columns are not all known. */
  admits(cells: readonly Cell[]): boolean;
}

export type Deletion =
  | { readonly kind: 'propagate' }
  | { readonly kind: 'unlink' }
  | { readonly kind: 'ignore' }
  | {
      readonly kind: 'soft';
      readonly column: number;
      readonly value: Value;
      /** What a row has there that is not deleted; `undefined`: not known. */
      readonly alive?: Value;
    };

export type Read =
  | {
      readonly kind: 'row';
      /** By field ordinal; `undefined`: not told by this system, or left out of the image. */
      readonly values: Cell[];
      /** See `SystemView.raw`; null when `write(values)` gives back all columns that were read. */
      readonly raw: Record<string, Value> | null;
      /** The declared writing time of the row (`written_at`), µs; null when none is declared. */
      readonly writtenAt: Micros | null;
    }
  /** `where` says that the row is not one of ours. */
  | { readonly kind: 'outside' }
  /** The soft-delete column says that the row is gone. */
  | { readonly kind: 'deleted' }
  | {
      readonly kind: 'invalid';
      readonly faults: readonly Fault[];
      /** As of a row, but `undefined` where something is wrong. */
      readonly values: Cell[];
      readonly raw: Record<string, Value> | null;
    };

/** What is wrong with a row, without its values: `email: longer than 80 characters`. */
export interface Fault {
  /** Field or column name. */
  readonly place: string;
  readonly message: string;
}
