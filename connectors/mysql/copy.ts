import type { CopyWrite, Trouble } from '../../src/contract/copier.ts';
import { halt } from '../../src/errors.ts';
import type { Value } from '../../src/model/value.ts';
import { inHalves } from './attempt.ts';
import { UPDATE_ROWS } from './change.ts';
import { isIndexed, type MysqlTable, quoteTable } from './describe.ts';
import { ANOTHER_ROW } from './errors.ts';
import { exactlyIn, namer, updateEach } from './exact-key.ts';
import { keeps } from './exact-value.ts';
import { columnsOf, decoder } from './read.ts';
import type { Session } from './session.ts';
import { tupleSpeller } from './tuples.ts';
import { type MysqlColumn, quoteName, selected } from './types.ts';
import { sizeOf, TOO_LARGE } from './write.ts';

/** Longer statements gain nothing; while the server is at one, the next one is spelled. */
const STATEMENT_CHARACTERS = 2 ** 19;
const DELETED_ROWS = 500;

/** How the rows of one write are told to the server. */
interface Telling {
  /** The statement for some rows of the write. */
  sql(rows: readonly number[]): string;
  /** Consecutive rows and the statement for them, spelled when it is asked for. */
  slices(): Iterable<{ readonly rows: readonly number[]; readonly sql: string }>;
  /** How many of the rows the statement found. */
  done?(rows: readonly number[], found: number): Promise<void>;
}

/** What the steps of one write share. */
interface Copying {
  readonly session: Session;
  readonly write: CopyWrite;
  /** Quoted, with its database. */
  readonly target: string;
  readonly columns: readonly MysqlColumn[];
  readonly key: readonly MysqlColumn[];
  /** The server takes no longer statement, or it would be of no use. */
  readonly limit: number;
  refuse(row: number, code: string, reason: string): void;
  absent(row: number): void;
}

/** See `CopyTransaction.write`; throws what the driver throws where the transaction is over. */
export async function copyRows(
  session: Session,
  database: string,
  table: MysqlTable,
  write: CopyWrite,
): Promise<readonly Trouble[]> {
  if (!isIndexed(table, write.key)) throw noIndex(write);
  const troubles: Trouble[] = [];
  const telling = TELLINGS[write.op]({
    session,
    write,
    target: quoteTable(write.table, database),
    columns: columnsOf(table, write.columns),
    key: columnsOf(table, write.key),
    limit: session.maxPacket / 4,
    refuse: (row, code, reason) => troubles.push({ kind: 'refused', row, code, reason }),
    absent: (row) => troubles.push({ kind: 'absent', row }),
  });
  const execute = async (rows: readonly number[], sql: string): Promise<void> => {
    const { affectedRows } = await session.run(sql);
    await telling.done?.(rows, affectedRows);
  };
  let running: Promise<void> = Promise.resolve();
  for (const { rows, sql } of telling.slices()) {
    await running;
    running = inHalves(
      rows,
      (some) => execute(some, some === rows ? sql : telling.sql(some)),
      (row, { code, reason }) => {
        troubles.push({ kind: 'refused', row, code, reason });
      },
    );
  }
  await running;
  return troubles.sort((a, b) => a.row - b.row);
}

const noIndex = ({ table, key }: CopyWrite) =>
  halt(
    'target.refused',
    `no unique index of ${table} has exactly the key columns (${key.join(', ')})`,
    `CREATE UNIQUE INDEX carrick_key ON ${table} (${key.join(', ')}), or map another key.`,
  );

const TELLINGS: Readonly<Record<CopyWrite['op'], (copying: Copying) => Telling>> = {
  put: putting,
  patch: patching,
  remove: removing,
};

/**
 * INSERT … ON DUPLICATE KEY UPDATE. The server looks at every unique index, and at keys as their
 * collation does, so the row that it finds may be another one: then the update fails, which refuses
 * the new row. A failing expression costs nothing where it is not reached.
 */
function putting(copying: Copying): Telling {
  const { write, target, columns, key, limit } = copying;
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
  const tail = ` ON DUPLICATE KEY UPDATE ${settings.join(', ')}`;
  const spell = tupleSpeller(columns);
  const fits = keyFits(copying);
  return {
    sql: (rows) => head + rows.map((at) => spell(write.rows[at]!)).join() + tail,
    *slices() {
      const most = Math.min(STATEMENT_CHARACTERS, limit);
      let rows: number[] = [];
      let text = '';
      for (let at = 0; at < write.rows.length; at++) {
        if (!fits(at)) continue;
        const tuple = spell(write.rows[at]!);
        if (tuple.length > limit) {
          copying.refuse(at, ...TOO_LARGE);
          continue;
        }
        if (rows.length > 0 && text.length + tuple.length > most) {
          yield { rows, sql: head + text + tail };
          rows = [];
          text = '';
        }
        text += rows.length === 0 ? tuple : `,${tuple}`;
        rows.push(at);
      }
      if (rows.length > 0) yield { rows, sql: head + text + tail };
    },
  };
}

