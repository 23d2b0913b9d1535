import { transportTrouble } from '../../src/contract/transport.ts';
import { CarrickError, halt, retry } from '../../src/errors.ts';
import { WORDS } from './config.ts';

/** What mysql2 throws: `errno` and `sqlState` from the server, `code` alone from the socket. */
interface ServerError {
  readonly errno?: number;
  readonly code?: string;
  readonly sqlState?: string;
  readonly sqlMessage?: string;
  readonly fatal?: boolean;
}

/**
 * What an error number means for the write that met it. Names and SQLSTATEs: MySQL 8.4 Error
 * Message Reference, "Server Error Message Reference"; MariaDB Server Documentation, "MariaDB
 * Error Code Reference".
 * - row: the server refuses this row's values; the statement is undone, the transaction lives.
 * - conflict: somebody else's transaction is in the way; the same write may pass later.
 * - gone: the server is shutting down, overloaded or read-only for now; try again.
 * Any other number stops the delivery: missing rights, tables and columns.
 */
type Meaning = 'row' | 'conflict' | 'gone';

const MEANINGS: Readonly<Record<Meaning, readonly number[]>> = {
  row: [
    1048, // column cannot be null
    1062, // duplicate entry
    1138, // invalid use of NULL
    1169, // unique constraint
    1216, // foreign key: no parent
    1217, // foreign key: has children
    1264, // out of range
    1265, // data truncated
    1292, // truncated incorrect value
    1364, // no default value
    1365, // division by zero in a trigger or generated column
    1366, // incorrect value for the column's type or character set
    1369, // check option of a view
    1406, // data too long
    1411, // incorrect value for a function
    1416, // not a geometry
    1451, // foreign key: has children
    1452, // foreign key: no parent
    1526, // no partition for the value
    1644, // SIGNAL in a trigger
    1690, // value out of range
    1748, // row not in the named partition
    1761, // foreign key would make a duplicate
    1762, // foreign key would make a duplicate
    1859, // duplicate unknown
    3140, // invalid JSON text
    3141, // invalid JSON
    3156, // invalid JSON value for CAST
    3643, // wrong SRID
    3730, // cannot drop: foreign key
    3819, // check constraint (MySQL)
    3903, // invalid JSON value for a functional index
    4025, // check constraint (MariaDB)
    4078, // type mismatch (MariaDB)
  ],
  conflict: [
    1020, // record has changed since last read (MariaDB snapshot isolation)
    1205, // lock wait timeout
    1213, // deadlock
    1412, // table definition has changed
    1614, // transaction branch rolled back: deadlock
    3058, // user-level lock deadlock
    3101, // group replication rolled it back
    3572, // NOWAIT
  ],
  gone: [
    1021, // disk full
    1037, // out of memory
    1040, // too many connections
    1041, // out of resources
    1053, // shutdown in progress
    1077, // normal shutdown
    1079, // shutdown complete
    1105, // unknown error
    1114, // table is full
    1158, // network errors
    1159,
    1160,
    1161,
    1192, // locked by the same thread
    1203, // too many connections of this user
    1226, // resource limit of this user
    1290, // read_only and similar options
    1317, // query interrupted
    1792, // read-only transaction
    1836, // read-only mode
    1927, // connection killed (MariaDB)
    1969, // max_statement_time (MariaDB)
    3024, // max_execution_time
    3032, // offline mode
    3100, // group replication
    3169, // session killed
    4031, // disconnected for inactivity
  ],
};

const meanings = new Map<number, Meaning>(
  (Object.entries(MEANINGS) as [Meaning, readonly number[]][]).flatMap(([meaning, numbers]) =>
    numbers.map((number): [number, Meaning] => [number, meaning]),
  ),
);

export const DUPLICATE_ENTRY = 1062;
const SIGNALLED = 1644;

/** Server error numbers of refused connections and logins; everything else there is the network. */
const LOGIN = new Set([1044, 1045, 1049, 1130, 1251, 1396, 1698, 3118, 3159, 3955, 4151]);
/** The server takes encrypted connections alone. */
const SECURE_TRANSPORT_REQUIRED = 3159;

/** Begins what a statement converts in vain where it has found a row that it is not to change. */
export const ANOTHER_ROW = 'carrick found another row: ';

