import type { CopyWrite, Trouble } from '../../src/contract/copier.ts';
import { halt } from '../../src/errors.ts';
import type { Value } from '../../src/model/value.ts';
import { inHalves } from './attempt.ts';
import { UPDATE_ROWS } from './change.ts';
import { type Copying, keyFits, type Slice, type Telling } from './copying.ts';
import { isIndexed, type MysqlTable, quoteTable } from './describe.ts';
import { exactlyIn, namer, updateEach } from './exact-key.ts';
import { putting } from './put.ts';
import { columnsOf, decoder } from './read.ts';
import type { Session } from './session.ts';
import { selected } from './types.ts';
import { sizeOf, TOO_LARGE } from './write.ts';

const DELETED_ROWS = 500;

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
  let running: Promise<void> = Promise.resolve();
  for (const slice of telling.slices()) {
    await running;
    running = inHalves(
      slice.rows,
      (some) => (some === slice.rows ? slice.tell() : telling.tell(some)),
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
  const run = async (rows: readonly number[], statement: string): Promise<void> => {
    const { affectedRows } = await session.run(statement);
    if (affectedRows === rows.length) return;
    const held = await session.rows(
      `SELECT ${key.map(selected).join(', ')} FROM ${target} WHERE ${exactlyIn(key, keysOf(rows))}`,
    );
    const decode = decoder(key);
    const name = namer(key);
    const there = new Set(held.map((row) => name(decode(row))));
    for (const at of rows) if (!there.has(name(write.keys[at]!))) copying.absent(at);
  };
  // Assignments see what those before them did: a row that gets a new key is told by itself.
  return cutting(copying, renames ? 1 : UPDATE_ROWS, sql, run);
}

function removing(copying: Copying): Telling {
  const { session, write, target, key } = copying;
  const sql = (rows: readonly number[]): string => {
    const keys = rows.map((at) => write.keys[at]!);
    return `DELETE FROM ${target} WHERE ${exactlyIn(key, keys)}`;
  };
  return cutting(copying, DELETED_ROWS, sql, async (_, statement) => {
    await session.run(statement);
  });
}

/** Tells a write of `keys` in slices of some number and size. */
function cutting(
  copying: Copying,
  most: number,
  spell: (rows: readonly number[]) => string,
  run: (rows: readonly number[], sql: string) => Promise<void>,
): Telling {
  const sliceOf = (rows: readonly number[]): Slice => {
    const sql = spell(rows);
    return { rows, tell: () => run(rows, sql) };
  };
  return {
    tell: (rows) => run(rows, spell(rows)),
    *slices() {
      for (const rows of cut(copying, most)) yield sliceOf(rows);
    },
  };
}

function* cut(copying: Copying, most: number): Iterable<readonly number[]> {
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
      yield rows;
      rows = [];
      size = 0;
    }
    rows.push(at);
    size += own;
  }
  if (rows.length > 0) yield rows;
}

const NOTHING: readonly Value[] = [];