/** Whether the row that was found has the new row's value; bytes have no collation. */
function isSame({ name, kind }: MysqlColumn): string {
  const column = quoteName(name);
  return kind === 'string'
    ? `CAST(${column} AS BINARY) = CAST(VALUES(${column}) AS BINARY)`
    : `${column} = VALUES(${column})`;
}

/**
 * Whether a new key is stored as it is: what a column would cut or round might then be the key of
 * another row. Refuses the row otherwise.
 */
function keyFits({ write, columns, refuse }: Copying): (row: number) => boolean {
  const checks = columns.flatMap((column, place) => {
    const holds = keeps(column);
    return write.key.includes(column.name) ? [{ place, holds, name: column.name }] : [];
  });
  return (row) => {
    for (const { place, holds, name } of checks) {
      const value = write.rows[row]![place]!;
      if (value !== null && holds(value)) continue;
      refuse(row, '22000', `key column ${name} does not hold the value as it is`);
      return false;
    }
    return true;
  };
}

function patching(copying: Copying): Telling {
  const { session, write, target, key } = copying;
  const places = write.key.map((name) => write.columns.indexOf(name));
  const renames = write.rows.some((row, at) =>
    places.some((place, i) => place >= 0 && row[place] !== write.keys[at]![i]),
  );
  // A key that stays is left alone, but where there is nothing else to write.
  const settled = copying.columns.flatMap((column, place) =>
    renames || !places.includes(place) ? [{ column, place }] : [],
  );
  const [columns, valuesOf] =
    settled.length === 0
      ? [key, (at: number) => write.keys[at]!]
      : [
          settled.map(({ column }) => column),
          (at: number) => settled.map(({ place }) => write.rows[at]![place]!),
        ];
  const keysOf = (rows: readonly number[]) => rows.map((at) => write.keys[at]!);
  const sql = (rows: readonly number[]): string =>
    updateEach(target, key, columns, keysOf(rows), rows.map(valuesOf));
  const done = async (rows: readonly number[], found: number): Promise<void> => {
    if (found === rows.length) return;
    const held = await session.rows(
      `SELECT ${key.map(selected).join(', ')} FROM ${target} WHERE ${exactlyIn(key, keysOf(rows))}`,
    );
    const decode = decoder(key);
    const name = namer(key);
    const there = new Set(held.map((row) => name(decode(row))));
    for (const at of rows) if (!there.has(name(write.keys[at]!))) copying.absent(at);
  };
  // Assignments see what those before them did: a row that gets a new key is told by itself.
  return { sql, done, slices: () => cut(copying, renames ? 1 : UPDATE_ROWS, sql) };
}

function removing(copying: Copying): Telling {
  const { write, target, key } = copying;
  const sql = (rows: readonly number[]): string => {
    const keys = rows.map((at) => write.keys[at]!);
    return `DELETE FROM ${target} WHERE ${exactlyIn(key, keys)}`;
  };
  return { sql, slices: () => cut(copying, DELETED_ROWS, sql) };
}

/** Slices of a write of `keys`, by number and size. */
function* cut(
  copying: Copying,
  most: number,
  spell: (rows: readonly number[]) => string,
): Iterable<{ rows: readonly number[]; sql: string }> {
  const { write, limit } = copying;
  const fits = keyFits(copying);
  let rows: number[] = [];
  let size = 0;
  for (let at = 0; at < write.keys.length; at++) {
    const own = sizeOf(write.keys[at]!, write.rows[at] ?? NOTHING);
    if (own > limit) {
      copying.refuse(at, ...TOO_LARGE);
      continue;
    }
    if (write.op === 'patch' && !fits(at)) continue;
    if (rows.length > 0 && (rows.length === most || size + own > limit)) {
      yield { rows, sql: spell(rows) };
      rows = [];
      size = 0;
    }
    rows.push(at);
    size += own;
  }
  if (rows.length > 0) yield { rows, sql: spell(rows) };
}

const NOTHING: readonly Value[] = [];
