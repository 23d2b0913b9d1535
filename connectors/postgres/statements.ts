import type { TableWrite } from '../../src/contract/applier.ts';
import type { PostgresColumn } from './describe.ts';
import { quote, quotedTable } from './session.ts';
import { numbered, textArray } from './spelling.ts';

/** A write with what its table says of the columns, in the order of the write's own lists. */
export interface TypedWrite {
  readonly write: TableWrite;
  readonly key: readonly PostgresColumn[];
  readonly columns: readonly PostgresColumn[];
  readonly compare: readonly PostgresColumn[];
  readonly guards: readonly (readonly PostgresColumn[])[];
  /** Inserts only: the rows bring their keys. */
  readonly keyed: boolean;
}

/**
 * The statements for many rows at once. The rows come as `w`: one text array for each column,
 * cast in the statement, and `n`, the row's number from 1; see `numbered`.
 */
export interface Statements {
  /** Writes the rows that are as expected; returns `n` of those, or for inserts the new keys. */
  readonly apply: string;
  /**
   * Of an update: `apply` for each row of `moved`, a statement before it in the same `with`. No row
   * is written before one of `moved` is.
   */
  readonly behind: string;
  /** Of an update or delete that missed: `n` where there is nothing left to do. */
  readonly already: string;
  /** Of an insert: `n` where a row is in the way. */
  readonly taken: string;
  /** `n` of an insert's rows beside `shown` of each row in the way, which it locks. */
  readonly inTheWay: string;
}

export function compileStatements(
  typed: TypedWrite,
  shown: readonly PostgresColumn[] = [],
): Statements {
  const { write, key, columns, compare } = typed;
  const table = quotedTable(write.table);
  const rows = numbered(arrays(typed));
  const expected = [
    ...key.map((column, i) => sameKey(column, `w.k${i}`)),
    ...compare.map((column, i) => same(column, `w.e${i}`)),
  ].join(' and ');
  const found = key.map((column, i) => sameKey(column, `w.k${i}`)).join(' and ');
  const wanted = columns.map((column, i) => ` and ${same(column, `w.v${i}`)}`).join('');
  const values = columns.map((column, i) => `w.v${i}::${column.castType}`);
  switch (write.op) {
    case 'update': {
      const sets = columns.map(({ name }, i) => `${quote(name)} = ${values[i]}`).join(', ');
      const from = (sources: string): string =>
        `update ${table} as t set ${sets} from ${sources} where ${expected} returning w.n`;
      return {
        apply: from(rows),
        behind: from(`moved, ${rows}`),
        // Locked: what holds already has to hold until the mark that says so is committed.
        already: `select w.n from ${rows} join ${table} as t on ${found}${wanted} for share of t`,
        taken: '',
        inTheWay: '',
      };
    }
    case 'delete':
      return {
        apply: `delete from ${table} as t using ${rows} where ${expected} returning w.n`,
        behind: '',
        already: `select w.n from ${rows}
          where not exists (select from ${table} as t where ${found})`,
        taken: '',
        inTheWay: '',
      };
    case 'insert': {
      const conditions = inTheWay(typed);
      const cells = shown.map(({ name }) => `, t.${quote(name)}`).join('');
      const taken = conditions
        .map((condition) => `exists (select from ${table} as t where ${condition})`)
        .join(' or ');
      const free = taken === '' ? '' : `where not (${taken})`;
      const into = columns.map(({ name }) => quote(name)).join(', ');
      const keys = key.map(({ name }) => `t.${quote(name)}`).join(', ');
      return {
        // In the order of `n`, and so are the rows that come back.
        apply: `insert into ${table} as t (${into}) select ${values.join(', ')} from ${rows} ${free}
          order by w.n returning ${keys}`,
        behind: '',
        already: '',
        taken: taken === '' ? '' : `select w.n from ${rows} where ${taken}`,
        inTheWay: `select w.n${cells} from ${rows}
          join ${table} as t on ${conditions.map((one) => `(${one})`).join(' or ') || 'false'}
          for update of t`,
      };
    }
  }
}

/** One array for each of {@link arrays}. */
export function parametersOf(
  { key, keyed, columns, compare }: TypedWrite,
  rows: readonly TableWrite['rows'][number][],
): Buffer[] {
  const of = (some: readonly PostgresColumn[], list: 'key' | 'expect' | 'values'): Buffer[] =>
    some.map((column, i) => textArray(column, rows.length, (row) => rows[row]![list]?.[i] ?? null));
  return [...(keyed ? of(key, 'key') : []), ...of(compare, 'expect'), ...of(columns, 'values')];
}

function arrays({ key, keyed, columns, compare }: TypedWrite): string[] {
  return [
    ...(keyed ? key.map((_, i) => `k${i}`) : []),
    ...compare.map((_, i) => `e${i}`),
    ...columns.map((_, i) => `v${i}`),
  ];
}

/** For an insert: a row with the same key, or one that equals the new one in a guard's columns. */
function inTheWay({ key, keyed, columns, guards }: TypedWrite): string[] {
  const sameGuards = guards.map((guard) =>
    guard.map((column) => sameKey(column, `w.v${columns.indexOf(column)}`)).join(' and '),
  );
  if (!keyed) return sameGuards;
  const sameKeys = key.map(({ name, castType }, i) => `t.${quote(name)} = w.k${i}::${castType}`);
  return [sameKeys.join(' and '), ...sameGuards];
}

/** Equality that an index serves, and exactly the same text where equality is not exact. */
function sameKey(column: PostgresColumn, value: string): string {
  const equal = `t.${quote(column.name)} = ${value}::${column.castType}`;
  if (column.kind === 'string') return `${equal} and ${exactText(column)} = ${value}`;
  return column.kind === 'json' || column.kind === 'other' ? same(column, value) : equal;
}

/**
 * NULL equals NULL, and nothing else equals what it is not: a value that differs only in case
 * under citext, or an array in another order, would otherwise be overwritten unread (invariant 3).
 */
function same(column: PostgresColumn, value: string): string {
  const cell = `t.${quote(column.name)}`;
  const typed = `${value}::${column.castType}`;
  switch (column.kind) {
    case 'string':
      return `${exactText(column)} is not distinct from ${value}`;
    case 'json':
      return `${cell}::jsonb is not distinct from ${value}::jsonb`;
    case 'other':
      // format() spells as the log does; a cast to text does not (inet).
      return `case when ${cell} is null or ${value} is null
        then ${cell} is null and ${value} is null else format('%s', ${cell}) = ${value} end`;
    case 'set':
      return sameSet(`${cell}::text[] collate "C"`, `${value}::text[]`);
    default:
      return `${cell} is not distinct from ${typed}`;
  }
}

/** The same elements in any order; NULL elements and dimensions compare as arrays. */
function sameSet(a: string, b: string): string {
  return `(${a} is not distinct from ${b} or (${a} @> ${b} and ${a} <@ ${b}
    and array_ndims(${a}) is not distinct from array_ndims(${b})))`;
}

function exactText(column: PostgresColumn): string {
  return `t.${quote(column.name)}::text collate "C"`;
}
