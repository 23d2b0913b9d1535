import type { Applier, ApplyTransaction, TableWrite } from '../../src/contract/applier.ts';
import { type CarrickError, halt } from '../../src/errors.ts';
import type { WriteContext } from './attempt.ts';
import type { MysqlOptions } from './config.ts';
import { describeTables, type MysqlTable } from './describe.ts';
import { asCarrickError } from './errors.ts';
import { rowsInTheWay } from './insert.ts';
import { lazySession, type Session } from './session.ts';
import { MARK_TABLE } from './setup.ts';
import { writeContext, writeRows } from './write.ts';

/** One connection, one transaction at a time; see src/contract/applier.ts. */
export function openApplier(options: MysqlOptions, instance: string): Applier {
  const lazy = lazySession(options);
  const known = new Map<string, MysqlTable>();

  /** A failed statement leaves the session in doubt: its end rolls back what it had open. */
  const fail = async (error: unknown): Promise<CarrickError> => {
    await lazy.reset();
    known.clear();
    return asCarrickError(error, 'target');
  };

  const tableOf = async (session: Session, name: string): Promise<MysqlTable> => {
    const seen = known.get(name);
    if (seen !== undefined) return seen;
    const [table] = await describeTables(session, options.database, [name]);
    if (table === undefined) throw missingTable(name);
    known.set(name, table);
    return table;
  };

  const transaction = (session: Session): ApplyTransaction => {
    let open = true;
    const attempt = async <T>(work: () => Promise<T>): Promise<T> => {
      try {
        return await work();
      } catch (error) {
        open = false;
        throw await fail(error);
      }
    };
    const contextOf = async (write: TableWrite): Promise<WriteContext> =>
      writeContext(session, options.database, await tableOf(session, write.table), write);
    return {
      write: (write) => attempt(async () => writeRows(await contextOf(write))),
      inTheWay: (insert, columns) =>
        attempt(async () => rowsInTheWay(await contextOf(insert), columns)),
      async commit() {
        open = false;
        await session.run('COMMIT').catch(async (error) => {
          throw await fail(error);
        });
      },
      async [Symbol.asyncDispose]() {
        if (!open) return;
        open = false;
        await session.run('ROLLBACK').catch(() => lazy.reset());
      },
    };
  };

  return {
    async committed() {
      try {
        return await lockedMark(await lazy.get(), instance);
      } catch (error) {
        throw await fail(error);
      }
    },
    async begin(batch) {
      try {
        const session = await lazy.get();
        await session.run('START TRANSACTION');
        await moveMark(session, instance, batch);
        return transaction(session);
      } catch (error) {
        throw await fail(error);
      }
    },
    async fence(batch, lane = 'watermark') {
      try {
        const session = await lazy.get();
        await session.run(
          `INSERT INTO ${MARK_TABLE} (instance, lane, batch) VALUES (?, ?, ?)
           ON DUPLICATE KEY UPDATE batch = ?`,
          [instance, lane, batch, batch],
        );
      } catch (error) {
        throw await fail(error);
      }
    },
    async ping() {
      try {
        await (await lazy.get()).rows('SELECT 1');
      } catch (error) {
        throw await fail(error);
      }
    },
    [Symbol.asyncDispose]: () => lazy[Symbol.asyncDispose](),
  };
}

async function lockedMark(session: Session, instance: string): Promise<number> {
  const lock = `SELECT batch FROM ${MARK_TABLE} WHERE instance = ? AND lane = 'deliver' FOR UPDATE`;
  await session.run('START TRANSACTION');
  let [row] = await session.rows(lock, [instance]);
  if (row === undefined) {
    await session.run(`INSERT IGNORE INTO ${MARK_TABLE} VALUES (?, 'deliver', 0)`, [instance]);
    [row] = await session.rows(lock, [instance]);
  }
  await session.run('COMMIT');
  return Number(row?.[0] ?? 0);
}

/** Whichever statement writes, its row is the first of the transaction: that is what marks it. */
async function moveMark(session: Session, instance: string, batch: number): Promise<void> {
  const moved = await session.run(
    `UPDATE ${MARK_TABLE} SET batch = ? WHERE instance = ? AND lane = 'deliver' AND batch < ?`,
    [batch, instance, batch],
  );
  if (moved.affectedRows > 0) return;
  const made = await session.run(`INSERT IGNORE INTO ${MARK_TABLE} VALUES (?, 'deliver', ?)`, [
    instance,
    batch,
  ]);
  if (made.affectedRows === 0) throw fenced(instance, batch);
}

const fenced = (instance: string, batch: number): CarrickError =>
  halt(
    'target.fenced',
    `the mark of instance ${instance} is already at batch ${batch} or past it`,
    'Another Carrick of the same instance delivers here: stop one, or give it its own instance.',
  );

const missingTable = (name: string): CarrickError =>
  halt(
    'target.refused',
    `table ${name} does not exist, or this account may not read it`,
    'Correct the table in the mapping, or grant SELECT, INSERT, UPDATE and DELETE on it.',
  );
