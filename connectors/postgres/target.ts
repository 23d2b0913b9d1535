import type { ClientConfig, Pool } from 'pg';
import pg from 'pg';
import { halt } from '../../src/errors.ts';
import { copyIn } from './copy-in.ts';
import { describeTables, type PostgresColumn, type PostgresTable } from './describe.ts';
import { describeError } from './errors.ts';
import { type Run, sessionConfig } from './session.ts';

/** A writer's lock, or a statement, that takes longer than this is a conflict to try again. */
const TIMEOUTS = {
  lock_timeout: '10s',
  statement_timeout: '60s',
  idle_in_transaction_session_timeout: '60s',
};

/** Past the server's own limits: then it is the network that is gone. */
const ANSWER_TIMEOUT_MS = 90_000;

/** Statements that one connection keeps prepared; others are planned each time. */
const PREPARED = 200;

const ISOLATION = { default_transaction_isolation: 'read\\ committed' };

/**
 * The connection of one that writes, opened when it is needed and again after any failure: what it
 * had prepared or held is then gone for certain.
 */
export interface Target {
  readonly run: Run;
  /** `COPY … FROM STDIN` with its data. */
  copy(text: string, data: Iterable<Buffer>): Promise<void>;
  /** As it was when this connection first asked. */
  table(name: string): Promise<PostgresTable>;
  /** Invariant: after a failure nothing of this connection is used again. */
  guarded<T>(work: () => Promise<T>): Promise<T>;
  /** For a transaction that is open; the caller commits it inside of `last`. */
  transaction(): TargetTransaction;
  end(): Promise<void>;
}

/** Disposing an open transaction rolls it back. */
export interface TargetTransaction extends AsyncDisposable {
  /** A failure ends the transaction. */
  during<T>(work: () => Promise<T>): Promise<T>;
  /** The transaction ends with it. */
  last(work: () => Promise<unknown>): Promise<void>;
}

export function createTarget(pool: Pool, connection: ClientConfig): Target {
  let client: pg.Client | null = null;
  let prepared = new Map<string, string>();
  let tables = new Map<string, PostgresTable>();

  const drop = (): void => {
    client?.connection.stream.destroy();
    client = null;
    prepared = new Map();
    tables = new Map();
  };

  const connected = async (): Promise<pg.Client> => {
    if (client !== null) return client;
    const session = sessionConfig(connection, { ...TIMEOUTS, ...ISOLATION });
    const opened = new pg.Client({ ...session, query_timeout: ANSWER_TIMEOUT_MS });
    // The next statement reports it.
    opened.on('error', () => {});
    client = opened;
    await opened.connect();
    return opened;
  };

  const run: Run = async (text, values) => {
    const open = await connected();
    if (values === undefined) {
      // Of several statements each has a result of its own.
      const results = [await open.query({ text, rowMode: 'array' })].flat();
      return results.flatMap(({ rows }) => rows ?? []);
    }
    if (!prepared.has(text) && prepared.size < PREPARED) prepared.set(text, `s${prepared.size}`);
    const name = prepared.get(text);
    const query = { text, values: [...values], rowMode: 'array' as const };
    return (await open.query(name === undefined ? query : { ...query, name })).rows;
  };

  const guarded = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      drop();
      throw describeError('target', error);
    }
  };

  return {
    run,
    copy: async (text, data) => copyIn(await connected(), text, data),
    async table(name) {
      const known = tables.get(name);
      if (known !== undefined) return known;
      const [table] = await describeTables(pool, [name]);
      if (table === undefined) throw misfit(`there is no table ${name}`);
      tables.set(name, table);
      return table;
    },
    guarded,
    transaction: () => openTransaction(run, guarded, drop),
    async end() {
      await client?.end().catch(() => {});
      client = null;
    },
  };
}

function openTransaction(
  run: Run,
  guarded: <T>(work: () => Promise<T>) => Promise<T>,
  drop: () => void,
): TargetTransaction {
  let open = true;
  const during = async <T>(work: () => Promise<T>): Promise<T> => {
    if (!open) throw new Error('the transaction is over');
    try {
      return await guarded(work);
    } catch (error) {
      open = false;
      throw error;
    }
  };
  return {
    during,
    async last(work) {
      await during(work);
      open = false;
    },
    async [Symbol.asyncDispose]() {
      if (!open) return;
      open = false;
      await run('rollback').catch(drop);
    },
  };
}

export function columnOf(table: PostgresTable, name: string): PostgresColumn {
  const found = table.columns.find((candidate) => candidate.name === name);
  if (found === undefined) throw misfit(`table ${table.name} has no column ${name}`);
  return found;
}

function misfit(message: string): Error {
  return halt('target.refused', message, 'Run `carrick check`: tables and mapping do not fit.');
}
