import type { FieldDef, Pool, QueryArrayConfig } from 'pg';
import pg from 'pg';
import type { Chunk, ChunkRequest } from '../../src/contract/source.ts';
import { halt } from '../../src/errors.ts';
import type { TableSpec } from '../../src/model/change.ts';
import type { Cell, Value } from '../../src/model/value.ts';
import type { Types } from './catalog.ts';
import { describeTables, type PostgresColumn } from './describe.ts';
import { describeError } from './errors.ts';
import { ORDER_FIX, orderFault } from './key-order.ts';
import { chunkAndUnseen, withMoment } from './moment.ts';
import { quote, quotedTable, type TextRow } from './session.ts';
import { encode } from './types.ts';

/** Reads chunks of tables outside of the log; see `Source.read`. */
export function createReader(pool: Pool, types: Types): (request: ChunkRequest) => Promise<Chunk> {
  const keys = new Map<TableSpec, readonly PostgresColumn[]>();

  return async ({ table, after, limit, bytes = Number.POSITIVE_INFINITY, keys: wanted }) => {
    const key = keys.get(table) ?? (await keyColumns(pool, table));
    keys.set(table, key);
    const from = `from ${quotedTable(table.name)} as t`;
    const [rest, values] =
      wanted === undefined
        ? [after === null ? '' : afterKey(key), after ?? []]
        : [amongKeys(key), transpose(key, wanted)];
    const text = withMoment(
      table.columns.map(quote),
      `${from} ${rest}`,
      key.map(({ name }) => quote(name)),
      wanted === undefined ? limit : null,
    );
    const parameters =
      wanted === undefined
        ? values.map((value, i) => encode(key[i]!.kind, value as Value))
        : values;
    const { rows, unseen, cut } = await chunkRows(pool, types, { text, values: parameters, bytes });
    const last = rows.at(-1);
    const ended = wanted !== undefined || (rows.length < limit && !cut) || last === undefined;
    const next = table.key.map((name) => last?.[table.columns.indexOf(name)] ?? null);
    return { rows, next: ended ? null : next, unseen, cut };
  };
}

interface Asked {
  readonly text: string;
  readonly values: readonly unknown[];
  readonly bytes: number;
}

interface Answer {
  readonly fields: readonly FieldDef[];
  readonly rows: readonly TextRow[];
  readonly cut: boolean;
}

/**
 * The rows as they come, until their text has `bytes` characters: the rest is given up with the
 * connection, because the server would send all of it.
 */
async function rowsUpTo(pool: Pool, { text, values, bytes }: Asked): Promise<Answer> {
  const client = await pool.connect();
  const asked: QueryArrayConfig = { text, values: [...values], rowMode: 'array' };
  const query = client.query(new pg.Query<TextRow>(asked));
  const rows: TextRow[] = [];
  let fields: readonly FieldDef[] = [];
  let size = 0;
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  query.on('row', (row: TextRow, result) => {
    if (size > bytes) return;
    fields = result?.fields ?? fields;
    rows.push(row);
    for (const cell of row) size += cell?.length ?? 0;
    if (size > bytes) resolve(true);
  });
  query.on('end', (result) => {
    fields = result.fields;
    resolve(false);
  });
  query.on('error', reject);
  try {
    const cut = await promise;
    client.release(cut);
    return { fields, rows, cut };
  } catch (error) {
    client.release(true);
    throw error;
  }
}

async function chunkRows(
  pool: Pool,
  types: Types,
  asked: Asked,
): Promise<{ rows: Cell[][]; unseen: readonly string[]; cut: boolean }> {
  const result = await rowsUpTo(pool, asked).catch((error: unknown) => {
    throw describeError('source', error);
  });
  const { found, unseen } = chunkAndUnseen(result.rows);
  const oids = result.fields.slice(0, -3).map(({ dataTypeID }) => dataTypeID);
  const unknown = oids.filter((oid) => types.get(oid) === undefined);
  if (unknown.length > 0) await types.load(unknown);
  const decoders = oids.map((oid) => types.get(oid)?.decode ?? null);
  const rows = found.map((row) =>
    decoders.map((decode, index) => {
      const cell = row[index]!;
      return cell === null || decode === null ? cell : decode(cell);
    }),
  );
  return { rows, unseen, cut: result.cut };
}

/** What the planner expects of a table: it knows the size of the files even without statistics. */
export async function estimateRows(pool: Pool, { name }: TableSpec): Promise<number | null> {
  const text = `explain (format json) select from ${quotedTable(name)}`;
  const { rows } = await pool.query({ text, rowMode: 'array' });
  const [plan] = JSON.parse(String(rows[0]?.[0])) as { Plan?: { 'Plan Rows'?: number } }[];
  return plan?.Plan?.['Plan Rows'] ?? null;
}

async function keyColumns(pool: Pool, table: TableSpec): Promise<PostgresColumn[]> {
  const [described] = await describeTables(pool, [table.name]);
  const columns = table.key.map((name) => {
    const column = described?.columns.find((candidate) => candidate.name === name);
    if (column !== undefined) return column;
    throw halt(
      'source.refused',
      `table ${table.name} has no key column ${name}`,
      'Tables and mapping do not fit together: run `carrick check`.',
    );
  });
  const fault = await orderFault(pool, table, columns);
  if (fault !== null) throw halt('source.unordered', fault, ORDER_FIX);
  return columns;
}

/**
 * A row comparison has the order of the key's index, and each column's own collation on both
 * sides: the parameters' is the default one, which gives way to the column's.
 */
function afterKey(key: readonly PostgresColumn[]): string {
  const names = key.map(({ name }) => quote(name)).join(', ');
  const values = key.map(({ castType }, index) => `$${index + 1}::${castType}`).join(', ');
  return `where (${names}) > (${values})`;
}

function amongKeys(key: readonly PostgresColumn[]): string {
  const arrays = key.map((_, index) => `$${index + 1}::text[]`).join(', ');
  const names = key.map((_, index) => `k${index}`).join(', ');
  const matches = key.map(
    ({ name, castType }, index) => `t.${quote(name)} = k${index}::${castType}`,
  );
  return `join unnest(${arrays}) as wanted(${names}) on ${matches.join(' and ')}`;
}

function transpose(
  key: readonly PostgresColumn[],
  rows: readonly (readonly Value[])[],
): (Value | undefined)[][] {
  return key.map(({ kind }, index) => rows.map((row) => encode(kind, row[index] ?? null)));
}
