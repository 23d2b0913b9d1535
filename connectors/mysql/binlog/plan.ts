/** How to read the rows of one table, compiled from its TABLE_MAP once and kept while it lasts. */
import type { TableSchema, TableSpec } from '../../../src/model/change.ts';
import type { ColumnKind } from '../../../src/model/value.ts';
import type { Charsets } from './charset.ts';
import { type LogColumn, type TableMap, TYPE } from './table-map.ts';
import { type Read, reader, type Skip, skipper } from './values.ts';

/** A table of the specification, or the mark. */
export interface Followed {
  readonly spec: TableSpec;
  readonly mark: boolean;
  /** Kinds of its columns when the source was opened, by lower-case name: they must stay. */
  readonly kinds: ReadonlyMap<string, ColumnKind>;
  /** The kinds as of the last look, for types that the log cannot tell apart. */
  declared: ReadonlyMap<string, ColumnKind>;
  /** What the log leaves out under MINIMAL metadata, in the table's order. */
  catalog: CatalogColumn[];
  /** The column that tells rows from their history, where MariaDB keeps that: ROW END. */
  rowEnd: string | null;
  /** Why it does not fit its specification; empty while it does. */
  drift: string;
  /** True: its definition has changed since `declared` and `catalog` were read. */
  stale: boolean;
}

/** A column as information_schema has it. */
export interface CatalogColumn {
  readonly name: string;
  readonly unsigned: boolean;
  /** Null: binary, or no string at all. */
  readonly collation: number | null;
  /** Of ENUM and SET, in UTF-8. */
  readonly labels: readonly string[];
}

export interface Plan {
  /** Null: nobody reads its rows. They are counted and passed over. */
  readonly followed: Followed | null;
  /** By the table's columns: how to pass over one, how to read one, and its place in the cells. */
  readonly skips: readonly Skip[];
  readonly reads: readonly (Read | null)[];
  readonly keyReads: readonly (Read | null)[];
  readonly places: readonly number[];
  /** Places of the key columns. */
  readonly keys: readonly number[];
  /** Place of the ROW END in rows that are read, perhaps behind all cells; -1: no history. */
  readonly rowEnd: number;
  /** Places in the table of its JSON columns, for partial updates. */
  readonly json: readonly number[];
  readonly empty: readonly undefined[];
}

export const lower = (name: string): string => name.toLowerCase();

export function kindsOf(schema: TableSchema | undefined): Map<string, ColumnKind> {
  return new Map(schema?.columns.map(({ name, kind }) => [lower(name), kind]));
}

/** A plan, or why the table does not fit its specification. */
export function compilePlan(
  map: TableMap,
  followed: Followed | null,
  charsets: Charsets,
): Plan | string {
  const columns = map.columns;
  const skips = columns.map(skipper);
  const none = columns.map(() => null);
  const bare: Plan = {
    followed: null,
    skips,
    reads: none,
    keyReads: none,
    places: columns.map(() => -1),
    keys: [],
    rowEnd: -1,
    json: columns.flatMap(({ type }, i) => (type === TYPE.JSON ? [i] : [])),
    empty: [],
  };
  if (followed === null) return bare;
  if (
    columns.some(({ name }) => name === undefined) &&
    columns.length !== followed.catalog.length
  ) {
    return `its rows have ${columns.length} columns, it has ${followed.catalog.length}`;
  }
  const complete = columns.map((column, i) => completed(column, followed.catalog[i], charsets));
  const { spec } = followed;
  const reads: (Read | null)[] = [...none];
  const places = [...bare.places];
  for (const [place, name] of spec.columns.entries()) {
    const at = complete.findIndex((column) => lower(column.name!) === lower(name));
    const column = complete[at];
    if (column === undefined) return `column ${name} is gone`;
    const kind = kindInLog(column, charsets);
    const wanted = followed.kinds.get(lower(name)) ?? kind;
    if (!fits(column, kind, wanted, followed.declared.get(lower(name)) ?? wanted)) {
      return `column ${name} was of kind ${wanted} and is of kind ${kind}`;
    }
    reads[at] = reader(column, wanted, charsets);
    places[at] = place;
  }
  const end = complete.findIndex(({ name }) => lower(name!) === lower(followed.rowEnd ?? ''));
  if (end >= 0 && places[end] === -1) {
    reads[end] = reader(complete[end]!, kindInLog(complete[end]!, charsets), charsets);
    places[end] = spec.columns.length;
  }
  const rowEnd = places[end] ?? -1;
  const keys = spec.key.map((name) => spec.columns.indexOf(name));
  const tells = new Set([...keys, rowEnd]);
  const keyReads = reads.map((read, i) => (tells.has(places[i]!) ? read : null));
  return {
    ...bare,
    followed,
    reads,
    keyReads,
    places,
    keys,
    rowEnd,
    empty: spec.columns.map(() => undefined),
  };
}

function completed(
  column: LogColumn,
  known: CatalogColumn | undefined,
  charsets: Charsets,
): LogColumn {
  if (known === undefined) return column;
  const collation = column.collation ?? known.collation ?? undefined;
  const full: LogColumn = {
    ...column,
    name: column.name ?? known.name,
    unsigned: column.unsigned ?? known.unsigned,
  };
  if (collation !== undefined) full.collation = collation;
  if (full.labels === undefined && (full.type === TYPE.ENUM || full.type === TYPE.SET)) {
    // The catalog's labels are in UTF-8 whatever the column's character set is.
    full.collation = charsets.collationOf('utf8mb4');
    full.labels = known.labels.map((label) => Buffer.from(label));
  }
  return full;
}

const KINDS: Readonly<Record<number, ColumnKind>> = {
  [TYPE.TINY]: 'integer',
  [TYPE.SHORT]: 'integer',
  [TYPE.INT24]: 'integer',
  [TYPE.LONG]: 'integer',
  [TYPE.LONGLONG]: 'integer',
  [TYPE.YEAR]: 'integer',
  [TYPE.BIT]: 'integer',
  [TYPE.FLOAT]: 'float',
  [TYPE.DOUBLE]: 'float',
  [TYPE.NEWDECIMAL]: 'decimal',
  [TYPE.DATE]: 'date',
  [TYPE.TIME]: 'time',
  [TYPE.TIME2]: 'time',
  [TYPE.DATETIME]: 'datetime',
  [TYPE.DATETIME2]: 'datetime',
  [TYPE.TIMESTAMP]: 'timestamp',
  [TYPE.TIMESTAMP2]: 'timestamp',
  [TYPE.ENUM]: 'string',
  [TYPE.SET]: 'set',
  [TYPE.JSON]: 'json',
  [TYPE.GEOMETRY]: 'bytes',
  [TYPE.VECTOR]: 'bytes',
};

function kindInLog({ type, collation }: LogColumn, charsets: Charsets): ColumnKind {
  const known = KINDS[type];
  if (known !== undefined) return known;
  return collation === undefined || charsets.ofCollation(collation) === null ? 'bytes' : 'string';
}

/** MariaDB's JSON is a LONGTEXT in the log, its UUID and INET are BINARY. */
function fits(
  { type }: LogColumn,
  kind: ColumnKind,
  wanted: ColumnKind,
  declared: ColumnKind,
): boolean {
  if (kind === wanted) return true;
  if (declared !== wanted) return false;
  if (wanted === 'json') return kind === 'string';
  return (wanted === 'uuid' || wanted === 'other') && kind === 'bytes' && type === TYPE.STRING;
}
