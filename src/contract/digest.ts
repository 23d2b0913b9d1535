import type { TableSpec } from '../model/change.ts';
import type { Value } from '../model/value.ts';
import type { DigestField } from './entity.ts';

/**
 * The rows of `table` after the key `after` (null: from the start), at most `limit`, reduced inside
 * the database. The digest of a row is the MD5 of its `fields`, each as `length:text` in the
 * field's canonical spelling and `~` for NULL, one behind the other: rows of two systems have the
 * same digest only if their fields are the same. What has no sound spelling gets a text that no
 * other system gives, so that it looks different and is compared as a row.
 */
export interface DigestRequest {
  readonly table: TableSpec;
  readonly after: readonly Value[] | null;
  readonly limit: number;
  readonly fields: readonly DigestField[];
  /** There are 2^bits buckets, at most 2^16; a row's is given by its digest. */
  readonly bits: number;
  /** Null: the sums of all buckets. Else the rows in these. */
  readonly among: readonly number[] | null;
  /** No other system has this word; it marks what has no sound spelling. */
  readonly marker: string;
}

export interface Digest {
  /** Rows that were looked at. */
  readonly rows: number;
  /** Key of the last one, null when the table ended here. */
  readonly next: readonly Value[] | null;
  /** Buckets that are not empty; `sum` is decimal text: the digests' first 60 bits, added up. */
  readonly sums: readonly {
    readonly bucket: number;
    readonly rows: number;
    readonly sum: string;
  }[];
  readonly found: readonly { readonly key: readonly Value[]; readonly digest: string }[];
}