export interface Refusal {
  readonly errno: number;
  /** SQLSTATE. */
  readonly code: string;
  readonly reason: string;
}

/** The refusal of a single row, or null when `error` concerns more than one row's values. */
export function refusalOf(error: unknown): Refusal | null {
  const { errno = 0, sqlState, sqlMessage } = serverError(error);
  if (meanings.get(errno) !== 'row') return null;
  if (sqlMessage?.includes(`'${ANOTHER_ROW}`)) {
    const reason = 'a unique index takes another row for this one';
    return { errno: DUPLICATE_ENTRY, code: '23000', reason };
  }
  return { errno, code: sqlState ?? 'HY000', reason: messageWithoutValues(error) };
}

/** Which side of Carrick met the error: it gives the code its first word. */
export type Side = 'source' | 'target';

/** Anything a statement or connection may throw, as the error that the pipeline acts upon. */
export function asCarrickError(error: unknown, side: Side): CarrickError {
  if (error instanceof CarrickError) return error;
  const { errno = 0 } = serverError(error);
  const message = messageWithoutValues(error);
  const cause = withoutSql(error);
  // What a server says of rows is never about its certificate.
  if (isNetwork(error)) {
    const trouble = transportTrouble(error, WORDS);
    if (trouble !== null) return retry(`${side}.untrusted`, trouble.message, trouble.fix, cause);
  }
  if (LOGIN.has(errno)) {
    const fix =
      errno === SECURE_TRANSPORT_REQUIRED
        ? 'Put ?ssl-mode=VERIFY_IDENTITY (or REQUIRED) behind the URL of the system.'
        : 'Check user, password and database of the system, that the account exists, and whether ' +
          'it asks for a client certificate (ssl-cert, ssl-key).';
    return halt(`${side}.denied`, message, fix, cause);
  }
  const meaning = meanings.get(errno);
  if (meaning === 'conflict') {
    const fix = 'None: the transaction is tried again. If it persists, look for long transactions.';
    return retry(`${side}.conflicted`, message, fix, cause);
  }
  if (meaning === 'gone' || isNetwork(error)) {
    const fix = 'Check that the server runs, accepts connections and is not read-only.';
    return retry(`${side}.unreachable`, message, fix, cause);
  }
  const fix =
    'Run `carrick check`: it names the missing grant, table or column. ' +
    'The statements that `carrick setup` prints make the grants.';
  return halt(`${side}.refused`, message, fix, cause);
}

/** Errors of the socket and the protocol carry a code or `fatal`, but no server error number. */
function isNetwork(error: unknown): boolean {
  const { errno, code, fatal } = serverError(error);
  return !(typeof errno === 'number' && errno >= 1000) && (code !== undefined || fatal === true);
}

/** The cause that may be logged: the driver attaches the statement, which holds row values. */
function withoutSql(error: unknown): Error {
  const { code, errno } = serverError(error);
  return new Error(`${code ?? 'error'} ${errno ?? ''}`.trim());
}

function serverError(error: unknown): ServerError {
  return typeof error === 'object' && error !== null ? (error as ServerError) : {};
}

/**
 * The server's message with the names of columns, keys and constraints, but no value of the row.
 * Values stand between quotes after `entry` or a colon and may themselves hold quotes, so the
 * longest stretch goes. The text of a SIGNAL is the application's own: anything in it may be one.
 */
export function messageWithoutValues(error: unknown): string {
  const { errno = 0, sqlMessage } = serverError(error);
  const message = sqlMessage ?? (error instanceof Error ? error.message : String(error));
  if (errno === SIGNALLED) return 'refused by a trigger or routine (SIGNAL)';
  // A SIGNAL may go under another number.
  const signalled = errno === DUPLICATE_ENTRY && !message.startsWith("Duplicate entry '");
  if (signalled) return 'duplicate entry';
  return message
    .replace(/^(Duplicate entry) '[\s\S]*' (for key )/, '$1 $2')
    .replace(/:\s*'[\s\S]*'( for (?:column|function) [\s\S]*)?$/, '$1')
    .replace(/(value is out of range in) '[\s\S]*'/, '$1 an expression')
    .replace(/(has no partition for value) [\s\S]*$/, '$1 of the row');
}
