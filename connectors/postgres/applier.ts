import type { ClientConfig, Pool } from 'pg';
import pg from 'pg';
import type { Applier, ApplyTransaction } from '../../src/contract/applier.ts';
import { halt } from '../../src/errors.ts';
import { MARK } from './mark.ts';
import { openSavepoint } from './savepoint.ts';
import { quotedTable, type Run } from './session.ts';
import { createTarget, type Target } from './target.ts';
import { createWriter, updateBehind } from './write.ts';

/**
 * Off for deliveries: the log confirms them, and shows a commit only when it is on disk; others
 * need not wait for that (PostgreSQL manual, "Asynchronous Commit").
 */
const LAZY = 'synchronous_commit';

/** A transaction that waits for the disk, and shows nowhere. */
const FLUSH = `select pg_catalog.pg_logical_emit_message(true, 'carrick', '')`;

export interface ApplierOptions {
  readonly pool: Pool;
  readonly connection: ClientConfig;
  readonly instance: string;
}

export function createApplier({ pool, connection, instance }: ApplierOptions): Applier {
  const mark = quotedTable(MARK.name);
  const target = createTarget(pool, connection);
  const { run, guarded } = target;
  let isFlushed = true;

  /** Moves the mark of a lane; returns a row if it was behind. */
  const move = (lane: string, batch: string, returning = 'm.batch'): string =>
    `insert into ${mark} as m (instance, lane, batch)
     values (${pg.escapeLiteral(instance)}, ${pg.escapeLiteral(lane)}, ${batch})
     on conflict (instance, lane) do update set batch = excluded.batch
     where m.batch < excluded.batch returning ${returning}`;

  /** `before` and `after` go along in one round trip. */
  const moveMark = async (
    lane: string,
    batch: number,
    { before, after } = { before: '', after: '' },
  ): Promise<void> => {
    const moved = await run(`${before}${move(lane, `${batch}`)}${after}`);
    if (moved.length === 0) throw fenced(instance, batch);
  };

  return {
    committed: () => guarded(() => lockedMark(run, mark, instance)),
    begin: (batch) =>
      guarded(async () => {
        isFlushed = false;
        // Deferred constraints would be refused at the commit, where they cost the whole batch.
        await moveMark('deliver', batch, {
          before: `begin; set local ${LAZY} = off; set constraints all immediate; `,
          after: '; savepoint row',
        });
        return openTransaction(target);
      }),
    update: (batch, write) =>
      guarded(async () => {
        isFlushed = false;
        const lazily = `pg_catalog.set_config('${LAZY}', 'off', true)`;
        const behind = (parameter: string) => move('deliver', `${parameter}::bigint`, lazily);
        const outcomes = await updateBehind(target, write, behind, batch);
        if (outcomes === 'stopped') throw fenced(instance, batch);
        return outcomes;
      }),
    fence: (batch, lane = 'watermark') => guarded(() => moveMark(lane, batch)),
    ping: () =>
      guarded(async () => {
        await run(isFlushed ? 'select 1' : FLUSH);
        isFlushed = true;
      }),
    [Symbol.asyncDispose]: () => target.end(),
  };
}

/** Waits for a predecessor's transaction, also for one that writes the mark for the first time. */
async function lockedMark(run: Run, mark: string, instance: string): Promise<number> {
  const select = `select batch from ${mark} where instance = $1 and lane = 'deliver' for update`;
  const [found] = await run(select, [instance]);
  if (found !== undefined) return Number(found[0]);
  await run(
    `insert into ${mark} (instance, lane, batch) values ($1, 'deliver', 0)
     on conflict (instance, lane) do nothing`,
    [instance],
  );
  const [inserted] = await run(select, [instance]);
  return Number(inserted?.[0] ?? 0);
}

function openTransaction(target: Target): ApplyTransaction {
  const transaction = target.transaction();
  const writer = createWriter(target);
  const point = openSavepoint(target.run);
  return {
    write: (rows) => transaction.during(() => writer.write(point, rows)),
    inTheWay: (insert, columns) => transaction.during(() => writer.inTheWay(insert, columns)),
    commit: () => transaction.last(() => target.run('commit')),
    [Symbol.asyncDispose]: () => transaction[Symbol.asyncDispose](),
  };
}

function fenced(instance: string, batch: number): Error {
  return halt(
    'target.fenced',
    `batch ${batch} of instance ${instance} or a later one is committed already`,
    'Another Carrick with the same instance delivers here: stop it, or name this one differently.',
  );
}
