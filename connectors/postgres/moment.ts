/** The moment of a chunk: which transactions its statement could not see. */
import type { TextRow } from './session.ts';

/** Name that marks the rows of the chunk itself; no column of a mapping has it. */
const FOUND = '"carrick found"';

/**
 * A chunk with its moment in the last three columns: whether the row is one of the chunk (an empty
 * chunk has a moment too), and, once, `pg_current_snapshot()` and a transaction number that had not
 * been given when the snapshot was taken. `from` is all behind the select list, without an order.
 */
export function withMoment(
  columns: readonly string[],
  from: string,
  key: readonly string[],
  limit: number | null,
): string {
  const orderOf = (table: string): string =>
    `order by ${key.map((name) => `${table}.${name}`).join(', ')}`;
  const order = orderOf('chunk');
  const once = (value: string): string =>
    `case row_number() over (${order}) when 1 then ${value} end`;
  const list = columns.map((name) => `t.${name}`).join(', ');
  const page = limit === null ? '' : `${orderOf('t')} limit ${limit}`;
  return `with moment as materialized
      (select pg_current_snapshot()::text as taken, pg_current_xact_id()::text as next)
    select chunk.*, ${once('moment.taken')}, ${once('moment.next')}
    from moment left join (
      select ${list}, true as ${FOUND} ${from} ${page}
    ) as chunk on true ${order}`;
}

/** The rows of the chunk, still with the columns of the moment, and what they could not see. */
export function chunkAndUnseen(rows: readonly TextRow[]): {
  readonly found: readonly TextRow[];
  readonly unseen: readonly string[];
} {
  const moment = rows.find((row) => row.at(-2) !== null);
  return {
    found: rows.filter((row) => row.at(-3) !== null),
    unseen: unseenBy(moment!.at(-2)!, moment!.at(-1)!),
  };
}

/**
 * A commit is in the log before its transaction leaves those that are running, longest where it
 * waits for a synchronous replica. A snapshot, `xmin:xmax:xip,…` (PostgreSQL manual, "Transaction
 * ID and Snapshot Information Functions"), names the running ones below xmax only; any number that
 * was given from there on may be running too. Low 32 bits, as the log has them.
 */
function unseenBy(snapshot: string, next: string): string[] {
  const [, xmax, running = ''] = snapshot.split(':');
  const unseen = running === '' ? [] : running.split(',').map(BigInt);
  for (let xid = BigInt(xmax!); xid < BigInt(next); xid++) unseen.push(xid);
  return unseen.map((xid) => String(BigInt.asUintN(32, xid)));
}
