import type { FieldDef, Pool } from 'pg';
import type { Chunk, ChunkRequest } from '../../src/contract/source.ts';
import { halt } from '../../src/errors.ts';
import type { TableSpec } from '../../src/model/change.ts';
import type { Cell, Value } from '../../src/model/value.ts';
import type { Types } from './catalog.ts';
import { describeTables, type PostgresColumn } from './describe.ts';
import { describeError } from './errors.ts';
import { chunkAndUnseen, withMoment } from './moment.ts';
import { quote, quotedTable, type TextRow } from './session.ts';
import { encode } from './types.ts';

/** Reads chunks of tables outside of the log; see `Source.read`. */
export function createReader(pool: Pool, types: Types): (request: ChunkRequest) => Promise<Chunk> {
  const keys = new Map<TableSpec, readonly PostgresColumn[]>();

  return async ({ table, after, limit, keys: wanted }) => {
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
    const { rows, unseen } = await chunkRows(pool, types, text, parameters);
    const last = rows.at(-1);
    const ended = wanted !== undefined || rows.length < limit || last === undefined;
    const next = table.key.map((name) => last?.[table.columns.indexOf(name)] ?? null);
    return { rows, next: ended ? null : next, unseen };
  };
}

async function chunkRows(
  pool: Pool,
  types: Types,
  text: string,
  values: readonly unknown[],
): Promise<{ rows: Cell[][]; unseen: readonly string[] }> {
  let result: { readonly fields: readonly FieldDef[]; readonly rows: readonly TextRow[] };
  try {
    result = await pool.query({ text, values: [...values], rowMode: 'array' });
  } catch (error) {
    throw describeError('source', error);
  }
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
  return { rows, unseen };
}

async function keyColumns(pool: Pool, table: TableSpec): Promise<PostgresColumn[]> {
  const [described] = await describeTables(pool, [table.name]);
  return table.key.map((name) => {
    const column = described?.columns.find((candidate) => candidate.name === name);
    if (column !== undefined) return column;
    throw halt(
      'source.refused',
      `table ${table.name} has no key column ${name}`,
      'Tables and mapping do not fit together: run `carrick check`.',
    );
  });
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
