/** What the server says of its log: where it ends, and whether a position belongs to it. */
import { halt } from '../../../src/errors.ts';
import { formatPosition, type LogPosition } from '../position.ts';
import type { RunQuery } from './charset.ts';
import { mysqlGtidSet, parseMariadbGtid } from './gtid.ts';

export interface LogServer {
  readonly mariadb: boolean;
  /** Identifies the server where no GTID does: its uuid, or MariaDB's server id. */
  readonly identity: string;
  /** Everything that was committed until now. */
  executed(): Promise<LogPosition>;
  /** Refuses a position that another server gave, or that this one has forgotten. */
  verify(position: LogPosition): Promise<void>;
  /** Bytes of log behind a place in it; null where this account may not ask. */
  bytesAfter(file: string, offset: number): Promise<number | null>;
  /** Files of the log are purged at this age; null: never by age. */
  keptSeconds(): Promise<number | null>;
}

export async function logServer(run: RunQuery, mariadb: boolean): Promise<LogServer> {
  const value = async (expression: string): Promise<string> =>
    (await run(`SELECT ${expression}`))[0]?.[0] ?? '';
  if ((await value('@@log_bin')) !== '1') throw noLog();
  const identity = await value(mariadb ? '@@server_id' : '@@server_uuid');
  return {
    mariadb,
    identity,
    executed: async () => {
      const nothingOpen = { open: null };
      if (mariadb) {
        const at = await value('@@gtid_binlog_pos');
        return { flavour: 'mariadb', server: at === '' ? identity : '', at, ...nothingOpen };
      }
      if ((await value('@@gtid_mode')) === 'ON') {
        const at = mysqlGtidSet(await value('@@gtid_executed')).text();
        return { flavour: 'mysql', server: at === '' ? identity : '', at, ...nothingOpen };
      }
      // 8.4 knows only the new spelling, 8.0 only the old one.
      const [status] = await run('SHOW BINARY LOG STATUS').catch(() => run('SHOW MASTER STATUS'));
      return {
        flavour: 'file',
        server: identity,
        at: `${status![0]}:${status![1]}`,
        ...nothingOpen,
      };
    },
    verify: async (position) => {
      const { flavour, server, at } = position;
      if ((flavour === 'mariadb') !== mariadb) throw lost(position, 'it is of another product');
      if (server !== '' && server !== identity) throw lost(position, 'another server gave it');
      if (flavour === 'mariadb') {
        if (!isInState(at, await value('@@gtid_binlog_state'))) {
          throw lost(position, 'the server never wrote it');
        }
      } else if (flavour === 'mysql') {
        const executed = mysqlGtidSet(await value('@@gtid_executed'));
        if (!executed.contains(mysqlGtidSet(at))) {
          throw lost(position, 'the server never executed all of it');
        }
      }
    },
    keptSeconds: async () => Number(await value('@@binlog_expire_logs_seconds')) || null,
    bytesAfter: async (file, offset) => {
      const files = await run('SHOW BINARY LOGS').catch(() => null);
      const at = files?.findIndex(([name]) => name === file) ?? -1;
      if (files === null || at < 0) return null;
      const sizes = files.slice(at).map(([, size]) => Number(size));
      return Math.max(0, sizes.reduce((sum, size) => sum + size, 0) - offset);
    },
  };
}

/** `state` has the last GTID of every server in every domain. */
function isInState(position: string, state: string): boolean {
  const gtids = (text: string) => text.split(',').filter(Boolean).map(parseMariadbGtid);
  const known = gtids(state);
  return gtids(position).every((wanted) =>
    known.some(
      ({ domain, server, sequence }) =>
        domain === wanted.domain && server === wanted.server && sequence >= wanted.sequence,
    ),
  );
}

export function lost(position: LogPosition, why: string): Error {
  return halt(
    'source.lost',
    `The position ${formatPosition(position).slice(0, 200)} cannot be continued: ${why}`,
    'Changes may be missing: follow "source.lost" in deploy/RUNBOOK.md; it ends in ' +
      '`carrick rejoin`. If the log was purged, keep it longer (binlog_expire_logs_seconds).',
  );
}

const noLog = () =>
  halt(
    'source.unsupported',
    'The server writes no binary log',
    'Start it with log_bin, binlog_format=ROW and binlog_row_metadata=FULL.',
  );
