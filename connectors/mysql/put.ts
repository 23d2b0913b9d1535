import { type BulkRows, bulkRows } from './bulk-rows.ts';
import { type Copying, keyFits, type Slice, type Telling } from './copying.ts';
import { ANOTHER_ROW } from './errors.ts';
import { tupleSpeller } from './tuples.ts';
import { type MysqlColumn, quoteName } from './types.ts';
import { TOO_LARGE } from './write.ts';

/** Longer statements gain nothing; while the server is at one, the next one is spelled. */
const STATEMENT_SIZE = 2 ** 19;
/** Fewer rows are not worth a statement that is prepared. */
const BULK_ROWS = 100;

/**
 * INSERT … ON DUPLICATE KEY UPDATE. The server looks at every unique index, and at keys as their
 * collation does, so the row that it finds may be another one: then the update fails, which refuses
 * the new row. A failing expression costs nothing where it is not reached.
 */
export function putting(copying: Copying): Telling {
  const { session, write, target, columns, key } = copying;
  const names = columns.map(({ name }) => quoteName(name));
  const same = key.map(isSame).join(' AND ');
  const first = quoteName(key[0]!.name);
  const fails = `CAST(CONCAT_WS('', '${ANOTHER_ROW}', ${first}) AS SIGNED)`;
  const settings = [
    `${first} = IF(${same} OR ${fails}, ${first}, ${first})`,
    ...names
      .filter((_, i) => !write.key.includes(write.columns[i]!))
      .map((name) => `${name} = VALUES(${name})`),
  ];
  const head = `INSERT INTO ${target} (${names.join(', ')}) VALUES `;
  const upsert = (tuples: string): string =>
    `${head}${tuples} ON DUPLICATE KEY UPDATE ${settings.join(', ')}`;
  const spell = tupleSpeller(columns);
  return {
    async tell(rows) {
      await session.run(upsert(rows.map((at) => spell(write.rows[at]!)).join()));
    },
    *slices() {
      const fits = keyFits(copying);
      const rows = [...write.rows.keys()].filter(fits);
      const others = rows.length < BULK_ROWS ? rows : yield* inBulk(copying, rows, upsert);
      yield* inText(copying, others, upsert);
    },
  };
}

/** Returns the rows that it left out. */
function* inBulk(
  { session: { bulk }, write, columns, limit }: Copying,
  all: readonly number[],
  upsert: (tuples: string) => string,
): Generator<Slice, readonly number[]> {
  if (bulk === null) return all;
  const sql = upsert(`(${columns.map(() => '?').join()})`);
  const others: number[] = [];
  let rows: number[] = [];
  let spelled = bulkRows(columns, bulk.room(), limit);
  const slice = (told: readonly number[], by: BulkRows): Slice => ({
    rows: told,
    tell: () => bulk.run(sql, by),
  });
  for (const at of all) {
    if (!spelled.add(write.rows[at]!)) {
      others.push(at);
      continue;
    }
    rows.push(at);
    if (spelled.bytes < Math.min(STATEMENT_SIZE, limit)) continue;
    yield slice(rows, spelled);
    rows = [];
    spelled = bulkRows(columns, bulk.room(), limit);
  }
  if (rows.length > 0) yield slice(rows, spelled);
  return others;
}

function* inText(
  { session, write, columns, limit, refuse }: Copying,
  all: readonly number[],
  upsert: (tuples: string) => string,
): Generator<Slice> {
  const spell = tupleSpeller(columns);
  const slice = (rows: readonly number[], tuples: string): Slice => {
    const sql = upsert(tuples);
    return {
      rows,
      async tell() {
        await session.run(sql);
      },
    };
  };
  let rows: number[] = [];
  let text = '';
  for (const at of all) {
    const tuple = spell(write.rows[at]!);
    if (tuple.length > limit) {
      refuse(at, ...TOO_LARGE);
      continue;
    }
    if (rows.length > 0 && text.length + tuple.length > Math.min(STATEMENT_SIZE, limit)) {
      yield slice(rows, text);
      rows = [];
      text = '';
    }
    text += rows.length === 0 ? tuple : `,${tuple}`;
    rows.push(at);
  }
  if (rows.length > 0) yield slice(rows, text);
}

/** Whether the row that was found has the new row's value; bytes have no collation. */
function isSame({ name, kind }: MysqlColumn): string {
  const column = quoteName(name);
  return kind === 'string'
    ? `CAST(${column} AS BINARY) = CAST(VALUES(${column}) AS BINARY)`
    : `${column} = VALUES(${column})`;
}
