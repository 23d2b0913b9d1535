import type { DeleteConflict } from '../contract/entity.ts';
import type { Detail, Path } from './report.ts';

/**
 * A mapping file that has the right form, as the reader of files hands it in; `P` is what the
 * reader makes of a mistake. The form itself (which keys, which are optional) is checked there.
 */
export interface Mapping<P> {
  readonly value: MappingValue;
  readonly yaml: {
    readonly file: string;
    problem(path: Path, message: string, detail?: Detail): P;
  };
}

export interface MappingValue {
  readonly entity: string;
  readonly feed?: string | undefined;
  readonly match: readonly (readonly string[])[];
  readonly fields: Readonly<Record<string, string | FieldValue>>;
  readonly groups?: Readonly<Record<string, readonly string[]>> | undefined;
  readonly systems: Readonly<Record<string, SystemValue>>;
  readonly conflicts?: readonly ConflictValue[] | undefined;
  readonly skew_tolerance?: string | undefined;
  readonly first_contact?: PolicyValue | readonly PolicyValue[] | undefined;
  readonly flood?:
    | {
        readonly share?: string | number | undefined;
        readonly at_least?: string | number | undefined;
        readonly within?: string | undefined;
      }
    | undefined;
}

export type Constant = string | number | boolean | null;

export interface FieldValue {
  readonly type?: string | undefined;
  readonly values?: readonly Exclude<Constant, null>[] | undefined;
  readonly ref?: string | undefined;
  readonly required?: boolean | undefined;
  readonly pii?: boolean | undefined;
}

export interface SystemValue {
  readonly table: string;
  readonly key: string | readonly string[];
  readonly where?: string | undefined;
  readonly fields: Readonly<Record<string, string | SystemFieldValue>>;
  readonly delete?:
    | 'propagate'
    | 'unlink'
    | 'ignore'
    | { readonly soft: Readonly<Record<string, Constant>> }
    | undefined;
  readonly on_insert?: Readonly<Record<string, Constant>> | undefined;
  readonly written_at?:
    | string
    | { readonly column: string; readonly zone?: string | undefined }
    | undefined;
}

export type CleanStep =
  | 'nfc'
  | 'lower'
  | 'upper'
  | 'digits'
  | 'collapse_spaces'
  | 'trim'
  | 'empty_to_null'
  | 'zero_date_to_null'
  | 'round';

/** Either a column, or CEL both ways. */
export interface SystemFieldValue {
  readonly column?: string | undefined;
  readonly clean?: readonly CleanStep[] | undefined;
  /** Code: value. Of several codes of one value the first is written. */
  readonly values?: Readonly<Record<string, Exclude<Constant, null>>> | undefined;
  readonly zone?: string | undefined;
  readonly get?: string | undefined;
  readonly set?: Readonly<Record<string, string>> | undefined;
  readonly direction?: 'in' | 'out' | 'both' | undefined;
  readonly privacy?: PrivacyValue | undefined;
}

/** What is written in place of the value; see `privacy.ts`. */
export type PrivacyValue =
  | 'hash'
  | 'drop'
  | { readonly mask: string | number }
  | { readonly redact: string };

export type PolicyWord =
  | 'last_writer'
  | 'first_writer'
  | 'max'
  | 'min'
  | 'sum_of_deltas'
  | 'union'
  | 'park';

export type PolicyEntry = { readonly [W in PolicyWord]?: true | undefined } & {
  readonly prefer?: string | undefined;
  readonly when?: string | undefined;
  readonly take?: string | undefined;
  readonly value?: string | undefined;
};

export type PolicyValue = PolicyWord | PolicyEntry;

export type ConflictValue =
  | PolicyWord
  | (PolicyEntry & {
      readonly fields?: readonly string[] | undefined;
      readonly delete?: DeleteConflict | undefined;
    });
