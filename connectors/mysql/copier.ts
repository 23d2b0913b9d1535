import type { Copier, CopyTransaction, FeedPlace } from '../../src/contract/copier.ts';
import { type CarrickError, halt } from '../../src/errors.ts';
import type { Position } from '../../src/model/position.ts';
import type { MysqlOptions } from './config.ts';
import { copyRows } from './copy.ts';
import type { Session, TextRow } from './session.ts';
import { FEED_TABLE } from './setup.ts';
import { openWriting } from './transaction.ts';

const ITS_ROW = `FROM ${FEED_TABLE} WHERE instance = ? AND feed = ? FOR UPDATE`;

/** Asks for the place; the row is there from then on, so that it can be locked. */
const PLACE = `START TRANSACTION;
INSERT INTO ${FEED_TABLE} (instance, feed) VALUES (?, ?) ON DUPLICATE KEY UPDATE feed = feed;
SELECT position, progress ${ITS_ROW};
COMMIT`;

const BEGIN = `START TRANSACTION; SELECT position, progress ${ITS_ROW}`;

/** The first statement that fails is the last: nothing commits without its place. */
const COMMIT = `UPDATE ${FEED_TABLE} SET position = ?, progress = ?
  WHERE instance = ? AND feed = ?; COMMIT`;

/** One connection, one transaction at a time; see src/contract/copier.ts. */
export function openCopier(options: MysqlOptions, instance: string, feed: string): Copier {
  const writing = openWriting(options, 'several');
  const row = [instance, feed];
  /** What was last read or committed; undefined before the first question. */
  let known: FeedPlace | null | undefined;

  const place = (): Promise<FeedPlace | null> =>
    writing.on(async (session) => {
      const [, , rows] = await session.each(PLACE, [...row, ...row]);
      known = placeIn(rows as TextRow[]) ?? null;
      return known;
    });

  const transaction = (session: Session): CopyTransaction => {
    const open = writing.transaction(session);
    return {
      write: (write) =>
        open.attempt(async () => {
          const table = await writing.tables.get(session, write.table);
          return copyRows(session, options.database, table, write);
        }),
      commit: (reached) =>
        open.commit(async () => {
          await session.each(COMMIT, [reached.position, reached.progress, ...row]);
          known = reached;
        }),
      [Symbol.asyncDispose]: () => open[Symbol.asyncDispose](),
    };
  };

  return {
    place,
    async begin() {
      if (known === undefined) await place();
      return writing.on(async (session) => {
        const [, rows] = await session.each(BEGIN, row);
        const found = placeIn(rows as TextRow[]);
        if (found?.position === known?.position && found?.progress === known?.progress) {
          return transaction(session);
        }
        throw fenced(instance, feed);
      });
    },
    [Symbol.asyncDispose]: () => writing[Symbol.asyncDispose](),
  };
}

function placeIn([row]: TextRow[]): FeedPlace | undefined {
  const [position, progress] = row ?? [];
  if (position == null) return undefined;
  return { position: position as Position, progress: progress ?? '' };
}

const fenced = (instance: string, feed: string): CarrickError =>
  halt(
    'target.fenced',
    `feed ${feed} of instance ${instance} is no longer where this Carrick left it`,
    'Another Carrick of the same instance feeds here: stop one, or give it its own instance.',
  );
