import type { Digest, DigestRequest } from '../../src/contract/digest.ts';
import type { Chunk, ChunkRequest } from '../../src/contract/source.ts';
import { halt } from '../../src/errors.ts';
import type { TableSpec } from '../../src/model/change.ts';
import { rowKey, type Value } from '../../src/model/value.ts';
import type { MysqlOptions } from './config.ts';
import { describeTables, type MysqlTable, quoteTable } from './describe.ts';
import { readDigest } from './digest.ts';
import { asCarrickError } from './errors.ts';
import { ORDER_FIX, orderFaults } from './key-order.ts';
import { keyEquals, keyRange, ordering } from './keyset.ts';
import { type LazySession, lazySession, type Session, type TextRow } from './session.ts';
import { canonical, literal, type MysqlColumn, quoteName, selected } from './types.ts';

/** Reads keyset chunks, each on a connection of its own while it is read. */
export interface TableReader extends AsyncDisposable {
  /** See `Source.read`: one autocommitted SELECT, so its rows are of one moment. */
  read(request: ChunkRequest): Promise<Chunk>;
  estimate(table: TableSpec): Promise<number | null>;
  /** See `Source.digest`. */
  digest(request: DigestRequest): Promise<Digest | null>;
}

export function tableReader(options: MysqlOptions): TableReader {
  const all: LazySession[] = [];
  const idle: LazySession[] = [];
  const known = new Map<string, MysqlTable>();
  const onSession = async <T>(work: (session: Session, lazy: LazySession) => Promise<T>) => {
    const lazy = idle.pop() ?? lazySession(options);
    if (!all.includes(lazy)) all.push(lazy);
    try {
      return await work(await lazy.get(), lazy);
    } catch (error) {
      await lazy.reset();
      throw asCarrickError(error, 'source');
    } finally {
      idle.push(lazy);
    }
  };
  return {
    read: (request) =>
      onSession(async (session, lazy) => {
        const { name } = request.table;
        // Described anew when its reading starts: columns may have changed since the last time.
        const table =
          (request.after === null ? undefined : known.get(name)) ??
          (await existing(session, options.database, request.table));
        known.set(name, table);
        const chunk = await readChunk(session, options.database, table, request);
        if (chunk.cut) await lazy.reset();
        return chunk;
      }),
    estimate: ({ name }) =>
      onSession(async (session) => {
        const [row] = await session.rows(
          `EXPLAIN FORMAT = JSON SELECT 1 FROM ${quoteTable(name, options.database)}`,
        );
        const rows = EXPLAINED_ROWS.exec(row?.[0] ?? '')?.[1];
        return rows === undefined ? null : Math.round(Number(rows));
      }),
    async [Symbol.asyncDispose]() {
      for (const lazy of all) await lazy[Symbol.asyncDispose]();
    },
    digest: (request) =>
      onSession(async (session) => {
        const table = await existing(session, options.database, request.table);
        return readDigest(session, options.database, table, request);
      }),
  };
}

/** MariaDB, MySQL with `explain_json_format_version` 1, and 2. */
const EXPLAINED_ROWS = /"(?:rows|rows_examined_per_scan|estimated_rows)": ([\d.]+)/;

async function existing(session: Session, database: string, spec: TableSpec): Promise<MysqlTable> {
  const { name } = spec;
  const [table] = await describeTables(session, database, [name]);
  const [fault] = table === undefined ? [] : orderFaults(spec, table);
  if (fault !== undefined) throw halt('source.unordered', fault, ORDER_FIX);
  if (table !== undefined) return table;
  throw halt(
    'source.refused',
    `table ${name} does not exist, or this account may not read it`,
    'Correct the table in the mapping, or grant SELECT on it.',
  );
}

async function readChunk(
  session: Session,
  database: string,
  table: MysqlTable,
  request: ChunkRequest,
): Promise<Chunk> {
  const columns = columnsOf(table, request.table.columns);
  const key = columnsOf(table, request.table.key);
  const list = columns.map(selected).join(', ');
  const from = `SELECT ${list} FROM ${quoteTable(table.name, database)}`;
  const keyOf = pick(request.table.columns, request.table.key);
  const decode = decoder(columns);
  const { bytes = Number.POSITIVE_INFINITY } = request;
  if (request.keys !== undefined) {
    if (request.keys.length === 0) return { rows: [], next: null };
    const named = `${from} WHERE ${keyIn(key, request.keys)}`;
    const { rows, cut } = await session.rowsUpTo(named, bytes);
    // A collation finds more than the keys that were named: `A` for `a`.
    const wanted = new Set(request.keys.map(rowKey));
    const found = rows.map(decode).filter((row) => wanted.has(rowKey(keyOf(row))));
    return { rows: found, next: null, cut };
  }
  const after = keyRange(key, request.after, null);
  const order = key.map(ordering).join(', ');
  const page = `${from} ${after} ORDER BY ${order} LIMIT ${request.limit}`;
  const { rows, cut } = await session.rowsUpTo(page, bytes);
  const decoded = rows.map(decode);
  const last = decoded.at(-1);
  return {
    rows: decoded,
    next: last === undefined || (rows.length < request.limit && !cut) ? null : keyOf(last),
    cut,
  };
}

/** The named columns of a table, in the order of `names`. */
export function columnsOf(table: MysqlTable, names: readonly string[]): MysqlColumn[] {
  return names.map((name) => {
    const column = table.columns.find((candidate) => candidate.name === name);
    if (column !== undefined) return column;
    throw halt(
      'mysql.column',
      `table ${table.name} has no column ${name}`,
      'Correct the mapping, or bring the column back, and start again.',
    );
  });
}

/** Makes canonical values of a row of {@link selected} columns. */
export function decoder(columns: readonly MysqlColumn[]): (row: TextRow) => Value[] {
  const decoders = columns.map(canonical);
  return (row) => row.map((text, at) => (text === null ? null : decoders[at]!(text)));
}

/** The cells of `wanted` out of a row of `all`. */
export function pick(
  all: readonly string[],
  wanted: readonly string[],
): (row: readonly Value[]) => Value[] {
  const places = wanted.map((name) => all.indexOf(name));
  return (row) => places.map((place) => row[place]!);
}

/** Rows whose columns equal one of `tuples`; both products turn it into ranges of an index. */
export function keyIn(
  columns: readonly MysqlColumn[],
  tuples: readonly (readonly Value[])[],
): string {
  const [only] = columns;
  if (columns.length === 1 && only !== undefined) {
    return `${quoteName(only.name)} IN (${tuples.map(([v]) => literal(only, v!)).join(', ')})`;
  }
  return tuples.map((tuple) => `(${keyEquals(columns, tuple)})`).join(' OR ');
}
