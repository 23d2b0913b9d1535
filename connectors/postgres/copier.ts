import pg from 'pg';
import type { Copier, CopyTransaction, FeedPlace } from '../../src/contract/copier.ts';
import { halt } from '../../src/errors.ts';
import type { Position } from '../../src/model/position.ts';
import type { ApplierOptions } from './applier.ts';
import { copy } from './copy.ts';
import { FEED_TABLE } from './mark.ts';
import { openSavepoint } from './savepoint.ts';
import { quotedTable, type TextRow } from './session.ts';
import { createTarget } from './target.ts';

export interface CopierOptions extends ApplierOptions {
  readonly feed: string;
}

export function createCopier({ pool, connection, instance, feed }: CopierOptions): Copier {
  const table = quotedTable(FEED_TABLE);
  const target = createTarget(pool, connection);
  const { run, guarded } = target;
  const [instanceText, feedText] = [instance, feed].map((name) => pg.escapeLiteral(name));
  const own = `where instance = ${instanceText} and feed = ${feedText}`;
  const lock = `select position, progress from ${table} ${own} for update`;
  /** What was read or committed last; undefined: not known. */
  let known: FeedPlace | null | undefined;

  const lockedRow = async (): Promise<TextRow | undefined> => {
    const [found] = await run(lock);
    if (found !== undefined) return found;
    // Waits for a predecessor that makes it.
    await run(`insert into ${table} (instance, feed) values (${instanceText}, ${feedText})
      on conflict (instance, feed) do nothing`);
    return (await run(lock))[0];
  };

  const commit = async (place: FeedPlace): Promise<void> => {
    known = undefined;
    const [position, progress] = [place.position, place.progress].map((text) =>
      pg.escapeLiteral(text),
    );
    await run(`update ${table} set position = ${position}, progress = ${progress} ${own}; commit`);
    known = place;
  };

  return {
    place: () =>
      guarded(async () => {
        known = placeOf(await lockedRow());
        return known;
      }),
    begin: () =>
      guarded(async (): Promise<CopyTransaction> => {
        if (known === undefined) throw new Error('the place is not known: ask for it');
        // Deferred constraints would be refused at the commit, where they cost all of it.
        const [row] = await run(`begin; set constraints all immediate; ${lock}; savepoint row`);
        if (row === undefined || !isSame(placeOf(row), known)) throw fenced(instance, feed);
        const transaction = target.transaction();
        const point = openSavepoint(run);
        return {
          write: (write) => transaction.during(() => copy(target, point, write)),
          commit: (place) => transaction.last(() => commit(place)),
          [Symbol.asyncDispose]: () => transaction[Symbol.asyncDispose](),
        };
      }),
    [Symbol.asyncDispose]: () => target.end(),
  };
}

/** The row is there, without a position, from when the place was first asked for. */
function placeOf([position = null, progress = null]: TextRow = []): FeedPlace | null {
  if (position === null || progress === null) return null;
  return { position: position as Position, progress };
}

const isSame = (a: FeedPlace | null, b: FeedPlace | null): boolean =>
  a?.position === b?.position && a?.progress === b?.progress;

function fenced(instance: string, feed: string): Error {
  return halt(
    'target.fenced',
    `feed ${feed} of instance ${instance} is not where this Carrick left it`,
    'Another Carrick with the same instance feeds here: stop it, or name this one differently.',
  );
}
