import type { ClientConfig, Pool } from 'pg';
import pg from 'pg';
import type { Applier, ApplyTransaction } from '../../src/contract/applier.ts';
import { halt } from '../../src/errors.ts';
import { describeError } from './errors.ts';
import { MARK } from './mark.ts';
import { quotedTable, type Run, sessionConfig } from './session.ts';
import { createWriter, type Writer } from './write.ts';

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

export interface ApplierOptions {
  readonly pool: Pool;
  readonly connection: ClientConfig;
  readonly instance: string;
}

/**
 * One connection, opened when it is needed and again after any failure: what it had prepared or
 * held is then gone for certain.
 */
export function createApplier({ pool, connection, instance }: ApplierOptions): Applier {
  const mark = quotedTable(MARK.name);
  let client: pg.Client | null = null;
  let prepared = new Map<string, string>();
  let writer = createWriter(pool);

  const drop = (): void => {
    client?.connection.stream.destroy();
    client = null;
    prepared = new Map();
    writer = createWriter(pool);
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

  /** Invariant: after a failure nothing of this connection is used again. */
  const guarded = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      drop();
      throw describeError('target', error);
    }
  };

  /** `before` and `after` go along in one round trip. */
  const moveMark = async (
    lane: string,
    batch: number,
    { before, after } = { before: '', after: '' },
  ): Promise<void> => {
    const moved = await run(
      `${before}insert into ${mark} as m (instance, lane, batch)
       values (${pg.escapeLiteral(instance)}, ${pg.escapeLiteral(lane)}, ${batch})
       on conflict (instance, lane) do update set batch = excluded.batch
       where m.batch < excluded.batch returning m.batch${after}`,
    );
    if (moved.length === 0) throw fenced(instance, batch);
  };

  return {
    committed: () => guarded(() => lockedMark(run, mark, instance)),
    begin: (batch) =>
      guarded(async () => {
        // Deferred constraints would be refused at the commit, where they cost the whole batch.
        await moveMark('deliver', batch, {
          before: 'begin; set constraints all immediate; ',
          after: '; savepoint row',
        });
        return openTransaction(run, guarded, drop, writer);
      }),
    fence: (batch, lane = 'watermark') => guarded(() => moveMark(lane, batch)),
    ping: () => guarded(async () => void (await run('select 1'))),
    async [Symbol.asyncDispose]() {
      await client?.end().catch(() => {});
      client = null;
    },
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

function openTransaction(
  run: Run,
  guarded: <T>(work: () => Promise<T>) => Promise<T>,
  drop: () => void,
  writer: Writer,
): ApplyTransaction {
  let open = true;
  const point = { isFresh: true };
  /** A failure ends the transaction. */
  const whileOpen = async <T>(work: () => Promise<T>): Promise<T> => {
    if (!open) throw new Error('the transaction is over');
    try {
      return await guarded(work);
    } catch (error) {
      open = false;
      throw error;
    }
  };
  return {
    write: (rows) => whileOpen(() => writer.write(run, point, rows)),
    inTheWay: (insert, columns) => whileOpen(() => writer.inTheWay(run, insert, columns)),
    async commit() {
      await whileOpen(() => run('commit'));
      open = false;
    },
    async [Symbol.asyncDispose]() {
      if (!open) return;
      open = false;
      await run('rollback').catch(drop);
    },
  };
}

function fenced(instance: string, batch: number): Error {
  return halt(
    'target.fenced',
    `batch ${batch} of instance ${instance} or a later one is committed already`,
    'Another Carrick with the same instance delivers here: stop it, or name this one differently.',
  );
}
