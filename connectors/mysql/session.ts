import mysql from 'mysql2';
import { askForBulk, type Bulk, bulkOn } from './bulk.ts';
import { connectionOf, type MysqlOptions } from './config.ts';

/** What a statement that writes says it did. */
export interface Written {
  /** Rows that the statement found, changed or not. */
  readonly affectedRows: number;
  readonly changedRows: number;
  /** First generated AUTO_INCREMENT value of the statement. */
  readonly insertId: number | string;
}

/** Rows as the server's own UTF-8 text, in the order of the select list. */
export type TextRow = (string | null)[];

/** One logged-in connection; it throws what mysql2 throws (see errors.ts for the meaning). */
export interface Session extends AsyncDisposable {
  readonly mariadb: boolean;
  /** Statements longer than this many bytes are not taken by the server. */
  readonly maxPacket: number;
  /** Distance between the keys that one insert generates. */
  readonly keyStep: number;
  /** Null: the server has nothing like it. */
  readonly bulk: Bulk | null;
  /** The connection broke while it was idle. */
  closed(): boolean;
  rows(sql: string, values?: readonly unknown[]): Promise<TextRow[]>;
  /**
   * The rows as they come, until their text has `bytes` characters: then (`cut`) the session has to
   * be closed, because the server would send all of them.
   */
  rowsUpTo(sql: string, bytes: number): Promise<{ rows: TextRow[]; cut: boolean }>;
  run(sql: string, values?: readonly unknown[]): Promise<Written>;
  /** Several statements in one message; what each gave. The first that fails is the last. */
  each(sql: string, values: readonly unknown[]): Promise<(TextRow[] | Written)[]>;
}

/** How many statements the server takes in one message. */
export type Statements = 'one' | 'several';

// mysql2 compiles a parser for each shape of a result, and keeps room for 15,000 of them.
mysql.setMaxParserCache(1000);

/** Longer than any lock wait: a server that says nothing for so long is as good as gone. */
const STATEMENT_TIMEOUT_MS = 60_000;
/** The server drops a session after this idle time, so a vanished host frees its locks. */
const IDLE_LIMIT_S = 60;
const REOPEN_AFTER_MS = (IDLE_LIMIT_S * 1000) / 2;

/**
 * Strict, so that nothing is cut or replaced silently. A zero date or key that one system holds
 * must be writable as it was read: so with NO_AUTO_VALUE_ON_ZERO and without NO_ZERO_DATE. Without
 * NO_BACKSLASH_ESCAPES, on which quoting relies.
 */
const SQL_MODE =
  'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION';

const PREAMBLE = [
  'SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED',
  `SET autocommit = 1, time_zone = '+00:00', sql_mode = '${SQL_MODE}', sql_safe_updates = 0,
   innodb_lock_wait_timeout = 10, lock_wait_timeout = 10, wait_timeout = ${IDLE_LIMIT_S}`,
];

export async function openSession(
  options: MysqlOptions,
  statements: Statements = 'one',
): Promise<Session> {
  // Without a default database: statements name it, and an account may have no right on it.
  const core = mysql.createConnection({
    ...connectionOf(options),
    supportBigNumbers: true,
    bigNumberStrings: true,
    rowsAsArray: true,
    multipleStatements: statements === 'several',
    // By default a statement of any size is searched for placeholders, values or none.
    queryFormat: (sql: string, values: (string | number)[]) =>
      values.length === 0 ? sql : mysql.format(sql, values),
    // The server's own text: nothing passes through a Date or a double (invariant 9). JSON columns
    // are declared as binary on the wire, so the character set is named here.
    typeCast: (field) => field.string('utf8'),
  });
  askForBulk(core);
  let closed = false;
  core.on('error', () => {
    closed = true;
  });
  const connection = core.promise();
  const rows = async (sql: string, values?: readonly unknown[]): Promise<TextRow[]> =>
    (await connection.query(statement(sql, values)))[0] as TextRow[];
  try {
    await connection.connect();
    for (const sql of PREAMBLE) await connection.query(statement(sql));
    const [facts] = await rows(
      'SELECT VERSION(), @@max_allowed_packet, @@auto_increment_increment',
    );
    const [version, maxPacket, keyStep] = facts!;
    return {
      mariadb: /mariadb/i.test(version!),
      maxPacket: Number(maxPacket),
      keyStep: Number(keyStep),
      bulk: bulkOn(core, STATEMENT_TIMEOUT_MS),
      closed: () => closed,
      rows,
      rowsUpTo: (sql, bytes) => rowsUpTo(core, sql, bytes),
      run: async (sql, values) =>
        (await connection.query(statement(sql, values)))[0] as mysql.ResultSetHeader,
      each: async (sql, values) =>
        (await connection.query(statement(sql, values)))[0] as (TextRow[] | Written)[],
      [Symbol.asyncDispose]: async () => connection.destroy(),
    };
  } catch (error) {
    connection.destroy();
    throw error;
  }
}

function rowsUpTo(
  connection: mysql.Connection,
  sql: string,
  bytes: number,
): Promise<{ rows: TextRow[]; cut: boolean }> {
  const rows: TextRow[] = [];
  let size = 0;
  return new Promise((resolve, reject) => {
    connection
      .query(statement(sql))
      .on('result', (result) => {
        if (size > bytes) return;
        const row = result as unknown as TextRow;
        rows.push(row);
        for (const cell of row) size += cell?.length ?? 0;
        if (size > bytes) resolve({ rows, cut: true });
      })
      .on('error', reject)
      .on('end', () => resolve({ rows, cut: false }));
  });
}

function statement(sql: string, values?: readonly unknown[]): mysql.QueryOptions {
  const text = { sql, timeout: STATEMENT_TIMEOUT_MS };
  return values === undefined ? text : { ...text, values: [...values] };
}

/** A session that is opened at first use, and again after a failure or a long rest. */
export interface LazySession extends AsyncDisposable {
  get(): Promise<Session>;
  /** Closes the connection, if there is one: what it had open is rolled back. */
  reset(): Promise<void>;
}

export function lazySession(options: MysqlOptions, statements: Statements = 'one'): LazySession {
  let session: Promise<Session> | null = null;
  let usedAt = 0;
  const reset = async (): Promise<void> => {
    const closing = session;
    session = null;
    await closing?.then(
      (open) => open[Symbol.asyncDispose](),
      () => {},
    );
  };
  return {
    async get() {
      const open = await session?.catch(() => null);
      if (open?.closed() || performance.now() - usedAt > REOPEN_AFTER_MS) await reset();
      usedAt = performance.now();
      session ??= openSession(options, statements);
      try {
        return await session;
      } catch (error) {
        session = null;
        throw error;
      }
    },
    reset,
    [Symbol.asyncDispose]: reset,
  };
}
