import { halt } from '../../src/errors.ts';
import type { Position } from '../../src/model/position.ts';
import { formatLsn, parseLsn } from './lsn.ts';

/**
 * A place in the log of one cluster.
 *
 *     0/16B3748@7412…              after the transactions that end at or before that LSN
 *     0/16B3748+0/16C0000#5000@…   besides, after 5,000 row messages of the transaction whose
 *                                  commit record is at the second LSN
 *
 * The part after `@` is the cluster's system identifier: LSNs of another cluster mean nothing here.
 * `:2` behind it is the timeline, where it is not the first: every promotion of a standby begins
 * another one, and the same LSN means another place on it.
 */
export interface LogPosition {
  /** End of the last finished transaction, or a later place that no commit lies before. */
  readonly finished: bigint;
  readonly open: OpenTransaction | null;
  readonly cluster: string;
  readonly timeline: number;
}

export interface OpenTransaction {
  readonly commit: bigint;
  /** Row messages of it that were handed over, counted over all published tables. */
  readonly rows: number;
}

const PATTERN = /^([0-9A-F]+\/[0-9A-F]+)(?:\+([0-9A-F]+\/[0-9A-F]+)#(\d+))?@(\d+)(?::(\d+))?$/;

export function parsePosition(position: Position): LogPosition {
  const [, finished, commit, rows, cluster, timeline = '1'] = PATTERN.exec(position) ?? [];
  if (finished === undefined || cluster === undefined) {
    throw halt(
      'source.lost',
      `${position} is not a position in a PostgreSQL log`,
      'The ledger is of another kind of system: check the URL, else `carrick rejoin` this one.',
    );
  }
  const open = commit === undefined ? null : { commit: parseLsn(commit), rows: Number(rows) };
  return { finished: parseLsn(finished), open, cluster, timeline: Number(timeline) };
}

export function formatPosition({ finished, open, cluster, timeline }: LogPosition): Position {
  const inside = open === null ? '' : `+${formatLsn(open.commit)}#${open.rows}`;
  const history = timeline === 1 ? cluster : `${cluster}:${timeline}`;
  return `${formatLsn(finished)}${inside}@${history}` as Position;
}
