/**
 * Positions as text:
 * - `mariadb:0-1-55,1-2-7`: the last GTID of every domain.
 * - `mysql:<uuid>:1-77[:tag:1-3],…`: the executed GTID set.
 * - `file@<server uuid>:binlog.000003:4567`: where MySQL has GTIDs off.
 *
 * A part `+<transaction>#5000` behind names the open transaction and how many of its row changes
 * (of any table) came before; reading starts at its beginning and leaves those out. GTIDs say which
 * servers wrote what was executed; where there are none the position names its server itself:
 * `mariadb@<server id>:`, `mysql@<uuid>:`.
 */
import { halt } from '../../src/errors.ts';
import type { Position } from '../../src/model/position.ts';
import { mariadbGtidSet, mysqlGtidSet } from './binlog/gtid.ts';

export type Flavour = 'mariadb' | 'mysql' | 'file';

export interface LogPosition {
  readonly flavour: Flavour;
  /** Server id or uuid; empty where the GTIDs say it. */
  readonly server: string;
  /** The GTID set, or `file:offset`. */
  readonly at: string;
  readonly open: { readonly transaction: string; readonly rows: number } | null;
}

const FORM = /^(mariadb|mysql|file)(?:@([^:]+))?:(.*?)(?:\+([^+#]+)#(\d+))?$/;
const SETS = { mariadb: mariadbGtidSet, mysql: mysqlGtidSet, file: parseFile } as const;

export function parsePosition(text: string): LogPosition {
  const match = FORM.exec(text);
  if (match === null) throw unreadable(text);
  const [, name, server = '', at = '', transaction, rows] = match;
  const flavour = name as Flavour;
  try {
    SETS[flavour](at);
  } catch (error) {
    throw unreadable(text, error);
  }
  const open = transaction === undefined ? null : { transaction, rows: Number(rows) };
  return { flavour, server, at, open };
}

/** `file:offset`; the file's name may hold colons. */
export function parseFile(at: string): [file: string, offset: number] {
  const match = /^(.+):(\d+)$/.exec(at);
  if (match === null) throw new RangeError('not a place in a file');
  return [match[1]!, Number(match[2])];
}

const unreadable = (text: string, cause?: unknown) =>
  halt(
    'source.lost',
    `This is no position in a binary log: ${text.slice(0, 80)}`,
    'The ledger was written for another kind of system: check the URL, else `carrick rejoin`.',
    cause,
  );

export function formatPosition({ flavour, server, at, open }: LogPosition): Position {
  const prefix = server === '' ? flavour : `${flavour}@${server}`;
  const suffix = open === null ? '' : `+${open.transaction}#${open.rows}`;
  return `${prefix}:${at}${suffix}` as Position;
}
