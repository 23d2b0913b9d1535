import type { Position } from '../../../src/model/position.ts';
import { formatPosition, type LogPosition, parseFile } from '../position.ts';
import { type GtidSet, mariadbGtidSet, mysqlGtidSet } from './gtid.ts';

/** Where in the log everything before has been read, by GTIDs or by file. */
export interface Tracker {
  /** The name of the transaction that begins here. */
  nameOf(gtid: string | null): string;
  /** The transaction is read to its end. */
  executed(transaction: string): void;
  position(open: LogPosition['open']): Position;
  /** The file being read, and the offset behind the last event. */
  readonly file: string;
  readonly offset: number;
  rotate(file: string, offset: number): void;
  advance(size: number, nextPosition: number): void;
}

/** `server` identifies it where no GTID does. */
export function trackFrom(from: LogPosition, server: string): Tracker {
  let file = '';
  let offset = 0;
  if (from.flavour === 'file') [file, offset] = parseFile(from.at);
  let done = { file, offset };
  let set: GtidSet | null = null;
  if (from.flavour === 'mariadb') set = mariadbGtidSet(from.at);
  if (from.flavour === 'mysql') set = mysqlGtidSet(from.at);
  return {
    nameOf: (gtid) => (set === null || gtid === null ? `${file}:${done.offset}` : gtid),
    executed: (transaction) => {
      set?.add(transaction);
      done = { file, offset };
    },
    position: (open) => {
      const at = set === null ? `${done.file}:${done.offset}` : set.text();
      const named = set === null || set.empty ? server : '';
      return formatPosition({ flavour: from.flavour, server: named, at, open });
    },
    get file() {
      return file;
    },
    get offset() {
      return offset;
    },
    rotate: (next, at) => {
      if (next !== done.file) done = { file: next, offset: at };
      file = next;
      offset = at;
    },
    advance: (size, nextPosition) => {
      // Files may outgrow the 32 bits of the header's position.
      const next = offset + size;
      offset = next % 0x1_0000_0000 === nextPosition ? next : nextPosition;
    },
  };
}
