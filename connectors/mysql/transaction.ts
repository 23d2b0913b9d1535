import type { CarrickError } from '../../src/errors.ts';
import type { MysqlOptions } from './config.ts';
import { asCarrickError } from './errors.ts';
import { type KnownTables, knownTables } from './known-tables.ts';
import { type LazySession, lazySession, type Session, type Statements } from './session.ts';

/** The connection of somebody who writes: one transaction at a time. */
export interface Writing extends AsyncDisposable {
  readonly tables: KnownTables;
  /** Runs on the session. After an error it is opened anew: what it had open is rolled back. */
  on<T>(work: (session: Session) => Promise<T>): Promise<T>;
  /** For a session that has begun a transaction. */
  transaction(session: Session): OpenTransaction;
}

/** Disposing it rolls back, unless it was committed or failed. */
export interface OpenTransaction extends AsyncDisposable {
  attempt<T>(work: () => Promise<T>): Promise<T>;
  commit(work: () => Promise<unknown>): Promise<void>;
}

export function openWriting(options: MysqlOptions, statements: Statements): Writing {
  const lazy = lazySession(options, statements);
  const tables = knownTables(options.database);
  const fail = async (error: unknown): Promise<CarrickError> => {
    await lazy.reset();
    tables.forget();
    return asCarrickError(error, 'target');
  };
  return {
    tables,
    async on(work) {
      try {
        return await work(await lazy.get());
      } catch (error) {
        throw await fail(error);
      }
    },
    transaction: (session) => openTransaction(session, lazy, fail),
    [Symbol.asyncDispose]: () => lazy[Symbol.asyncDispose](),
  };
}

function openTransaction(
  session: Session,
  lazy: LazySession,
  fail: (error: unknown) => Promise<CarrickError>,
): OpenTransaction {
  let open = true;
  return {
    async attempt(work) {
      try {
        return await work();
      } catch (error) {
        open = false;
        throw await fail(error);
      }
    },
    async commit(work) {
      open = false;
      try {
        await work();
      } catch (error) {
        throw await fail(error);
      }
    },
    async [Symbol.asyncDispose]() {
      if (!open) return;
      open = false;
      await session.run('ROLLBACK').catch(() => lazy.reset());
    },
  };
}
