import type { Applier, ApplyTransaction, TableWrite } from '../../src/contract/applier.ts';
import { type CarrickError, halt } from '../../src/errors.ts';
import type { WriteContext } from './attempt.ts';
import type { MysqlOptions } from './config.ts';
import { rowsInTheWay } from './insert.ts';
import type { Session } from './session.ts';
import { MARK_TABLE } from './setup.ts';
import { openWriting } from './transaction.ts';
import { writeContext, writeRows } from './write.ts';

/** One connection, one transaction at a time; see src/contract/applier.ts. */
export function openApplier(options: MysqlOptions, instance: string): Applier {
  const writing = openWriting(options, 'one');

  const transaction = (session: Session): ApplyTransaction => {
    const open = writing.transaction(session);
    const contextOf = async (write: TableWrite): Promise<WriteContext> => {
      const table = await writing.tables.get(session, write.table);
      return writeContext(session, options.database, table, write);
    };
    return {
      write: (write) => open.attempt(async () => writeRows(await contextOf(write))),
      inTheWay: (insert, columns) =>
        open.attempt(async () => rowsInTheWay(await contextOf(insert), columns)),
      commit: () => open.commit(() => session.run('COMMIT')),
      [Symbol.asyncDispose]: () => open[Symbol.asyncDispose](),
    };
  };

  return {
    committed: () => writing.on((session) => lockedMark(session, instance)),
    begin: (batch) =>
      writing.on(async (session) => {
        await session.run('START TRANSACTION');
        await moveMark(session, instance, batch);
        return transaction(session);
      }),
    fence: (batch, lane = 'watermark') =>
      writing.on(async (session) => {
        await session.run(
          `INSERT INTO ${MARK_TABLE} (instance, lane, batch) VALUES (?, ?, ?)
           ON DUPLICATE KEY UPDATE batch = ?`,
          [instance, lane, batch, batch],
        );
      }),
    ping: () =>
      writing.on(async (session) => {
        await session.rows('SELECT 1');
      }),
    [Symbol.asyncDispose]: () => writing[Symbol.asyncDispose](),
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
