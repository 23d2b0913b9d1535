/**
 * MariaDB's bulk execution: one prepared statement, the values of many rows. The server parses
 * nothing, which halves what an upsert costs it. mysql2 does not speak it, so the capability is put
 * into its handshake and the execution is a command of ours in its queue, as in binlog/dump.ts.
 * Format: "COM_STMT_BULK_EXECUTE" and "Connecting" in MariaDB's client/server protocol.
 */
import type { RawConnection } from './binlog/dump.ts';
import type { BulkRows, Room } from './bulk-rows.ts';

/** What of a mysql2 connection is used here beyond its typed interface. */
interface BulkConnection extends RawConnection {
  /** The handshake, before the server's greeting has come. */
  readonly _command: { mariadbExtendedClientFlags: number } | undefined;
  readonly _handshakePacket: { readonly mariadbExtendedCapabilityFlags?: number } | null;
  prepare(sql: string, done: (error: Error | null, statement?: { id: number }) => void): unknown;
}

interface Answer {
  isError(): boolean;
  asError(encoding: string): Error;
}

export interface Bulk {
  /** Where the next rows are spelled, while those of the call before may be on their way. */
  room(): Room;
  /** Executes a statement with one parameter a column for all rows. */
  run(sql: string, rows: BulkRows): Promise<void>;
}

const STMT_BULK_OPERATIONS = 4;
const EXTENDED_METADATA = 8;
/** mysql2 tells of any such capability only where it wants the other one itself. */
const BOTH = STMT_BULK_OPERATIONS | EXTENDED_METADATA;

/** Asks for the capability; call it before the connection is there. MySQL looks past it. */
export function askForBulk(connection: unknown): void {
  const { _command } = connection as BulkConnection;
  if (_command !== undefined) _command.mariadbExtendedClientFlags |= STMT_BULK_OPERATIONS;
}

/** Null: the server has not the capability. */
export function bulkOn(connection: unknown, timeoutMs: number): Bulk | null {
  const raw = connection as BulkConnection;
  const offered = raw._handshakePacket?.mariadbExtendedCapabilityFlags ?? 0;
  if ((offered & BOTH) !== BOTH) return null;
  const rooms = [{ buf: Buffer.alloc(0) }, { buf: Buffer.alloc(0) }] as const;
  let turn: 0 | 1 = 0;
  return {
    room() {
      turn = turn === 0 ? 1 : 0;
      return rooms[turn];
    },
    run: async (sql, rows) => execute(raw, rows.packet(await prepared(raw, sql)), timeoutMs),
  };
}

/** mysql2 keeps statements that are prepared, by their text. */
const prepared = (connection: BulkConnection, sql: string): Promise<number> =>
  new Promise((resolve, reject) => {
    connection.prepare(sql, (error, statement) => {
      if (statement === undefined) reject(error);
      else resolve(statement.id);
    });
  });

function execute(connection: BulkConnection, packet: Buffer, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const silent = Object.assign(new Error('the server does not answer'), { code: 'ETIMEDOUT' });
    const timer = setTimeout(reject, timeoutMs, silent).unref();
    const end = (error: Error | null): void => {
      clearTimeout(timer);
      if (error === null) resolve();
      else reject(error);
    };
    let sent = false;
    connection.addCommand({
      execute: (answer) => {
        if (!sent) {
          sent = true;
          connection.write(packet);
          connection.sequenceId = 1;
        }
        if (answer === undefined) return false;
        const { isError, asError } = answer as unknown as Answer;
        end(isError.call(answer) ? asError.call(answer, 'utf8') : null);
        return true;
      },
      onResult: end,
    });
  });
}
